package convert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// tree is a chain of functions that call the next one twice each: 2^levels calls
// without a loop.
func tree(levels int) string {
	var b strings.Builder
	b.WriteString("(module ")
	for i := range levels {
		fmt.Fprintf(&b, "(func (call %d) (call %d))", i+1, i+1)
	}
	b.WriteString(`(func) (export "f" (func 0)))`)
	return b.String()
}

// TestFuelRunsOut has the ways to run for ever, or for very long in few
// instructions: each must end because its fuel did, at the same place on both
// engines, and soon.
func TestFuelRunsOut(t *testing.T) {
	const memory = `(memory 1000 1000) (data $d "abc") `
	const table = `(table 1000000 1000000 funcref) (elem $e func $x) (func $x) `
	for name, text := range map[string]string{
		"empty loop":       `(module (func (export "f") (loop (br 0))))`,
		"conditional loop": `(module (func (export "f") (loop (br_if 0 (i32.const 1)))))`,
		"table loop":       `(module (func (export "f") (loop (br_table 0 0 (i32.const 1)))))`,
		"loop in blocks":   `(module (func (export "f") (loop (block (block (br_if 0 (i32.const 0)) (br 2))))))`,
		"loop with values": `(module (func (export "f") (i32.const 1) (loop (param i32) (br 0 (i32.const 2)))))`,
		"loop in an arm":   `(module (func (export "f") (loop (if (i32.const 1) (then nop) (else nop)) (if (i32.const 1) (then (br 1))))))`,
		"call tree":        tree(60),
		"recursion":        `(module (func $f (export "f") (param i64) (if (i64.eqz (local.get 0)) (then (return))) (call $f (i64.sub (local.get 0) (i64.const 1))) (call $f (i64.sub (local.get 0) (i64.const 1)))) (func (export "g") (call $f (i64.const 60))))`,
		"fill":             `(module ` + memory + `(func (export "f") (repeat 1000 (memory.fill (i32.const 0) (i32.const 1) (i32.const 65000000)))))`,
		"copy":             `(module ` + memory + `(func (export "f") (repeat 1000 (memory.copy (i32.const 0) (i32.const 1000) (i32.const 65000000)))))`,
		"init":             `(module ` + memory + `(func (export "f") (repeat 1000 (memory.init $d (i32.const 0) (i32.const 0) (i32.const -1)))))`,
		"grow":             `(module (memory 1) (func (export "f") (repeat 1000 (drop (memory.grow (i32.const 4000))))))`,
		"table fill":       `(module ` + table + `(func (export "f") (repeat 1000 (table.fill 0 (i32.const 0) (ref.null func) (i32.const 1000000)))))`,
		"table copy":       `(module ` + table + `(func (export "f") (repeat 1000 (table.copy 0 0 (i32.const 0) (i32.const 0) (i32.const 1000000)))))`,
		"table init":       `(module ` + table + `(func (export "f") (repeat 1000 (table.init $e (i32.const 0) (i32.const 0) (i32.const -1)))))`,
		"table grow":       `(module (table 0 funcref) (func (export "f") (repeat 1000 (drop (table.grow 0 (ref.null func) (i32.const 1000000))))))`,
		"start":            `(module (func $f (loop (br 0))) (start $f))`,
	} {
		t.Run(name, func(t *testing.T) {
			c := mustConvert(t, wasmtest.Module(t, text), convert.Options{})
			left := map[int64]bool{}
			for engine, cfg := range engines() {
				g := start(t, cfg, c.Code, 1_000_000)
				begin := time.Now()
				err := g.run()
				if err == nil || convert.StopOf(g.fuel(), g.stack()) != convert.StopFuel {
					t.Fatalf("%s: %v with %d fuel left", engine, err, g.fuel())
				}
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("%s: a million units of fuel lasted %v", engine, took)
				}
				left[g.fuel()] = true
			}
			if len(left) != 1 {
				t.Errorf("the engines stop with different fuel: %v", left)
			}
		})
	}
}

// run calls what a module of TestFuelRunsOut wants to be called.
func (g guest) run() error {
	for _, name := range []string{convert.StartExport, "g", "f"} {
		if g.ExportedFunction(name) != nil {
			_, err := g.call(name)
			return err
		}
	}
	return nil
}

