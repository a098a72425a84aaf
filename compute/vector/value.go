package vector

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/tenzro/tenzro/core"
)

// number is one int64, or one float64 when float is set.
type number struct {
	i     int64
	f     float64
	float bool
	whole bool // a literal without fraction or exponent that does not fit int64
}

// real returns the number as float64, rounded if it must be.
func (n number) real() float64 {
	if n.float {
		return n.f
	}
	return float64(n.i)
}

func integer(i int64) number { return number{i: i} }

// realNumber makes a float64 number, minus zero becoming zero: the two must not
// differ after a partial result has crossed the network as text.
func realNumber(f float64) number {
	if f == 0 {
		f = 0
	}
	return number{f: f, float: true}
}

// values is what flows between operations: an array of int64 or of float64, a
// single number (scalar, an array of length one), or a histogram.
type values struct {
	ints   []int64
	floats []float64
	float  bool
	scalar bool
	counts []int64 // of a histogram, whose edges are floats
}

func scalar(n number) values {
	if n.float {
		return values{floats: []float64{n.f}, float: true, scalar: true}
	}
	return values{ints: []int64{n.i}, scalar: true}
}

func (v values) len() int {
	if v.float {
		return len(v.floats)
	}
	return len(v.ints)
}

// slice returns the elements from lo to hi, sharing memory.
func (v values) slice(lo, hi int) values {
	if v.float {
		return values{floats: v.floats[lo:hi], float: true}
	}
	return values{ints: v.ints[lo:hi]}
}

// toFloat returns v as float64, in new memory when v is int64.
func (v values) toFloat() values {
	if v.float {
		return v
	}
	out := make([]float64, len(v.ints), cap(v.ints))
	convert(out, v.ints)
	return values{floats: out, float: true, scalar: v.scalar}
}

func convert(dst []float64, src []int64) {
	for i, x := range src {
		dst[i] = float64(x)
	}
}

// at returns element i.
func (v values) at(i int) number {
	if v.float {
		return number{f: v.floats[i], float: true}
	}
	return integer(v.ints[i])
}

// encode returns v as JSON, or a Failure when no node could deliver it.
func (v values) encode() (json.RawMessage, error) {
	var out []byte
	switch {
	case v.counts != nil:
		out = appendArray([]byte(`{"counts":`), values{ints: v.counts})
		out = appendArray(append(out, `,"edges":`...), v)
		out = append(out, '}')
	case v.scalar:
		out = appendNumber(make([]byte, 0, 24), v.at(0))
	default:
		out = appendArray(make([]byte, 0, 16+8*v.len()), v)
	}
	if len(out) > core.MaxTaskBytes {
		return nil, failure(core.ReasonExecutionFailed, "the result has %d bytes; at most %d can be delivered", len(out), core.MaxTaskBytes)
	}
	return out, nil
}

func appendArray(b []byte, v values) []byte {
	b = append(b, '[')
	for i := range v.len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, v.at(i))
	}
	return append(b, ']')
}

// appendNumber writes integers in decimal and floats in the shortest form that
// reads back as the same float64, laid out as encoding/json does.
func appendNumber(b []byte, n number) []byte {
	if !n.float {
		return strconv.AppendInt(b, n.i, 10)
	}
	x := n.f
	if x == 0 {
		return append(b, '0')
	}
	if a := math.Abs(x); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, x, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, x, 'e', -1, 64)
	if k := len(b); b[k-4] == 'e' && b[k-3] == '-' && b[k-2] == '0' { // e-09 is e-9 in JavaScript
		b[k-2] = b[k-1]
		b = b[:k-1]
	}
	return b
}
