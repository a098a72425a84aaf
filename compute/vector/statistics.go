package vector

import (
	"math"
	"math/big"
	"sort"
)

// MaxBins bounds a histogram.
const MaxBins = 10_000

// statistics is the global operations that do not give an array.
func statistics() []operation {
	one := func(*args) int { return 1 }
	return []operation{
		{name: "median", class: global, units: 8, sorts: true, least: one, out: scalarReal,
			whole: func(v values, _ *args) (values, error) {
				sortValues(v)
				return scalar(realNumber(median(v))), nil
			}},
		{name: "percentile", class: global, params: []param{{name: "p", kind: realParam, min: 0, max: 100}}, units: 8, sorts: true, least: one, out: scalarReal,
			whole: func(v values, a *args) (values, error) {
				sortValues(v)
				return scalar(realNumber(percentile(v, a.f(0)))), nil
			}},
		{name: "histogram", class: global, params: []param{wholeIn("bins", 1, MaxBins)}, units: 60, least: one,
			out: func(in shape, a *args) shape {
				return shape{float: true, bins: int(a.num[0].i), lo: in.lo, hi: in.hi, min: math.Inf(-1), max: math.Inf(1)}
			},
			whole: func(v values, a *args) (values, error) { return histogram(v.toFloat().floats, int(a.num[0].i)), nil }},
	}
}

// median returns the middle of a sorted array, or the mean of the two numbers
// next to the middle, rounded once.
func median(v values) float64 {
	n := v.len()
	f := newFolder(needSum, v.float)
	f.add(v.slice((n-1)/2, n/2+1))
	s := f.summary()
	return s.sum.over(big.NewInt(int64(s.count)))
}

// percentile interpolates linearly between the two ranks next to p.
func percentile(v values, p float64) float64 {
	rank := float64(p*float64(v.len()-1)) / 100
	k := min(int(rank), v.len()-1)
	a := v.at(k).real()
	b := v.at(min(k+1, v.len()-1)).real()
	t := rank - float64(k)
	return min(b, max(a, float64(a*(1-t))+float64(b*t)))
}

// histogram counts into bins of equal width from the smallest to the largest
// element; a bin holds its lower edge, the last one also its upper edge. When
// all elements are equal, the edges reach half to both sides.
func histogram(xs []float64, bins int) values {
	lo, hi := ends(xs)
	if lo == hi {
		lo, hi = widen(lo)
	}
	edges := make([]float64, bins+1)
	for i := range edges {
		t := float64(i) / float64(bins)
		edges[i] = float64(lo*(1-t)) + float64(hi*t)
	}
	edges[0], edges[bins] = lo, hi
	counts := make([]int64, bins)
	for _, x := range xs {
		i := sort.Search(bins, func(i int) bool { return edges[i+1] > x })
		counts[min(i, bins-1)]++
	}
	return values{floats: edges, float: true, counts: counts}
}

// widen returns the edges around a lone value: half to both sides, or the
// neighbouring floats where a half is too little to notice.
func widen(x float64) (lo, hi float64) {
	lo, hi = min(x-0.5, math.Nextafter(x, -math.MaxFloat64)), max(x+0.5, math.Nextafter(x, math.MaxFloat64))
	return max(lo, -math.MaxFloat64), min(hi, math.MaxFloat64)
}
