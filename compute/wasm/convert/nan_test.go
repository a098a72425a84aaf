package convert_test

import (
	"bytes"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// TestNaN lets NaNs be seen in every way there is. What arithmetic makes is the
// positive canonical NaN; what is only moved keeps its bits; the sign operations
// change the sign and nothing else.
func TestNaN(t *testing.T) {
	const (
		odd64   = 0xfff4_0000_0000_0123 // negative, signalling, with a payload: $p
		odd32   = 0xffa0_0123           // $q
		nan64   = 0x7ff8_0000_0000_0000
		nan32   = 0x7fc0_0000
		sign64  = 1 << 63
		sign32  = 1 << 31
		nan2x32 = nan32<<32 | nan32
	)
	bits64 := func(expr string) string { return "(i64.reinterpret_f64 " + expr + ")" }
	bits32 := func(expr string) string { return "(i64.extend_i32_u (i32.reinterpret_f32 " + expr + "))" }
	lane := func(expr string) string { return "(i64x2.extract_lane 1 " + expr + ")" }
	const made64 = "(f64.div (f64.sub (local.get $p) (local.get $p)) (f64.const 0))"
	const made32 = "(f32.sqrt (f32.const -1))"
	const vector = "(f64x2.splat (local.get $p))"
	const vector32 = "(f32x4.splat (local.get $q))"

	cases := map[string]struct {
		body string
		want uint64
	}{
		"made":              {bits64(made64), nan64},
		"made, single":      {bits32(made32), nan32},
		"moved":             {bits64("(local.get $p)"), odd64},
		"moved, single":     {bits32("(local.get $q)"), odd32},
		"constant":          {bits64("(f64.const nan:0xc000000000abc)"), 0x7ffc_0000_0000_0abc},
		"demoted":           {bits32("(f32.demote_f64 (local.get $p))"), nan32},
		"promoted":          {bits64("(f64.promote_f32 (local.get $q))"), nan64},
		"negated":           {bits64("(f64.neg " + made64 + ")"), nan64 | sign64},
		"negated, moved":    {bits64("(f64.neg (local.get $p))"), odd64 &^ sign64},
		"absolute":          {bits64("(f64.abs " + made64 + ")"), nan64},
		"absolute, moved":   {bits64("(f64.abs (local.get $p))"), odd64 &^ sign64},
		"absolute, local":   {"(local.set $x " + made64 + ")" + bits64("(f64.abs (local.get $x))"), nan64},
		"absolute of both":  {"(local.set $x " + made64 + ") (local.set $x (local.get $p))" + bits64("(f64.abs (local.get $x))"), odd64 &^ sign64},
		"sign copied to":    {bits32("(f32.copysign " + made32 + " (f32.const -1))"), nan32 | sign32},
		"sign copied from":  {bits32("(f32.copysign (f32.const 1) " + made32 + ")"), 0x3f80_0000},
		"in a local":        {"(local.set $x " + made64 + ")" + bits64("(local.get $x)"), nan64},
		"through locals":    {"(local.set $x " + made64 + ") (local.set $z (local.get $x))" + bits64("(local.get $z)"), nan64},
		"teed":              {"(drop (f64.add (f64.const 1) (local.tee $x " + made64 + ")))" + bits64("(local.get $x)"), nan64},
		"moved in a local":  {"(local.set $x (local.get $p))" + bits64("(local.get $x)"), odd64},
		"parameter":         {"(local.set $p " + made64 + ")" + bits64("(local.get $p)"), nan64},
		"either, made":      {"(local.set $x (local.get $p)) (local.set $x " + made64 + ")" + bits64("(local.get $x)"), nan64},
		"either, moved":     {"(local.set $x " + made64 + ") (local.set $x (local.get $p))" + bits64("(local.get $x)"), odd64},
		"either, indirect":  {"(local.set $x " + made64 + ") (local.set $z (local.get $x)) (local.set $z (local.get $p))" + bits64("(local.get $z)"), odd64},
		"selected made":     {bits64("(select " + made64 + " (local.get $p) (i32.const 1))"), nan64},
		"selected moved":    {bits64("(select " + made64 + " (local.get $p) (i32.const 0))"), odd64},
		"selected of made":  {bits64("(select " + made64 + " (f64.const 1) (i32.const 1))"), nan64},
		"selected of local": {"(local.set $x " + made64 + ")" + bits64("(select (local.get $x) "+made64+" (i32.const 1))"), nan64},
		"selected, raw":     {"(local.set $x " + made64 + ") (local.set $x (local.get $p))" + bits64("(select (local.get $x) "+made64+" (i32.const 1))"), odd64},
		"out of a block":    {bits64("(block (result f64) " + made64 + ")"), nan64},
		"out of a branch":   {bits64("(block (result f64) (br 0 " + made64 + "))"), nan64},
		"out of a br_if":    {bits64("(block (result f64) (br_if 0 " + made64 + " (i32.const 0)))"), nan64},
		"out of a br_table": {bits64("(block (result f64) (br_table 0 0 " + made64 + " (i32.const 0)))"), nan64},
		"out of an arm":     {bits64("(if (result f64) (i32.const 0) (then (local.get $p)) (else " + made64 + "))"), nan64},
		"into a loop":       {bits64("(block (result f64) " + made64 + " (loop (param f64) (result f64) nop))"), nan64},
		"called with":       {"(call $id " + made64 + ")", nan64},
		"called with moved": {"(call $id (local.get $p))", odd64},
		"returned":          {bits64("(call $make)"), nan64},
		"stored":            {"(f64.store (i32.const 0) " + made64 + ") (i64.load (i32.const 0))", nan64},
		"stored, moved":     {"(f64.store (i32.const 0) (local.get $p)) (i64.load (i32.const 0))", odd64},
		"loaded":            {"(i64.store (i32.const 0) (i64.const 0x7ff00000000000ff))" + bits64("(f64.load (i32.const 0))"), 0x7ff0_0000_0000_00ff},
		"global":            {"(global.set $g " + made64 + ")" + bits64("(global.get $g)"), nan64},
		"global, moved":     {"(global.set $g (local.get $p))" + bits64("(global.get $g)"), odd64},

		"vector":                {lane("(f64x2.add " + vector + " " + vector + ")"), nan64},
		"vector, single":        {lane("(f32x4.mul " + vector32 + " " + vector32 + ")"), nan2x32},
		"vector, moved":         {lane(vector), odd64},
		"vector of both":        {lane("(f32x4.add (v128.const f64x2 1 1) (f32x4.div (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0x3f800000 0)))"), nan32 << 32},
		"vector as other shape": {lane("(f64x2.add (f32x4.add " + vector32 + " " + vector32 + ") (v128.const i64x2 0 0))"), nan2x32}, // no NaN as one double,
		"vector in a local":     {"(local.set $v (f32x4.add " + vector32 + " " + vector32 + "))" + lane("(local.get $v)"), nan2x32},
		"local of two shapes":   {"(local.set $v (f32x4.add " + vector32 + " " + vector32 + ")) (local.set $v (f64x2.add " + vector + " " + vector + "))" + lane("(local.get $v)"), nan64},
		"vector absolute":       {lane("(f64x2.abs (f64x2.add " + vector + " " + vector + "))"), nan64},
		"vector negated":        {lane("(f32x4.neg (f32x4.add " + vector32 + " " + vector32 + "))"), (nan32|sign32)<<32 | nan32 | sign32},
		"vector demoted":        {"(i64x2.extract_lane 0 (f32x4.demote_f64x2_zero " + vector + "))", nan2x32},
		"vector promoted":       {lane("(f64x2.promote_low_f32x4 " + vector32 + ")"), nan64},
		"vector pmin":           {lane("(f64x2.pmin (f64x2.add " + vector + " " + vector + ") (v128.const f64x2 1 1))"), nan64},
		"vector minimum":        {lane("(f64x2.min " + vector + " (v128.const f64x2 1 1))"), nan64},
		"vector rounded":        {lane("(f32x4.nearest " + vector32 + ")"), nan2x32},
		"vector lane":           {bits64("(f64x2.extract_lane 0 (f64x2.sqrt " + vector + "))"), nan64},
		"vector of a scalar":    {lane("(f64x2.splat " + made64 + ")"), nan64},
		"vector replaced":       {lane("(f64x2.replace_lane 1 " + vector + " " + made64 + ")"), nan64},
		"vector bits":           {lane("(v128.and (v128.const i64x2 -1 -1) (f64x2.add " + vector + " " + vector + "))"), nan64},
		"vector converted":      {lane("(f64x2.convert_low_i32x4_u (v128.const i32x4 -1 -1 -1 -1))"), 0x41ef_ffff_ffe0_0000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			module := wasmtest.Module(t, `(module (memory 1) (global $g (mut f64) (f64.const 0))
				(func $id (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
				(func $make (result f64) (f64.sqrt (f64.const -2)))
				(func (export "f") (param $p f64) (param $q f32) (result i64) (local $x f64) (local $z f64) (local $y f32) (local $v v128) `+c.body+`))`)
			code := mustConvert(t, module, convert.Options{}).Code
			for engine, cfg := range engines() {
				g := start(t, cfg, code, plenty)
				if got, err := g.call("f", odd64, odd32); err != nil || got[0] != c.want {
					t.Errorf("%s: %#x, %v, want %#x", engine, got, err, c.want)
				}
			}
		})
	}
}

// TestNaNFree looks at a program whose arithmetic is seen by nobody but more
// arithmetic: nothing may be added to it.
func TestNaNFree(t *testing.T) {
	for _, p := range programs(t) {
		with, without := mustConvert(t, p.module, convert.Options{}), mustConvert(t, p.module, convert.Options{NoNaN: true})
		if same := bytes.Equal(with.Code, without.Code); p.name == "mandelbrot" && !same || p.name == "axpy" && same {
			t.Errorf("%s: with and without canonical NaNs the code is the same: %v", p.name, same)
		}
	}
}
