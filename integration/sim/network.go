package sim

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/p2p"
)

// patience is how long a connection is kept over which nothing comes through.
const patience = 10 * time.Second

// network carries what nodes say to each other, late, or not at all.
type network struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	slow    time.Duration // the most that a packet takes
	ports   map[core.NodeID]*port
	cut     map[[2]core.NodeID]time.Time // directions that nothing passes, and since when
	changed chan struct{}                // closed when cut or ports change
	conns   map[*conn]struct{}
}

func newNetwork(rnd *rand.Rand, slow time.Duration) *network {
	return &network{rnd: rnd, slow: slow, ports: map[core.NodeID]*port{}, cut: map[[2]core.NodeID]time.Time{},
		changed: make(chan struct{}), conns: map[*conn]struct{}{}}
}

// wake tells everybody who waits to look again. Called with mu held.
func (n *network) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) delay(from, to core.NodeID) time.Duration {
	if from == to {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.rnd.Int64N(int64(n.slow))) + 50*time.Microsecond
}

func (n *network) blocked(from, to core.NodeID) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, cut := n.cut[[2]core.NodeID{from, to}]
	return cut, n.changed
}

// partition cuts directions, or lets them pass again.
func (n *network) partition(cut bool, pairs ...[2]core.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range pairs {
		if _, was := n.cut[p]; cut && !was {
			n.cut[p] = time.Now()
		} else if !cut {
			delete(n.cut, p)
		}
	}
	n.wake()
}

// prune breaks the connections that have been cut for too long.
func (n *network) prune() {
	n.tear(func(c *conn) bool {
		for _, p := range [][2]core.NodeID{{c.a.id, c.b.id}, {c.b.id, c.a.id}} {
			if at, cut := n.cut[p]; cut && time.Since(at) >= patience {
				return true
			}
		}
		return false
	})
}

// tear breaks the connections that which names; it is called with mu held.
func (n *network) tear(which func(c *conn) bool) {
	var torn []*conn
	n.mu.Lock()
	for c := range n.conns {
		if which(c) {
			torn = append(torn, c)
		}
	}
	n.mu.Unlock()
	for _, c := range torn {
		c.tear()
	}
}

func (n *network) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

type streamHandler func(ctx context.Context, from core.NodeID, s p2p.Stream)

// port is one life of a node on the network.
type port struct {
	net  *network
	id   core.NodeID
	ctx  context.Context // ends with that life
	stop context.CancelFunc

	mu       sync.Mutex
	handlers map[string]streamHandler
	accept   func(t dispatch.Transport)
}

var _ journal.Streams = (*port)(nil)

// plug begins a life.
func (n *network) plug(id core.NodeID) *port {
	p := &port{net: n, id: id, handlers: map[string]streamHandler{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[id] = p
	n.wake()
	return p
}

func (p *port) down() bool { return p.ctx.Err() != nil }

// unplug ends a life: nothing comes from it or reaches it any more. A process
// that dies closes its connections; a machine that loses its power does not.
func (p *port) unplug(closes bool) {
	p.stop()
	p.net.mu.Lock()
	if p.net.ports[p.id] == p {
		delete(p.net.ports, p.id)
	}
	p.net.wake()
	p.net.mu.Unlock()
	mine := func(c *conn) bool { return c.a == p || c.b == p }
	if closes {
		p.net.tear(mine)
		return
	}
	time.AfterFunc(patience, func() { p.net.tear(mine) })
}

// reach waits until a node can be reached and returns its port.
func (p *port) reach(ctx context.Context, id core.NodeID) (*port, error) {
	for {
		there, changed := p.net.blocked(p.id, id)
		back, _ := p.net.blocked(id, p.id)
		if p.down() || ctx.Err() != nil {
			return nil, core.Errorf(core.Unavailable, "dial", "node %s is not reached: %w", id, context.Cause(ctx))
		}
		if !there && !back {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-p.ctx.Done():
		}
	}
	wait(ctx, p.net.delay(p.id, id)+p.net.delay(id, p.id))
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	other := p.net.ports[id]
	if other == nil || p.down() {
		return nil, core.Errorf(core.Unavailable, "dial", "node %s refuses", id)
	}
	return other, nil
}

func (p *port) connect(ctx context.Context, id core.NodeID) (*conn, error) {
	other, err := p.reach(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &conn{a: p, b: other, ab: newHalf(p.net, p, other), ba: newHalf(p.net, other, p)}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.net.conns[c] = struct{}{}
	return c, nil
}

// OpenStream implements journal.Streams.
func (p *port) OpenStream(ctx context.Context, id core.NodeID, protocol string) (p2p.Stream, error) {
	c, err := p.connect(ctx, id)
	if err != nil {
		return nil, err
	}
	c.b.mu.Lock()
	fn := c.b.handlers[protocol]
	c.b.mu.Unlock()
	if fn == nil {
		c.tear()
		return nil, core.Errorf(core.Unavailable, "dial", "node %s does not speak %s", id, protocol)
	}
	near, far := c.streams()
	go func() {
		fn(c.b.ctx, p.id, far)
		_ = far.Close()
	}()
	return near, nil
}

// HandleStream implements journal.Streams.
func (p *port) HandleStream(protocol string, fn func(ctx context.Context, from core.NodeID, s p2p.Stream)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[protocol] = fn
}

// RemoveHandler implements journal.Streams.
func (p *port) RemoveHandler(protocol string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.handlers, protocol)
}

// serve takes sessions from now on.
func (p *port) serve(accept func(t dispatch.Transport)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accept = accept
}

// dial opens a session.
func (p *port) dial(ctx context.Context, id core.NodeID) (dispatch.Transport, error) {
	c, err := p.connect(ctx, id)
	if err != nil {
		return nil, err
	}
	c.b.mu.Lock()
	accept := c.b.accept
	c.b.mu.Unlock()
	if accept == nil {
		c.tear()
		return nil, core.Errorf(core.Unavailable, "dial", "node %s takes no sessions", id)
	}
	near, far := c.sessions()
	go accept(far)
	return near, nil
}

// wait pauses until d has passed or ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
