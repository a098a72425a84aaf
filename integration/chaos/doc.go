// Package chaos runs a network of real tenzro processes, puts load on it over
// HTTP, hurts it, and says what became of every job.
//
// It is not a simulation: processes are killed with SIGKILL and frozen with
// SIGSTOP, partitions are packets that a firewall drops between network
// namespaces, and time is the machine's. It knows of a node what its user knows:
// flags, the HTTP API, /metrics, signals and what it prints. Judging is package
// history's: this one only writes down what clients were told.
//
// Load is open: jobs are due at a fixed rate whatever became of those before, and
// latencies count from when a job was due, so that a network that stands still
// does not hide the jobs it kept waiting.
//
// It guarantees that every process it starts is gone when Run returns, network
// namespaces and bridges included, and that the same seed injects the same faults
// in the same order. Who runs it: the command integration/cmd/chaos and the tests
// of package integration.
package chaos
