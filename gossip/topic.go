package gossip

import (
	"slices"
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Kind is the subject of a topic.
type Kind string

// The kinds.
const (
	Jobs         Kind = "jobs"         // work that waits where nobody is free
	Capabilities Kind = "capabilities" // who can do how much
	Results      Kind = "results"      // which tasks ended how, digests only
	Reputation   Kind = "reputation"   // whose reputation moved, on what evidence
	Health       Kind = "health"       // how nodes are
)

// Global is the scope of topics that span all regions. Everywhere else the scope
// is a region.
const Global core.RegionID = ""

// globalName is what stands for Global in a topic's name; no region can have it.
const globalName = "global"

// Kinds returns every kind.
func Kinds() []Kind { return []Kind{Jobs, Capabilities, Results, Reputation, Health} }

// Types returns the message types a kind's topics carry; nil for an unknown kind.
func (k Kind) Types() []wire.Type {
	switch k {
	case Jobs:
		return []wire.Type{wire.TypeAnnouncement}
	case Capabilities:
		return []wire.Type{wire.TypeSummary, wire.TypeCapabilities, wire.TypeProposal, wire.TypeVote}
	case Results:
		return []wire.Type{wire.TypeDigests}
	case Reputation:
		return []wire.Type{wire.TypeReputation}
	case Health:
		return []wire.Type{wire.TypeHealth}
	}
	return nil
}

// TopicName returns "/tenzro/<network>/1/<kind>/<region or global>".
func TopicName(net core.NetworkID, kind Kind, region core.RegionID) string {
	scope := string(region)
	if region == Global {
		scope = globalName
	}
	return namePrefix(net) + string(kind) + "/" + scope
}

func namePrefix(net core.NetworkID) string { return "/tenzro/" + string(net) + "/1/" }

// kindOf returns the kind of a topic of network net, and false for any other name.
func kindOf(net core.NetworkID, name string) (Kind, bool) {
	rest, ours := strings.CutPrefix(name, namePrefix(net))
	if !ours {
		return "", false
	}
	kind, scope, _ := strings.Cut(rest, "/")
	if _, err := core.ParseRegionID(scope); err != nil || !slices.Contains(Kinds(), Kind(kind)) {
		return "", false
	}
	return Kind(kind), true
}

func checkTopic(kind Kind, region core.RegionID, t wire.Type) error {
	if !slices.Contains(kind.Types(), t) {
		return core.Errorf(core.Invalid, "topic", "topics of kind %.20q do not carry %s", string(kind), t)
	}
	if region == globalName {
		return core.Errorf(core.Invalid, "region", "no region can be called %q: its topics would be everybody's", globalName)
	}
	if region == Global {
		return nil
	}
	_, err := core.ParseRegionID(string(region))
	return err
}

// claimed returns the node that a message says it speaks for, "" when it makes no
// such claim.
func claimed(b wire.Body) core.NodeID {
	switch m := b.(type) {
	case *wire.RegionSummary:
		return m.Coordinator
	case *wire.WorkerCapabilities:
		return m.Ad.NodeID
	case *wire.Health:
		return m.NodeID
	case *wire.AggregationProposal:
		return m.Proposer
	case *wire.AggregationVote:
		return m.Voter
	}
	return ""
}
