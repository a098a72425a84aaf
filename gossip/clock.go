package gossip

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// clockMemory is how long a message tells of its author's clock: a few of the
// heartbeats that come every 30 s.
const clockMemory = 2 * time.Minute

// ClockSkew returns how far this node's clock is ahead of those of the named
// nodes, negative when it is behind, and how many of them were heard within two
// minutes; with 0 it is not known.
//
// A message has no negative age, so of each node the one counts that seems
// youngest: delay, and old messages that somebody repeats, change nothing. Of the
// nodes the median counts, between two the one nearer to zero: fewer than half of
// them cannot make a right clock look wrong. What is left is the delay of the
// quickest message, which makes this clock look ahead by as much. Against a
// single node it cannot be told whose clock is wrong.
func (r *Router) ClockSkew(among []core.NodeID) (skew time.Duration, heard int) {
	ids := make([]peer.ID, 0, len(among))
	for _, id := range among {
		if p, err := peer.Decode(string(id)); err == nil && p != r.self {
			ids = append(ids, p)
		}
	}
	skews := r.authors.skews(ids, time.Now())
	return median(skews), len(skews)
}

// hearStale learns from a message that was refused for its time: a clock that is
// off by more than we accept is known by nothing else. The author is proved, and
// what he repeats of others tells nothing of his clock.
func (r *Router) hearStale(author peer.ID, raw []byte, now time.Time) {
	if from, at, err := wire.Origin(raw); err == nil && string(from) == author.String() {
		r.authors.hear(author, at, now)
	}
}

// hear keeps the message of id that seems youngest.
func (a *authors) hear(id peer.ID, sealed, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.known.Peek(id)
	if !ok {
		return
	}
	if before, known := one.skew(now); !known || now.Sub(sealed) < before {
		one.sealed, one.heard = sealed, now
	}
}

// skews returns what is known of ids, in no order.
func (a *authors) skews(ids []peer.ID, now time.Time) []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []time.Duration
	for _, id := range ids {
		if one, ok := a.known.Peek(id); ok {
			if skew, known := one.skew(now); known {
				out = append(out, skew)
			}
		}
	}
	return out
}

// skew is how far our clock, as it is set now, is ahead of his. The time since
// the message came is measured by the monotonic clock: setting ours shows at once.
func (one *author) skew(now time.Time) (time.Duration, bool) {
	since := now.Sub(one.heard)
	if one.heard.IsZero() || since >= clockMemory {
		return 0, false
	}
	return now.Add(-since).Sub(one.sealed), true
}

// median of an even number is the one of the middle two that is nearer to zero.
func median(skews []time.Duration) time.Duration {
	if len(skews) == 0 {
		return 0
	}
	slices.Sort(skews)
	low, high := skews[(len(skews)-1)/2], skews[len(skews)/2]
	if high.Abs() < low.Abs() {
		return high
	}
	return low
}
