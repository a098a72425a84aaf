package rolestest

import (
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

// Vote is a valid vote of voter about an aggregation of us-east.
func Vote(voter core.NodeID, outcome string, members ...core.NodeID) *wire.AggregationVote {
	return &wire.AggregationVote{ID: "us-east-01890a5d-ac96-774b-bcce-b302099a8057", Voter: voter, Outcome: outcome,
		Offers: core.Resources{Cores: 2, MemoryMB: 4096}, Members: members}
}

// Contract holds two channels of one region, of the nodes a and b, to what
// roles.Channel promises.
func Contract(t *testing.T, a, b core.NodeID, onA, onB roles.Channel) {
	t.Helper()
	atA, endA := onA.Subscribe(4)
	atB, endB := onB.Subscribe(1)
	defer endB()
	if err := onA.Publish(t.Context(), Vote(a, roles.VoteJoin, b)); err != nil {
		t.Fatalf("publishing: %v", err)
	}
	for who, in := range map[string]<-chan roles.Announcement{"the author": atA, "the other": atB} {
		got := receive(t, in)
		v, ok := got.Body.(*wire.AggregationVote)
		if got.From != a || !ok || v.Voter != a || v.Outcome != roles.VoteJoin || len(v.Members) != 1 || v.Members[0] != b || !got.Genuine("us-east") {
			t.Errorf("%s received %+v", who, got)
		}
	}
	for range 3 { // onto a buffer of 1: loses, never blocks
		if err := onA.Publish(t.Context(), Vote(a, roles.VoteDissolved)); err != nil {
			t.Fatalf("publishing to a slow subscriber: %v", err)
		}
	}
	if got := receive(t, atB).Body.(*wire.AggregationVote); got.Outcome != roles.VoteDissolved {
		t.Errorf("the slow subscriber received %+v", got)
	}
	if err := onB.Publish(t.Context(), &wire.AggregationVote{}); core.KindOf(err) != core.Invalid {
		t.Errorf("publishing nonsense: %v, want an error of kind invalid", err)
	}
	endA()
	endA()
	for range atA { // it is closed: this ends
	}
}

func receive(t *testing.T, in <-chan roles.Announcement) roles.Announcement {
	t.Helper()
	select {
	case a, ok := <-in:
		if !ok {
			t.Fatal("the subscription was closed")
		}
		return a
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrived within 10 s")
	}
	return roles.Announcement{}
}
