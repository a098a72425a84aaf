package presence

import (
	"crypto/ed25519"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// Over real gossip a node that is worker, coordinator and gateway in one process
// knows itself.
//
// spec 2.18 2.16
func TestBoardOverGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h := router(t)
		id := identity(1)
		board, regions, table := NewBoard(r), registry.NewRegions(), registry.NewTable(registry.Config{Network: testNet})
		me := worker()
		me.ad.Can |= core.CanCoordinate
		beacon, err := NewBeacon(BeaconConfig{Region: "us-east", Provider: &fakeNet{provided: map[string]bool{}}, Board: board,
			Summarize: func(seq uint64, now time.Time) *wire.RegionSummary {
				return table.Summary("us-east", id.ID(), 0, 1, seq, now)
			}}, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		health, endHealth := healthOf(t, r)
		stops := []func(){run(t, r), run(t, NewWatcher(board, "us-east", regions, table, zerolog.Nop())), run(t, publisher(t, Config{Self: me, Board: board})), run(t, beacon)}
		time.Sleep(time.Minute)
		state := regions.GlobalState(time.Now())
		if len(state.Regions) != 1 || state.ActiveValidators != 1 || state.GlobalCapacity.CPU != 1 || table.Len() != 1 || len(health) == 0 {
			t.Errorf("state %+v, %d workers, %d health messages", state, table.Len(), len(health))
		}
		endHealth()
		for i := range stops {
			stops[len(stops)-1-i]()
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// router returns gossip on a host without neighbours.
func router(t *testing.T) (*gossip.Router, io.Closer) {
	t.Helper()
	id := identity(1)
	key, err := crypto.UnmarshalEd25519PrivateKey(id.PrivateKey()[:ed25519.PrivateKeySize])
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	r, err := gossip.New(gossip.Config{Host: h, Signer: id, Network: testNet}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return r, h
}

func healthOf(t *testing.T, r *gossip.Router) (<-chan gossip.Message[*wire.Health], func()) {
	t.Helper()
	topic, err := gossip.Join[*wire.Health](r, gossip.Health, "us-east")
	if err != nil {
		t.Fatal(err)
	}
	return topic.Subscribe(10)
}

// A board of a region that cannot be is refused.
func TestBoardRefuses(t *testing.T) {
	r, h := router(t)
	b := NewBoard(r)
	if err := b.Health(t.Context(), "global", &wire.Health{}); core.KindOf(err) != core.Invalid {
		t.Errorf("Health = %v", err)
	}
	if _, _, _, err := b.Listen("EU", 1); core.KindOf(err) != core.Invalid {
		t.Errorf("Listen = %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
