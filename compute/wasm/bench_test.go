package wasm_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/wasm"
)

// BenchmarkDecode reads a task with a module of 3 MB, which gateway, region and
// worker do each.
func BenchmarkDecode(b *testing.B) {
	module := append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Repeat([]byte("program."), 3<<17)...)
	data := task{"module": base64.StdEncoding.EncodeToString(module)}.data(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := wasm.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTiny runs a function of two numbers in this process.
func BenchmarkTiny(b *testing.B) {
	r := newRig(b, wasm.EngineAuto, nil)
	data := program(b, `(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`).
		with("function", "add").with("args", []int{20, 22}).data(b)
	for b.Loop() {
		if _, err := r.Run(b.Context(), data, compute.Report{}); err != nil {
			b.Fatal(err)
		}
	}
}
