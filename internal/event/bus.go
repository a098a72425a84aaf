package event

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultHistory is how many events a Bus keeps for those that come later:
	// too few and a client that reconnects has a gap, too many and memory is held
	// for nobody (an event with its data is about 0.5 KiB).
	DefaultHistory = 1024
	// MaxBuffer bounds how many live events may wait for one subscriber.
	MaxBuffer = 4096
	// Live as the position of a subscription means: nothing that already happened.
	Live = uint64(math.MaxUint64)
)

// Bus hands events from publishers to subscriptions. All methods may be called
// from any goroutine.
type Bus struct {
	drops atomic.Uint64

	mu   sync.Mutex
	ring []Event // the event with id n is at (n-1) % len(ring)
	last uint64  // id of the newest event, 0 before the first
	subs []*Subscription
}

// New returns a Bus that keeps the last history events; 0 means DefaultHistory.
func New(history int) *Bus {
	if history <= 0 {
		history = DefaultHistory
	}
	return &Bus{ring: make([]Event, history)}
}

// Publish records e under the next id and offers it to every subscription. It
// never waits: a subscription with a full buffer loses the event.
func (b *Bus) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	b.last++
	e.ID = b.last
	b.ring[(e.ID-1)%uint64(len(b.ring))] = e
	for _, s := range b.subs {
		select {
		case s.ch <- e:
		default:
			s.dropped.Add(1)
			b.drops.Add(1)
		}
	}
}

// Drops returns how many events all subscriptions together have lost.
func (b *Bus) Drops() uint64 { return b.drops.Load() }

// Subscribe returns a subscription that first delivers every kept event with an
// id above after and then the live ones; buffer (1 to MaxBuffer) is how many
// live events may wait. 0 asks for everything kept, Live for nothing old. An id
// this Bus has not reached comes from before a restart: everything kept is new
// to that watcher and is delivered.
func (b *Bus) Subscribe(after uint64, buffer int) *Subscription {
	buffer = min(max(buffer, 1), MaxBuffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.firstAfter(after)
	replay := int(b.last + 1 - first)
	// The replay fits beside the buffer, so that it can be handed over here, under
	// the lock that orders publications: neither a gap nor a repeat is possible.
	s := &Subscription{bus: b, ch: make(chan Event, replay+buffer)}
	for id := first; id <= b.last; id++ {
		s.ch <- b.ring[(id-1)%uint64(len(b.ring))]
	}
	b.subs = append(b.subs, s)
	return s
}

// firstAfter returns the id of the first kept event to replay, last+1 for none.
func (b *Bus) firstAfter(after uint64) uint64 {
	if after == Live {
		return b.last + 1
	}
	oldest := uint64(1)
	if n := uint64(len(b.ring)); b.last > n {
		oldest = b.last - n + 1
	}
	if after > b.last {
		return oldest
	}
	return max(oldest, after+1)
}

// Subscription is one watcher's view of a Bus.
type Subscription struct {
	bus     *Bus
	ch      chan Event
	dropped atomic.Uint64
}

// C returns the channel the events arrive on; Close closes it.
func (s *Subscription) C() <-chan Event { return s.ch }

// Dropped returns how many live events this subscription lost because its buffer
// was full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. Events that already wait can still be read. It
// may be called more than once.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	i := slices.Index(s.bus.subs, s)
	if i < 0 {
		return
	}
	s.bus.subs = slices.Delete(s.bus.subs, i, i+1)
	close(s.ch)
}
