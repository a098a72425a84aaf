// Package program is what programs of strangers are given, whatever runs them: words,
// an environment and files, with the bounds on them.
//
// It is not an engine and knows none: packages compute/wasm and compute/container
// put these checks into the data of their tasks.
//
// It guarantees that what it accepts can be handed to a process as it is: no word has
// a zero byte in it, no name of a variable an equals sign, no path leads out of the
// directory it is put into, and no file is inside another file. It is pure.
package program

// Bounds of what a task grants a program. The task as a whole is at most
// core.MaxTaskBytes.
const (
	MaxArgs      = 4096
	MaxEnv       = 256
	MaxWords     = 1 << 20 // bytes of arguments, and of the environment
	MaxFiles     = 256     // granted, and left behind
	MaxPathBytes = 512
	MaxPathDepth = 16
	MaxNameBytes = 255
)
