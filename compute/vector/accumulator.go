package vector

import (
	"math"
	"math/big"
	"math/bits"
)

// limbs is enough for the squares of all finite float64 values: bit 0 stands for
// 2^-2148, the highest one for 2^2049, and 64 spare bits. The squares of all
// int64 values need intLimbs.
const (
	limbs    = 136
	intLimbs = 4
)

// accumulator adds up to 2^31 numbers or squares of numbers exactly. Limb k
// counts units of 2^(32k) above a base that the caller knows; each addition
// changes a limb by less than 2^32, so none can leave int64 and no carry is
// propagated until the end. It has limbs limbs for floats, intLimbs for integers.
type accumulator []int64

// The bases: what bit 0 of the accumulator stands for.
const (
	baseInt     = 0
	baseFloat   = -1074
	baseSquares = 2 * baseFloat
)

func (a accumulator) addInt(x int64) {
	m := uint64(x)
	if x < 0 {
		m = -m
		a[0] -= int64(m & math.MaxUint32)
		a[1] -= int64(m >> 32)
		return
	}
	a[0] += int64(m & math.MaxUint32)
	a[1] += int64(m >> 32)
}

func (a accumulator) addIntSquare(x int64) {
	m := uint64(x)
	if x < 0 {
		m = -m
	}
	hi, lo := bits.Mul64(m, m)
	a[0] += int64(lo & math.MaxUint32)
	a[1] += int64(lo >> 32)
	a[2] += int64(hi & math.MaxUint32)
	a[3] += int64(hi >> 32)
}

// split returns the magnitude of finite x as m * 2^(shift-1074).
func split(x float64) (m uint64, shift uint) {
	b := math.Float64bits(x)
	m, shift = b&(1<<52-1), uint(b>>52&2047)
	if shift == 0 {
		return m, 0
	}
	return m | 1<<52, shift - 1
}

func (a accumulator) addFloat(x float64) {
	m, shift := split(x)
	k, s := shift/32, shift%32
	lo, hi := m<<s, m>>(64-s) // a shift by 64 gives 0
	sign := int64(1) - 2*int64(math.Float64bits(x)>>63)
	w := (*[3]int64)(a[k:])
	w[0] += sign * int64(lo&math.MaxUint32)
	w[1] += sign * int64(lo>>32)
	w[2] += sign * int64(hi)
}

func (a accumulator) addFloatSquare(x float64) {
	m, shift := split(x)
	k, s := 2*shift/32, 2*shift%32
	hi, lo := bits.Mul64(m, m)
	top := hi >> (64 - s)
	hi, lo = hi<<s|lo>>(64-s), lo<<s
	w := (*[5]int64)(a[k:])
	w[0] += int64(lo & math.MaxUint32)
	w[1] += int64(lo >> 32)
	w[2] += int64(hi & math.MaxUint32)
	w[3] += int64(hi >> 32)
	w[4] += int64(top)
}

// exact returns the sum, bit 0 standing for 2^base.
func (a accumulator) exact(base int) exact {
	top := len(a)
	for top > 0 && a[top-1] == 0 {
		top--
	}
	var buf [4*limbs + 16]byte // big-endian, two limbs of room for the carry
	end, carry := len(buf), int64(0)
	neg := false
	for pass := 0; pass < 2; pass++ {
		carry = 0
		for k := range top {
			v := a[k]
			if neg {
				v = -v
			}
			v += carry
			carry = v >> 32
			putLimb(buf[:], end-4*k, uint32(v))
		}
		if carry >= 0 {
			break
		}
		neg = true // the sum is below zero: compute its magnitude instead
	}
	putLimb(buf[:], end-4*top, uint32(carry))
	mant := new(big.Int).SetBytes(buf[end-4*top-4:])
	if neg {
		mant.Neg(mant)
	}
	return newExact(mant, base)
}

// putLimb writes a limb whose last byte stands before end.
func putLimb(buf []byte, end int, v uint32) {
	buf[end-4], buf[end-3], buf[end-2], buf[end-1] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
}
