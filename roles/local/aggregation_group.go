package local

import (
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

// phase is how far a group is.
type phase uint8

const (
	proposed phase = iota // by this node; it collects members
	promised              // by this node to another proposer
	formed                // it exists, with this node
)

// group is the one aggregation a node is in or on the way to. It keeps to its
// bounds whatever it is told and does no I/O.
type group struct {
	id       string
	proposer core.NodeID
	target   core.Tier
	phase    phase
	ends     time.Time                 // proposed, promised: no success from then on
	members  []core.NodeID             // proposed, formed: the proposer first, then by their joining; at most roles.MaxAggregation
	offers   []core.Resources          // proposed: of the members, same order
	heard    map[core.NodeID]time.Time // formed: last sign of life of those this node depends on
	next     time.Time                 // formed: when the proposer announces it again
}

func newProposal(p *wire.AggregationProposal) *group {
	return &group{id: p.ID, proposer: p.Proposer, target: p.Target, phase: proposed, ends: p.Expires,
		members: []core.NodeID{p.Proposer}, offers: []core.Resources{p.Offers}}
}

func newPromise(p *wire.AggregationProposal) *group {
	return &group{id: p.ID, proposer: p.Proposer, target: p.Target, phase: promised, ends: p.Expires.Add(roles.AggregationGrace)}
}

// add counts a member once and reports whether it is new.
func (g *group) add(id core.NodeID, offers core.Resources) bool {
	if len(g.members) >= roles.MaxAggregation || slices.Contains(g.members, id) {
		return false
	}
	g.members, g.offers = append(g.members, id), append(g.offers, offers)
	return true
}

// remove forgets a member; the proposer stays.
func (g *group) remove(id core.NodeID) {
	if i := slices.Index(g.members, id); i > 0 {
		g.members, g.offers = slices.Delete(g.members, i, i+1), slices.Delete(g.offers, i, i+1)
	}
}

// sum returns what the members have together.
func (g *group) sum() (all core.Resources) {
	for _, r := range g.offers {
		all = all.Plus(r)
	}
	return all
}

// form makes an aggregation of a proposal whose members suffice, without those
// that are superfluous: who joined late may have brought enough for several.
func (g *group) form(now time.Time, tierOf func(core.Resources) core.Tier) {
	for i := 1; i < len(g.members); {
		without := group{offers: slices.Delete(slices.Clone(g.offers), i, i+1)}
		if tierOf(without.sum()) >= g.target {
			g.remove(g.members[i])
		} else {
			i++
		}
	}
	g.phase, g.offers, g.heard = formed, nil, map[core.NodeID]time.Time{}
	for _, id := range g.members[1:] {
		g.heard[id] = now
	}
}

// joined makes an aggregation of a promise.
func (g *group) joined(members []core.NodeID, now time.Time) {
	g.phase, g.members, g.heard = formed, slices.Clone(members), map[core.NodeID]time.Time{g.proposer: now}
}

// alive notes a sign of life of somebody this node depends on.
func (g *group) alive(id core.NodeID, now time.Time) {
	if _, known := g.heard[id]; known {
		g.heard[id] = now
	}
}

// silent reports whether somebody has been silent for too long.
func (g *group) silent(now time.Time) bool {
	for _, at := range g.heard {
		if !now.Before(at.Add(roles.AggregationSilence)) {
			return true
		}
	}
	return false
}

// due returns when silence or the end is reached, or the next announcement.
func (g *group) due() time.Time {
	if g.phase != formed {
		return g.ends
	}
	due := g.next // zero on all but the proposer
	for _, at := range g.heard {
		if at = at.Add(roles.AggregationSilence); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}
