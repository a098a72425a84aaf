package hyper

import "github.com/tenzro/tenzro/core"

// MaxBundle is how many vectors can be bundled at once.
const MaxBundle = 1<<16 - 1

// counter counts, for each of 64 elements, in how many vectors it is set: bit j
// of the count of element b is bit b of plane j.
type counter [16]uint64

// Bundle writes the majority of the vectors to v, which is similar to each of
// them. Binary: an element is what more than half of them say; when exactly half
// of them say 1 it is the parity of what they say at the element before it
// (before the first comes the last), so that the result depends neither on their
// order nor on a constant, and permuting commutes with bundling. Ternary: the
// sign of the sum.
//
// One to MaxBundle vectors of one shape.
func (v *Vector) Bundle(vs []*Vector) error {
	if len(vs) == 0 || len(vs) > MaxBundle {
		return core.Errorf(core.Invalid, "", "%d vectors cannot be bundled; 1 to %d can", len(vs), MaxBundle)
	}
	for _, o := range vs[1:] {
		if err := alike(vs[0], o); err != nil {
			return err
		}
	}
	v.shape(vs[0].kind, vs[0].dim)
	if v.kind == Ternary {
		v.signs(vs)
		return nil
	}
	v.majority(vs)
	return nil
}

// majority bundles binary vectors.
func (v *Vector) majority(vs []*Vector) {
	planes := planesOf(vs, func(o *Vector) []uint64 { return o.plus })
	half, even := len(vs)/2, len(vs)%2 == 0
	var parity, ties []uint64
	if even {
		parity, ties = make([]uint64, len(v.plus)), make([]uint64, len(v.plus))
	}
	for w := range v.plus {
		c := count(planes, w)
		above, equal := c.against(half)
		v.plus[w] = above
		if even {
			parity[w], ties[w] = c[0], equal
		}
	}
	if even {
		before := make([]uint64, len(parity))
		rotate(before, parity, v.dim, 1)
		for w := range v.plus {
			v.plus[w] |= ties[w] & before[w]
		}
	}
	v.plus[len(v.plus)-1] &= lastMask(v.dim)
}

// signs bundles ternary vectors.
func (v *Vector) signs(vs []*Vector) {
	plus := planesOf(vs, func(o *Vector) []uint64 { return o.plus })
	minus := planesOf(vs, func(o *Vector) []uint64 { return o.minus })
	for w := range v.plus {
		p, m := count(plus, w), count(minus, w)
		v.plus[w], v.minus[w] = p.compare(&m)
	}
}

func planesOf(vs []*Vector, plane func(*Vector) []uint64) [][]uint64 {
	planes := make([][]uint64, len(vs))
	for i, o := range vs {
		planes[i] = plane(o)
	}
	return planes
}

// count adds up word w of all planes, eight at a time through a tree of carry-save
// adders, so that most of them touch the low bits of the count only.
func count(planes [][]uint64, w int) (c counter) {
	var ones, twos, fours uint64
	for len(planes) >= 8 {
		p := planes[:8:8]
		var t0, t1, t2, t3, f0, f1, eight uint64
		ones, t0 = add(ones, p[0][w], p[1][w])
		ones, t1 = add(ones, p[2][w], p[3][w])
		ones, t2 = add(ones, p[4][w], p[5][w])
		ones, t3 = add(ones, p[6][w], p[7][w])
		twos, f0 = add(twos, t0, t1)
		twos, f1 = add(twos, t2, t3)
		fours, eight = add(fours, f0, f1)
		c.add(3, eight)
		planes = planes[8:]
	}
	c[0], c[1], c[2] = ones, twos, fours
	for _, p := range planes {
		c.add(0, p[w])
	}
	return c
}

// add is 64 full adders.
func add(a, b, c uint64) (sum, carry uint64) {
	u := a ^ b
	return u ^ c, a&b | u&c
}

// add adds x << from to the counts.
func (c *counter) add(from int, x uint64) {
	for j := from; x != 0 && j < len(c); j++ {
		c[j], x = c[j]^x, c[j]&x
	}
}

// against compares every count with n.
func (c *counter) against(n int) (above, equal uint64) {
	equal = ^uint64(0)
	for j := len(c) - 1; j >= 0; j-- {
		if n>>j&1 == 1 {
			equal &= c[j]
			continue
		}
		above |= equal & c[j]
		equal &^= c[j]
	}
	return above, equal
}

// compare compares every count with that of o.
func (c *counter) compare(o *counter) (above, below uint64) {
	equal := ^uint64(0)
	for j := len(c) - 1; j >= 0; j-- {
		above |= equal & c[j] &^ o[j]
		below |= equal & o[j] &^ c[j]
		equal &^= c[j] ^ o[j]
	}
	return above, below
}
