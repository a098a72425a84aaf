package registry

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tenzro/tenzro/core"
)

// The scale (document 4, "Reputation").
const (
	MinScore   = 0
	MaxScore   = 100
	StartScore = 50 // a node nobody has evidence about
	// ExcludeBelow is the score under which a node gets no work.
	ExcludeBelow = 20
	// Cooldown is how long a node gets no work after an invalid proof.
	Cooldown = 5 * time.Minute
)

// What a piece of evidence moves.
const (
	InvalidProof = -10 // a proof that does not verify, or a wrong result
	LeaseLost    = -1  // took work and let the lease run out
	Verified     = +1  // a unit of work that was verified
)

// MaxGainPerHour bounds what Verified work earns a node in an hour: three
// invalid proofs cost more than half a working day, and a burst of trivial tasks
// cannot wash them away.
const MaxGainPerHour = 5

// CauseInvalidProof is the cause that also starts the cooldown.
const CauseInvalidProof = "invalid_proof"

// Bounds of the table. A forgotten node starts again at StartScore, which a
// fresh key gets anyway: forgetting gives a liar nothing he does not have.
const (
	DefaultMaxScores = 100_000
	maxEvidence      = 1 << 17 // remembered (node, evidence) pairs, the oldest forgotten first
	maxCause         = 64
)

// Change moves one node's reputation. Evidence is the digest of a receipt or of
// a failed proof that others can check.
type Change struct {
	Delta    int
	Cause    string
	Evidence core.Digest
}

// Reputation is the table of what nodes earned by their deeds.
type Reputation struct {
	mu       sync.RWMutex
	scores   *simplelru.LRU[core.NodeID, record]
	evidence *simplelru.LRU[evidenceKey, struct{}]
}

type record struct {
	score     int // always within MinScore..MaxScore
	coolUntil time.Time
	hour      time.Time // when the current hour of gains began
	gained    int       // in that hour; <= MaxGainPerHour
}

type evidenceKey struct {
	id     core.NodeID
	digest core.Digest
}

// NewReputation returns a table of at most max nodes, 0 = DefaultMaxScores.
func NewReputation(max int) *Reputation {
	max = orDefault(max, DefaultMaxScores)
	// NewLRU fails on a size below one only.
	scores, _ := simplelru.NewLRU[core.NodeID, record](max, nil)
	evidence, _ := simplelru.NewLRU[evidenceKey, struct{}](maxEvidence, nil)
	return &Reputation{scores: scores, evidence: evidence}
}

// Apply moves id's score and returns it. The same evidence counts once; a gain
// beyond MaxGainPerHour is cut. A change without evidence or cause, or of no or
// too much weight, is core.Invalid.
func (r *Reputation) Apply(id core.NodeID, c Change, now time.Time) (score int, err error) {
	if err := c.validate(id); err != nil {
		return r.Score(id), err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.record(id)
	key := evidenceKey{id, c.Evidence}
	if r.evidence.Contains(key) {
		return rec.score, nil
	}
	r.evidence.Add(key, struct{}{})
	rec = rec.moved(c, now)
	r.scores.Add(id, rec)
	return rec.score, nil
}

func (c Change) validate(id core.NodeID) error {
	switch {
	case len(id) == 0 || len(id) > 64:
		return core.Errorf(core.Invalid, "node", "node id has %d characters", len(id))
	case c.Evidence.IsZero():
		return core.Errorf(core.Invalid, "evidence", "reputation of %s cannot move without evidence", id.Short())
	case c.Cause == "" || len(c.Cause) > maxCause:
		return core.Errorf(core.Invalid, "cause", "cause must have 1 to %d bytes", maxCause)
	case c.Delta == 0 || c.Delta < -MaxScore || c.Delta > MaxScore:
		return core.Errorf(core.Invalid, "delta", "delta is %d; it must be -%d to %d and not 0", c.Delta, MaxScore, MaxScore)
	}
	return nil
}

func (rec record) moved(c Change, now time.Time) record {
	delta := c.Delta
	if delta > 0 {
		if now.Sub(rec.hour) >= time.Hour {
			rec.hour, rec.gained = now, 0
		}
		delta = min(delta, MaxGainPerHour-rec.gained)
		rec.gained += delta
	}
	if c.Cause == CauseInvalidProof && now.Add(Cooldown).After(rec.coolUntil) {
		rec.coolUntil = now.Add(Cooldown)
	}
	rec.score = min(MaxScore, max(MinScore, rec.score+delta))
	return rec
}

// Score returns id's score, StartScore when nothing is known.
func (r *Reputation) Score(id core.NodeID) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.record(id).score
}

// Cooling reports whether id is in the cooldown after an invalid proof.
func (r *Reputation) Cooling(id core.NodeID, now time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return now.Before(r.record(id).coolUntil)
}

// Trusted reports whether id may be given work: not excluded, not cooling down.
func (r *Reputation) Trusted(id core.NodeID, now time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.record(id).trusted(now)
}

func (rec record) trusted(now time.Time) bool {
	return rec.score >= ExcludeBelow && !now.Before(rec.coolUntil)
}

// record reads with Peek: a reader holds only the read lock.
func (r *Reputation) record(id core.NodeID) record {
	if rec, ok := r.scores.Peek(id); ok {
		return rec
	}
	return record{score: StartScore}
}
