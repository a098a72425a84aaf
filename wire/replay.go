package wire

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tenzro/tenzro/core"
)

// ReplayWindow is how long an envelope can stay acceptable to Open: sealed
// MaxAhead in our future, it is stale MaxAge after that.
const ReplayWindow = MaxAge + MaxAhead

// Replay remembers which envelopes were seen. It is safe for concurrent use and
// starts no goroutine.
type Replay struct {
	window time.Duration

	mu   sync.Mutex
	seen *lru.LRU[sender, time.Time] // when each was first seen
}

type sender struct {
	from core.NodeID
	id   string
}

// NewReplay returns a guard that remembers the last size envelopes for window
// each; below ReplayWindow it lets a replay through. When more than size arrive
// in that time the longest unseen is forgotten first, so size is messages per
// second, as far as callers let them through, times window. Both must be
// positive; a size below 1 counts as 1.
func NewReplay(size int, window time.Duration) *Replay {
	seen, _ := lru.NewLRU[sender, time.Time](max(size, 1), nil) // fails for sizes below 1 only
	return &Replay{window: window, seen: seen}
}

// Seen reports whether the envelope was here before, and remembers it. Call it
// after Open: what is forged must not fill the memory.
func (r *Replay) Seen(from core.NodeID, id string) bool {
	key, now := sender{from, id}, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.seen.Get(key); ok && now.Sub(first) < r.window {
		return true
	}
	r.seen.Add(key, now)
	return false
}
