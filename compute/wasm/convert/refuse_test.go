package convert_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/isa"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// TestRefuse has what is not accepted, with the part of the message that helps.
// The specification's suites have thousands of invalid modules more.
func TestRefuse(t *testing.T) {
	code := func(bytes string) string { return `(module (func (raw "` + bytes + `")))` }
	for name, c := range map[string]struct{ text, want, hint string }{
		"nothing":              {`(module binary)`, "header, offset 0x0: unexpected end", ""},
		"text":                 {`(module binary "(module)")`, "header, offset 0x0: this is not a WebAssembly module", "binary format"},
		"component":            {`(module binary "\00asm\0d\00\01\00")`, "unknown version 0d 00 01 00", "core module"},
		"atomics":              {code(`\fe\03\00`), "code section, function 0, offset 0x17: opcode 0xfe: threads and atomics are not supported", "compile without threads"},
		"tail call":            {code(`\12\00`), "tail calls are not supported", "compile without tail calls"},
		"exceptions":           {code(`\08\00`), "exceptions are not supported", "compile without exceptions"},
		"garbage collection":   {code(`\fb\00`), "garbage collection are not supported", ""},
		"function references":  {code(`\14\00`), "function references are not supported", ""},
		"relaxed vectors":      {code(`\fd\80\02`), "relaxed SIMD are not supported", ""},
		"unknown opcode":       {code(`\27`), "unknown opcode 0x27", "only WebAssembly 2.0"},
		"unknown misc":         {code(`\fc\12`), "unknown opcode 0xfc (0x12)", ""},
		"tag section":          {`(module (section 13 "\00"))`, "unknown section 13", "compile without exceptions"},
		"shared memory":        {`(module (section 5 "\01\03\01\01"))`, "memory section, offset 0xb: memory: unknown limits flags 0x03", "threads"},
		"64-bit memory":        {`(module (section 5 "\01\04\01"))`, "unknown limits flags 0x04", "64-bit memory"},
		"two memories":         {`(module (memory 1) (memory 1))`, "2 memories, at most 1", ""},
		"struct type":          {`(module (section 1 "\01\5f\00"))`, "type form 0x5f is no function type", "garbage collection"},
		"exception reference":  {`(module (section 1 "\01\60\01\69\00"))`, "unknown value type 0x69", "exceptions"},
		"reserved export":      {`(module (func (export "tenzro.fuel")))`, `export "tenzro.fuel": names that begin with "tenzro." are reserved`, "rename"},
		"reserved later":       {`(module (func (export "tenzro.later")))`, "reserved", "rename"},
		"reserved import":      {`(module (import "env" "tenzro.stack" (global i64)))`, `import "env"."tenzro.stack"`, "rename"},
		"type mismatch":        {`(module (func) (func (i32.add (i32.const 1) (i64.const 1)) drop))`, "code section, function 1, offset 0x1f: type mismatch: i32.add wants i32, found i64", ""},
		"missing operand":      {`(module (func i32.eqz drop))`, "i32.eqz finds no operand", ""},
		"counts imports":       {`(module (import "a" "b" (func)) (func (call 2)))`, "function 1, offset 0x20: unknown function 2", ""},
		"section twice":        {`(module (memory 1) (section 5 "\01\00\01"))`, "memory section is out of order or repeated", ""},
		"section too long":     {`(module binary "\00asm\01\00\00\00\01\7f")`, "section 1 has 127 bytes, only 0 are left", ""},
		"section too short":    {`(module (section 1 "\00\00"))`, "type section, offset 0xb: 1 bytes too many", ""},
		"too many of a kind":   {`(module (section 1 "\ff\ff\ff\ff\0f"))`, "4294967295 types, more than there are bytes", ""},
		"name not text":        {`(module (section 0 "\01\ff"))`, "a name is not UTF-8", ""},
		"memory over the cap":  {`(module (memory 5000))`, "begins with 5000 pages of 64 KiB, at most 4096", "ask for more memory"},
		"table over the cap":   {`(module (table 2000000 funcref))`, "table 0 begins with 2000000 elements, at most 1048576", ""},
		"tables over the cap":  {`(module (table 1 funcref) (table 600000 funcref))`, "table 1 begins with 600000 elements, at most 524288", ""},
		"start with parameter": {`(module (func $s (param i32)) (start $s))`, "start section", ""},
		"extended constant":    {`(module (global i32 (i32.add (i32.const 1) (i32.const 2))))`, "the constant expression does not end", "WebAssembly 2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := convert.Convert(wasmtest.Module(t, c.text), convert.Options{})
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != "module" {
				t.Fatalf("%v, want an error of kind invalid", err)
			}
			if !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("%v (hint %q), want %q (%q)", e, e.Hint, c.want, c.hint)
			}
		})
	}
}

// TestLimits goes to the limits of what one module may contain, and over.
func TestLimits(t *testing.T) {
	nested := func(n int) string {
		return `(module (func (repeat ` + fmt.Sprint(n) + ` (raw "\02\40")) (repeat ` + fmt.Sprint(n) + ` (raw "\0b"))))`
	}
	locals := func(n uint32) string {
		size := isa.AppendU32(nil, n)
		return fmt.Sprintf(`(module (type (func)) (section 3 "\01\00") (section 10 "\01%s\01%s\7f\0b"))`, hex(byte(3+len(size))), hex(size...))
	}
	labels := func(n int) string { return `(module (func (br_table ` + strings.Repeat("0 ", n+1) + `(i32.const 0))))` }
	params := func(n int) string { return `(module (type (func (param ` + strings.Repeat("i32 ", n) + `))))` }
	for name, c := range map[string]struct {
		in, over, want string
	}{
		"nesting": {nested(10_000), nested(10_001), "nested deeper than 10000"},
		"locals":  {locals(50_000), locals(50_001), "more than 50000 locals"},
		"labels":  {labels(65_536), labels(65_537), "65537 labels, at most 65536"},
		"params":  {params(256), params(257), "257 parameters, at most 256"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := convert.Convert(wasmtest.Module(t, c.in), convert.Options{}); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			if _, err := convert.Convert(wasmtest.Module(t, c.over), convert.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("over the limit: %v, want %q", err, c.want)
			}
		})
	}
}

