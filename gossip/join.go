package gossip

import (
	"context"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// maxBuffer bounds the messages that may wait for one subscriber.
const maxBuffer = 4096

// Message is one received message. Body is shared by all subscribers of this
// node: read it only.
type Message[T wire.Body] struct {
	From core.NodeID // who signed it
	At   time.Time   // when, by his clock
	ID   string      // 32 hex digits, unique per author
	Body T
}

// Topic is the messages of type T on one topic.
type Topic[T wire.Body] struct {
	r *Router
	t *topic
}

// Join returns the messages of type T on the topic of kind and region, which may
// be Global. Types that share a topic share one membership, however often it is
// joined. Joining alone receives nothing: Subscribe does.
func Join[T wire.Body](r *Router, kind Kind, region core.RegionID) (*Topic[T], error) {
	var zero T
	if any(zero) == nil {
		return nil, core.Errorf(core.Invalid, "topic", "the message type must be a concrete one")
	}
	if err := checkTopic(kind, region, zero.Type()); err != nil {
		return nil, err
	}
	t, err := r.topic(kind, TopicName(r.cfg.Network, kind, region))
	if err != nil {
		return nil, err
	}
	return &Topic[T]{r: r, t: t}, nil
}

// Publish signs m and hands it to the topic's neighbours; having none is no
// error. It is core.Unavailable while the Router does not serve, core.Exhausted
// beyond the rate that others accept from one author, core.Invalid when others
// would refuse m.
func (t *Topic[T]) Publish(ctx context.Context, m T) error { return t.r.publish(ctx, t.t, m) }

// Subscribe returns a channel of the topic's messages of type T, this node's own
// included, and a function that ends the subscription and closes the channel. At
// most buffer messages (1 to 4096) wait; when it is full, further ones are lost
// and counted. The subscription outlives a restart of the Router.
func (t *Topic[T]) Subscribe(buffer int) (<-chan Message[T], func()) {
	var zero T
	ch := make(chan Message[T], min(max(buffer, 1), maxBuffer))
	s := &sink{kind: zero.Type(), end: func() { close(ch) }}
	s.put = func(o *opened) bool {
		body, ok := o.body.(T)
		if !ok {
			return true // of this name but not of this type: there is none
		}
		select {
		case ch <- Message[T]{From: o.envelope.From, At: o.envelope.Time, ID: o.envelope.ID, Body: body}:
			return true
		default:
			return false
		}
	}
	t.t.add(s)
	t.r.wake()
	return ch, sync.OnceFunc(func() {
		t.t.remove(s)
		t.r.wake()
	})
}

// sink is one subscription. put reports whether there was room.
type sink struct {
	kind wire.Type
	put  func(*opened) bool
	end  func()
}

func (t *topic) add(s *sink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sinks[s] = true
}

// remove ends s under the lock that deliver holds: nothing is put after it.
func (t *topic) remove(s *sink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sinks, s)
	s.end()
}

func (t *topic) wanted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sinks) > 0
}

// deliver offers o to every subscription of its type and never waits.
func (t *topic) deliver(o *opened, m *metrics) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.sinks {
		if s.kind != o.envelope.Type {
			continue
		}
		if s.put(o) {
			m.delivered.WithLabelValues(string(t.kind)).Inc()
		} else {
			m.dropped.WithLabelValues("subscriber").Inc()
		}
	}
}
