//go:build race

package sandbox

// raced is whether the race detector keeps books of its own about all memory,
// which it does not give back.
const raced = true
