package local_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/roles/rolestest"
	"github.com/tenzro/tenzro/wire"
)

// What others say in bad faith neither forms an aggregation nor ends one.
func TestAggregationHostileVotes(t *testing.T) {
	join := func(id string, voter core.NodeID, offers core.Resources) *wire.AggregationVote {
		return &wire.AggregationVote{ID: id, Voter: voter, Outcome: roles.VoteJoin, Offers: offers, Members: []core.NodeID{"a"}}
	}
	says := func(from core.NodeID, v *wire.AggregationVote) func(*world, string) {
		return func(w *world, id string) { v.ID = id; w.hub.Say(from, v) }
	}
	for name, act := range map[string]func(w *world, id string){
		"a join in another's name": says("mallory", join("", "victim", size(4, 8))),
		"a join of the proposer":   says("a", join("", "a", size(4, 8))),
		"a join for another":       func(w *world, id string) { v := join(id, "m", size(4, 8)); v.Members[0] = "b"; w.hub.Say("m", v) },
		"a join for everybody": func(w *world, id string) {
			v := join(id, "m", size(4, 8))
			v.Members = append(v.Members, "m")
			w.hub.Say("m", v)
		},
		"a foreign region": func(w *world, id string) {
			w.hub.Say("m", join(strings.Replace(id, "us-east", "eu-west", 1), "m", size(4, 8)))
		},
		"a giant":        says("m", join("", "m", size(65536, 16<<10))),
		"not a number":   says("m", join("", "m", core.Resources{Cores: 4, MemoryMB: 8 << 10, CPUScore: math.NaN()})),
		"negative":       says("m", join("", "m", core.Resources{Cores: 4, MemoryMB: 8 << 10, DiskMB: -1})),
		"all the cores":  says("m", join("", "m", core.Resources{Cores: math.MaxInt, MemoryMB: 1 << 10})),
		"all the memory": says("m", join("", "m", core.Resources{Cores: 1, MemoryMB: math.MaxInt64})),
		"the same thrice": func(w *world, id string) {
			for range 3 {
				w.hub.Say("m", join(id, "m", size(2, 4)))
			}
		},
		"formed by another":             says("m", &wire.AggregationVote{Voter: "m", Outcome: roles.VoteFormed, Members: []core.NodeID{"m", "b"}}),
		"formed in the proposer's name": says("m", &wire.AggregationVote{Voter: "a", Outcome: roles.VoteFormed, Members: []core.NodeID{"a", "b"}}),
		"dissolved by a stranger":       says("m", &wire.AggregationVote{Voter: "m", Outcome: roles.VoteDissolved}),
		"dissolved in another's name":   says("m", &wire.AggregationVote{Voter: "a", Outcome: roles.VoteDissolved}),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.machine("a", size(2, 8)), w.machine("b", size(2, 4))
				id := a.propose(t, time.Minute)
				act(w, id)
				synctest.Wait()
				w.expect(a, "", "0s proposed")
				w.expect(b, "", "0s proposed")
				time.Sleep(time.Minute) // and the loops live
				w.expect(a, "", "60s failed timeout")
				w.expect(b, "", "60s failed dissolved")
			})
		})
	}
	t.Run("a stranger ends nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
			id := a.propose(t, time.Minute)
			for _, v := range []*wire.AggregationVote{
				{Voter: "m", Outcome: roles.VoteDissolved},
				{Voter: "m", Outcome: roles.VoteFormed, Members: []core.NodeID{"m", "x"}},
			} {
				v.ID = id
				w.hub.Say("m", v)
			}
			time.Sleep(time.Minute)
			w.expect(a, id, "0s proposed", "0s succeeded a b")
			w.expect(b, id, "0s proposed", "0s succeeded a b")
		})
	})
	t.Run("a proposer may go on without a member", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
			id := a.propose(t, time.Minute)
			b.told()
			v := rolestest.Vote("a", roles.VoteFormed, "a", "c")
			v.ID = id
			w.hub.Say("a", v)
			w.expect(b, "", "0s failed dissolved a b")
		})
	})
	t.Run("a proposer that changes the members is silent", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			b := w.machine("b", size(4, 8))
			p := &wire.AggregationProposal{ID: rolestest.Vote("a", roles.VoteJoin).ID, Proposer: "a", Region: "us-east", Target: trainer,
				Offers: size(4, 8), Expires: time.Now().Add(time.Minute)}
			w.hub.Say("a", p)
			w.hub.Say("a", rolestest.Vote("a", roles.VoteFormed, "a", "b"))
			w.expect(b, p.ID, "0s proposed", "0s succeeded a b")
			for range 20 {
				w.hub.Say("a", rolestest.Vote("a", roles.VoteFormed, "a", "b", "c"))
				time.Sleep(5 * time.Second)
			}
			w.expect(b, "", "95s failed silent a b")
		})
	})
}

// A node joins only what is meant for it and lives.
func TestAggregationUnsuitableProposals(t *testing.T) {
	for name, change := range map[string]func(p *wire.AggregationProposal) (from core.NodeID){
		"in another's name": func(p *wire.AggregationProposal) core.NodeID { return "m" },
		"in its own name":   func(p *wire.AggregationProposal) core.NodeID { p.Proposer = "b"; return "m" },
		"a foreign region": func(p *wire.AggregationProposal) core.NodeID {
			p.Region, p.ID = "eu-west", strings.Replace(p.ID, "us-east", "eu-west", 1)
			return "a"
		},
		"a foreign id":    func(p *wire.AggregationProposal) core.NodeID { p.ID = "p-1"; return "a" },
		"expired":         func(p *wire.AggregationProposal) core.NodeID { p.Expires = time.Now(); return "a" },
		"for ever":        func(p *wire.AggregationProposal) core.NodeID { p.Expires = time.Now().Add(time.Hour); return "a" },
		"at the own tier": func(p *wire.AggregationProposal) core.NodeID { p.Target = core.TierAggregator; return "a" },
		"not a number":    func(p *wire.AggregationProposal) core.NodeID { p.Offers.CPUScore = math.NaN(); return "a" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				b := w.machine("b", size(4, 8))
				p := &wire.AggregationProposal{ID: rolestest.Vote("a", roles.VoteJoin).ID, Proposer: "a", Region: "us-east", Target: trainer,
					Offers: size(4, 8), Expires: time.Now().Add(time.Minute)}
				w.hub.Say(change(p), p)
				time.Sleep(2 * time.Minute)
				w.expect(b, "")
				if n := w.said("b", roles.VoteJoin); n != 0 {
					t.Errorf("joined %d times", n)
				}
			})
		})
	}
}

// The loop does not survive its channel: the supervisor starts it with a new one.
func TestAggregationChannelClosed(t *testing.T) {
	a := local.NewAggregations(local.AggregationDeps{Channel: closed{}, Region: func() core.RegionID { return "us-east" }}, zerolog.Nop())
	if err := a.Serve(t.Context()); core.KindOf(err) != core.Unavailable {
		t.Errorf("serving a closed channel ended with %v", err)
	}
}

type closed struct{}

func (closed) Publish(context.Context, wire.Body) error { return nil }

func (closed) Subscribe(int) (<-chan roles.Announcement, func()) {
	ch := make(chan roles.Announcement)
	close(ch)
	return ch, func() {}
}
