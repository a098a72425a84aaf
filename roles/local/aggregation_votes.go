package local

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

// hear takes what others say; Serve's loop calls it.
func (a *Aggregations) hear(ctx context.Context, now time.Time, m roles.Announcement) {
	if m.From == a.deps.ID || !m.Genuine(a.deps.Region()) {
		return
	}
	switch b := m.Body.(type) {
	case *wire.AggregationProposal:
		a.hearProposal(now, b)
	case *wire.AggregationVote:
		switch b.Outcome {
		case roles.VoteJoin:
			a.hearJoin(ctx, now, b)
		case roles.VoteFormed:
			a.hearFormed(ctx, now, b)
		case roles.VoteDissolved:
			a.hearDissolved(now, b)
		}
	}
}

// hearProposal remembers p for settle, which joins it at once if it can. A node
// that proposes anew has given up what it was in before.
func (a *Aggregations) hearProposal(now time.Time, p *wire.AggregationProposal) {
	if g := a.group; g != nil && g.proposer == p.Proposer {
		if g.id == p.ID {
			return
		}
		a.end(endedDissolved)
	}
	a.forget(now, p.Proposer)
	if now.Before(p.Expires) && p.Expires.Sub(now) <= MaxProposal+maxSkew && len(a.pending) < maxPending {
		a.pending = append(a.pending, p)
	}
}

// forget drops what proposer has proposed, and what has expired.
func (a *Aggregations) forget(now time.Time, proposer core.NodeID) {
	a.pending = slices.DeleteFunc(a.pending, func(p *wire.AggregationProposal) bool {
		return p.Proposer == proposer || !now.Before(p.Expires)
	})
}

// hearJoin counts a member of this node's proposal, or its sign of life.
func (a *Aggregations) hearJoin(ctx context.Context, now time.Time, v *wire.AggregationVote) {
	g := a.group
	if g == nil || g.id != v.ID || !roles.Promises(v, a.deps.ID) {
		return
	}
	switch g.phase {
	case formed:
		g.alive(v.Voter, now)
	case proposed:
		// Who claims to be of that tier alone has no reason to join: it is not believed.
		if !now.Before(g.ends) || a.deps.TierOf(v.Offers) >= g.target || !g.add(v.Voter, v.Offers) {
			return
		}
		if a.deps.TierOf(g.sum()) >= g.target {
			g.form(now, a.deps.TierOf)
			a.succeed()
			a.announce(ctx, now)
		}
	}
}

// hearFormed learns that a proposal has succeeded, with this node or without it,
// or that an aggregation lives.
func (a *Aggregations) hearFormed(ctx context.Context, now time.Time, v *wire.AggregationVote) {
	a.forget(now, v.Voter)
	g := a.group
	if g == nil || g.id != v.ID || g.proposer != v.Voter || !roles.Forms(v) {
		return
	}
	switch in := slices.Contains(v.Members, a.deps.ID); {
	case !in && g.phase == promised:
		a.end(endedNotNeeded)
		return
	case !in:
		a.end(endedDissolved)
		return
	case g.phase == promised:
		g.joined(v.Members, now)
		a.succeed()
	case !slices.Equal(g.members, v.Members):
		return // members do not change: such a proposer counts as silent
	}
	g.alive(v.Voter, now)
	_ = a.vote(ctx, g.id, roles.VoteJoin, g.proposer) // one may be lost: the next answers the next announcement
}

// hearDissolved learns that v's voter is out.
func (a *Aggregations) hearDissolved(now time.Time, v *wire.AggregationVote) {
	a.forget(now, v.Voter)
	g := a.group
	if g == nil || g.id != v.ID {
		return
	}
	switch {
	case g.phase == proposed:
		g.remove(v.Voter)
	case g.proposer == v.Voter, slices.Contains(g.members, v.Voter):
		a.end(endedDissolved)
	}
}
