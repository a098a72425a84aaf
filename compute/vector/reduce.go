package vector

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/tenzro/tenzro/core"
)

// need is a set of facts about an array that combine over its parts.
type need uint8

const (
	needSum need = 1 << iota
	needSquares
	needMin
	needMax
	needProduct
)

func (n need) has(want need) bool { return n&want != 0 }

// reduces is the associative reductions. Each is a function of facts that do not
// depend on how the array was cut, and rounds once.
func reduces() []operation {
	ddof := []param{wholeIn("ddof", 0, 1).or(0)}
	count := func(in shape, _ *args) shape {
		return shape{min: float64(in.lo), max: float64(in.hi)}
	}
	spread := func(in shape, a *args) shape { return atLeastZero(alikeReal(in, a), a) }
	one := func(*args) int { return 1 }
	sample := func(a *args) int { return 1 + int(a.num[0].i) }
	return []operation{
		{name: "sum", class: reduce, units: 3, needs: needSum, finish: finishSum},
		{name: "product", class: reduce, units: 6, needs: needProduct, finish: finishProduct},
		{name: "min", class: reduce, units: 1, needs: needMin, least: one, out: alike,
			finish: func(s *summary, _ *args) (number, error) { return s.min, nil }},
		{name: "max", class: reduce, units: 1, needs: needMax, least: one, out: alike,
			finish: func(s *summary, _ *args) (number, error) { return s.max, nil }},
		{name: "range", class: reduce, units: 2, needs: needMin | needMax, least: one, out: atLeastZero, finish: finishRange},
		{name: "count", class: reduce, units: 1, out: count,
			finish: func(s *summary, _ *args) (number, error) { return integer(int64(s.count)), nil }},
		{name: "mean", class: reduce, units: 3, needs: needSum, least: one, out: alikeReal,
			finish: func(s *summary, _ *args) (number, error) { return finite(s.sum.over(big.NewInt(int64(s.count)))) }},
		{name: "variance", class: reduce, params: ddof, units: 8, needs: needSum | needSquares, least: sample, out: spread,
			finish: func(s *summary, a *args) (number, error) {
				n, d := s.spread(a)
				return finite(n.over(d))
			}},
		{name: "stddev", class: reduce, params: ddof, units: 8, needs: needSum | needSquares, least: sample, out: spread,
			finish: func(s *summary, a *args) (number, error) {
				n, d := s.spread(a)
				return finite(n.rootOver(d))
			}},
		{name: "norm", class: reduce, units: 5, needs: needSquares, out: spread,
			finish: func(s *summary, _ *args) (number, error) { return finite(s.squares.rootOver(big.NewInt(1))) }},
	}
}

// finite turns an infinity into the overflow failure.
func finite(x float64) (number, error) {
	if math.IsInf(x, 0) {
		return number{}, failure(core.ReasonOverflow, "the result is beyond the range of float64")
	}
	return realNumber(x), nil
}

func finishSum(s *summary, _ *args) (number, error) {
	if s.float {
		return finite(s.sum.over(big.NewInt(1)))
	}
	return finiteInt(s.sum)
}

func finiteInt(e exact) (number, error) {
	i, ok := e.int64()
	if !ok {
		return number{}, failure(core.ReasonOverflow, "the result is beyond the range of int64; write one input with a fraction (1.0) to compute in float64")
	}
	return integer(i), nil
}

func finishRange(s *summary, _ *args) (number, error) {
	if s.float {
		return finite(s.max.f - s.min.f)
	}
	return finiteInt(newExact(new(big.Int).Sub(big.NewInt(s.max.i), big.NewInt(s.min.i)), 0))
}

func finishProduct(s *summary, _ *args) (number, error) {
	if s.float {
		return finite(foldBlocks(s.blocks))
	}
	return finiteInt(s.product)
}

// summary is the facts about one part of an array. Only what needs names is set.
type summary struct {
	needs    need
	float    bool
	count    int
	sum      exact
	squares  exact
	min, max number
	product  exact   // of integers; the sentinel hugeProduct beyond 64 bits
	blocks   []block // of floats: one per blockSize elements
}

// hugeProduct stands for every product of integers that left int64 for good.
func hugeProduct() exact { return exact{big.NewInt(1), 64} }

func newSummary(n need, float bool) *summary {
	s := &summary{needs: n, float: float}
	if n.has(needSum) {
		s.sum = exact{new(big.Int), 0}
	}
	if n.has(needSquares) {
		s.squares = exact{new(big.Int), 0}
	}
	if n.has(needProduct) && !float {
		s.product = exact{big.NewInt(1), 0}
	}
	return s
}

