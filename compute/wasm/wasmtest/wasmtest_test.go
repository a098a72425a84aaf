package wasmtest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// TestRun assembles small programs and runs them: the engine is the judge of the
// bytes.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		args []uint64
		want uint64
	}{
		"folded":   {`(module (func (export "f") (param $a i32) (result i32) (i32.add (local.get $a) (i32.const -2))))`, []uint64{44}, 42},
		"plain":    {`(module (func (export "f") (param i32) (result i32) local.get 0 i32.const 0x10 i32.mul))`, []uint64{2}, 32},
		"loop":     {`(module (func (export "f") (param $n i32) (result i32) (local $s i32) (loop $l (local.set $s (i32.add (local.get $s) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s)))`, []uint64{10}, 55},
		"if":       {`(module (func (export "f") (param $n i32) (result i32) (if (result i32) (local.get $n) (then (i32.const 7)) (else (i32.const 8)))))`, []uint64{0}, 8},
		"plain if": {`(module (func (export "f") (param $n i32) (result i32) local.get $n if (result i32) i32.const 7 else i32.const 8 end))`, []uint64{1}, 7},
		"switch":   {`(module (func (export "f") (param $n i32) (result i32) (block $a (block $b (br_table $a $b (local.get $n))) (return (i32.const 1))) (i32.const 2)))`, []uint64{0}, 2},
		"forward":  {`(module (func (export "f") (result i32) (call $g)) (func $g (result i32) (i32.const 9)))`, nil, 9},
		"indirect": {`(module (type $t (func (result i32))) (table 2 funcref) (elem (i32.const 1) $g) (func $g (type $t) i32.const 3)
			(func (export "f") (result i32) (call_indirect (type $t) (i32.const 1))))`, nil, 3},
		"memory": {`(module (memory (export "m") 1 2) (data (i32.const 4) "ab\63") (data $p "xyz") (func (export "f") (result i32)
			(memory.init $p (i32.const 0) (i32.const 0) (i32.const 3)) (i32.load8_u offset=2 (i32.const 0)) (i32.load8_u offset=6 (i32.const 0)) i32.add))`, nil, 'z' + 'c'},
		"global": {`(module (global $g (mut i64) (i64.const 5)) (func (export "f") (result i64) (global.set $g (i64.const 6)) (global.get $g)))`, nil, 6},
		"float":  {`(module (func (export "f") (result i32) (i32.reinterpret_f32 (f32.const nan:0x400001))))`, nil, 0x7fc0_0001},
		"vector": {`(module (func (export "f") (result i32) (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const f32x4 0 0 0 0)))))`, nil, 3},
		"repeat": {`(module (func (export "f") (result i32) (i32.const 0) (repeat 5 (i32.const 2) i32.add)))`, nil, 10},
		"select": {`(module (func (export "f") (result i32) (ref.is_null (select (result funcref) (ref.null func) (ref.func $x) (i32.const 0)))) (func $x) (elem declare func $x))`, nil, 0},
		"values": {`(module (func (export "f") (result i32) (i32.const 1) (block (param i32) (result i32 i32) (i32.const 2)) i32.sub))`, nil, 0xffff_ffff},
		"section": {`(module $m (; a comment ;) (func (export "f") (result i32) (raw "\41\05")) (section 0 "\01abc") ;; and one more
			)`, nil, 5},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
			defer rt.Close(ctx)
			m, err := rt.Instantiate(ctx, wasmtest.Module(t, c.text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.ExportedFunction("f").Call(ctx, c.args...)
			if err != nil || len(got) != 1 || got[0] != c.want {
				t.Errorf("%d, %v, want %d", got, err, c.want)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no module":     {`(func)`, "not one (module"},
		"open":          {`(module (func`, "ends too early"},
		"instruction":   {"(module\n(func i32.plus))", `line 2: unknown instruction "i32.plus"`},
		"label":         {`(module (func (br $x)))`, "unknown label $x"},
		"name":          {`(module (func (call $x)))`, "unknown name $x"},
		"number":        {`(module (func (i32.const 5000000000)))`, "no number of 32 bits"},
		"field":         {`(module (fun))`, `unknown field "fun"`},
		"two":           {`(module) (module)`, "text behind the module"},
		"end of string": {`(module (data "abc))`, "a string without end"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wasmtest.Assemble(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestBinary(t *testing.T) {
	if b := wasmtest.Module(t, `(module binary "\00asm" "\01")`); string(b) != "\x00asm\x01" {
		t.Errorf("%q", b)
	}
}
