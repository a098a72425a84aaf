package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxBacklog is how many messages may wait for a peer to drain; a peer that
	// falls further behind loses the link.
	maxBacklog = 1 << 14
	// linger is how long a lazy message may wait for company.
	linger = 5 * time.Millisecond
)

// Link is one end of a duplex channel of messages to one authenticated node.
type Link interface {
	Peer() core.NodeID
	// Send queues messages in order and never blocks. An error means that the
	// link is gone.
	Send(bodies ...wire.Body) error
	// SendLazy is Send for messages that nobody waits for: they ride with the next
	// Send or go after a few milliseconds.
	SendLazy(bodies ...wire.Body) error
	// Recv returns the next messages, at least one.
	Recv(ctx context.Context) ([]wire.Body, error)
	Close() error
}

func gone(peer core.NodeID) error {
	return core.Errorf(core.Unavailable, "link", "the link to node %s is closed", peer.Short())
}

// backlog is a bounded queue of messages with one consumer. Lazy ones do not
// wake it until something else does or linger has passed.
type backlog struct {
	wake   chan struct{} // capacity 1: "look again"
	closed chan struct{}

	mu    sync.Mutex
	queue []wire.Body
	spare []wire.Body // the consumer's last slice, reused
	timer *time.Timer // running while only lazy messages wait
	ended bool
	spilt bool // ended because the peer was too far behind
}

func newBacklog() *backlog {
	return &backlog{wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// put queues bodies; false means closed or too far behind, which closes it.
func (q *backlog) put(lazy bool, bodies []wire.Body) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	if len(q.queue)+len(bodies) > maxBacklog {
		q.spilt = true
		q.end()
		return false
	}
	q.queue = append(q.queue, bodies...)
	if !lazy {
		q.stopTimer()
		q.signal()
	} else if q.timer == nil && len(q.queue) == len(bodies) {
		q.timer = time.AfterFunc(linger, q.signal)
	}
	return true
}

func (q *backlog) stopTimer() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
}

func (q *backlog) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take blocks until messages wait and returns them all; the slice is valid
// until the next call. nil means closed and drained, or ctx done.
func (q *backlog) take(ctx context.Context) []wire.Body {
	for {
		if out, ended := q.drain(); len(out) > 0 || ended {
			return out
		}
		select {
		case <-q.wake:
		case <-q.closed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (q *backlog) drain() (out []wire.Body, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopTimer()
	out = q.queue
	clear(q.spare)
	q.queue, q.spare = q.spare[:0], out
	return out, q.ended
}

// overrun reports whether the queue ended because the peer did not drain it.
func (q *backlog) overrun() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.spilt
}

func (q *backlog) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end()
}

func (q *backlog) end() {
	if !q.ended {
		q.ended = true
		q.stopTimer()
		close(q.closed)
	}
}
