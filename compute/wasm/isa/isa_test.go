package isa

import (
	"bytes"
	"math"
	"testing"
)

// TestComplete counts the instructions of WebAssembly 2.0: 1.0 has 172, and the
// proposals that became 2.0 add sign extension 5, saturating conversion 8, bulk
// memory 7, references 9 (select with types included) and SIMD 236.
func TestComplete(t *testing.T) {
	count := func(ops [256]*Op) (n int) {
		for _, o := range ops {
			if o != nil {
				n++
			}
		}
		return n
	}
	if n := count(table.plain); n != 172+5+6 {
		t.Errorf("%d one-byte instructions, want %d", n, 172+5+6)
	}
	if n := count(table.misc); n != 18 {
		t.Errorf("%d instructions behind 0xfc, want 18", n)
	}
	if n := count(table.vector); n != 236 {
		t.Errorf("%d instructions behind 0xfd, want 236", n)
	}
	if n := len(table.byName); n != 172+5+6+18+236 {
		t.Errorf("%d names for %d instructions", n, 172+5+6+18+236)
	}
}

func TestLookup(t *testing.T) {
	for name, code := range map[string]Opcode{
		"unreachable": 0x00, "i32.add": 0x6a, "i64.extend32_s": 0xc4, "ref.func": 0xd2, "f64.copysign": 0xa6,
		"table.fill": 0xfc11, "i64.trunc_sat_f64_u": 0xfc07, "v128.any_true": 0xfd53, "i32x4.dot_i16x8_s": 0xfdba,
		"i64x2.extmul_high_i32x4_u": 0xfddf, "f64x2.convert_low_i32x4_u": 0xfdff, "f64x2.pmax": 0xfdf7, "i16x8.avgr_u": 0xfd9b,
	} {
		o := Named(name)
		if o == nil || o.Code != code || Lookup(code) != o {
			t.Errorf("%s: %+v, want opcode %#x", name, o, code)
		}
	}
	for _, c := range []Opcode{0x06, 0x12, 0xfe00, 0xfc12, 0xfd9a, 0x1234} {
		if o := Lookup(c); o != nil {
			t.Errorf("%#x is %s, want nothing", c, o.Name)
		}
	}
	if b := Opcode(0xfdff).Append(nil); !bytes.Equal(b, []byte{0xfd, 0xff, 0x01}) {
		t.Errorf("encoded % x", b)
	}
}

func TestLEB128(t *testing.T) {
	for v, want := range map[int64][]byte{0: {0}, 63: {63}, 64: {0xc0, 0}, -64: {0x40}, -65: {0xbf, 0x7f},
		math.MinInt64: {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}} {
		if got := AppendS64(nil, v); !bytes.Equal(got, want) {
			t.Errorf("%d: % x, want % x", v, got, want)
		}
	}
	if got := AppendU32(nil, math.MaxUint32); !bytes.Equal(got, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}) {
		t.Errorf("% x", got)
	}
}
