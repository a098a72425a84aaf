package vector

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

const prec = 300

func bigOf(x float64) *big.Float { return new(big.Float).SetPrec(prec).SetFloat64(x) }

// bigExp is e to the x by halving the argument 40 times and the plain series.
func bigExp(x *big.Float) *big.Float {
	r := new(big.Float).SetPrec(prec).SetMantExp(x, -40)
	sum, term := bigOf(1), bigOf(1)
	for n := 1; n < 40; n++ {
		term.Mul(term, r)
		term.Quo(term, bigOf(float64(n)))
		sum.Add(sum, term)
	}
	for range 40 {
		sum.Mul(sum, sum)
	}
	return sum
}

// bigLog is the logarithm by Newton's method on bigExp.
func bigLog(x float64) *big.Float {
	y := bigOf(math.Log(x))
	for range 5 {
		e := bigExp(new(big.Float).Neg(y))
		e.Mul(e, bigOf(x))
		y.Add(y, e.Sub(e, bigOf(1)))
	}
	return y
}

// ulps returns how far got is from want in units of the last place of got.
func ulps(got float64, want *big.Float) float64 {
	d, _ := new(big.Float).Sub(bigOf(got), want).Float64()
	a := math.Abs(got)
	return math.Abs(d) / (math.Nextafter(a, math.Inf(1)) - a)
}

// TestTranscendental compares with 300 bits of precision: half a unit in the
// last place is the best a float64 can be.
func TestTranscendental(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	wide := func() float64 { return math.Ldexp(1+rnd.Float64(), rnd.IntN(2000)-1000) }
	cases := []struct {
		name string
		arg  func() float64
		got  func(x float64) float64
		want func(x float64) *big.Float
	}{
		{"exp", func() float64 { return 1400*rnd.Float64() - 700 }, func(x float64) float64 { return exp(dd{x, 0}) },
			func(x float64) *big.Float { return bigExp(bigOf(x)) }},
		{"log", wide, func(x float64) float64 { return log(x, dd{1, 0}) }, bigLog},
		{"log near 1", func() float64 { return 1 + rnd.NormFloat64()*1e-9 }, func(x float64) float64 { return log(x, dd{1, 0}) }, bigLog},
		{"power -1.7", wide, func(x float64) float64 { return pow(math.Pow(x, 0.3), -1.7) },
			func(x float64) *big.Float {
				l := bigLog(math.Pow(x, 0.3))
				return bigExp(l.Mul(l, bigOf(-1.7)))
			}},
		{"power 7", func() float64 { return rnd.NormFloat64() * 100 }, func(x float64) float64 { return pow(x, 7) },
			func(x float64) *big.Float {
				p := bigOf(x)
				for range 6 {
					p.Mul(p, bigOf(x))
				}
				return p
			}},
		{"tanh", func() float64 { return rnd.NormFloat64() * math.Exp(-8*rnd.Float64()) }, tanh,
			func(x float64) *big.Float {
				e := bigExp(bigOf(2 * x))
				return new(big.Float).Quo(new(big.Float).Sub(e, bigOf(1)), new(big.Float).Add(e, bigOf(1)))
			}},
		{"sigmoid", func() float64 { return rnd.NormFloat64() * 20 }, sigmoid,
			func(x float64) *big.Float {
				e := bigExp(bigOf(-x))
				return new(big.Float).SetPrec(prec).Quo(bigOf(1), e.Add(e, bigOf(1)))
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for range 400 {
				x := c.arg()
				if got := c.got(x); ulps(got, c.want(x)) > 0.5000001 {
					t.Fatalf("f(%v) = %v, off by %.3f units", x, got, ulps(got, c.want(x)))
				}
			}
		})
	}
}

// TestTranscendentalEdges checks what the reductions must not spoil.
func TestTranscendentalEdges(t *testing.T) {
	one := dd{1, 0}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"exp(0)", exp(dd{0, 0}), 1},
		{"exp(5e-324)", exp(dd{5e-324, 0}), 1},
		{"exp(-745.13)", exp(dd{-745.13, 0}), 5e-324},
		{"exp(-1e308)", exp(dd{-1e308, 0}), 0},
		{"exp(709.782712893384)", exp(dd{709.782712893384, 0}), 1.7976931348622732e308},
		{"exp(709.8)", exp(dd{709.8, 0}), math.Inf(1)},
		{"log(5e-324)", log(5e-324, one), -744.4400719213812},
		{"log(max)", log(math.MaxFloat64, one), 709.782712893384},
		{"log(1)", log(1, one), 0},
		{"pow(1, 1e308)", pow(1, 1e308), 1},
		{"pow(2, 1e308)", pow(2, 1e308), math.Inf(1)},
		{"pow(2, -1074)", pow(2, -1074), 5e-324},
		{"pow(-2, -3)", pow(-2, -3), -0.125},
		{"pow(-1, 1e300)", pow(-1, 1e300), 1},
		{"pow(10, 22)", pow(10, 22), 1e22},
		{"pow(-1e300, 3)", math.Abs(pow(-1e300, 3)), math.Inf(1)},
		{"pow(5e-324, 2)", pow(5e-324, 2), 0},
		{"tanh(1e308)", tanh(1e308), 1},
		{"tanh(-5e-324)", tanh(-5e-324), -5e-324},
		{"sigmoid(-1e308)", sigmoid(-1e308), 0},
		{"sigmoid(1e308)", sigmoid(1e308), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	for e := -1074; e <= 1023; e++ {
		if got := log(math.Ldexp(1, e), dd{0x1.71547652b82fep+00, 0x1.777d0ffda0d24p-56}); got != float64(e) {
			t.Fatalf("log2(2^%d) = %v", e, got)
		}
	}
}
