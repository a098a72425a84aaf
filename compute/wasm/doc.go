// Package wasm runs the task type "wasm": a WebAssembly program, as a WASI
// preview 1 command or as one exported function, with a bound on everything it
// can use up.
//
// Task is what a submitter writes, Result what comes back, Planner what a
// gateway and a region check. Executor runs a task on a worker: it hands it to a
// Runner, which runs handlers in a child process under limits, and Guest is the
// handler: it converts the module (package convert), compiles it or takes the
// compiled code from its Cache, gives it exactly what the task grants, runs it and
// says how it ended.
//
// It is not a sandbox: a bug of the compiler is the child's matter, and so is a
// guest that has fuel for longer than there is time. No guest ever runs in the
// process of a node. What a program is given is written in docs/wasm.md; it has
// no network, no clock but a counter and no randomness but a fixed sequence.
//
// It guarantees that the result, the fuel it took included, is a function of the
// task alone: the same bytes on every machine, by compiled code and by
// interpreted. Nodes run it; package internal/cli for `tenzro wasm`.
package wasm
