// Package wasmtest assembles WebAssembly modules from text, so that tests keep
// their modules as programs that people can read.
//
// Assemble(text) gives the binary of one module; Module(t, text) does the same
// and fails the test if the text is wrong. The text is that of the specification
// (chapter 6): fields type, import, func, table, memory, global, export, start,
// elem and data, names ($x) for everything, inline (export "n"), instructions in
// plain or folded form. Three things are added for hostile modules:
//
//	(repeat 1000 nop)          in code: the instructions in it, so many times
//	(raw "\fc\0a")             in code: bytes as they are
//	(section 0 "\04name")      a field: a section with that number, behind all others
//	(module binary "\00asm")   instead of a module: the file's bytes
//
// Not supported: inline imports, inline elem and data, hexadecimal floats, and
// hexadecimal digits in strings beyond \hh.
//
// It does not validate: a type error assembles, which is the point. It guarantees
// that one text gives the same bytes always. Only tests import it.
package wasmtest
