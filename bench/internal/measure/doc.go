// Package measure runs an operation many times and says what it took: latencies,
// operations per second, processor time and allocations of this process.
//
// It is not a profiler and knows nothing of jobs. Everything a figure contains
// ran in this process, client and server together, so figures compare with each
// other and not with those of one side alone. Programs under cmd run it.
package measure
