package roles_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/rolestest"
	"github.com/tenzro/tenzro/wire"
)

func proposal(by core.NodeID) *wire.AggregationProposal {
	return &wire.AggregationProposal{ID: rolestest.Vote(by, roles.VoteJoin).ID, Proposer: by, Region: "us-east",
		Target: core.TierTrainer, Expires: time.Now().Add(time.Minute)}
}

func TestOnlyGenuineAnnouncementsCount(t *testing.T) {
	for _, c := range []struct {
		name string
		from core.NodeID
		body wire.Body
		want bool
	}{
		{"a vote of its author", "a", rolestest.Vote("a", roles.VoteJoin, "b"), true},
		{"a proposal of its author", "a", proposal("a"), true},
		{"a vote in another's name", "mallory", rolestest.Vote("a", roles.VoteJoin, "b"), false},
		{"a proposal in another's name", "mallory", proposal("a"), false},
		{"a vote about another region", "a", edit(rolestest.Vote("a", roles.VoteJoin, "b"), func(v *wire.AggregationVote) {
			v.ID = string(core.NewTaskID("eu-west", v.ID[len("us-east-"):]))
		}), false},
		{"a vote about no region", "a", edit(rolestest.Vote("a", roles.VoteJoin, "b"), func(v *wire.AggregationVote) { v.ID = "p-1" }), false},
		{"a proposal for another region", "a", edit(proposal("a"), func(p *wire.AggregationProposal) { p.Region = "eu-west" }), false},
		{"a proposal whose id is of another region", "a", edit(proposal("a"), func(p *wire.AggregationProposal) {
			p.ID = string(core.NewTaskID("eu-west", p.ID[len("us-east-"):]))
		}), false},
		{"an unknown outcome", "a", rolestest.Vote("a", "maybe"), false},
		{"resources that are no numbers", "a", edit(rolestest.Vote("a", roles.VoteJoin, "b"), func(v *wire.AggregationVote) { v.Offers.CPUScore = math.NaN() }), false},
		{"negative resources", "a", edit(rolestest.Vote("a", roles.VoteJoin, "b"), func(v *wire.AggregationVote) { v.Offers.Cores = -8 }), false},
		{"more cores than exist", "a", edit(rolestest.Vote("a", roles.VoteJoin, "b"), func(v *wire.AggregationVote) { v.Offers.Cores = math.MaxInt }), false},
		{"a nil vote", "a", (*wire.AggregationVote)(nil), false},
		{"a nil proposal", "a", (*wire.AggregationProposal)(nil), false},
		{"nothing", "a", nil, false},
		{"another message", "a", &wire.Health{NodeID: "a"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (roles.Announcement{From: c.from, Body: c.body}).Genuine("us-east"); got != c.want {
				t.Errorf("genuine is %v", got)
			}
		})
	}
}

func edit[T any](m *T, change func(*T)) *T {
	change(m)
	return m
}

func TestFormsAndPromises(t *testing.T) {
	crowd := []core.NodeID{"a"}
	for i := 1; i < roles.MaxAggregation; i++ {
		crowd = append(crowd, core.NodeID(fmt.Sprint("n", i)))
	}
	for _, c := range []struct {
		name            string
		vote            *wire.AggregationVote
		forms, promises bool // promises: to b
	}{
		{"two", rolestest.Vote("a", roles.VoteFormed, "a", "b"), true, false},
		{"as many as may be", rolestest.Vote("a", roles.VoteFormed, crowd...), true, false},
		{"one too many", rolestest.Vote("a", roles.VoteFormed, append(crowd, "z")...), false, false},
		{"alone", rolestest.Vote("a", roles.VoteFormed, "a"), false, false},
		{"nobody", rolestest.Vote("a", roles.VoteFormed), false, false},
		{"another first", rolestest.Vote("a", roles.VoteFormed, "b", "a"), false, false},
		{"one twice", rolestest.Vote("a", roles.VoteFormed, "a", "b", "b"), false, false},
		{"the proposer twice", rolestest.Vote("a", roles.VoteFormed, "a", "b", "a"), false, false},
		{"members without formed", rolestest.Vote("a", roles.VoteDissolved, "a", "b"), false, false},
		{"a join", rolestest.Vote("a", roles.VoteJoin, "b"), false, true},
		{"a join for another", rolestest.Vote("a", roles.VoteJoin, "c"), false, false},
		{"a join for several", rolestest.Vote("a", roles.VoteJoin, "b", "c"), false, false},
		{"a join for nobody", rolestest.Vote("a", roles.VoteJoin), false, false},
		{"a join for oneself", rolestest.Vote("b", roles.VoteJoin, "b"), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := roles.Forms(c.vote); got != c.forms {
				t.Errorf("forms is %v", got)
			}
			if got := roles.Promises(c.vote, "b"); got != c.promises {
				t.Errorf("promises is %v", got)
			}
		})
	}
}
