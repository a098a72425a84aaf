package registry

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const testNet = "testnet"

func start() time.Time { return time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) }

func identity(n int) *keys.Identity {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n)+1)
	return keys.FromSeed(seed)
}

// worker returns an unsigned ad of a middling worker.
func worker() wire.Ad {
	return wire.Ad{Sequence: 1, Issued: start(), Expires: start().Add(20 * time.Minute), Network: testNet, Region: "us-east",
		Roles: []string{"local"}, Can: core.CanCompute, Tier: core.TierAggregator, Arch: "amd64", Runtimes: []core.TaskType{"compute"}, MaxSlots: 4,
		Resources: core.Resources{Cores: 4, CPUScore: 1, MemoryMB: 8192, DiskMB: 1000, FreeCPU: 100, FreeMemoryMB: 8192, FreeDiskMB: 500}}
}

// signed returns the ad of node n after change.
func signed(t testing.TB, n int, change func(*wire.Ad)) *wire.Ad {
	t.Helper()
	ad := worker()
	if change != nil {
		change(&ad)
	}
	if err := wire.SignAd(identity(n), &ad); err != nil {
		t.Fatal(err)
	}
	return &ad
}

func put(t testing.TB, table *Table, n int, now time.Time, change func(*wire.Ad)) core.NodeID {
	t.Helper()
	ad := signed(t, n, change)
	if changed, err := table.Put(ad, now); err != nil || !changed {
		t.Fatalf("Put = %v, %v", changed, err)
	}
	return ad.NodeID
}

func seq(n uint64) func(*wire.Ad) { return func(ad *wire.Ad) { ad.Sequence = n } }

// A node declares what it can do, and hostile or old ads never replace it.
// spec 4.3 4.55
func TestPutRefuses(t *testing.T) {
	cases := []struct {
		name string
		ad   func(t *testing.T) *wire.Ad
		kind core.Kind
	}{
		{"lower sequence", func(t *testing.T) *wire.Ad { return signed(t, 1, seq(4)) }, core.Conflict},
		{"same sequence, other content", func(t *testing.T) *wire.Ad {
			return signed(t, 1, func(ad *wire.Ad) { ad.Sequence, ad.MaxSlots = 5, 7 })
		}, core.Conflict},
		{"changed after signing", func(t *testing.T) *wire.Ad {
			ad := signed(t, 1, seq(6))
			ad.Tier = core.TierTrainer
			return ad
		}, core.Denied},
		{"signed by somebody else", func(t *testing.T) *wire.Ad {
			ad := signed(t, 2, seq(6))
			ad.NodeID = identity(1).ID()
			return ad
		}, core.Denied},
		{"no signature", func(t *testing.T) *wire.Ad {
			ad := signed(t, 1, seq(6))
			ad.Signature = nil
			return ad
		}, core.Denied},
		{"other network", func(t *testing.T) *wire.Ad {
			return signed(t, 1, func(ad *wire.Ad) { ad.Sequence, ad.Network = 6, "other" })
		}, core.Denied},
		{"expired", func(t *testing.T) *wire.Ad {
			return signed(t, 1, func(ad *wire.Ad) {
				ad.Sequence, ad.Issued, ad.Expires = 6, start().Add(-20*time.Minute), start()
			})
		}, core.Timeout},
		{"from the future", func(t *testing.T) *wire.Ad {
			return signed(t, 1, func(ad *wire.Ad) { ad.Sequence, ad.Issued = 6, start().Add(61*time.Second) })
		}, core.Timeout},
		{"unknown capability bit", func(t *testing.T) *wire.Ad {
			return signed(t, 1, func(ad *wire.Ad) { ad.Sequence, ad.Can = 6, 1<<31 })
		}, core.Invalid},
		{"another node in a full table", func(t *testing.T) *wire.Ad { return signed(t, 3, nil) }, core.Exhausted},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := NewTable(Config{Network: testNet, MaxNodes: 1})
			id := put(t, table, 1, start(), seq(5))
			changed, err := table.Put(c.ad(t), start())
			if changed || core.KindOf(err) != c.kind || err == nil {
				t.Fatalf("Put = %v, %v (%v); want kind %v", changed, err, core.KindOf(err), c.kind)
			}
			if n, _ := table.Get(id, start()); n.Ad.Sequence != 5 || n.Ad.MaxSlots != 4 || table.Len() != 1 {
				t.Fatalf("the known ad changed: %+v", n.Ad)
			}
		})
	}
}

// spec 4.3
func TestPutTakesNewer(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	id := put(t, table, 1, start(), nil)
	if changed, err := table.Put(signed(t, 1, nil), start()); changed || err != nil {
		t.Fatalf("the same ad again: %v, %v", changed, err)
	}
	if _, err := table.Beat(id, Free{CPU: 10, MemoryMB: 5, Active: 3}, start()); err != nil {
		t.Fatal(err)
	}
	put(t, table, 1, start(), func(ad *wire.Ad) { ad.Sequence, ad.Tier = 2, core.TierTrainer })
	n, ok := table.Get(id, start())
	if !ok || n.Ad.Tier != core.TierTrainer || n.Free != (Free{CPU: 100, MemoryMB: 8192, Active: 3}) || n.Region != "us-east" || n.Reputation != StartScore {
		t.Fatalf("after a newer ad: %+v", n)
	}
}

