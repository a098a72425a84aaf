package convert

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/tenzro/tenzro/compute/wasm/isa"
	"github.com/tenzro/tenzro/core"
)

// reader takes the binary format apart (chapter 5 of the specification). The
// first error stays and everything read after it is zero, so that callers check
// once per construct.
type reader struct {
	buf   []byte
	pos   int
	base  int    // where buf begins in the module
	where string // "type section", for messages
	err   error
}

// fail records the first error, at the current offset.
func (r *reader) fail(format string, args ...any) {
	r.failAt(r.pos, "", format, args...)
}

func (r *reader) failAt(pos int, hint, format string, args ...any) {
	if r.err == nil {
		args = append([]any{r.where, r.base + pos}, args...)
		r.err = core.Errorf(core.Invalid, "module", "%s, offset 0x%x: "+format, args...).WithHint(hint)
	}
	r.pos = len(r.buf)
}

func (r *reader) left() int { return len(r.buf) - r.pos }

func (r *reader) u8() byte {
	if r.left() < 1 {
		r.fail("unexpected end")
		return 0
	}
	r.pos++
	return r.buf[r.pos-1]
}

// bytes returns the next n bytes, sharing memory with the module.
func (r *reader) bytes(n int) []byte {
	if n < 0 || r.left() < n {
		r.fail("unexpected end: %d bytes wanted, %d left", n, r.left())
		return nil
	}
	r.pos += n
	return r.buf[r.pos-n : r.pos : r.pos]
}

// u32 reads unsigned LEB128 of at most 32 bits; longer forms than necessary are
// allowed up to 5 bytes (section 5.2.2).
func (r *reader) u32() uint32 {
	if r.pos < len(r.buf) && r.buf[r.pos] < 0x80 {
		r.pos++
		return uint32(r.buf[r.pos-1])
	}
	var v uint64
	for shift := 0; ; shift += 7 {
		b := r.u8()
		v |= uint64(b&0x7f) << shift
		switch {
		case shift == 28 && b > 0x0f:
			r.fail("integer is longer than 32 bits")
			return 0
		case b < 0x80:
			return uint32(v)
		}
	}
}

// signed reads signed LEB128 of at most bits bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.u8()
		v |= int64(b&0x7f) << shift
		if b >= 0x80 && shift+7 < bits {
			continue
		}
		if used := bits - shift; used < 7 && !extends(b, used) || b >= 0x80 {
			r.fail("integer is longer than %d bits", bits)
			return 0
		}
		if shift+7 < 64 && b&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
}

// extends reports whether the bits of b above used repeat the sign bit.
func extends(b byte, used int) bool {
	top := int8(b<<1) >> used // b has 7 bits of payload; moved to the top of 8
	return top == 0 || top == -1
}

// count reads the length of a vector. Each element takes at least one byte, so
// what is left bounds it before anything is allocated.
func (r *reader) count(what string, limit int) int {
	pos := r.pos
	n := int(r.u32())
	switch {
	case r.err != nil:
		return 0
	case n > r.left():
		r.failAt(pos, "", "%d %s, more than there are bytes", n, what)
		return 0
	case n > limit:
		r.failAt(pos, "", "%d %s, at most %d are allowed", n, what, limit)
		return 0
	}
	return n
}

func (r *reader) name() string {
	pos := r.pos
	b := r.bytes(int(r.u32()))
	if !utf8.Valid(b) {
		r.failAt(pos, "", "a name is not UTF-8")
		return ""
	}
	return string(b)
}

func (r *reader) zero(what string) {
	if b := r.u8(); b != 0 && r.err == nil {
		r.failAt(r.pos-1, "", "%s: zero byte expected, found 0x%02x", what, b)
	}
}

func (r *reader) f32() uint64 {
	if b := r.bytes(4); b != nil {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (r *reader) f64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) valueType() isa.ValueType {
	t := isa.ValueType(r.u8())
	if !t.Valid() && r.err == nil {
		r.failAt(r.pos-1, unsupportedHint(t == 0x69, "exceptions"), "unknown value type 0x%02x", byte(t))
	}
	return t
}

func (r *reader) refType() isa.ValueType {
	t := isa.ValueType(r.u8())
	if !t.Ref() && r.err == nil {
		r.failAt(r.pos-1, unsupportedHint(false, ""), "unknown reference type 0x%02x", byte(t))
	}
	return t
}

// valueTypes reads a vector of value types.
func (r *reader) valueTypes(what string, limit int) []isa.ValueType {
	n := r.count(what, limit)
	types := make([]isa.ValueType, 0, n)
	for range n {
		types = append(types, r.valueType())
	}
	return types
}

// end makes sure everything was read.
func (r *reader) end() {
	if r.err == nil && r.left() > 0 {
		r.fail("%d bytes too many", r.left())
	}
}
