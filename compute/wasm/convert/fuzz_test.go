package convert_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// FuzzConvert feeds mutations of real modules. The conversion must not panic,
// must refuse with an error that says so, must give the same bytes twice, and
// what it accepts an engine must accept too, before and after.
func FuzzConvert(f *testing.F) {
	seed(f)
	rt := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = rt.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, module []byte) {
		before := bytes.Clone(module)
		c, err := convert.Convert(module, convert.Options{MaxPages: 16})
		again, err2 := convert.Convert(module, convert.Options{MaxPages: 16})
		if !bytes.Equal(before, module) || !bytes.Equal(c.Code, again.Code) || (err == nil) != (err2 == nil) {
			t.Fatal("the module was changed, or gave different bytes the second time")
		}
		if err != nil {
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid {
				t.Fatalf("%v is no error of kind invalid", err)
			}
			return
		}
		for i, code := range [][]byte{module, c.Code} {
			m, err := rt.CompileModule(context.Background(), code)
			if err != nil {
				if i == 0 && stricter(err) {
					return
				}
				t.Fatalf("the engine refuses what was accepted (%d): %v", i, err)
			}
			_ = m.Close(context.Background())
		}
	})
}

// stricter reports errors where wazero refuses what the specification allows.
func stricter(err error) bool {
	for _, text := range []string{"custom section"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

func seed(f *testing.F) {
	for _, p := range programs(f) {
		f.Add(p.module)
	}
	for _, r := range recursions() {
		r.n = min(r.n, 3)
		if len(r.more) > 2000 {
			r.more = ""
		}
		f.Add(wasmtest.Module(f, strings.ReplaceAll(r.text(), "$a3", "$a0")))
	}
	f.Add(wasmtest.Module(f, `(module (import "m" "f" (func $i (param i32) (result i64))) (import "m" "g" (global $g f64))
		(type $two (func (param i32 i64) (result i64 i32))) (memory 1 2) (table $t 2 4 funcref) (table 1 externref)
		(global (mut v128) (v128.const i32x4 1 2 3 4)) (global f64 (global.get $g))
		(func $f (export "f") (param i32) (result i32) (local i64 f32 f64 v128)
			(block $b (result i32) (br_if $b (i32.const 1) (local.get 0)) (drop) (loop (br_table 0 1 0 (local.get 0))) (i32.const 2))
			(if (param i32) (result i32) (local.get 0) (then (i32.const 3) i32.add) (else (return))))
		(func $g (type $two) (local.get 1) (local.get 0))
		(start $s) (func $s (drop (call $f (i32.const 4))))
		(elem (i32.const 0) $f $g) (elem $p func $f) (elem declare func $g) (data (i32.const 3) "abc") (data $d "xyz")
		(func (drop (ref.func $g)) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $d)
			(table.init $p (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $p) (table.set $t (i32.const 0) (ref.null func))))`))
}

// FuzzSame builds a program from the input, with loops, calls, memory and floats,
// and runs it as it is, converted on both engines, and converted with little
// fuel. The converted one must do the same, or stop because of fuel or stack.
func FuzzSame(f *testing.F) {
	f.Add([]byte("a program of many bytes: 0123456789"), uint16(100))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, uint16(1000))
	f.Add(bytes.Repeat([]byte{17, 3, 250, 99}, 20), uint16(7))
	f.Fuzz(func(t *testing.T, data []byte, fuel uint16) {
		module := wasmtest.Module(t, write(data))
		c, err := convert.Convert(module, convert.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, write(data))
		}
		for _, limit := range []int64{plenty, int64(fuel)} {
			a := observe(t, wazero.NewRuntimeConfigCompiler(), c.Code, limit)
			b := observe(t, wazero.NewRuntimeConfigInterpreter(), c.Code, limit)
			if a != b {
				t.Fatalf("the engines differ: %+v and %+v\n%s", a, b, write(data))
			}
			if a.stop != "" && a.stop != "trap" {
				continue
			}
			exact, _ := convert.Convert(module, convert.Exact(convert.Options{}))
			if e := observe(t, wazero.NewRuntimeConfigInterpreter(), exact.Code, plenty); plenty-e.fuel > limit-a.fuel {
				t.Fatalf("charged %d for what costs %d\n%s", limit-a.fuel, plenty-e.fuel, write(data))
			}
			for _, cfg := range engines() {
				if o := observe(t, cfg, module, 0); !same(o, a) {
					t.Fatalf("the original gives %+v, the converted module %+v\n%s", o, a, write(data))
				}
			}
		}
	})
}

