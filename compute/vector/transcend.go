package vector

import "math"

// The functions of this file are right to the last bit in all but about one of
// 2^45 cases, and give the same bits on every processor in all. Package math
// promises neither: it has assembly for some processors and lets the compiler
// fuse products for others, and a subtask's result must be comparable between
// any two nodes.

// ln 2 in three parts; the first two have 41 bits, so that their product with an
// exponent is exact.
const (
	ln2a = 0x1.62e42fefa3p-01
	ln2b = 0x1.3de6af278ep-42
	ln2c = 0x1.9cc01f97b57ap-83
)

// timesLn2 returns k ln 2 for integers of at most 11 bits.
func timesLn2(k float64) dd {
	return twoSum(float64(k*ln2a), float64(k*ln2b)).add(dd{float64(k * ln2c), 0})
}

// expDD returns m and k with exp(x) = m 2^k for |x| < 800. The argument is
// reduced to |r| < ln(2)/512, where ten terms of the series are enough, and the
// result squared eight times.
func expDD(x dd) (m dd, k int) {
	n := math.RoundToEven(x.hi * 0x1.71547652b82fep+00)
	r := twoSum(x.hi-float64(n*ln2a), -float64(n*ln2b)).add(dd{x.lo, 0}).add(dd{-float64(n * ln2c), 0}).times2(1.0 / 256)
	h := r.hi
	tail := 1.0 / 3628800
	for _, c := range [...]float64{1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720} {
		tail = c + float64(h*tail)
	}
	q := dd{tail, 0}
	for _, c := range [...]dd{
		{0x1.1111111111111p-07, 0x1.1111111111111p-63}, // 1/5!
		{0x1.5555555555555p-05, 0x1.5555555555555p-59}, // 1/4!
		{0x1.5555555555555p-03, 0x1.5555555555555p-57}, // 1/3!
		{0.5, 0},
	} {
		q = c.add(r.mul(q))
	}
	p := r.add(r.mul(r).mul(q)) // exp(r)-1, which keeps its bits where exp(r) would lose them
	for range 8 {
		p = p.times2(2).add(p.mul(p))
	}
	return dd{1, 0}.add(p), int(n)
}

// exp returns e to the x; +Inf and 0 beyond the range of float64.
func exp(x dd) float64 {
	if x.hi > 710 {
		return math.Inf(1)
	}
	if x.hi < -746 {
		return 0
	}
	m, k := expDD(x)
	return math.Ldexp(m.hi, k)
}

// logDD returns the natural logarithm of finite x > 0: with x = f 2^e and f near
// 1, e ln 2 + 2 atanh((f-1)/(f+1)).
func logDD(x float64) dd {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f, e = 2*f, e-1
	}
	s := dd{f - 1, 0}.over(twoSum(f, 1))
	z := s.mul(s)
	tail := 1.0 / 43
	for _, c := range [...]float64{1.0 / 41, 1.0 / 39, 1.0 / 37, 1.0 / 35, 1.0 / 33, 1.0 / 31, 1.0 / 29, 1.0 / 27, 1.0 / 25} {
		tail = c + float64(z.hi*tail)
	}
	q := dd{tail, 0}
	for _, c := range [...]dd{
		{0x1.642c8590b2164p-05, 0x1.642c8590b2164p-60},  // 1/23
		{0x1.8618618618618p-05, 0x1.8618618618618p-59},  // 1/21
		{0x1.af286bca1af28p-05, 0x1.af286bca1af28p-59},  // 1/19
		{0x1.e1e1e1e1e1e1ep-05, 0x1.e1e1e1e1e1e1ep-61},  // 1/17
		{0x1.1111111111111p-04, 0x1.1111111111111p-60},  // 1/15
		{0x1.3b13b13b13b14p-04, -0x1.3b13b13b13b14p-58}, // 1/13
		{0x1.745d1745d1746p-04, -0x1.745d1745d1746p-59}, // 1/11
		{0x1.c71c71c71c71cp-04, 0x1.c71c71c71c71cp-58},  // 1/9
		{0x1.2492492492492p-03, 0x1.2492492492492p-57},  // 1/7
		{0x1.999999999999ap-03, -0x1.999999999999ap-57}, // 1/5
		{0x1.5555555555555p-02, 0x1.5555555555555p-56},  // 1/3
		{1, 0},
	} {
		q = c.add(z.mul(q))
	}
	return timesLn2(float64(e)).add(s.mul(q).times2(2))
}

// log returns the natural logarithm times unit; NaN where there is none.
func log(x float64, unit dd) float64 {
	if x <= 0 {
		return math.NaN()
	}
	return logDD(x).mul(unit).hi
}

// pow returns x to the y; NaN where it is not a real number.
func pow(x, y float64) float64 {
	whole := y == math.Trunc(y)
	switch {
	case y == 0:
		return 1
	case x == 0 && y > 0:
		return 0
	case x == 0 || x < 0 && !whole:
		return math.NaN()
	case whole && y > 0 && y <= 64:
		return powWhole(x, int(y))
	}
	sign := 1.0
	if x < 0 && math.Mod(y, 2) != 0 {
		sign = -1
	}
	return sign * exp(logDD(math.Abs(x)).scale(y))
}

// powWhole multiplies, which is exact where the power has at most 106 bits.
func powWhole(x float64, n int) float64 {
	p := dd{1, 0}
	for square := (dd{x, 0}); ; square = square.mul(square) {
		if n&1 != 0 {
			p = p.mul(square)
		}
		if n >>= 1; n == 0 {
			break
		}
	}
	if p.hi-p.lo != p.hi-p.lo { // beyond float64 the low part is infinity minus itself
		return math.Inf(1)
	}
	return p.hi
}

// tanh returns (e^2x-1)/(e^2x+1).
func tanh(x float64) float64 {
	switch a := math.Abs(x); {
	case a > 20:
		return math.Copysign(1, x)
	case a < 0x1p-26:
		return x - float64(float64(x*x)*x)/3
	}
	m, k := expDD(dd{2 * x, 0})
	e := m.times2(math.Ldexp(1, k))
	return e.add(dd{-1, 0}).over(e.add(dd{1, 0})).hi
}

// sigmoid returns 1/(1+e^-x), without losing small values.
func sigmoid(x float64) float64 {
	if x < -700 {
		return exp(dd{x, 0})
	}
	m, k := expDD(dd{-min(x, 700), 0})
	return dd{1, 0}.over(m.times2(math.Ldexp(1, k)).add(dd{1, 0})).hi
}
