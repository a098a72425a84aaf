package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/wire"
)

// onlyFinds is a network in which one node is all that a search gives.
type onlyFinds struct {
	presence.Discovery
	id core.NodeID
}

// FindProviders implements presence.Discovery.
func (f onlyFinds) FindProviders(context.Context, string, int) ([]core.NodeID, error) {
	return []core.NodeID{f.id}, nil
}

// TestAddedCoordinatorIsTold: a worker links a coordinator that was added to its
// region because the one it works for says so; no search would find it.
func TestAddedCoordinatorIsTold(t *testing.T) {
	t.Parallel()
	c := config(t, "regional")
	c.Region, c.Jobs.AdmitAny = east, true
	first, _ := run(t, c)
	bootstrap := []string{bootstrapAddr(first.host.Addrs())}
	c = config(t, "inference")
	c.P2P.Bootstrap = bootstrap
	worker, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	worker.finder = presence.NewFinder(onlyFinds{worker.host, first.ID()}, nil)
	start(t, worker)
	await(t, "the worker's link", func() error {
		if !first.region.Attached(worker.ID()) {
			return errors.New("not linked")
		}
		return nil
	})
	c = config(t, "regional")
	c.Region, c.Jobs.AdmitAny, c.P2P.Standalone, c.P2P.Bootstrap, c.P2P.MinPeers = east, true, false, bootstrap, 1
	second, _ := run(t, c)
	await(t, "the worker's link to the coordinator that was added", func() error {
		if !second.region.Attached(worker.ID()) {
			_, _, members := second.keeper.view()
			return fmt.Errorf("not linked; it keeps the region with %d", len(members))
		}
		return nil
	})
	await(t, "the worker's own count of them", func() error { // its side of a link is made last
		if n, _ := worker.links.count(); n != 2 {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
}

// TestNamedCoordinators: who is named is tried once, up to the bound, and neither
// those that are linked already nor the node itself.
func TestNamedCoordinators(t *testing.T) {
	t.Parallel()
	n := build(t, config(t, "inference"))
	l := n.links
	l.bosses["known"] = boss{coordinator: true}
	defer delete(l.bosses, "known")
	l.keptBy(&wire.Coordinators{Region: east, Members: []core.NodeID{"known", n.ID()}})
	if len(l.named) != 0 || len(l.lost) != 0 {
		t.Errorf("looks for %v", l.named)
	}
	l.keptBy(&wire.Coordinators{Region: east, Members: []core.NodeID{"known", "new", n.ID()}})
	if len(l.named) != 1 || l.named[0] != "new" || len(l.lost) != 1 {
		t.Errorf("looks for %v, woken %d times", l.named, len(l.lost))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got := l.linkNamed(ctx, maxCoordinators); got != 0 || l.named != nil {
		t.Errorf("linked %d, goes on to look for %v", got, l.named)
	}
}
