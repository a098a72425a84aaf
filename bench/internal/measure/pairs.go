package measure

import "slices"

// Pair is one measurement of a yardstick and one of the subject, side by side.
type Pair struct{ Yardstick, Subject float64 }

// Pairs measures yardstick and subject in turn, n times each, so that a change
// of the machine's load meets both.
func Pairs(n int, yardstick, subject func() (float64, error)) ([]Pair, error) {
	out := make([]Pair, 0, n)
	for range n {
		y, err := yardstick()
		if err != nil {
			return nil, err
		}
		s, err := subject()
		if err != nil {
			return nil, err
		}
		out = append(out, Pair{Yardstick: y, Subject: s})
	}
	return out, nil
}

// Ratio returns the median of subject over yardstick.
func Ratio(pairs []Pair) float64 {
	return median(pairs, func(p Pair) float64 { return p.Subject / p.Yardstick })
}

// Yardstick returns the yardstick's median.
func Yardstick(pairs []Pair) float64 {
	return median(pairs, func(p Pair) float64 { return p.Yardstick })
}

// Subject returns the subject's median.
func Subject(pairs []Pair) float64 {
	return median(pairs, func(p Pair) float64 { return p.Subject })
}

func median(pairs []Pair, of func(Pair) float64) float64 {
	if len(pairs) == 0 {
		return 0
	}
	all := make([]float64, len(pairs))
	for i, p := range pairs {
		all[i] = of(p)
	}
	slices.Sort(all)
	if mid := len(all) / 2; len(all)%2 == 0 {
		return (all[mid-1] + all[mid]) / 2
	}
	return all[len(all)/2]
}
