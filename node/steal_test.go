package node

import (
	"errors"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/wire"
)

// TestIdleRegionHelps: a region that hears of work which waits elsewhere, and whose own
// workers are idle and able, links itself below the region that has it, and computes
// for it; work that none of them can do it leaves alone.
//
// spec 4.23
func TestIdleRegionHelps(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "regional") // without a worker
	c.Region = east
	busy, _ := run(t, c)
	c = config(t, "regional", "local")
	c.Region, c.P2P.Bootstrap = "eu-west", []string{bootstrapAddr(busy.host.Addrs())}
	idle, _ := run(t, c)
	work, err := gossip.Join[*wire.JobAnnouncement](busy.router, gossip.Jobs, gossip.Global)
	if err != nil {
		t.Fatal(err)
	}
	call := func(req core.Requirements) error {
		return work.Publish(t.Context(), &wire.JobAnnouncement{TaskID: "us-east-01890a5d-ac96-774b-bcce-b302099a8057", Task: vector.Type, Requirements: req,
			Region: east, Waiting: 1, Expires: time.Now().Add(overflowFor).UTC()})
	}
	await(t, "the idle region to have a worker", func() error {
		if idle.region.Credits(wire.ClassSubtask) == 0 {
			return errors.New("it has no credits")
		}
		return nil
	})
	for range 5 {
		if err := call(core.Requirements{MemoryMB: core.MaxMemoryMB}); err != nil {
			t.Fatal(err)
		}
	}
	if busy.region.Attached(idle.ID()) {
		t.Error("a region that can do nothing of it helps")
	}
	await(t, "the idle region to help", func() error {
		if busy.region.Attached(idle.ID()) {
			return nil
		}
		return errors.Join(errors.New("not linked"), call(core.Requirements{}))
	})
	if got := answers55(t, busy); got.Workers[0] != idle.ID() || got.Regions[0] != "eu-west" {
		t.Errorf("computed by %v in %v", got.Workers, got.Regions)
	}
}
