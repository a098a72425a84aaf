package global

import (
	"slices"

	"github.com/tenzro/tenzro/core"
)

// sight is what a gateway sees around it of what could run one task.
type sight struct {
	own     core.RegionID   // the region this node keeps, at least a region of one
	able    []core.RegionID // regions with workers that can run it, best first
	near    core.RegionID   // the region this node works for; empty when none
	known   core.RegionID   // the largest region in reach, able or not; empty when none
	capable bool            // a worker of own can run it; looked at only where peers come first
	workers bool            // own has workers at all; as capable
	looking bool            // the node has just started and may still find regions
}

// homes is the policy of the modes: the regions for a task, the first its home,
// the others to help out. It is not sure while a moment's patience may give a
// better answer.
func homes(m core.Mode, s sight) (regions []core.RegionID, sure bool) {
	switch {
	case m == core.ModeP2P && (s.capable || s.near == ""):
		return []core.RegionID{s.own}, true
	case m == core.ModeP2P: // another gateway, which this node works for
		return []core.RegionID{s.near}, true
	case m == core.ModeP2PPrimary && s.capable:
		return append([]core.RegionID{s.own}, without(s.able, s.own)...), true
	}
	coordinated := coordinators(s)
	switch {
	case len(coordinated) == 0:
		return []core.RegionID{s.own}, !s.looking
	case m == core.ModeP2PPrimary:
		return coordinated, !s.workers
	}
	return coordinated, true
}

// coordinators are the regions for a task that goes to one: those that can run
// it. When none can, one that exists is home all the same: there the task waits
// until somebody able arrives.
func coordinators(s sight) []core.RegionID {
	switch {
	case len(s.able) > 0:
		return s.able
	case s.near != "":
		return []core.RegionID{s.near}
	case s.known != "":
		return []core.RegionID{s.known}
	}
	return nil
}

func without(regions []core.RegionID, one core.RegionID) []core.RegionID {
	return slices.DeleteFunc(slices.Clone(regions), func(r core.RegionID) bool { return r == one })
}