// A node is heard every 30 s; after three missed heartbeats it is offline, not
// before.
//
// spec 4.63
func TestLiveness(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	a, b := put(t, table, 1, start(), nil), put(t, table, 2, start(), nil)
	at := func(s int) time.Time { return start().Add(time.Duration(s) * time.Second) }
	if _, err := table.Beat(a, Free{}, at(30)); err != nil {
		t.Fatal(err)
	}
	if gone := table.Expire(at(89)); len(gone) != 0 {
		t.Fatalf("offline after two missed heartbeats: %v", gone)
	}
	if gone := table.Expire(at(90)); len(gone) != 1 || gone[0] != b {
		t.Fatalf("after 90 s: %v, want %s", gone, b)
	}
	if gone := table.Expire(at(91)); len(gone) != 0 {
		t.Fatalf("named twice: %v", gone)
	}
	if n, _ := table.Get(b, at(91)); n.State != core.Offline {
		t.Fatalf("state %s", n.State)
	}
	if _, err := table.Beat(b, Free{}, at(100)); err != nil {
		t.Fatal(err)
	}
	if n, _ := table.Get(b, at(100)); n.State != core.Online {
		t.Fatal("a heartbeat does not bring a node back")
	}
	if gone := table.Expire(start().Add(20 * time.Minute)); len(gone) != 2 || table.Len() != 0 {
		t.Fatalf("expired ads: %v, %d left", gone, table.Len())
	}
	if _, err := table.Beat(a, Free{}, at(1300)); core.KindOf(err) != core.NotFound {
		t.Fatalf("heartbeat of a forgotten node: %v", err)
	}
}

// A goodbye is immediate, but the ad is remembered, so that a replay cannot bring
// the node back.
//
// spec 4.55
func TestRemove(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	id := put(t, table, 1, start(), seq(5))
	table.Remove(id)
	table.Remove("nobody")
	if got := table.Select(start(), core.Requirements{}, "", 1, 1); len(got) != 0 {
		t.Fatalf("selected after goodbye: %v", got)
	}
	for _, s := range []uint64{4, 5} {
		if changed, _ := table.Put(signed(t, 1, seq(s)), start()); changed {
			t.Fatalf("sequence %d was taken again", s)
		}
	}
	if n, _ := table.Get(id, start()); n.State != core.Offline {
		t.Fatal("a replay brought the node back")
	}
	put(t, table, 1, start(), seq(6))
	if n, _ := table.Get(id, start()); n.State != core.Online {
		t.Fatal("a newer ad does not bring the node back")
	}
}

func TestFullTableForgetsOffline(t *testing.T) {
	table := NewTable(Config{Network: testNet, MaxNodes: 2})
	a := put(t, table, 1, start(), nil)
	b := put(t, table, 2, start(), nil)
	table.Remove(a)
	c := put(t, table, 3, start(), nil)
	all := table.All(start())
	if len(all) != 2 || all[0].Ad.NodeID != min(b, c) || all[1].Ad.NodeID != max(b, c) {
		t.Fatalf("All = %v", all)
	}
	if _, ok := table.Get(a, start()); ok {
		t.Fatal("the offline node is still there")
	}
}

// Readers and writers of all tables at once; the race detector judges.
func TestConcurrentUse(t *testing.T) {
	rep := NewReputation(0)
	table, regions := NewTable(Config{Network: testNet, Reputation: rep}), NewRegions()
	var wg sync.WaitGroup
	for n := range 4 {
		ad := signed(t, n, nil)
		wg.Go(func() {
			for i := range 50 {
				if _, err := table.Put(ad, start()); err != nil {
					t.Error(err)
				}
				if _, err := table.Beat(ad.NodeID, Free{CPU: i}, start()); err != nil {
					t.Error(err)
				}
				if _, err := rep.Apply(ad.NodeID, Change{Delta: Verified, Cause: "verified", Evidence: evidence(i)}, start()); err != nil {
					t.Error(err)
				}
				table.Select(start(), core.Requirements{}, "", 2, uint64(i))
				if err := regions.PutSummary(ad.NodeID, table.Summary("us-east", ad.NodeID, 0, 1, uint64(i+1), start()), start()); err != nil {
					t.Error(err)
				}
				regions.GlobalState(start())
				table.Expire(start())
			}
		})
	}
	wg.Wait()
	if got := table.Select(start(), core.Requirements{}, "", 9, 1); len(got) != 4 || len(regions.Coordinators("us-east", start())) != 4 {
		t.Fatalf("selected %v", got)
	}
}
