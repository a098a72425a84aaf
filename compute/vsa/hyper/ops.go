package hyper

import "math/bits"

// Bind writes the association of a and b to v: exclusive or, or for ternary
// vectors the product of the elements. It is commutative and associative, and
// similar to neither.
func (v *Vector) Bind(a, b *Vector) error {
	if err := alike(a, b); err != nil {
		return err
	}
	v.shape(a.kind, a.dim)
	if a.kind == Binary {
		xor(v.plus, a.plus, b.plus)
		return nil
	}
	ap, am, bp, bm := a.plus, a.minus[:len(a.plus)], b.plus[:len(a.plus)], b.minus[:len(a.plus)]
	plus, minus := v.plus[:len(a.plus)], v.minus[:len(a.plus)]
	for i := range ap {
		p, m, q, n := ap[i], am[i], bp[i], bm[i]
		plus[i], minus[i] = p&q|m&n, p&n|m&q
	}
	return nil
}

// xor is the whole of binary binding; four words at a time it is bound by memory.
func xor(dst, a, b []uint64) {
	b, dst = b[:len(a)], dst[:len(a)]
	for len(a) >= 4 {
		d, x, y := dst[:4:4], a[:4:4], b[:4:4]
		d[0], d[1], d[2], d[3] = x[0]^y[0], x[1]^y[1], x[2]^y[2], x[3]^y[3]
		dst, a, b = dst[4:], a[4:], b[4:]
	}
	for i := range a {
		dst[i] = a[i] ^ b[i]
	}
}

// Unbind writes to v what, bound with key, gives bound. A binary binding is
// undone completely, a ternary one where the key is not 0: elsewhere v is 0.
func (v *Vector) Unbind(bound, key *Vector) error { return v.Bind(bound, key) }

// Negate writes the opposite of a to v: every bit flipped, every sign turned.
func (v *Vector) Negate(a *Vector) {
	if a.kind == Ternary {
		if v == a {
			v.plus, v.minus = v.minus, v.plus
			return
		}
		v.shape(a.kind, a.dim)
		copy(v.plus, a.minus)
		copy(v.minus, a.plus)
		return
	}
	v.shape(a.kind, a.dim)
	for i, w := range a.plus {
		v.plus[i] = ^w
	}
	v.plus[len(v.plus)-1] &= lastMask(a.dim)
}

// Permute writes a to v with every element moved by places up, around the end:
// element i becomes element (i+by) mod dimension. by may be negative.
func (v *Vector) Permute(a *Vector, by int) {
	by %= a.dim
	if by < 0 {
		by += a.dim
	}
	if v == a {
		c := new(Vector)
		c.Copy(a)
		a = c
	}
	v.shape(a.kind, a.dim)
	rotate(v.plus, a.plus, a.dim, by)
	rotate(v.minus, a.minus, a.dim, by)
}

// rotate is (x << by | x >> (dim-by)) on a number of dim bits.
func rotate(dst, x []uint64, dim, by int) {
	if len(x) == 0 {
		return
	}
	words, up := by/wordBits, uint(by%wordBits)
	back := dim - by
	skip, down := back/wordBits, uint(back%wordBits)
	for i := range dst {
		w := shifted(x, i-words, up)
		if j := i + skip; j < len(x) {
			w |= x[j] >> down
			if down > 0 && j+1 < len(x) {
				w |= x[j+1] << (wordBits - down)
			}
		}
		dst[i] = w
	}
	dst[len(dst)-1] &= lastMask(dim)
}

// shifted is word i of x << up.
func shifted(x []uint64, i int, up uint) (w uint64) {
	if i >= 0 {
		w = x[i] << up
	}
	if up > 0 && i >= 1 {
		w |= x[i-1] >> (wordBits - up)
	}
	return w
}

// Dot returns the sum of the products of the elements, a binary 0 counting as
// -1: the dimension for equal vectors without zeros, about 0 for unrelated ones.
func Dot(a, b *Vector) (int, error) {
	if err := alike(a, b); err != nil {
		return 0, err
	}
	if a.kind == Binary {
		return a.dim - 2*distance(a.plus, b.plus), nil
	}
	dot := 0
	for i := range a.plus {
		p, m, q, n := a.plus[i], a.minus[i], b.plus[i], b.minus[i]
		dot += bits.OnesCount64(p&q|m&n) - bits.OnesCount64(p&n|m&q)
	}
	return dot, nil
}

func distance(a, b []uint64) (n int) {
	b = b[:len(a)]
	for i, w := range a {
		n += bits.OnesCount64(w ^ b[i])
	}
	return n
}
