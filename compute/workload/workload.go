package workload

import (
	"crypto/sha256"
	"encoding/binary"
)

// Kind is one piece of work.
type Kind struct {
	Name    string
	Version int
	Unit    string  // of a score, for example "MB/s"
	Each    float64 // what a segment does, in that unit without "/s"
	Most    float64 // no machine of our time scores more on one core
	Units   float64 // estimated nanoseconds of one segment
	Limit   int     // segments of one task at most
	// Durable: a segment's bytes are made by Content and have to be written to a disk
	// and read again; Work only says what their digest is.
	Durable bool
	// Guest: a segment's digest is what the function "run" of Program returns for the
	// seed, in a sandbox; Work only says what that is.
	Guest bool
	// Work does a segment and returns its digest. It may be called from several
	// goroutines with a Scratch each.
	Work func(s *Scratch, seed uint64) (uint64, error)
}

// Scratch is memory that segments use one after the other. The zero value is ready.
type Scratch struct {
	bytes  []byte
	words  []uint64
	floats []float64
}

// Kinds returns all pieces of work.
func Kinds() []Kind {
	return []Kind{
		{Name: "hash", Version: 1, Unit: "MB/s", Each: hashRounds * hashBlock / 1_000_000.0, Most: 10_000, Units: 700_000, Limit: maxSegments, Work: hash},
		{Name: "float", Version: 1, Unit: "Mstep/s", Each: floatRuns * floatSteps / 1_000_000.0, Most: 5_000, Units: 300_000, Limit: maxSegments, Work: float},
		{Name: "matrix", Version: 1, Unit: "Mmadd/s", Each: matrixSize * matrixSize * matrixSize / 1_000_000.0, Most: 50_000, Units: 1_500_000, Limit: maxSegments, Work: matrix},
		{Name: "memory", Version: 1, Unit: "Maccess/s", Each: (memoryWords + memoryReads) / 1_000_000.0, Most: 10_000, Units: 2_000_000, Limit: maxSegments, Work: memory},
		{Name: "disk", Version: 1, Unit: "MB/s", Each: contentBytes / 1_000_000.0, Most: 20_000, Units: 5_000_000, Limit: 1024, Durable: true, Work: content},
		{Name: "wasm", Version: 1, Unit: "Mfuel/s", Each: programFuel / 1_000_000.0, Most: 100_000, Units: 10_000_000, Limit: maxSegments, Guest: true, Work: guest},
		{Name: "vsa", Version: 1, Unit: "kop/s", Each: vsaRounds * 4 / 1000.0, Most: 100_000, Units: 700_000, Limit: maxSegments, Work: vsa},
	}
}

// maxSegments is some seconds of work.
const maxSegments = 4096

// Digest folds bytes into 64 bits: the first eight of their SHA-256, big-endian.
func Digest(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

func (s *Scratch) bytesOf(n int) []byte {
	if cap(s.bytes) < n {
		s.bytes = make([]byte, n)
	}
	return s.bytes[:n]
}

func (s *Scratch) wordsOf(n int) []uint64 {
	if cap(s.words) < n {
		s.words = make([]uint64, n)
	}
	return s.words[:n]
}

func (s *Scratch) floatsOf(n int) []float64 {
	if cap(s.floats) < n {
		s.floats = make([]float64, n)
	}
	return s.floats[:n]
}