// TestChargedFirst gives a bulk operation too little fuel: it must not have
// happened, and with enough it must.
func TestChargedFirst(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		cost int64 // what the length costs
		size func(g guest) uint64
	}{
		"memory.fill": {`(module (memory (export "m") 1 1) (func (export "f") (memory.fill (i32.const 0) (i32.const 7) (i32.const 8000))))`, 1000,
			func(g guest) uint64 { b, _ := g.Memory().ReadByte(5); return uint64(b) }},
		"memory.grow": {`(module (memory (export "m") 0 9) (func (export "f") (drop (memory.grow (i32.const 2)))))`, 16384,
			func(g guest) uint64 { return uint64(g.Memory().Size()) }},
		"table.grow": {`(module (table 0 funcref) (func (export "s") (result i32) (table.size 0)) (func (export "f") (drop (table.grow 0 (ref.null func) (i32.const 500)))))`, 1000,
			func(g guest) uint64 {
				g.refuel(plenty)
				n, _ := g.call("s")
				return n[0]
			}},
	} {
		t.Run(name, func(t *testing.T) {
			code := mustConvert(t, wasmtest.Module(t, c.text), convert.Options{}).Code
			for engine, cfg := range engines() {
				g := start(t, cfg, code, plenty)
				_, err := g.call("f")
				used := plenty - g.fuel()
				if err != nil || used <= c.cost || c.size(g) == 0 {
					t.Fatalf("%s: %v, used %d, want more than %d", engine, err, used, c.cost)
				}
				poor := start(t, cfg, code, used-1)
				if err := poor.run(); err == nil || poor.fuel() != -1 || c.size(poor) != 0 {
					t.Errorf("%s: %v with one unit too little; %d left", engine, err, poor.fuel())
				}
				if exact := start(t, cfg, code, used); exact.run() != nil || exact.fuel() != 0 {
					t.Errorf("%s: %d left of the exact fuel", engine, exact.fuel())
				}
			}
		})
	}
}

// TestNothingBeforeFuel instantiates and calls without setting any.
func TestNothingBeforeFuel(t *testing.T) {
	c := mustConvert(t, wasmtest.Module(t, `(module (global $g (export "g") (mut i32) (i32.const 1))
		(func $s (global.set $g (i32.const 2))) (start $s)
		(func (export "f") (global.set $g (i32.const 3))))`), convert.Options{})
	if !c.Info.Start {
		t.Error("the start function is not reported")
	}
	for engine, cfg := range engines() {
		g := start(t, cfg, c.Code, 0)
		if _, err := g.call("f"); err == nil || g.ExportedGlobal("g").Get() != 1 {
			t.Errorf("%s: code ran without fuel: %v", engine, err)
		}
		g.refuel(100)
		if _, err := g.call(convert.StartExport); err != nil || g.ExportedGlobal("g").Get() != 2 {
			t.Errorf("%s: start: %v", engine, err)
		}
	}
}

// TestBlocks pins where blocks begin and end, by what paths cost.
func TestBlocks(t *testing.T) {
	const work = `(local.set 1 (i32.add (local.get 1) (i32.const 1)))` // 4 units
	entry := int64(5 + 2)                                              // and two locals
	for name, c := range map[string]struct {
		body    string
		on, off int64 // fuel with the parameter 1 and 0
	}{
		"straight":              {`(repeat 10 ` + work + `)`, 40, 40},
		"small arm is included": {`(if (local.get 0) (then ` + work + `))`, 6, 6},
		"large arm is not":      {`(if (local.get 0) (then (repeat 9 ` + work + `)))`, 2 + 36, 2},
		"two arms":              {`(if (local.get 0) (then (repeat 9 ` + work + `)) (else (repeat 10 ` + work + `)))`, 2 + 36, 2 + 40},
		"small rest":            {`(br_if 0 (local.get 0)) ` + work, 6, 6},
		"large rest":            {`(br_if 0 (local.get 0)) (repeat 9 ` + work + `)`, 2, 2 + 36},
		"rests add up":          {`(repeat 10 (br_if 0 (local.get 0)) ` + work + `)`, 2 + 30, 20 + 40},
		"behind a block":        {`(block (br_if 0 (local.get 0)) (repeat 9 ` + work + `)) ` + work, 2 + 4, 2 + 36 + 4},
		"behind a way out":      {`(block (br_if 1 (local.get 0)) (repeat 9 ` + work + `)) ` + work, 2, 2 + 36 + 4},
		"loop":                  {`(loop ` + work + ` (br_if 0 (i32.lt_u (local.get 1) (i32.const 3)))) ` + work, 3*8 + 4, 3*8 + 4},
		"dead code is free":     {`(return) (repeat 100 ` + work + `)`, 1, 1},
		"nothing":               {`nop (block (loop nop))`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			code := mustConvert(t, wasmtest.Module(t, `(module (func (export "f") (param i32) (local i32) `+c.body+`))`), convert.Options{}).Code
			for engine, cfg := range engines() {
				g := start(t, cfg, code, plenty)
				for arg, want := range []int64{c.off, c.on} {
					g.refuel(plenty)
					if _, err := g.call("f", uint64(arg)); err != nil || plenty-g.fuel() != entry+want {
						t.Errorf("%s: f(%d) costs %d, %v, want %d", engine, arg, plenty-g.fuel()-entry, err, want)
					}
				}
			}
		})
	}
}
