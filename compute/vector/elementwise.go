package vector

import (
	"math"
	"math/bits"
)

// arithmetic is the elementwise operations that keep integers exact where they
// can.
func arithmetic() []operation {
	value := []param{anyReal("value")}
	return []operation{
		{name: "square", units: 1, out: atLeastZero,
			ints:   func(_ *args, x int64) (int64, bool) { return mulInt(x, x) },
			floats: func(_ *args, x float64) float64 { return float64(x * x) }},
		{name: "abs", units: 1, out: atLeastZero,
			ints:   func(_ *args, x int64) (int64, bool) { return max(x, -x), x != math.MinInt64 },
			floats: func(_ *args, x float64) float64 { return math.Abs(x) }},
		{name: "negate", units: 1,
			ints:   func(_ *args, x int64) (int64, bool) { return -x, x != math.MinInt64 },
			floats: func(_ *args, x float64) float64 { return -x }},
		{name: "sign", units: 1, out: within(-1, 1),
			ints:   func(_ *args, x int64) (int64, bool) { return sign(x), true },
			floats: func(_ *args, x float64) float64 { return sign(x) }},
		{name: "relu", units: 1, out: atLeastZero,
			ints:   func(_ *args, x int64) (int64, bool) { return max(x, 0), true },
			floats: func(_ *args, x float64) float64 { return max(x, 0) }},
		{name: "add", params: value, units: 1,
			ints:   func(a *args, x int64) (int64, bool) { return addInt(x, a.num[0].i) },
			floats: func(a *args, x float64) float64 { return x + a.f(0) }},
		{name: "subtract", params: value, units: 1,
			ints:   func(a *args, x int64) (int64, bool) { return subInt(x, a.num[0].i) },
			floats: func(a *args, x float64) float64 { return x - a.f(0) }},
		{name: "multiply", params: value, units: 1,
			ints:   func(a *args, x int64) (int64, bool) { return mulInt(x, a.num[0].i) },
			floats: func(a *args, x float64) float64 { return float64(x * a.f(0)) }},
		{name: "scale", params: []param{anyReal("factor")}, units: 1,
			ints:   func(a *args, x int64) (int64, bool) { return mulInt(x, a.num[0].i) },
			floats: func(a *args, x float64) float64 { return float64(x * a.f(0)) }},
		{name: "divide", params: value, units: 3, valid: notZero,
			floats: func(a *args, x float64) float64 { return x / a.f(0) }},
		{name: "mod", params: value, units: 10, valid: notZero,
			ints:   func(a *args, x int64) (int64, bool) { return modInt(x, a.num[0].i), true },
			floats: func(a *args, x float64) float64 { return math.Mod(x, a.f(0)) }},
		{name: "reciprocal", units: 3, floats: func(_ *args, x float64) float64 {
			if x == 0 {
				return math.NaN()
			}
			return 1 / x
		}},
		{name: "power", params: []param{anyReal("exponent")}, units: 300,
			staysInt: func(a *args) bool { return a.num[0].i >= 0 },
			ints:     func(a *args, x int64) (int64, bool) { return powInt(x, a.num[0].i) },
			floats:   func(a *args, x float64) float64 { return pow(x, a.f(0)) }},
	}
}

// roundings is the elementwise operations that map into a grid or an interval.
func roundings() []operation {
	same := func(_ *args, x int64) (int64, bool) { return x, true }
	keep := func(in shape, _ *args) shape { in.min, in.max = math.Floor(in.min), math.Ceil(in.max); return in }
	return []operation{
		{name: "round", units: 2, ints: same, out: keep, floats: func(_ *args, x float64) float64 { return math.Round(x) }},
		{name: "floor", units: 2, ints: same, out: keep, floats: func(_ *args, x float64) float64 { return math.Floor(x) }},
		{name: "ceil", units: 2, ints: same, out: keep, floats: func(_ *args, x float64) float64 { return math.Ceil(x) }},
		{name: "trunc", units: 2, ints: same, out: keep, floats: func(_ *args, x float64) float64 { return math.Trunc(x) }},
		{name: "clamp", params: []param{anyReal("min"), anyReal("max")}, units: 1,
			ints:   func(a *args, x int64) (int64, bool) { return min(max(x, a.num[0].i), a.num[1].i), true },
			floats: func(a *args, x float64) float64 { return min(max(x, a.f(0)), a.f(1)) },
			out: func(in shape, a *args) shape {
				in.min, in.max = a.f(0), a.f(1)
				return in
			},
			valid: func(a *args) (string, string) {
				if a.f(0) > a.f(1) {
					return "min", "is greater than max"
				}
				return "", ""
			}},
	}
}

// transcendental is the elementwise operations that always give float64.
func transcendental() []operation {
	one, perLn2, perLn10 := dd{1, 0}, dd{0x1.71547652b82fep+00, 0x1.777d0ffda0d24p-56}, dd{0x1.bcb7b1526e50ep-02, 0x1.95355baaafad3p-57}
	return []operation{
		{name: "sqrt", units: 5, out: atLeastZero, floats: func(_ *args, x float64) float64 { return math.Sqrt(x) }},
		{name: "exp", units: 150, out: atLeastZero, floats: func(_ *args, x float64) float64 { return exp(dd{x, 0}) }},
		{name: "log", units: 200, floats: func(_ *args, x float64) float64 { return log(x, one) }},
		{name: "log2", units: 200, floats: func(_ *args, x float64) float64 { return log(x, perLn2) }},
		{name: "log10", units: 200, floats: func(_ *args, x float64) float64 { return log(x, perLn10) }},
		{name: "tanh", units: 180, out: within(-1, 1), floats: func(_ *args, x float64) float64 { return tanh(x) }},
		{name: "sigmoid", units: 180, out: within(0, 1), floats: func(_ *args, x float64) float64 { return sigmoid(x) }},
	}
}

func notZero(a *args) (param, text string) {
	if a.f(0) == 0 {
		return "value", "is zero, and nothing can be divided by zero"
	}
	return "", ""
}

func sign[T int64 | float64](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func addInt(x, y int64) (int64, bool) {
	s := x + y
	return s, (s > x) == (y > 0)
}

func subInt(x, y int64) (int64, bool) {
	d := x - y
	return d, (d < x) == (y > 0)
}

func mulInt(x, y int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(x), uint64(y)) // unsigned; correct the high word to signed
	hi -= uint64(x>>63)&uint64(y) + uint64(y>>63)&uint64(x)
	return int64(lo), int64(hi) == int64(lo)>>63
}

// modInt returns the remainder with the sign of x.
func modInt(x, y int64) int64 {
	if y == -1 { // the smallest int64 has no opposite to divide into
		return 0
	}
	return x % y
}

func powInt(x, n int64) (int64, bool) {
	switch {
	case n == 0 || x == 1:
		return 1, true
	case x == 0:
		return 0, true
	case x == -1:
		return 1 - 2*(n&1), true
	case n > 63:
		return 0, false
	}
	p := int64(1)
	for ok := true; n > 0; n-- {
		if p, ok = mulInt(p, x); !ok {
			return 0, false
		}
	}
	return p, true
}
