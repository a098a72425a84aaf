// Package convert turns a WebAssembly module into one that can be run for a
// stranger: it cannot run for ever, cannot overflow the engine's stack, cannot
// take more memory than agreed, and computes the same bits on every machine.
//
// Convert validates the module completely (WebAssembly 2.0, appendix "validation
// algorithm"), and writes a new one in canonical form: shortest integers, no
// custom sections, no unreachable code. Into it go three things. Fuel: a global
// counts down by the cost of every metering block before the block runs, and by
// the size of every bulk operation before it starts. Stack: a second global
// counts down by the weight of every call that could recurse. NaN: a result of
// floating-point arithmetic that is a NaN becomes the positive canonical one
// before anything can see its bits. The costs and weights are
// docs/spec/wasm-metering.md; a change of them is a new Version.
//
// It is not an engine, and it grants nothing: imports are reported and kept, the
// host decides which of them exist. Proposals after 2.0 (threads, tail calls,
// exceptions, 64-bit memory, garbage collection, relaxed SIMD) are refused.
//
// It guarantees that the output is a function of the input, the options and
// Version alone, byte for byte; that an accepted module means what the original
// meant as long as fuel and stack last; that time and memory are bounded by the
// size of the input; and that it never panics on hostile bytes. It is pure: no
// clock, no I/O, no goroutine. Package compute/wasm runs it before anything is
// compiled.
package convert
