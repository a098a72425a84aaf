package local

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

// coreTier makes 8 cores and 1000 MB of disk a trainer: two resources that are
// traded against each other.
func coreTier(r core.Resources) core.Tier {
	if r.Cores >= 8 && r.DiskMB >= 1000 {
		return core.TierTrainer
	}
	return core.TierInference
}

func testProposal(i int, expires time.Time) *wire.AggregationProposal {
	return &wire.AggregationProposal{ID: string(core.NewTaskID("us-east", fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", i))),
		Proposer: core.NodeID(fmt.Sprint("n", i)), Region: "us-east", Target: core.TierTrainer, Expires: expires}
}

// Whoever joins, a formed group reaches its tier and nobody in it is superfluous.
func TestGroupIsMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newProposal(testProposal(0, time.Now()))
		for i := range rapid.IntRange(0, 2*roles.MaxAggregation).Draw(t, "joins") {
			g.add(core.NodeID(fmt.Sprint("m", i)), core.Resources{Cores: rapid.IntRange(0, 4).Draw(t, "cores"),
				DiskMB: rapid.SampledFrom([]int64{0, 300, 999, math.MaxInt64}).Draw(t, "disk")})
		}
		if len(g.members) > roles.MaxAggregation || len(g.offers) != len(g.members) {
			t.Fatalf("%d members, %d offers", len(g.members), len(g.offers))
		}
		if sum := g.sum(); sum.DiskMB < 0 || coreTier(sum) < g.target {
			if sum.DiskMB < 0 {
				t.Fatalf("the sum overflows to %d", sum.DiskMB)
			}
			return
		}
		offers := map[core.NodeID]core.Resources{}
		for i, id := range g.members {
			offers[id] = g.offers[i]
		}
		g.form(time.Now(), coreTier)
		if g.members[0] != "n0" || len(g.heard) != len(g.members)-1 {
			t.Fatalf("members %v, listens to %d", g.members, len(g.heard))
		}
		for skip := range g.members {
			check := group{}
			for i, id := range g.members {
				if i != skip || skip == 0 { // 0 checks that all together reach it
					check.offers = append(check.offers, offers[id])
				}
			}
			if reached := coreTier(check.sum()) >= g.target; reached != (skip == 0) {
				t.Fatalf("without member %d of %d the tier is reached: %v", skip, len(g.members), reached)
			}
		}
	})
}

// Floods of votes and proposals leave a bounded state, and no node more than one
// place in it.
func TestAggregationFloodIsBounded(t *testing.T) {
	a := NewAggregations(AggregationDeps{ID: "n0", TierOf: coreTier, Region: func() core.RegionID { return "us-east" }}, zerolog.Nop())
	now := time.Now()
	a.group = newProposal(testProposal(0, now.Add(time.Minute)))
	for i := 1; i <= 10_000; i++ {
		id := core.NodeID(fmt.Sprint("n", i))
		a.hear(t.Context(), now, roles.Announcement{From: id, Body: &wire.AggregationVote{ID: a.group.id, Voter: id, Outcome: roles.VoteJoin, Members: []core.NodeID{"n0"}}})
		a.hear(t.Context(), now, roles.Announcement{From: id, Body: testProposal(i, now.Add(time.Minute))})
		again := testProposal(20_000+i, now.Add(time.Minute))
		again.Proposer = "n1"
		a.hear(t.Context(), now, roles.Announcement{From: "n1", Body: again})
	}
	if len(a.group.members) != roles.MaxAggregation || len(a.group.offers) != roles.MaxAggregation {
		t.Errorf("%d members, %d offers", len(a.group.members), len(a.group.offers))
	}
	if len(a.pending) != maxPending {
		t.Errorf("%d proposals wait, want %d", len(a.pending), maxPending)
	}
	seen := map[core.NodeID]bool{}
	for _, p := range a.pending {
		if seen[p.Proposer] {
			t.Errorf("%s has more than one", p.Proposer)
		}
		seen[p.Proposer] = true
	}
	later := now.Add(time.Minute) // those that expired make room
	a.hear(t.Context(), later, roles.Announcement{From: "n5", Body: testProposal(5, later.Add(time.Minute))})
	if len(a.pending) != 1 || a.pending[0].Proposer != "n5" {
		t.Errorf("a minute later %d wait", len(a.pending))
	}
}
