package journal_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/p2p"
)

// memNet connects journals inside this process; Cut takes a node off it.
type memNet struct {
	mu       sync.Mutex
	handlers map[core.NodeID]map[string]handler
	cut      map[core.NodeID]bool
	streams  map[*memStream][2]core.NodeID
}

type handler func(ctx context.Context, from core.NodeID, s p2p.Stream)

func newMemNet() *memNet {
	return &memNet{handlers: map[core.NodeID]map[string]handler{}, cut: map[core.NodeID]bool{}, streams: map[*memStream][2]core.NodeID{}}
}

// Cut breaks every stream of a node and lets no new one through, or lets them
// again.
func (n *memNet) Cut(id core.NodeID, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[id] = cut
	for s, ends := range n.streams {
		if cut && (ends[0] == id || ends[1] == id) {
			_ = s.Conn.Close()
		}
	}
}

// memStream is one end of a pipe.
type memStream struct {
	net.Conn
	net *memNet
}

func (s *memStream) CloseWrite() error { return nil }
func (s *memStream) Reset() error      { return s.Close() }
func (s *memStream) Close() error {
	s.net.mu.Lock()
	delete(s.net.streams, s)
	s.net.mu.Unlock()
	return s.Conn.Close()
}

// memHost is a node on a memNet.
type memHost struct {
	net *memNet
	id  core.NodeID
}

var _ journal.Streams = memHost{}

func (h memHost) OpenStream(_ context.Context, id core.NodeID, protocol string) (p2p.Stream, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	fn := h.net.handlers[id][protocol]
	if fn == nil || h.net.cut[h.id] || h.net.cut[id] {
		return nil, core.Errorf(core.Unavailable, "open stream", "%s does not reach %s", h.id, id)
	}
	near, far := net.Pipe()
	a, b := &memStream{near, h.net}, &memStream{far, h.net}
	h.net.streams[a], h.net.streams[b] = [2]core.NodeID{h.id, id}, [2]core.NodeID{h.id, id}
	go func() {
		defer b.Close()
		fn(context.Background(), h.id, b)
	}()
	return a, nil
}

func (h memHost) HandleStream(protocol string, fn func(ctx context.Context, from core.NodeID, s p2p.Stream)) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.handlers[h.id] == nil {
		h.net.handlers[h.id] = map[string]handler{}
	}
	h.net.handlers[h.id][protocol] = fn
}

func (h memHost) RemoveHandler(protocol string) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	delete(h.net.handlers[h.id], protocol)
}

// member is the configuration of a node on the net.
func (n *memNet) member(t testing.TB, id core.NodeID) journal.GroupConfig {
	c := alone(t)
	c.Self, c.Streams = id, memHost{n, id}
	c.Election, c.Wait = 200*time.Millisecond, 10*time.Second
	c.Admit = func(core.NodeID) bool { return true }
	return c
}

// trio starts three voters on a net.
func trio(t testing.TB, n *memNet, edit func(*journal.GroupConfig)) []*served {
	t.Helper()
	ids := []core.NodeID{"node-a", "node-b", "node-c"}
	var out []*served
	for _, id := range ids {
		c := n.member(t, id)
		if edit != nil {
			edit(&c)
		}
		g := open(t, c)
		if err := g.FoundWith(ids...); err != nil {
			t.Fatal(err)
		}
		out = append(out, start(t, g))
	}
	return out
}

func open(t testing.TB, c journal.GroupConfig) *journal.Group {
	t.Helper()
	g, err := journal.OpenGroup(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// eventually waits for something that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// leaderOf waits until one of the groups leads.
func leaderOf(t testing.TB, groups ...*served) *served {
	t.Helper()
	var leader *served
	eventually(t, "a leader", func() bool {
		for _, g := range groups {
			if id, _, ok := g.Leader(); ok && id == g.ID {
				leader = g
				return true
			}
		}
		return false
	})
	return leader
}

func others(groups []*served, not *served) []*served {
	var out []*served
	for _, g := range groups {
		if g != not {
			out = append(out, g)
		}
	}
	return out
}
