package benchmark

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenzro/tenzro/compute/workload"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Result is what a machine says of itself.
type Result struct {
	Workload  string  `json:"workload"`
	Version   int     `json:"version"`
	Segments  int     `json:"segments"`
	Score     float64 `json:"score"` // in Unit
	Unit      string  `json:"unit"`
	ElapsedUS int64   `json:"elapsedUs"`
	// Checksum is the SHA-256 of Digests.
	Checksum core.Digest `json:"checksum"`
	// Digests has 8 bytes, big-endian, for each segment.
	Digests []byte `json:"digests"`
}

// maxElapsed is longer than any task may run.
const maxElapsed = int64(core.MaxTimeout / time.Microsecond)

func corrupt(format string, a ...any) error {
	return core.Errorf(core.Corrupt, "result", "result %s", fmt.Sprintf(format, a...))
}

// result puts together what was measured.
func (t *task) result(digests []byte, elapsed time.Duration) Result {
	us := max(1, elapsed.Microseconds())
	return Result{Workload: t.kind.Name, Version: t.kind.Version, Segments: t.segments, Score: t.score(us), Unit: t.kind.Unit,
		ElapsedUS: us, Checksum: core.Sum(digests), Digests: digests}
}

// read reads a result and holds it against the task: everything but the digests'
// own truth.
func (t *task) read(text json.RawMessage) (Result, error) {
	var r Result
	if err := wire.DecodeStrictClosed(text, &r); err != nil {
		return r, corrupt("is not that of a benchmark")
	}
	switch {
	case r.ElapsedUS < 1 || r.ElapsedUS > maxElapsed:
		return r, corrupt("took %d us", r.ElapsedUS)
	case len(r.Digests) != 8*t.segments:
		return r, corrupt("has %d bytes of digests, not 8 for each of %d segments", len(r.Digests), t.segments)
	}
	want, err := json.Marshal(t.result(r.Digests, time.Duration(r.ElapsedUS)*time.Microsecond))
	if err != nil || !bytes.Equal(want, text) {
		return r, corrupt("does not follow from its digests and its elapsed time")
	}
	if r.Score > t.kind.Most {
		return r, corrupt("claims %.1f %s; no machine does more than %.0f", r.Score, r.Unit, t.kind.Most)
	}
	return r, nil
}

// look computes one segment again. Which one nobody knows who does not know the
// secret.
func (t *task) look(r Result, secret []byte) error {
	h := sha256.New()
	h.Write(secret)
	h.Write(r.Checksum[:])
	at := int(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(t.segments))
	var scratch workload.Scratch
	want, err := t.kind.Work(&scratch, t.segmentSeed(at))
	if err != nil {
		return err
	}
	if got := binary.BigEndian.Uint64(r.Digests[8*at:]); got != want {
		return corrupt("has digest %016x for segment %d; the work leaves %016x", got, at, want)
	}
	return nil
}
