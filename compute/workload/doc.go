// Package workload is a list of fixed pieces of work that show how fast a machine
// is: hashing, floating point, matrices, memory, disk, programs, hypervectors. A piece is
// done in segments; a segment depends on nothing but a seed, leaves a digest, and
// is the same on every processor, so that whoever doubts a machine's figures
// computes one segment of many again.
//
// It is not a benchmark: it reads no clock, knows no score of a machine and starts
// no goroutine. It guarantees that a version of a piece of work never changes; a
// change of what a segment does, or of its digest, is another version. Package
// compute measures the profile of a machine with it, package compute/benchmark
// runs it as tasks.
package workload
