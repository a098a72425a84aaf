//go:build race

package wasm_test

// raced is whether the race detector watches, under which an interpreter takes
// minutes for what compiled code takes seconds.
const raced = true
