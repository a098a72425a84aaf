package workload

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
)

// Sizes of a segment. They are part of the version.
const (
	hashBlock  = 250_000
	hashRounds = 4
	floatRuns  = 100
	floatSteps = 1000 // of a run
	matrixSize = 100
	// memoryWords are 4 MiB: more than a second-level cache holds.
	memoryWords = 1 << 19
	memoryReads = 1 << 16
	// contentBytes is what one segment of disk writes.
	contentBytes = 1_000_000

	vsaDimension = 10_048
	vsaVectors   = 15
	vsaRounds    = 50
)

// hash hashes a block of 250,000 bytes four times with SHA-256, each time with the
// last sum at its beginning.
func hash(s *Scratch, seed uint64) (uint64, error) {
	block := s.bytesOf(hashBlock)
	clear(block)
	binary.BigEndian.PutUint64(block, seed)
	var sum [32]byte
	for range hashRounds {
		sum = sha256.Sum256(block)
		copy(block, sum[:]) // the next block depends on this one
	}
	return binary.BigEndian.Uint64(sum[:8]), nil
}

// float runs the logistic map, which never settles and never leaves 0..1, for
// 100 times 1,000 steps. Every operation of it is one that IEEE 754 rounds to the
// bit, and none can be fused with the next.
func float(_ *Scratch, seed uint64) (uint64, error) {
	random := hyper.Stream(seed)
	x, sum := (float64(random.Next()>>12)+0.5)/(1<<52), uint64(0)
	for range floatRuns {
		for range floatSteps {
			x = float64(3.7*x) * (1 - x)
		}
		sum = 31*sum + math.Float64bits(x)
	}
	return sum, nil
}

// matrix multiplies two 100 x 100 matrices of integers from -8 to 7 in float64: no
// sum is ever rounded, so neither their order nor fused operations show.
func matrix(s *Scratch, seed uint64) (uint64, error) {
	const n = matrixSize
	all := s.floatsOf(3 * n * n)
	a, b, c := all[:n*n], all[n*n:2*n*n], all[2*n*n:]
	random := hyper.Stream(seed)
	for i := range a {
		x := random.Next()
		a[i], b[i] = float64(x&15)-8, float64(x>>4&15)-8
	}
	clear(c)
	for i := range n {
		row := c[i*n : (i+1)*n]
		for k := range n {
			x, other := a[i*n+k], b[k*n:(k+1)*n]
			for j := range row {
				row[j] += x * other[j]
			}
		}
	}
	out := s.bytesOf(4 * n * n)
	for i, x := range c {
		binary.LittleEndian.PutUint32(out[4*i:], uint32(int32(x)))
	}
	return Digest(out), nil
}

// memory fills 4 MiB and then reads at 65,536 places, each of which the value at
// the place before says.
func memory(s *Scratch, seed uint64) (uint64, error) {
	words := s.wordsOf(memoryWords)
	random := hyper.Stream(seed)
	for i := range words {
		words[i] = random.Next()
	}
	at, sum := uint64(0), uint64(0)
	for range memoryReads {
		x := words[at%memoryWords]
		sum += x
		at += x>>20 | 1
	}
	return sum, nil
}

// Content makes the bytes of one segment of disk; they are valid until the scratch
// is used again.
func Content(s *Scratch, seed uint64) []byte {
	out := s.bytesOf(contentBytes)
	random := hyper.Stream(seed)
	for i := 0; i+8 <= len(out); i += 8 {
		binary.LittleEndian.PutUint64(out[i:], random.Next())
	}
	return out
}

// content is what Content's bytes have to be after they were on a disk.
func content(s *Scratch, seed uint64) (uint64, error) { return Digest(Content(s, seed)), nil }

// vsa bundles, binds, permutes and compares binary hypervectors, 50 times.
func vsa(_ *Scratch, seed uint64) (uint64, error) {
	vs := make([]*hyper.Vector, vsaVectors)
	for i := range vs {
		vs[i] = new(hyper.Vector)
		if err := vs[i].Random(hyper.Binary, vsaDimension, hyper.ItemSeed(seed, i)); err != nil {
			return 0, err
		}
	}
	var bundle hyper.Vector
	sum := 0
	for round := range vsaRounds {
		one := vs[round%vsaVectors]
		if err := bundle.Bundle(vs); err != nil {
			return 0, err
		}
		if err := bundle.Bind(&bundle, one); err != nil {
			return 0, err
		}
		dot, err := hyper.Dot(&bundle, vs[(round+1)%vsaVectors])
		if err != nil {
			return 0, err
		}
		sum += dot * (round + 1)
		one.Permute(&bundle, 1+round)
	}
	return Digest(append(bundle.Bytes(), byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))), nil
}
