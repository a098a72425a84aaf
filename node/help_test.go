package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry/presence"
)

// heldSearch is a network in which every search waits, and finds one node.
type heldSearch struct {
	presence.Discovery
	id    core.NodeID
	begun *atomic.Int32
	gate  chan struct{}
}

// FindProviders implements presence.Discovery.
func (s heldSearch) FindProviders(context.Context, string, int) ([]core.NodeID, error) {
	s.begun.Add(1)
	<-s.gate // however long: a busy machine may take its time
	return []core.NodeID{s.id}, nil
}

// RTT implements presence.Discovery.
func (s heldSearch) RTT(context.Context, core.NodeID) (time.Duration, error) {
	return time.Millisecond, nil
}

// TestStrangersSearches: strangers that name regions which nobody heard of cause a few
// searches at once and no more; one above that is a stranger until there is room.
func TestStrangersSearches(t *testing.T) {
	t.Parallel()
	n := build(t, config(t, "regional"))
	search := heldSearch{n.host, "honest", &atomic.Int32{}, make(chan struct{})}
	n.finder = presence.NewFinder(search, nil)
	known := make(chan bool, maxVouching)
	for i := range maxVouching {
		region := core.RegionID("far-" + string(rune('a'+i)))
		go func() { known <- n.links.knownCoordinator(region, "honest") }()
	}
	await(t, "the searches", func() error {
		if int(search.begun.Load()) < maxVouching || len(n.links.vouching) < maxVouching {
			return errors.New("not begun")
		}
		return nil
	})
	if n.links.knownCoordinator("far-z", "honest") || int(search.begun.Load()) != maxVouching {
		t.Errorf("%d searches were begun", search.begun.Load())
	}
	close(search.gate)
	for range maxVouching {
		if !<-known {
			t.Error("a coordinator that the search names is a stranger")
		}
	}
	if !n.links.knownCoordinator("far-z", "honest") || n.links.knownCoordinator("far-z", "liar") {
		t.Error("with room the search does not decide")
	}
}
