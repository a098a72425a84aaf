package hyper

import (
	"encoding/binary"
	"math/bits"

	"github.com/tenzro/tenzro/core"
)

// MaxDimension is the most elements a vector has.
const MaxDimension = 1 << 16

const wordBits = 64

// Kind says what the elements of a vector are.
type Kind uint8

// The kinds.
const (
	Binary  Kind = iota // 0 and 1
	Ternary             // -1, 0 and +1
)

// String returns the kind's name, "binary" or "ternary".
func (k Kind) String() string {
	if k == Ternary {
		return "ternary"
	}
	return "binary"
}

// ParseKind is the inverse of String.
func ParseKind(name string) (Kind, error) {
	switch name {
	case "binary":
		return Binary, nil
	case "ternary":
		return Ternary, nil
	}
	return 0, core.Errorf(core.Invalid, "kind", "kind %.32q is unknown", name).WithHint("use binary or ternary")
}

// planes returns how many bits an element takes.
func (k Kind) planes() int { return 1 + int(k) }

// Bytes returns how long a vector of this kind and dimension is as Vector.Bytes
// writes it.
func (k Kind) Bytes(dimension int) int { return k.planes() * ((dimension + 7) / 8) }

// Words returns how many words the elements of a vector take, all planes
// together: what an operation on it costs is proportional to them.
func (k Kind) Words(dimension int) int { return k.planes() * wordsOf(dimension) }

// Vector is a hypervector. The zero value has no elements; what writes to it
// gives it its shape. Bits beyond the dimension are 0 in every plane, and no
// element is in both planes.
type Vector struct {
	kind  Kind
	dim   int
	plus  []uint64 // elements that are 1
	minus []uint64 // elements that are -1; empty when binary
}

// Kind returns what the elements are.
func (v *Vector) Kind() Kind { return v.kind }

// Dimension returns how many elements there are.
func (v *Vector) Dimension() int { return v.dim }

// At returns element i, 0 <= i < Dimension.
func (v *Vector) At(i int) int {
	w, b := i/wordBits, uint(i%wordBits)
	one := int(v.plus[w] >> b & 1)
	if v.kind == Binary {
		return one
	}
	return one - int(v.minus[w]>>b&1)
}

// Set makes element i value: 0 or 1, for a ternary vector also -1.
func (v *Vector) Set(i, value int) {
	w, bit := i/wordBits, uint64(1)<<uint(i%wordBits)
	v.plus[w] &^= bit
	if v.kind == Ternary {
		v.minus[w] &^= bit
	}
	switch {
	case value > 0:
		v.plus[w] |= bit
	case value < 0 && v.kind == Ternary:
		v.minus[w] |= bit
	}
}

// Equal reports whether both are the same vector.
func (v *Vector) Equal(o *Vector) bool {
	if !v.like(o) {
		return false
	}
	for i := range v.plus {
		if v.plus[i] != o.plus[i] {
			return false
		}
	}
	for i := range v.minus {
		if v.minus[i] != o.minus[i] {
			return false
		}
	}
	return true
}

// Copy makes v the same vector as o, with memory of its own.
func (v *Vector) Copy(o *Vector) {
	v.shape(o.kind, o.dim)
	copy(v.plus, o.plus)
	copy(v.minus, o.minus)
}

// CheckDimension reports a dimension that no vector has.
func CheckDimension(dimension int) error {
	if dimension < 1 || dimension > MaxDimension {
		return core.Errorf(core.Invalid, "dimension", "dimension is %d; it must be 1 to %d", dimension, MaxDimension)
	}
	return nil
}

// Bytes returns the vector as it travels: each plane in (dimension+7)/8 bytes,
// element i being bit i%8 of byte i/8, first the elements that are 1, then, if it
// is ternary, those that are -1.
func (v *Vector) Bytes() []byte {
	n := (v.dim + 7) / 8
	out := make([]byte, 0, v.kind.Bytes(v.dim)+7)
	for _, plane := range [][]uint64{v.plus, v.minus}[:v.kind.planes()] {
		end := len(out) + n
		for _, w := range plane {
			out = binary.LittleEndian.AppendUint64(out, w)
		}
		out = out[:end]
	}
	return out
}

// Parse reads what Bytes wrote. Another length, a bit beyond the dimension and an
// element that is 1 and -1 at once are core.Invalid.
func (v *Vector) Parse(kind Kind, dimension int, b []byte) error {
	if err := CheckDimension(dimension); err != nil {
		return err
	}
	if want := kind.Bytes(dimension); len(b) != want {
		return core.Errorf(core.Invalid, "", "it has %d bytes; a %s vector of dimension %d has %d", len(b), kind, dimension, want)
	}
	v.shape(kind, dimension)
	n := len(b) / kind.planes()
	fill(v.plus, b[:n])
	fill(v.minus, b[n:])
	return v.check()
}

// fill reads a plane.
func fill(plane []uint64, b []byte) {
	for i := range plane {
		if len(b) >= 8 {
			plane[i], b = binary.LittleEndian.Uint64(b), b[8:]
			continue
		}
		var last [8]byte
		copy(last[:], b)
		plane[i] = binary.LittleEndian.Uint64(last[:])
	}
}

func (v *Vector) check() error {
	last := len(v.plus) - 1
	extra := v.plus[last]
	if v.kind == Ternary {
		extra |= v.minus[last]
	}
	if extra&^lastMask(v.dim) != 0 {
		return core.Errorf(core.Invalid, "", "it has bits beyond dimension %d", v.dim)
	}
	for i := range v.minus {
		if both := v.plus[i] & v.minus[i]; both != 0 {
			return core.Errorf(core.Invalid, "", "its element %d is 1 and -1 at once", i*wordBits+bits.TrailingZeros64(both))
		}
	}
	return nil
}

// shape gives v room for its elements, whose values are left as they are.
func (v *Vector) shape(kind Kind, dim int) {
	n := wordsOf(dim)
	v.kind, v.dim = kind, dim
	v.plus = sized(v.plus, n)
	v.minus = sized(v.minus, n*int(kind))
}

func sized(plane []uint64, n int) []uint64 {
	if cap(plane) < n {
		return make([]uint64, n)
	}
	return plane[:n]
}

func (v *Vector) like(o *Vector) bool { return v.kind == o.kind && v.dim == o.dim && v.dim > 0 }

// alike reports, as core.Invalid, operands of different shapes.
func alike(a, b *Vector) error {
	if a.like(b) {
		return nil
	}
	return core.Errorf(core.Invalid, "", "a %s vector of dimension %d and a %s one of %d do not go together", a.kind, a.dim, b.kind, b.dim)
}

func wordsOf(dim int) int { return (dim + wordBits - 1) / wordBits }

// lastMask has the bits of the last word that are elements.
func lastMask(dim int) uint64 {
	return ^uint64(0) >> uint((wordBits-dim%wordBits)%wordBits)
}
