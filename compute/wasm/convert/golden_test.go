package convert_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// TestGolden holds bytes, fuel and results of the programs to what is in
// testdata/golden.txt: on both engines, and on every machine that runs the
// tests. testdata/levels.sh runs it as code for old and for new processors.
func TestGolden(t *testing.T) {
	const path = "testdata/golden.txt"
	var got bytes.Buffer
	fmt.Fprintf(&got, "version %d\n", convert.Version)
	for _, p := range programs(t) {
		c := mustConvert(t, p.module, convert.Options{})
		fmt.Fprintf(&got, "%s %x -> %x\n", p.name, c.Info.Input, c.Info.Output)
		lines := map[string]bool{}
		for engine, cfg := range engines() {
			g := start(t, cfg, c.Code, plenty)
			result, err := g.call("run", 5)
			if err != nil {
				t.Fatalf("%s, %s: %v", p.name, engine, err)
			}
			lines[fmt.Sprintf("\trun(5) = %d for %d\n", result[0], plenty-g.fuel())] = true
		}
		if len(lines) != 1 {
			t.Errorf("%s: the engines differ: %v", p.name, lines)
		}
		for line := range lines {
			got.WriteString(line)
		}
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%v; got\n%s\nwant\n%s\nif this is meant, it is a new Version: run with -update", err, &got, want)
	}
}

var update = flag.Bool("update", false, "write testdata/golden.txt")

// TestCharged compares what programs are charged with what their instructions
// cost one by one: never less, and not much more.
func TestCharged(t *testing.T) {
	for _, p := range programs(t) {
		var used [2]int64
		for i, o := range []convert.Options{{}, convert.Exact(convert.Options{})} {
			g := start(t, engines()["compiler"], mustConvert(t, p.module, o).Code, plenty)
			if _, err := g.call("run", 7); err != nil {
				t.Fatal(err)
			}
			used[i] = plenty - g.fuel()
		}
		if used[0] < used[1] || used[0] > used[1]*2 {
			t.Errorf("%s: charged %d for what costs %d", p.name, used[0], used[1])
		}
		t.Logf("%s: %d for %d", p.name, used[0], used[1])
	}
}

// TestShape shows the output of a small module, byte by byte: what is added where.
func TestShape(t *testing.T) {
	module := wasmtest.Module(t, `(module (func $f (export "f") (param i32) (result i32)
		(loop (br_if 0 (local.get 0))) (call $f (i32.const 1))) (section 0 "\04name\00"))`)
	want := wasmtest.Module(t, `(module (type (func (param i32) (result i32)))
		(global $fuel (mut i64) (i64.const 0)) (global $stack (mut i64) (i64.const 262144))
		(func $f (type 0)
			(global.set $fuel (i64.sub (global.get $fuel) (i64.const 12)))
			(global.set $stack (i64.sub (global.get $stack) (i64.const 162)))
			(i64.lt_s (i64.or (global.get $stack) (global.get $fuel)) (i64.const 0))
			(if (then unreachable))
			(block (result i32)
				(loop
					(global.set $fuel (i64.sub (global.get $fuel) (i64.const 2)))
					(if (i64.lt_s (global.get $fuel) (i64.const 0)) (then unreachable))
					(br_if 0 (local.get 0)))
				(call $f (i32.const 1)))
			(global.set $stack (i64.add (global.get $stack) (i64.const 162))))
		(export "f" (func $f)) (export "tenzro.fuel" (global $fuel)) (export "tenzro.stack" (global $stack)))`)
	if got := mustConvert(t, module, convert.Options{}).Code; !bytes.Equal(got, want) {
		t.Errorf("got\n% x\nwant\n% x", got, want)
	}
}

// TestCanonical gives the same module in two encodings: the output is the same
// and does not change when it is read again by an engine's own decoder.
func TestCanonical(t *testing.T) {
	short := wasmtest.Module(t, `(module (func (export "f") (result i32) (i32.const 1)))`)
	long := wasmtest.Module(t, `(module (func (export "f") (result i32) (raw "\41\81\80\80\00") (return) (drop (i32.const 2))) (section 0 "\01xyz"))`)
	a, b := mustConvert(t, short, convert.Options{}), mustConvert(t, long, convert.Options{})
	again := mustConvert(t, long, convert.Options{})
	if !bytes.Equal(b.Code, again.Code) || b.Info.Output != again.Info.Output {
		t.Error("the same module converts to different bytes")
	}
	if len(b.Code) > len(a.Code)+1 { // the return is left
		t.Errorf("%d and %d bytes: dead code, long integers or custom sections are left", len(a.Code), len(b.Code))
	}
	if _, err := convert.Convert(a.Code, convert.Options{}); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Errorf("a converted module was converted again: %v", err)
	}
}
