package vector

import "math"

// shape is what is known of a value before anything runs.
type shape struct {
	float    bool
	scalar   bool
	bins     int     // of a histogram; 0 = not one
	lo, hi   int     // bounds of the number of elements
	min, max float64 // bounds of the elements; infinite when nothing is known
}

func inputShape(v values) shape {
	return shape{float: v.float, lo: v.len(), hi: v.len(), min: math.Inf(-1), max: math.Inf(1)}
}

// after returns the shape of the operation's result.
func (o *operation) after(in shape, a *args) shape {
	if o.class == elementwise {
		in.float = in.float || !o.exact(a)
	}
	out := in
	if o.out != nil {
		out = o.out(in, a)
	} else {
		out.min, out.max = math.Inf(-1), math.Inf(1)
	}
	if o.class == reduce {
		out.scalar, out.lo, out.hi = true, 1, 1
	}
	return out
}

// exact reports whether an elementwise operation keeps integers integers.
func (o *operation) exact(a *args) bool {
	if o.ints == nil || o.staysInt != nil && !a.num[0].float && !o.staysInt(a) {
		return false
	}
	for i := range o.params {
		if a.num[i].float {
			return false
		}
	}
	return true
}

// The functions below are values of operation.out.

func atLeastZero(in shape, _ *args) shape {
	in.min, in.max = 0, math.Inf(1)
	return in
}

func within(lo, hi float64) func(shape, *args) shape {
	return func(in shape, _ *args) shape {
		in.min, in.max = lo, hi
		return in
	}
}

// alike is for results that stay between the smallest and the largest element.
func alike(in shape, _ *args) shape { return in }

// alikeReal is alike for results that leave the integers.
func alikeReal(in shape, _ *args) shape {
	in.float = true
	return in
}

// scalarReal is alikeReal for global operations that give one number.
func scalarReal(in shape, _ *args) shape {
	in.float, in.scalar, in.lo, in.hi = true, true, 1, 1
	return in
}
