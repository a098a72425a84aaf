package dispatch

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Transport carries frames to one authenticated node: each once and in order.
// *p2p.Session is one.
type Transport interface {
	Peer() core.NodeID
	// Send takes a frame, which the caller may reuse afterwards. It may block until
	// the peer has taken others, ctx ends or the transport does.
	Send(ctx context.Context, frame []byte) error
	// Recv returns the next frame, which is the caller's, or why none will come.
	Recv(ctx context.Context) ([]byte, error)
	// Close ends Send and Recv on both sides; it may be called more than once.
	Close() error
}

// closeGrace bounds how long Close waits for a peer that does not read.
const closeGrace = time.Second

// netLink encodes messages into frames. Messages that queue up while a frame is
// being written share the next one: batching without waiting.
type netLink struct {
	t       Transport
	out     *backlog
	ctx     context.Context
	cancel  context.CancelFunc
	stopped chan struct{}
	metrics *Metrics
}

var _ Link = (*netLink)(nil)

// NewLink starts a link over a transport it then owns. The link ends when Close
// is called or the transport fails.
func NewLink(t Transport, m *Metrics) Link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &netLink{t: t, out: newBacklog(), ctx: ctx, cancel: cancel, stopped: make(chan struct{}), metrics: m}
	go l.write()
	return l
}

// Peer implements Link.
func (l *netLink) Peer() core.NodeID { return l.t.Peer() }

// Send implements Link.
func (l *netLink) Send(bodies ...wire.Body) error { return l.put(false, bodies) }

// SendLazy implements Link.
func (l *netLink) SendLazy(bodies ...wire.Body) error { return l.put(true, bodies) }

func (l *netLink) put(lazy bool, bodies []wire.Body) error {
	if l.out.put(lazy, bodies) {
		return nil
	}
	if l.out.overrun() {
		l.cancel() // the writer may be stuck in Send
	}
	return gone(l.Peer())
}

// write is the link's only sender. It ends with the link, and the other way
// round: when it cannot go on, Recv ends too.
func (l *netLink) write() {
	defer close(l.stopped)
	defer l.out.close()
	var frame []byte
	var err error
	for err == nil {
		bodies := l.out.take(l.ctx)
		if len(bodies) == 0 {
			break
		}
		frame, err = l.send(frame, bodies)
	}
	if err != nil || l.ctx.Err() != nil {
		_ = l.t.Close()
	}
}

// send writes bodies in as few frames as they need; frame is reused.
func (l *netLink) send(frame []byte, bodies []wire.Body) ([]byte, error) {
	for len(bodies) > 0 {
		var taken int
		var err error
		if frame, taken, err = wire.AppendBatch(frame[:0], bodies...); err != nil {
			l.metrics.unsent()
			bodies = bodies[1:]
			continue
		}
		if err := l.t.Send(l.ctx, frame); err != nil {
			return frame, err
		}
		l.metrics.sent(taken)
		bodies = bodies[taken:]
	}
	return frame, nil
}

// Recv implements Link. A frame that does not decode ends the link: the peer is
// broken or hostile.
func (l *netLink) Recv(ctx context.Context) ([]wire.Body, error) {
	for {
		frame, err := l.t.Recv(ctx)
		if err != nil {
			return nil, err
		}
		batch, err := wire.DecodeBatch(frame)
		if err != nil {
			l.metrics.dropped(l.Peer(), undecoded(err))
			return nil, err
		}
		l.metrics.received(l.Peer(), len(batch.Bodies), batch.Unknown)
		if len(batch.Bodies) > 0 {
			return batch.Bodies, nil
		}
	}
}

// undecoded is the cause for which a frame is dropped: another version is no lie, nor
// is a value that only a newer one knows.
func undecoded(err error) string {
	switch {
	case core.KindOf(err) == core.Unsupported:
		return "version"
	case wire.NotValid(err):
		return "invalid"
	}
	return "malformed"
}

// Close implements Link. What was sent before is written first, if the peer
// takes it within closeGrace.
func (l *netLink) Close() error {
	l.out.close()
	select {
	case <-l.stopped:
	case <-time.After(closeGrace):
	}
	l.cancel()
	return l.t.Close()
}