func hex(bytes ...byte) (s string) {
	for _, b := range bytes {
		s += fmt.Sprintf(`\%02x`, b)
	}
	return s
}

// TestAmplification has modules that want much work or memory for few bytes.
func TestAmplification(t *testing.T) {
	values := strings.Repeat("i64 ", 256)
	heavy := `(module (type $t (func (param ` + values + `) (result ` + values + `))) (func (type $t) ` + strings.Repeat("(local.get 0)", 256) +
		` (repeat 200000 (raw "\10\00"))))` // calls itself
	blocks := `(module (type $t (func (param ` + values + `) (result ` + values + `))) (func (type $t) ` + strings.Repeat("(local.get 0)", 256) +
		` (repeat 200000 (raw "\02\00\0b"))))`
	frame := wasmtest.Module(t, `(module (func $f (repeat 1100000 (raw "\41\00\45\1a")) (call $f)))`)
	manyLocals := []byte(nil)
	for range 2000 { // 2,000 functions of 50,000 locals in 7 bytes each
		manyLocals = append(manyLocals, 6, 1, 0xd0, 0x86, 3, 0x7e, 0x0b)
	}
	locals := wasmtest.Module(t, `(module (type (func)))`)
	locals = section(locals, 3, append(isa.AppendU32(nil, 2000), make([]byte, 2000)...))
	locals = section(locals, 10, append(isa.AppendU32(nil, 2000), manyLocals...))
	count := binary.AppendUvarint(nil, 9_999)
	factor := 1
	if raceEnabled { // it keeps more on the heap
		factor = 4
	}
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"calls":         {wasmtest.Module(t, heavy), "too many values"},
		"blocks":        {wasmtest.Module(t, blocks), "too many values"},
		"locals":        {locals, "too complex for its size"},
		"frame":         {frame, "too many values"},
		"operands":      {wasmtest.Module(t, `(module (func (repeat 2000000 (raw "\41\00"))))`), "more than 65536 operands"},
		"branches":      {wasmtest.Module(t, `(module (func (repeat 1000000 (raw "\41\00\0d\00"))))`), "too many values"},
		"empty vectors": {section(wasmtest.Module(t, `(module)`), 2, append(count, make([]byte, 10_000)...)), "import section"},
		"too large":     {make([]byte, convert.MaxInput+1), "at most 33554432 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := convert.Convert(c.module, convert.Options{})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if used, most := after.TotalAlloc-before.TotalAlloc, uint64(factor*(16<<20+100*len(c.module))); used > most {
				t.Errorf("%d bytes allocated for a module of %d", used, len(c.module))
			}
		})
	}
}

func section(module []byte, id byte, contents []byte) []byte {
	return append(isa.AppendU32(append(module, id), uint32(len(contents))), contents...)
}

func TestInfo(t *testing.T) {
	module := wasmtest.Module(t, `(module
		(import "env" "read" (func (param i32 i32) (result i64)))
		(import "env" "limit" (global i32))
		(memory (export "memory") 2)
		(func $s nop)
		(func (export "run") (param v128 f32) (result f64 externref) (f64.const 0) (ref.null extern))
		(start $s))`)
	c := mustConvert(t, module, convert.Options{MaxPages: 7})
	got := c.Info
	got.Input, got.Output = [32]byte{}, [32]byte{}
	want := convert.Info{
		Version: convert.Version, Start: true, Functions: 2, Instructions: 5, Memory: &convert.Limits{Min: 2, Max: 7},
		Imports: []convert.Import{
			{Module: "env", Name: "read", Kind: convert.ExternFunc, Func: &convert.FuncType{Params: []isa.ValueType{isa.I32, isa.I32}, Results: []isa.ValueType{isa.I64}}},
			{Module: "env", Name: "limit", Kind: convert.ExternGlobal},
		},
		Exports: []convert.Export{
			{Name: "memory", Kind: convert.ExternMemory},
			{Name: "run", Kind: convert.ExternFunc, Func: &convert.FuncType{Params: []isa.ValueType{isa.V128, isa.F32}, Results: []isa.ValueType{isa.F64, isa.ExternRef}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestMemoryCap grows to the cap and not beyond, whatever the module declares.
func TestMemoryCap(t *testing.T) {
	for declared, want := range map[string]uint64{"1": 5, "1 3": 3, "1 9": 5} {
		module := wasmtest.Module(t, `(module (memory `+declared+`) (func (export "f") (result i32)
			(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (memory.size)))`)
		c := mustConvert(t, module, convert.Options{MaxPages: 5})
		for engine, cfg := range engines() {
			if got, err := start(t, cfg, c.Code, plenty).call("f"); err != nil || got[0] != want {
				t.Errorf("memory %s, %s: grew to %d pages, %v, want %d", declared, engine, got, err, want)
			}
		}
	}
}
