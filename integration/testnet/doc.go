// Package testnet runs real networks for tests: processes of the tenzro binary
// on loopback, each with a home, a process group and ports of its own, or whole
// nodes inside the test's process where hundreds are wanted.
//
// It fakes nothing and knows nothing of what is inside a node: a test sees what
// a user sees, which is the HTTP API, runtime.json, signals, exit codes and what
// was printed. The helpers fail the test on error.
//
// It guarantees that nothing outlives a test: when it ends, every process gets
// SIGTERM and must exit with code 0, its process group must be empty, and
// nothing it printed may be a panic. Waiting is polling with a deadline, never
// sleeping. Child is the part that knows no test: the chaos command runs its nodes
// with it.
package testnet
