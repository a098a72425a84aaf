package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// recursion is a function that calls itself for ever with a frame of a certain
// kind: n locals of a type, set by init, alive during the call, stored by use.
type recursion struct {
	n    int
	kind string
	init func(i int) string
	use  func(i int) string
	more string // between the two
}

// text writes the module; the global "depth" counts the calls that ran.
func (r recursion) text() string {
	var b strings.Builder
	b.WriteString(`(module (memory 1) (global $d (export "depth") (mut i32) (i32.const 0))
		(func $f (export "f") (param $q i64) (param $z f64) (result i32) `)
	for i := range r.n {
		fmt.Fprintf(&b, "(local $a%d %s)", i, r.kind)
	}
	b.WriteString("(global.set $d (i32.add (global.get $d) (i32.const 1)))")
	for i := range r.n {
		fmt.Fprintf(&b, "(local.set $a%d %s)", i, r.init(i))
	}
	b.WriteString(r.more + "(drop (call $f (local.get $q) (local.get $z)))")
	for i := range r.n {
		b.WriteString(r.use(i))
	}
	b.WriteString("(global.get $d)))")
	return b.String()
}

// inside nests steps, one for each local, in blocks.
func inside(depth, n int, before, after string) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(before, depth))
	for i := range n {
		fmt.Fprintf(&b, "(local.set $a%d (i64.add (local.get $a%d) (local.get $q)))", i, i)
	}
	b.WriteString("(drop (call $f (local.get $q) (local.get $z)))")
	b.WriteString(strings.Repeat(after, depth))
	return b.String()
}

func recursions() map[string]recursion {
	store := func(kind string, size int) func(i int) string {
		return func(i int) string {
			return fmt.Sprintf("(%s.store offset=%d (i32.const 0) (local.get $a%d))", kind, i*size, i)
		}
	}
	each := func(format string) func(i int) string {
		return func(i int) string { return fmt.Sprintf(format, i+1) }
	}
	sum := each("(i64.add (local.get $q) (i64.const %d))")
	return map[string]recursion{
		"small":     {},
		"integers":  {1000, "i64", sum, store("i64", 8), ""},
		"remainder": {1000, "i64", each("(i64.rem_s (local.get $q) (i64.const %d))"), store("i64", 8), ""},
		"loads":     {1000, "i64", each("(i64.load offset=%d (i32.wrap_i64 (i64.and (local.get $q) (i64.const 7))))"), store("i64", 8), ""},
		"floats":    {1000, "f64", each("(f64.add (local.get $z) (f64.const %d))"), store("f64", 8), ""},
		"vectors":   {1000, "v128", each("(f64x2.add (f64x2.splat (local.get $z)) (v128.const f64x2 %d 1))"), store("v128", 16), ""},
		"popcounts": {200, "v128", each("(i8x16.popcnt (i8x16.add (i64x2.splat (local.get $q)) (v128.const i64x2 %d 1)))"), store("v128", 16), ""},
		"branches":  {200, "i64", sum, store("i64", 8), inside(50, 200, "(if (i64.eqz (i64.load (i32.const 0))) (then ", "))")},
		"loops":     {200, "i64", sum, store("i64", 8), inside(30, 200, "(loop ", "(br_if 0 (i32.load (i32.const 0))))")},
		"calls":     {1, "i64", sum, store("i64", 8), strings.Repeat("(drop (call $f (local.get $q) (local.get $z)))", 2000)},
		"largest":   {2000, "i64", sum, store("i64", 8), inside(15, 2000, "(loop ", "(br_if 0 (i32.load (i32.const 0))))")},
	}
}

// TestRecursion lets functions with all kinds of frames call themselves: both
// engines must stop at the same depth by the counter, and never by a limit of
// their own.
func TestRecursion(t *testing.T) {
	for name, r := range recursions() {
		t.Run(name, func(t *testing.T) {
			c := mustConvert(t, wasmtest.Module(t, r.text()), convert.Options{})
			var depths, fuels []int64
			for engine, cfg := range engines() {
				g := start(t, cfg, c.Code, plenty)
				_, err := g.call("f", 5, 0)
				if err == nil || !strings.Contains(err.Error(), "unreachable") || convert.StopOf(g.fuel(), g.stack()) != convert.StopStack {
					t.Fatalf("%s: %v, fuel %d, stack %d; want to be stopped by the counter", engine, err, g.fuel(), g.stack())
				}
				depths, fuels = append(depths, int64(g.ExportedGlobal("depth").Get())), append(fuels, g.fuel())
			}
			if depths[0] != depths[1] || fuels[0] != fuels[1] {
				t.Errorf("depths %d and fuels %d differ", depths, fuels)
			}
			t.Logf("depth %d", depths[0])
		})
	}
}

// TestStackReturns leaves functions in every way there is: the counter must be
// back where it was.
func TestStackReturns(t *testing.T) {
	text := `(module
		(func $g (param i32) (result i32) (local.get 0))
		(func $two (result i32 i64) (drop (call $g (i32.const 1))) (i32.const 4) (i64.const 5))
		(func (export "end") (result i32) (call $g (i32.const 1)))
		(func (export "return") (result i32) (block (loop (return (call $g (i32.const 2))))) (i32.const 9))
		(func (export "branch") (result i32) (block (br 1 (call $g (i32.const 3)))) (i32.const 9))
		(func (export "table") (result i32) (block (result i32) (br_table 0 1 1 (call $g (i32.const 4)) (i32.const 1))))
		(func (export "if") (result i32) (br_if 0 (call $g (i32.const 5)) (i32.const 1)) (drop) (i32.const 9))
		(func (export "values") (result i32 i64) (call $two) (return)))`
	c := mustConvert(t, wasmtest.Module(t, text), convert.Options{})
	want := map[string][]uint64{"end": {1}, "return": {2}, "branch": {3}, "table": {4}, "if": {5}, "values": {4, 5}}
	for engine, cfg := range engines() {
		g := start(t, cfg, c.Code, plenty)
		for name, want := range want {
			got, err := g.call(name)
			if err != nil || !slices.Equal(got, want) || g.stack() != convert.StackBudget {
				t.Errorf("%s, %s: %d, %v, stack %d, want %d", engine, name, got, err, g.stack(), want)
			}
		}
	}
}
