package journal

import "github.com/tenzro/tenzro/core"

// Stats is how much a Group holds.
type Stats struct {
	Applied  uint64 // entries of the log
	Open     int    // jobs that have not ended
	Finished int    // jobs whose end is on disk
}

// Stats returns how much this member holds.
func (g *Group) Stats() Stats {
	return Stats{Applied: g.m.appliedIndex(), Open: int(g.m.openJobs()), Finished: int(g.hist.state().Jobs)}
}

// Formed reports whether this node is part of a group, be it of one.
func (g *Group) Formed() bool { return len(g.Coordinators()) > 0 }

// Coordinators returns the members of the group as far as this node knows.
func (g *Group) Coordinators() []core.NodeID {
	var out []core.NodeID
	for _, s := range g.servers() {
		out = append(out, core.NodeID(s.ID))
	}
	return out
}