// observation is all that a run leaves behind.
type observation struct {
	result uint64
	stop   string
	fuel   int64
	memory string
}

// same compares but for fuel. NaNs of the original may have any bits, and so may
// what is computed from them: the programs look at NaNs only through results and
// memory, at 8-byte places that hold floats.
func same(original, converted observation) bool {
	return original.stop == converted.stop && sameWord(original.result, converted.result) && sameMemory(original.memory, converted.memory)
}

func sameWord(a, b uint64) bool {
	return a == b || math.IsNaN(math.Float64frombits(a)) && math.IsNaN(math.Float64frombits(b))
}

func sameMemory(a, b string) bool {
	for i := 0; i+8 <= len(a) && i+8 <= len(b); i += 8 {
		if !sameWord(binary.LittleEndian.Uint64([]byte(a[i:])), binary.LittleEndian.Uint64([]byte(b[i:]))) {
			return false
		}
	}
	return len(a) == len(b)
}

func observe(t *testing.T, cfg wazero.RuntimeConfig, code []byte, fuel int64) (o observation) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer rt.Close(ctx)
	m, err := rt.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	g := guest{m, rt}
	metered := m.ExportedGlobal(convert.FuelExport) != nil
	if metered {
		m.ExportedGlobal(convert.FuelExport).(api.MutableGlobal).Set(uint64(fuel))
	}
	results, err := g.call("f", 3)
	memory, _ := m.Memory().Read(0, 1<<10)
	o.memory = string(memory)
	switch {
	case err == nil:
		o.result = results[0]
	case metered:
		o.stop = convert.StopOf(g.fuel(), g.stack()).String()
	default:
		o.stop = convert.StopTrap.String()
	}
	if metered {
		o.fuel = g.fuel()
	}
	return o
}

// writer turns bytes into a program that is valid and ends. i and j are integers,
// x and y floats; $k counts loops so that none runs more than 5 times.
type writer struct {
	data []byte
	b    strings.Builder
	deep int
}

func write(data []byte) string {
	w := &writer{data: data}
	w.b.WriteString(`(module (memory (export "m") 1 1) (table 2 2 funcref) (elem (i32.const 0) $h $h)
		(func $h (param $i i64) (result i64) (local $j i64) (local $x f64) (local $y f64) (local $k i32) `)
	cut := len(data) / 3
	w.data = data[:cut]
	w.statements()
	w.b.WriteString(`(i64.xor (local.get $i) (local.get $j)))
		(func $f (export "f") (param $i i64) (result i64) (local $j i64) (local $x f64) (local $y f64) (local $k i32) `)
	w.data = data[cut:]
	for len(w.data) > 0 {
		w.statements()
	}
	w.b.WriteString(`(f64.store offset=800 (i32.const 0) (local.get $x)) (f64.store offset=808 (i32.const 0) (f64.mul (local.get $y) (local.get $x)))
		(i64.xor (local.get $i) (local.get $j))))`)
	return w.b.String()
}

// next takes a byte, 0 when there are none left.
func (w *writer) next() byte {
	if len(w.data) == 0 {
		return 0
	}
	c := w.data[0]
	w.data = w.data[1:]
	return c
}

func (w *writer) pick(options ...string) { w.b.WriteString(options[int(w.next())%len(options)]) }

func (w *writer) statements() {
	for range 1 + w.next()%4 {
		w.statement()
	}
}

