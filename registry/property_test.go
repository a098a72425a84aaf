package registry

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Whatever happens, the sequence of a remembered node never goes back, the index
// mirrors the rows, and only live nodes are selected.
//
// spec 4.55 4.63
func TestTableProperties(t *testing.T) {
	// Signing once keeps the property fast: the table checks every signature.
	var ads [4][6]*wire.Ad
	for n := range ads {
		for s := range ads[n] {
			ads[n][s] = signed(t, n, func(ad *wire.Ad) {
				ad.Sequence = uint64(s + 1)
				ad.Expires = start().Add(time.Duration(s+1) * 4 * time.Minute)
			})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		table, now := NewTable(Config{Network: testNet, MaxNodes: 3}), start()
		last, seen := map[core.NodeID]uint64{}, map[core.NodeID]time.Time{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				ad := ads[rapid.IntRange(0, 3).Draw(t, "node")][rapid.IntRange(0, 5).Draw(t, "seq")]
				changed, err := table.Put(ad, now)
				if changed && err != nil || changed && ad.Sequence <= last[ad.NodeID] {
					t.Fatalf("Put(%d) = %v, %v after %d", ad.Sequence, changed, err, last[ad.NodeID])
				}
				if changed {
					seen[ad.NodeID] = now
				}
			},
			"beat": func(t *rapid.T) {
				id := identity(rapid.IntRange(0, 3).Draw(t, "node")).ID()
				if _, err := table.Beat(id, Free{CPU: 50}, now); err == nil {
					seen[id] = now
				}
			},
			"remove": func(t *rapid.T) { table.Remove(identity(rapid.IntRange(0, 3).Draw(t, "node")).ID()) },
			"expire": func(t *rapid.T) { table.Expire(now) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				clear(last)
				for _, n := range table.All(now) {
					last[n.Ad.NodeID] = n.Ad.Sequence
				}
				checkTable(t, table, now, seen)
			},
		})
	})
}

func checkTable(t *rapid.T, table *Table, now time.Time, seen map[core.NodeID]time.Time) {
	if len(table.index) != len(table.nodes) || table.Len() > 3 {
		t.Fatalf("%d rows, %d in the index", len(table.nodes), len(table.index))
	}
	for id, i := range table.index {
		if table.nodes[i].ad.NodeID != id {
			t.Fatalf("the index names row %d for %s", i, id)
		}
	}
	for _, id := range table.Select(now, core.Requirements{}, "", 9, 1) {
		if n, _ := table.Get(id, now); n.State != core.Online || now.Sub(seen[id]) >= 90*time.Second {
			t.Fatalf("%s was selected, %s, silent for %s", id, n.State, now.Sub(seen[id]))
		}
	}
}

// A score stays within 0..100, one hour earns at most MaxGainPerHour, and no
// evidence counts twice.
func TestReputationProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := NewReputation(0), start()
		used, gains := map[int]bool{}, []time.Time(nil)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			e := rapid.IntRange(0, 40).Draw(t, "evidence")
			delta := rapid.IntRange(-40, 5).Filter(func(d int) bool { return d != 0 }).Draw(t, "delta")
			before := r.Score("n")
			after, err := r.Apply("n", Change{Delta: delta, Cause: "c", Evidence: evidence(e)}, now)
			if err != nil || after < MinScore || after > MaxScore || used[e] && after != before {
				t.Fatalf("%d%+d = %d, %v; evidence known: %v", before, delta, after, err, used[e])
			}
			if after < before && delta > 0 || after > before && delta < 0 {
				t.Fatalf("%d%+d = %d", before, delta, after)
			}
			for range after - before {
				gains = append(gains, now)
			}
			used[e] = true
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
		}
		// A fixed hour may end just before another begins: twice the cap is the
		// most that any 60 minutes can see.
		for i := range gains {
			if j := i + 2*MaxGainPerHour; j < len(gains) && gains[j].Sub(gains[i]) < time.Hour {
				t.Fatalf("%d points within an hour", j-i+1)
			}
		}
	})
}
