package wasm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm"
)

// hello writes a line and leaves with an exit code.
const hello = `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
	(func (export "_start")
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
		(call $exit (i32.const 7))))`

func engines() map[string]wasm.Engine {
	return map[string]wasm.Engine{"compiler": wasm.EngineAuto, "interpreter": wasm.EngineInterpreter}
}

func TestCommand(t *testing.T) {
	used := map[int64]bool{}
	for name, engine := range engines() {
		r := newRig(t, engine, nil)
		got, err := r.do(t, program(t, hello))
		if err != nil || string(got.Stdout) != "hello\n" || got.ExitCode != 7 || len(got.Stderr) != 0 || len(got.Files) != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		used[got.Fuel] = true
	}
	if len(used) != 1 {
		t.Errorf("the engines differ in fuel: %v", used)
	}
}

// TestFunction calls plain functions with numbers of every type.
func TestFunction(t *testing.T) {
	const text = `(module
		(func (export "i32") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
		(func (export "i64") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 3)))
		(func (export "f32") (param f32) (result f32) (f32.div (local.get 0) (f32.const 3)))
		(func (export "f64") (param f64) (result f64) (f64.div (f64.const 1) (local.get 0)))
		(func (export "two") (result i32 i64) (i32.const -1) (i64.const -1))
		(func (export "none")))`
	r := newRig(t, wasm.EngineAuto, nil)
	for _, c := range []struct {
		function string
		args     []any
		want     string
	}{
		{"i32", []any{2, 40}, `[42]`},
		{"i32", []any{4294967295, "1"}, `[0]`},
		{"i64", []any{"3074457345618258602"}, `["9223372036854775806"]`},
		{"f32", []any{1}, `[0.33333334]`},
		{"f64", []any{0}, `["Infinity"]`},
		{"f64", []any{"NaN"}, `["NaN"]`},
		{"f64", []any{-0.5}, `[-2]`},
		{"two", nil, `[-1 "-1"]`},
		{"none", nil, `[]`},
	} {
		got, err := r.do(t, program(t, text).with("function", c.function).with("args", c.args))
		if text := fmt.Sprintf("%s", got.Values); err != nil || text != c.want {
			t.Errorf("%s%v = %s, %v, want %s", c.function, c.args, text, err, c.want)
		}
	}
}

// TestStartRunsFirst has a start function and an initialisation, which run before
// the function that is asked for and cost fuel.
func TestStartRunsFirst(t *testing.T) {
	const text = `(module (global $n (mut i32) (i32.const 1))
		(func $s (global.set $n (i32.mul (global.get $n) (i32.const 10)))) (start $s)
		(func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 2))))
		(func (export "n") (result i32) (global.get $n)))`
	got, err := newRig(t, wasm.EngineAuto, nil).do(t, program(t, text).with("function", "n"))
	if err != nil || fmt.Sprintf("%s", got.Values) != "[12]" || got.Fuel < 15 {
		t.Errorf("%s for %d, %v", got.Values, got.Fuel, err)
	}
}

// TestExactFuel runs a program with just enough fuel, and with one unit less.
func TestExactFuel(t *testing.T) {
	r := newRig(t, wasm.EngineAuto, nil)
	first, err := r.do(t, program(t, hello))
	if err != nil {
		t.Fatal(err)
	}
	limited := func(fuel int64) task { return program(t, hello).with("limits", map[string]any{"fuel": fuel}) }
	if got, err := r.do(t, limited(first.Fuel)); err != nil || got.Fuel != first.Fuel {
		t.Errorf("with the exact fuel: %+v, %v", got, err)
	}
	if _, err := r.do(t, limited(first.Fuel-1)); reason(err) != "out_of_fuel" {
		t.Errorf("with a unit less: %v", err)
	}
}

// TestMessageHasLastWords shows what a program wrote before it trapped.
func TestMessageHasLastWords(t *testing.T) {
	text := strings.Replace(strings.Replace(hello, "(i32.const 1) (i32.const 0)", "(i32.const 2) (i32.const 0)", 1), "(call $exit (i32.const 7))", "unreachable", 1)
	_, err := newRig(t, wasm.EngineAuto, nil).do(t, program(t, text))
	if reason(err) != "trap" || !strings.Contains(err.Error(), `unreachable; it wrote "hello"`) {
		t.Error(err)
	}
}
