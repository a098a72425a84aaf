package sim

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// node is anything that can crash and come back.
type node interface {
	start() error
	crash(closes bool)
}

// node returns the node with a name and its id.
func (s *sim) node(name string) (node, core.NodeID) {
	for _, c := range s.coords {
		if c.name == name {
			return c, c.id.ID()
		}
	}
	for _, w := range s.workers {
		if w.name == name {
			return w, w.id.ID()
		}
	}
	for _, g := range s.gateways {
		if g.name == name {
			return g, g.id.ID()
		}
	}
	return nil, ""
}

// hurt plays one fault and heals it.
func (s *sim) hurt(ctx context.Context, f Fault) {
	wait(ctx, f.At-s.since(time.Now()))
	s.logf("fault: %s", f)
	if f.Kind != CrashAt { // whom that will hit nobody knows yet
		s.hist.Add(history.Event{Kind: history.Hit, Node: f.Nodes[0], Note: string(f.Kind)})
	}
	switch f.Kind {
	case Crash, PowerLoss:
		s.crash(ctx, f)
	case CrashAt:
		s.strike(ctx, f)
	case Partition, OneWay:
		s.net.partition(true, s.pairs(f)...)
		wait(ctx, f.For)
		s.net.partition(false, s.pairs(f)...)
	case Flapping:
		for end := time.Now().Add(f.For); time.Now().Before(end); {
			s.net.partition(true, s.pairs(f)...)
			wait(ctx, f.For/6)
			s.net.partition(false, s.pairs(f)...)
			wait(ctx, f.For/6)
		}
	case LostLinks:
		s.net.tear(func(c *conn) bool { return s.isOf(f, c.a.id) || s.isOf(f, c.b.id) })
	default:
		s.turn(f, true)
		wait(ctx, f.For)
		s.turn(f, false)
	}
	s.logf("healed: %s", f)
}

// crash has nodes die, and their next processes begin.
func (s *sim) crash(ctx context.Context, f Fault) {
	mine := map[string]bool{}
	s.mu.Lock()
	for _, name := range f.Nodes {
		if mine[name] = !s.downs[name]; mine[name] {
			s.downs[name] = true
		}
	}
	s.mu.Unlock()
	for _, name := range f.Nodes {
		if mine[name] {
			n, _ := s.node(name)
			n.crash(f.Kind == Crash)
		}
	}
	wait(ctx, f.For)
	for _, name := range f.Nodes {
		if !mine[name] {
			continue
		}
		n, _ := s.node(name)
		if err := n.start(); err != nil {
			s.violated("%s does not start again: %v", name, err)
		}
		s.mu.Lock()
		s.downs[name] = false
		s.mu.Unlock()
	}
}

// turn switches a fault of single nodes on or off.
func (s *sim) turn(f Fault, on bool) {
	for _, name := range f.Nodes {
		n, _ := s.node(name)
		switch n := n.(type) {
		case *coordinator:
			n.turn(f.Kind, on)
		case *worker:
			n.mu.Lock()
			if n.skew = 0; on {
				n.skew = f.Skew
			}
			n.corrupt = on && f.Kind == Corrupt
			n.mu.Unlock()
		}
	}
}

func (c *coordinator) turn(k Kind, on bool) {
	c.mu.Lock()
	disk := c.disk
	c.mu.Unlock()
	switch {
	case k == SlowDisk && on:
		c.writes.Store(int64(600 * time.Millisecond))
	case k == SlowDisk:
		c.writes.Store(int64(3 * time.Millisecond))
	case !on:
		c.full.Store(false)
		disk.Fail(nil)
	default:
		c.full.Store(k == DiskFull)
		disk.Fail(errDisk(k == DiskFull))
	}
}

func (s *sim) isOf(f Fault, id core.NodeID) bool {
	return slices.ContainsFunc(f.Nodes, func(name string) bool { _, it := s.node(name); return it == id })
}

// pairs are the directions between the nodes of a fault and the others.
func (s *sim) pairs(f Fault) (out [][2]core.NodeID) {
	for _, name := range f.Nodes {
		_, a := s.node(name)
		for _, b := range s.all() {
			if s.isOf(f, b) {
				continue
			}
			out = append(out, [2]core.NodeID{a, b})
			if f.Kind != OneWay {
				out = append(out, [2]core.NodeID{b, a})
			}
		}
	}
	return out
}

func (s *sim) all() (ids []core.NodeID) {
	for _, c := range s.coords {
		ids = append(ids, c.id.ID())
	}
	for _, w := range s.workers {
		ids = append(ids, w.id.ID())
	}
	for _, g := range s.gateways {
		ids = append(ids, g.id.ID())
	}
	return ids
}
