package dispatch

import (
	"context"
	"slices"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Pipe returns the two ends of a link inside one process. Messages are handed
// over as they are, without encoding: neither side may change one it has sent
// or received.
func Pipe(a, b core.NodeID) (atA, atB Link) {
	toA, toB := newBacklog(), newBacklog()
	return &pipeEnd{peer: b, in: toA, out: toB}, &pipeEnd{peer: a, in: toB, out: toA}
}

type pipeEnd struct {
	peer    core.NodeID
	in, out *backlog
}

var _ Link = (*pipeEnd)(nil)

// Peer implements Link.
func (p *pipeEnd) Peer() core.NodeID { return p.peer }

// Send implements Link.
func (p *pipeEnd) Send(bodies ...wire.Body) error { return p.put(false, bodies) }

// SendLazy implements Link.
func (p *pipeEnd) SendLazy(bodies ...wire.Body) error { return p.put(true, bodies) }

func (p *pipeEnd) put(lazy bool, bodies []wire.Body) error {
	if !p.out.put(lazy, bodies) {
		p.in.close() // also when the peer fell too far behind
		return gone(p.peer)
	}
	return nil
}

// Recv implements Link.
func (p *pipeEnd) Recv(ctx context.Context) ([]wire.Body, error) {
	if bodies := p.in.take(ctx); len(bodies) > 0 {
		return slices.Clone(bodies), nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, gone(p.peer)
}

// Close implements Link: both directions end.
func (p *pipeEnd) Close() error {
	p.in.close()
	p.out.close()
	return nil
}
