package dispatch

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/tenzro/tenzro/core"
)

// memTransport is a Transport in memory that keeps the contract of a session:
// Send copies the frame and blocks while the peer has not taken earlier ones
// (capacity frames); frames arrive once and in order; Close on either side ends
// both, after which Recv first gives what had arrived.
type memTransport struct {
	peer core.NodeID
	in   <-chan []byte
	out  chan<- []byte
	end  *ending
}

var _ Transport = (*memTransport)(nil)

// ending is shared by both sides.
type ending struct {
	once sync.Once
	done chan struct{}
}

// memTransports returns the two ends of a transport between a and b.
func memTransports(a, b core.NodeID, capacity int) (atA, atB *memTransport) {
	toA, toB, end := make(chan []byte, capacity), make(chan []byte, capacity), &ending{done: make(chan struct{})}
	return &memTransport{b, toA, toB, end}, &memTransport{a, toB, toA, end}
}

func (m *memTransport) Peer() core.NodeID { return m.peer }

func (m *memTransport) Send(ctx context.Context, frame []byte) error {
	if m.ended() {
		return gone(m.peer)
	}
	select {
	case m.out <- slices.Clone(frame):
		return nil
	case <-m.end.done:
		return gone(m.peer)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memTransport) ended() bool {
	select {
	case <-m.end.done:
		return true
	default:
		return false
	}
}

func (m *memTransport) Recv(ctx context.Context) ([]byte, error) {
	select {
	case f := <-m.in:
		return f, nil
	default:
	}
	select {
	case f := <-m.in:
		return f, nil
	case <-m.end.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case f := <-m.in:
		return f, nil
	default:
		return nil, io.EOF
	}
}

func (m *memTransport) Close() error {
	m.end.once.Do(func() { close(m.end.done) })
	return nil
}

// linkKinds are the ways two nodes can be linked: every test of the protocol runs
// over each.
func linkKinds() map[string]func(a, b core.NodeID) (atA, atB Link) {
	return map[string]func(a, b core.NodeID) (Link, Link){
		"pipe": Pipe,
		"net": func(a, b core.NodeID) (Link, Link) {
			ta, tb := memTransports(a, b, 64)
			return NewLink(ta, nil), NewLink(tb, nil)
		},
	}
}