// merge adds the part that follows s.
func (s *summary) merge(o *summary) {
	if s.needs.has(needSum) {
		s.sum = s.sum.plus(o.sum)
	}
	if s.needs.has(needSquares) {
		s.squares = s.squares.plus(o.squares)
	}
	if s.needs.has(needProduct) && !s.float {
		s.product = capProduct(s.product.times(o.product))
	}
	s.blocks = append(s.blocks, o.blocks...)
	if o.count > 0 {
		if s.count == 0 || less(o.min, s.min) {
			s.min = o.min
		}
		if s.count == 0 || less(s.max, o.max) {
			s.max = o.max
		}
	}
	s.count += o.count
}

func less(a, b number) bool {
	if a.float {
		return a.f < b.f
	}
	return a.i < b.i
}

func capProduct(p exact) exact {
	if p.size() > 64 {
		return hugeProduct()
	}
	return p
}

// spread returns n Σx² - (Σx)² and n (n-ddof): numerator and denominator of the
// variance.
func (s *summary) spread(a *args) (exact, *big.Int) {
	n := int64(s.count)
	den := new(big.Int).Mul(big.NewInt(n), big.NewInt(n-a.num[0].i))
	return s.squares.timesInt(s.count).minus(s.sum.times(s.sum)), den
}

// folder collects a summary from consecutive chunks, all of integers or all of
// floats, each but the last of blockSize elements.
type folder struct {
	s       summary
	sum     accumulator
	squares accumulator
	mag     uint64 // magnitude of the product of integers
	neg     bool
	huge    bool // the magnitude left 64 bits
	zero    bool
}

func newFolder(n need, float bool) *folder {
	f, size := &folder{s: summary{needs: n, float: float}, mag: 1}, either(float, limbs, intLimbs)
	if n.has(needSum) {
		f.sum = make(accumulator, size)
	}
	if n.has(needSquares) {
		f.squares = make(accumulator, size)
	}
	return f
}

// add takes the next chunk.
func (f *folder) add(v values) {
	if v.len() == 0 {
		return
	}
	if v.float {
		f.floats(v.floats)
	} else {
		f.ints(v.ints)
	}
	if f.s.needs.has(needMin | needMax) {
		f.extremes(v)
	}
	f.s.count += v.len()
}

func (f *folder) ints(xs []int64) {
	if f.sum != nil {
		for _, x := range xs {
			f.sum.addInt(x)
		}
	}
	if f.squares != nil {
		for _, x := range xs {
			f.squares.addIntSquare(x)
		}
	}
	if f.s.needs.has(needProduct) {
		for _, x := range xs {
			f.multiply(x)
		}
	}
}

func (f *folder) floats(xs []float64) {
	if f.sum != nil {
		for _, x := range xs {
			f.sum.addFloat(x)
		}
	}
	if f.squares != nil {
		for _, x := range xs {
			f.squares.addFloatSquare(x)
		}
	}
	if f.s.needs.has(needProduct) {
		f.s.blocks = append(f.s.blocks, multiplyBlock(xs))
	}
}

func (f *folder) multiply(x int64) {
	m := uint64(x)
	if x < 0 {
		m, f.neg = -m, !f.neg
	}
	hi, lo := bits.Mul64(f.mag, m)
	f.huge = f.huge || hi != 0
	f.zero = f.zero || m == 0
	f.mag = lo
	if f.huge {
		f.mag = 1
	}
}

func (f *folder) extremes(v values) {
	var lo, hi number
	if v.float {
		l, h := ends(v.floats)
		lo, hi = realNumber(l), realNumber(h)
	} else {
		l, h := ends(v.ints)
		lo, hi = integer(l), integer(h)
	}
	if f.s.count == 0 || less(lo, f.s.min) {
		f.s.min = lo
	}
	if f.s.count == 0 || less(f.s.max, hi) {
		f.s.max = hi
	}
}

// ends returns the smallest and the largest of at least one number.
func ends[T int64 | float64](xs []T) (lo, hi T) {
	lo, hi = xs[0], xs[0]
	for _, x := range xs[1:] {
		if x < lo {
			lo = x
		}
		if x > hi {
			hi = x
		}
	}
	return lo, hi
}

// summary returns the facts about everything added.
func (f *folder) summary() *summary {
	s := f.s
	if f.sum != nil {
		s.sum = f.sum.exact(base(s.float, baseFloat))
	}
	if f.squares != nil {
		s.squares = f.squares.exact(base(s.float, baseSquares))
	}
	if s.needs.has(needProduct) && !s.float {
		s.product = f.product()
	}
	return &s
}

// base returns what bit 0 of an accumulator stands for: real for float64.
func base(float bool, real int) int { return either(float, real, baseInt) }

func (f *folder) product() exact {
	switch {
	case f.zero:
		return exact{new(big.Int), 0}
	case f.huge:
		return hugeProduct()
	}
	p := new(big.Int).SetUint64(f.mag)
	if f.neg {
		p.Neg(p)
	}
	return newExact(p, 0)
}
