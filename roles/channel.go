package roles

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Channel is what the nodes of one region tell each other about aggregations:
// wire.AggregationProposal and wire.AggregationVote, and nothing else. It promises
// no delivery and no order. The node makes it from gossip's topic
// capabilities/<region>; rolestest holds one in memory and the contract of both.
type Channel interface {
	// Publish signs m as this node and sends it to everybody who subscribed, itself
	// included. m must not be changed afterwards.
	Publish(ctx context.Context, m wire.Body) error
	// Subscribe returns what is published from now on and a function that ends the
	// subscription and closes the channel; it may be called more than once. When
	// buffer announcements wait, further ones are lost.
	Subscribe(buffer int) (<-chan Announcement, func())
}

// Announcement is one received message. Body is shared with others: read it only.
type Announcement struct {
	From core.NodeID // who signed it
	Body wire.Body
}

// What the members of an aggregation and those who watch it keep to. They are
// part of the protocol: all nodes of a network must have the same.
const (
	// AggregationPeriod is how often the proposer says formed again, and with it how
	// often every member answers join.
	AggregationPeriod = 30 * time.Second
	// AggregationGrace is what a message may take: too short ends aggregations that
	// live, too long keeps dead ones and broken promises.
	AggregationGrace = 5 * time.Second
	// AggregationSilence is how long somebody may be silent: three missed periods.
	AggregationSilence = 3*AggregationPeriod + AggregationGrace
	// MaxAggregation bounds the members of an aggregation, its proposer included.
	MaxAggregation = 32
)

// The outcomes of a wire.AggregationVote.
const (
	VoteJoin      = "join"      // the voter is in; Members names the proposer, so that nobody else can claim the promise
	VoteFormed    = "formed"    // the aggregation exists; Members is everybody in it, the proposer first
	VoteDissolved = "dissolved" // the voter is out, and with it the aggregation is over
)

// Genuine reports whether an announcement says something of its own author about
// an aggregation of region: nodes speak only for themselves, and an aggregation's
// id starts with its region.
func (a Announcement) Genuine(region core.RegionID) bool {
	var id string
	var speaker core.NodeID
	switch m := a.Body.(type) {
	case *wire.AggregationProposal:
		if m == nil || m.Region != region {
			return false
		}
		id, speaker = m.ID, m.Proposer
	case *wire.AggregationVote:
		if m == nil {
			return false
		}
		id, speaker = m.ID, m.Voter
	default:
		return false
	}
	home, ok := core.TaskID(id).Home()
	return ok && home == region && speaker == a.From && a.Body.Validate() == nil
}

// Promises reports whether m is a join that is meant for proposer.
func Promises(m *wire.AggregationVote, proposer core.NodeID) bool {
	return m.Outcome == VoteJoin && len(m.Members) == 1 && m.Members[0] == proposer && m.Voter != proposer
}

// Forms reports whether m says that its voter has formed a possible aggregation:
// itself first, 2 to MaxAggregation members, nobody twice.
func Forms(m *wire.AggregationVote) bool {
	if m.Outcome != VoteFormed || len(m.Members) < 2 || len(m.Members) > MaxAggregation || m.Members[0] != m.Voter {
		return false
	}
	for i, id := range m.Members {
		if slices.Contains(m.Members[:i], id) {
			return false
		}
	}
	return true
}
