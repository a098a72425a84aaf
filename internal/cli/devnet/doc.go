// Package devnet runs a whole network on one machine: real processes of this
// program on loopback, each with a home of its own.
//
// It is not a simulation and not a test harness: the nodes know nothing of it.
// It guarantees that no process outlives it: Close ends all of them, and on
// Linux the kernel does when this process dies without a chance to. The command
// `tenzro devnet` runs it; Start and Close must be called from one goroutine.
package devnet
