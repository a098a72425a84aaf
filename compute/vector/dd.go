package vector

import "math"

// dd is a number of about 106 bits as the sum of two float64, |lo| at most half
// a unit in the last place of hi. All it is made of is addition, multiplication
// and division, rounded as IEEE 754 says, and math.FMA, which is exact before
// its one rounding: the same bits on every processor. Products that feed an
// addition are converted explicitly, because the compiler may otherwise fuse the
// two on some processors and not on others.
type dd struct{ hi, lo float64 }

// twoSum returns a+b exactly.
func twoSum(a, b float64) dd {
	s := a + b
	v := s - a
	return dd{s, (a - (s - v)) + (b - v)}
}

// fastSum returns a+b exactly when |a| >= |b|.
func fastSum(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

// twoMul returns a*b exactly, short of underflow.
func twoMul(a, b float64) dd {
	p := float64(a * b)
	return dd{p, math.FMA(a, b, -p)}
}

func (x dd) add(y dd) dd {
	s, t := twoSum(x.hi, y.hi), twoSum(x.lo, y.lo)
	s = fastSum(s.hi, s.lo+t.hi)
	return fastSum(s.hi, s.lo+t.lo)
}

func (x dd) mul(y dd) dd {
	p := twoMul(x.hi, y.hi)
	return fastSum(p.hi, p.lo+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

func (x dd) scale(f float64) dd {
	p := twoMul(x.hi, f)
	return fastSum(p.hi, p.lo+float64(x.lo*f))
}

func (x dd) over(y dd) dd {
	q := x.hi / y.hi
	r := x.add(y.scale(-q))
	q2 := r.hi / y.hi
	r = r.add(y.scale(-q2))
	return fastSum(q, q2).add(dd{r.hi / y.hi, 0})
}

// times2 returns x times a power of two, which is exact short of underflow.
func (x dd) times2(f float64) dd { return dd{x.hi * f, x.lo * f} }
