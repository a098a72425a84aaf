package vector

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// exact is a number without rounding: mant * 2^exp, mant odd or zero. The zero
// value is not usable; newExact makes one.
type exact struct {
	mant *big.Int
	exp  int
}

func newExact(mant *big.Int, exp int) exact {
	if mant.Sign() == 0 {
		return exact{mant, 0}
	}
	if z := mant.TrailingZeroBits(); z > 0 {
		mant.Rsh(mant, z)
		exp += int(z)
	}
	return exact{mant, exp}
}

// scaled returns the mantissa at a lower or equal exponent; zero has any.
func (e exact) scaled(exp int) *big.Int {
	if e.mant.Sign() == 0 {
		return new(big.Int)
	}
	return new(big.Int).Lsh(e.mant, uint(e.exp-exp))
}

func (e exact) lowest(o exact) int {
	switch {
	case e.mant.Sign() == 0:
		return o.exp
	case o.mant.Sign() == 0:
		return e.exp
	}
	return min(e.exp, o.exp)
}

func (e exact) plus(o exact) exact {
	exp := e.lowest(o)
	return newExact(new(big.Int).Add(e.scaled(exp), o.scaled(exp)), exp)
}

func (e exact) minus(o exact) exact {
	return e.plus(exact{new(big.Int).Neg(o.mant), o.exp})
}

func (e exact) times(o exact) exact {
	return newExact(new(big.Int).Mul(e.mant, o.mant), e.exp+o.exp)
}

func (e exact) timesInt(n int) exact {
	return newExact(new(big.Int).Mul(e.mant, big.NewInt(int64(n))), e.exp)
}

// size returns the smallest k with |e| < 2^k; 0 for zero.
func (e exact) size() int {
	if e.mant.Sign() == 0 {
		return 0
	}
	return e.mant.BitLen() + e.exp
}

// int64 returns the value if it is one.
func (e exact) int64() (int64, bool) {
	if e.mant.Sign() == 0 {
		return 0, true
	}
	if e.exp < 0 || e.size() > 64 {
		return 0, false
	}
	m := e.scaled(0)
	return m.Int64(), m.IsInt64()
}

// guard is the number of quotient bits kept before the one rounding: more than
// the 53 of a float64, the bit after them and the sticky bit.
const guard = 66

// over returns e/den, den > 0, rounded once to nearest even; ±Inf when it leaves
// float64.
func (e exact) over(den *big.Int) float64 {
	num := new(big.Int).Abs(e.mant)
	k := max(0, guard+den.BitLen()-num.BitLen())
	q, r := num.QuoRem(num.Lsh(num, uint(k)), den, new(big.Int))
	return e.round(q, r.Sign() != 0, e.exp-k)
}

// rootOver returns the square root of e/den, e >= 0 and den > 0, rounded once:
// sqrt(m/d) = sqrt(m*d)/d.
func (e exact) rootOver(den *big.Int) float64 {
	m, exp := new(big.Int).Mul(e.mant, den), e.exp
	if exp%2 != 0 {
		m.Lsh(m, 1)
		exp--
	}
	k := max(0, guard+den.BitLen()-m.BitLen()/2)
	m.Lsh(m, uint(2*k))
	s := new(big.Int).Sqrt(m)
	inexact := new(big.Int).Mul(s, s).Cmp(m) != 0
	q, r := s.QuoRem(s, den, new(big.Int))
	return e.round(q, inexact || r.Sign() != 0, exp/2-k)
}

// round returns q * 2^exp with the sign of e; sticky says that a bit below q is
// set, which is all that rounding needs to know of those bits.
func (e exact) round(q *big.Int, sticky bool, exp int) float64 {
	q.Lsh(q, 1)
	if sticky {
		q.SetBit(q, 0, 1)
	}
	f := new(big.Float).SetInt(q)
	x, _ := f.SetMantExp(f, exp-1).Float64()
	if e.mant.Sign() < 0 {
		return -x
	}
	return x
}

// String returns the one form of e that crosses the network: "0", or the odd
// mantissa in hexadecimal, 'p', and the binary exponent: "-3p2" is -12.
func (e exact) String() string {
	if e.mant.Sign() == 0 {
		return "0"
	}
	return e.mant.Text(16) + "p" + strconv.Itoa(e.exp)
}

// maxExponent is the longest exponent in characters: a block of the smallest
// floats multiplies to about 2^-4400000.
const maxExponent = 8

// parseExact reads what String wrote and nothing else. lowest bounds the
// exponent from below and size the value: |e| < 2^size.
func parseExact(s string, lowest, size int) (exact, bool) {
	if s == "0" {
		return exact{new(big.Int), 0}, true
	}
	hex, exp, ok := strings.Cut(s, "p")
	if !ok || len(hex) > limbs*8+1 || len(exp) > maxExponent {
		return exact{}, false
	}
	mant, ok := new(big.Int).SetString(hex, 16)
	n, err := strconv.Atoi(exp)
	if !ok || err != nil {
		return exact{}, false
	}
	e := exact{mant, n}
	return e, e.String() == s && mant.Bit(0) == 1 && n >= lowest && e.size() <= size
}

// fromFloat returns finite x.
func fromFloat(x float64) exact {
	m, shift := split(x)
	mant := new(big.Int).SetUint64(m)
	if math.Signbit(x) {
		mant.Neg(mant)
	}
	return newExact(mant, int(shift)+baseFloat)
}
