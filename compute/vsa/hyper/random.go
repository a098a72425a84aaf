package hyper

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// gamma is the step of SplitMix64.
const gamma = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Stream is the generator SplitMix64, whose state is the seed at first. It is
// fast, documented and the same everywhere; it is no source of secrets.
type Stream uint64

// Next returns the next 64 bits.
func (s *Stream) Next() uint64 {
	*s += gamma
	return mix(uint64(*s))
}

// Below returns a number below n, by the high half of a product: n > 0.
func (s *Stream) Below(n int) int {
	hi, _ := bits.Mul64(s.Next(), uint64(n))
	return int(hi)
}

// ItemSeed is the seed of item index of the codebook that grows from seed.
func ItemSeed(seed uint64, index int) uint64 { return mix(mix(seed) + (uint64(index)+1)*gamma) }

// SymbolSeed is the seed of the vector that stands for a text.
func SymbolSeed(text string) uint64 {
	sum := sha256.Sum256([]byte("tenzro vsa symbol\n" + text))
	return binary.BigEndian.Uint64(sum[:8])
}

// Random makes v the vector of a seed. Word i of a binary vector is output i of
// the generator; of a ternary one outputs 2i and 2i+1 say which elements are not 0
// and which of them are 1, so that half of the elements are 0.
func (v *Vector) Random(kind Kind, dimension int, seed uint64) error {
	if err := CheckDimension(dimension); err != nil {
		return err
	}
	v.shape(kind, dimension)
	s := Stream(seed)
	if kind == Binary {
		for i := range v.plus {
			v.plus[i] = s.Next()
		}
	} else {
		for i := range v.plus {
			some, sign := s.Next(), s.Next()
			v.plus[i], v.minus[i] = some&sign, some&^sign
		}
		v.minus[len(v.minus)-1] &= lastMask(dimension)
	}
	v.plus[len(v.plus)-1] &= lastMask(dimension)
	return nil
}

// Cross writes to v the elements of a and b, each taken from one of them: from a
// where the generator's bit is 1. Word i of all planes takes output i.
func (v *Vector) Cross(a, b *Vector, s *Stream) error {
	if err := alike(a, b); err != nil {
		return err
	}
	v.shape(a.kind, a.dim)
	for i := range v.plus {
		mask := s.Next()
		v.plus[i] = a.plus[i]&mask | b.plus[i]&^mask
		if v.kind == Ternary {
			v.minus[i] = a.minus[i]&mask | b.minus[i]&^mask
		}
	}
	return nil
}
