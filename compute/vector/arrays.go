package vector

import (
	"math"
	"slices"

	"github.com/tenzro/tenzro/core"
)

// arrays is the global operations that give an array.
func arrays() []operation {
	order := []param{{name: "order", kind: wordParam, optional: true, words: []string{"asc", "desc"}}}
	some := func(in shape, _ *args) shape { in.lo = min(in.lo, 1); return in }
	fewer := func(in shape, a *args) shape {
		n := int(a.num[0].i)
		in.lo, in.hi = min(in.lo, n), min(in.hi, n)
		return in
	}
	return []operation{
		{name: "sort", class: global, params: order, units: 8, sorts: true, out: alike, whole: sorted, holds: isSorted},
		{name: "unique", class: global, units: 8, sorts: true, out: some, whole: unique,
			holds: func(v values, _ *args) bool { return ordered(v, func(c int) bool { return c < 0 }) }},
		{name: "reverse", class: global, units: 1, out: alike, whole: reversed},
		{name: "top", class: global, params: []param{wholeIn("n", 1, MaxElements)}, units: 8, sorts: true, out: fewer, whole: top,
			holds: func(v values, _ *args) bool { return ordered(v, func(c int) bool { return c >= 0 }) }},
		{name: "cumsum", class: global, units: 5, whole: cumsum},
		{name: "diff", class: global, units: 2, whole: diff, out: func(in shape, _ *args) shape {
			return shape{float: in.float, lo: max(0, in.lo-1), hi: max(0, in.hi-1), min: math.Inf(-1), max: math.Inf(1)}
		}},
		normalize(),
	}
}

func sorted(v values, a *args) (values, error) {
	sortValues(v)
	if a.word == 1 {
		return reversed(v, a)
	}
	return v, nil
}

func sortValues(v values) {
	slices.Sort(v.ints)
	slices.Sort(v.floats)
}

func isSorted(v values, a *args) bool {
	return ordered(v, func(c int) bool { return c == 0 || (c > 0) == (a.word == 1) })
}

// ordered reports whether ok holds for the comparison of each two neighbours.
func ordered(v values, ok func(c int) bool) bool {
	for i := 1; i < v.len(); i++ {
		c := 0
		if less(v.at(i-1), v.at(i)) {
			c = -1
		} else if less(v.at(i), v.at(i-1)) {
			c = 1
		}
		if !ok(c) {
			return false
		}
	}
	return true
}

func unique(v values, _ *args) (values, error) {
	sortValues(v)
	v.ints, v.floats = slices.Compact(v.ints), slices.Compact(v.floats)
	return v, nil
}

func reversed(v values, _ *args) (values, error) {
	slices.Reverse(v.ints)
	slices.Reverse(v.floats)
	return v, nil
}

func top(v values, a *args) (values, error) {
	sortValues(v)
	n := v.len()
	return reversed(v.slice(n-min(n, int(a.num[0].i)), n), a)
}

// cumsum carries the running sum of floats in twice their precision.
func cumsum(v values, _ *args) (values, error) {
	if v.float {
		sum := dd{}
		for i, x := range v.floats {
			if sum = sum.add(dd{x, 0}); sum.hi-sum.hi != 0 {
				return v, elementFailure(core.ReasonOverflow, "cumsum", i, "is beyond the range of float64")
			}
			v.floats[i] = sum.hi
		}
		return v, nil
	}
	sum, ok := int64(0), true
	for i, x := range v.ints {
		if sum, ok = addInt(sum, x); !ok {
			return v, elementFailure(core.ReasonOverflow, "cumsum", i, "is beyond the range of int64")
		}
		v.ints[i] = sum
	}
	return v, nil
}

func diff(v values, _ *args) (values, error) {
	n := max(0, v.len()-1)
	for i := range n {
		if v.float {
			if v.floats[i] = v.floats[i+1] - v.floats[i]; math.IsInf(v.floats[i], 0) {
				return v, elementFailure(core.ReasonOverflow, "diff", i, "is beyond the range of float64")
			}
			continue
		}
		d, ok := subInt(v.ints[i+1], v.ints[i])
		if !ok {
			return v, elementFailure(core.ReasonOverflow, "diff", i, "is beyond the range of int64")
		}
		v.ints[i] = d
	}
	return v.slice(0, n), nil
}

func normalize() operation {
	method := []param{{name: "method", kind: wordParam, optional: true, words: []string{"minmax", "zscore"}}}
	return operation{name: "normalize", class: global, params: method, units: 15,
		out: func(in shape, a *args) shape {
			in.float, in.min, in.max = true, 0, 1
			if a.word == 1 {
				in.min, in.max = math.Inf(-1), math.Inf(1)
			}
			return in
		},
		whole: func(v values, a *args) (values, error) {
			v = v.toFloat()
			if v.len() == 0 {
				return v, nil
			}
			if a.word == 1 {
				return zscore(v)
			}
			minmax(v.floats)
			return v, nil
		}}
}

// minmax maps the smallest element to 0 and the largest to 1; equal elements all
// to 0.
func minmax(xs []float64) {
	lo, hi := ends(xs)
	half := 1.0
	if math.IsInf(hi-lo, 0) {
		half = 0.5
	}
	low := float64(lo * half)
	span := float64(hi*half) - low
	for i, x := range xs {
		if span == 0 {
			xs[i] = 0
			continue
		}
		xs[i] = (float64(x*half) - low) / span
	}
}

// zscore subtracts the mean and divides by the population's standard deviation;
// equal elements all become 0.
func zscore(v values) (values, error) {
	f := newFolder(needSum|needSquares, true)
	f.add(v)
	s := f.summary()
	num, den := s.spread(new(args))
	dev := num.rootOver(den)
	mean, err := finite(s.sum.over(den.SetInt64(int64(s.count))))
	if err != nil {
		return v, err
	}
	for i, x := range v.floats {
		d := x - mean.f
		if math.IsInf(d, 0) || math.IsInf(dev, 0) {
			return v, elementFailure(core.ReasonOverflow, "normalize", i, "is beyond the range of float64")
		}
		if dev == 0 {
			d, dev = 0, 1
		}
		v.floats[i] = d / dev
	}
	return v, nil
}