func (w *writer) statement() {
	if w.deep > 4 {
		w.b.WriteString("nop ")
		return
	}
	w.deep++
	defer func() { w.deep-- }()
	switch w.next() % 10 {
	case 0, 1:
		w.wrap("(local.set ", func() { w.pick("$i ", "$j "); w.integer() })
	case 2, 3:
		w.wrap("(local.set ", func() { w.pick("$x ", "$y "); w.float() })
	case 4:
		w.wrap("(block ", func() { w.statements(); w.wrap("(br_if 0 ", w.condition); w.statements() })
	case 5:
		w.wrap("(loop ", func() {
			w.b.WriteString("(local.set $k (i32.add (local.get $k) (i32.const 1)))")
			w.statements()
			w.wrap("(br_if 0 (i32.and (i32.lt_u (local.get $k) (i32.const 5)) ", w.condition)
			w.b.WriteString(")")
		})
	case 6:
		w.wrap("(if ", func() { w.condition(); w.wrap("(then ", w.statements); w.wrap("(else ", w.statements) })
	case 7:
		w.wrap("(f64.store offset=", func() { w.place(); w.float() })
	case 8:
		w.pick("(memory.fill (i32.const 512) (i32.const 3) (i32.const 64))", "(memory.copy (i32.const 256) (i32.const 0) (i32.const 256))",
			"(block (br 0) (unreachable))", "(block (block (br_table 0 1 (i32.wrap_i64 (local.get $i)))) (local.set $j (i64.const 9)))",
			"(if (i64.eqz (local.get $j)) (then (return (i64.const 77))))", "(if (f64.gt (local.get $x) (f64.const 1e9)) (then (unreachable)))")
	case 9:
		w.wrap("(i64.store offset=", func() { w.place(); w.integer() })
	}
}

func (w *writer) wrap(open string, inside func()) {
	w.b.WriteString(open)
	inside()
	w.b.WriteString(")")
}

// place is an aligned offset and the base 0.
func (w *writer) place() { w.pick("0 ", "8 ", "64 ", "96 ", "256 "); w.b.WriteString("(i32.const 0)") }

func (w *writer) condition() {
	w.pick("(i64.eqz (local.get $j))", "(f64.lt (local.get $x) (local.get $y))", "(i64.lt_s (local.get $i) (i64.const 5))", "(f64.ne (local.get $x) (local.get $x))", "(i32.const 1)")
}

// integer never looks at the bits of floats, which may differ in the original.
func (w *writer) integer() {
	w.deep++
	defer func() { w.deep-- }()
	if w.deep > 6 {
		w.b.WriteString("(i64.const 1)")
		return
	}
	switch w.next() % 8 {
	case 0, 1:
		w.pick("(local.get $i)", "(local.get $j)", "(i64.const 0)", "(i64.const -9)", "(i64.const 123456789)")
	case 2, 3:
		w.pick("(i64.add ", "(i64.mul ", "(i64.sub ", "(i64.shl ", "(i64.div_s ", "(i64.rotl ")
		w.integer()
		w.integer()
		w.b.WriteString(")")
	case 4:
		w.wrap("(i64.trunc_sat_f64_s ", w.float)
	case 5:
		w.wrap("(call_indirect (param i64) (result i64) ", func() { w.integer(); w.b.WriteString("(i32.const 1)") })
	case 6:
		w.wrap("(select ", func() { w.integer(); w.integer(); w.condition() })
	case 7:
		w.wrap("(i64.extend_i32_u ", w.condition)
	}
}

func (w *writer) float() {
	w.deep++
	defer func() { w.deep-- }()
	if w.deep > 6 {
		w.b.WriteString("(f64.const 1.5)")
		return
	}
	switch w.next() % 9 {
	case 0, 1:
		w.pick("(local.get $x)", "(local.get $y)", "(f64.const 0)", "(f64.const -inf)", "(f64.const nan:0x4000000000123)", "(f64.const 3.25)")
	case 2, 3:
		w.pick("(f64.add ", "(f64.mul ", "(f64.sub ", "(f64.div ", "(f64.min ", "(f64.max ")
		w.float()
		w.float()
		w.b.WriteString(")")
	case 4:
		w.pick("(f64.sqrt ", "(f64.abs ", "(f64.neg ", "(f64.floor ", "(f64.nearest ")
		w.float()
		w.b.WriteString(")")
	case 5:
		w.wrap("(f64.convert_i64_s ", w.integer)
	case 6:
		w.wrap("(select ", func() { w.float(); w.float(); w.condition() })
	case 7:
		w.wrap("(f64.load offset=", w.place)
	case 8:
		w.wrap("(f64x2.extract_lane 1 (f64x2.add ", func() { w.wrap("(f64x2.splat ", w.float); w.wrap("(f64x2.splat ", w.float); w.b.WriteString(")") })
	}
}
