// Package isa is the instruction set of WebAssembly 2.0 as a table: for every
// instruction its name, opcode, immediate operands, alignment and type.
//
// It knows no modules, functions or sections, and decodes nothing. It guarantees
// that the table is complete for WebAssembly 1.0 and 2.0, SIMD included, and has
// nothing of later proposals: an opcode without a row is not supported. Package
// compute/wasm/convert validates and rewrites with it, the assembler for tests
// finds opcodes by name.
//
// Source: WebAssembly Core Specification 2.0, chapters 5.4 and 7.1.
package isa
