package journal

import (
	"slices"

	"github.com/tenzro/tenzro/core"
)

// maxVoters is the biggest group that has to agree: five survive two deaths, and
// more only make every commit wait for more disks.
const maxVoters = 5

// seat is a member as the steward of the leader sees it.
type seat struct {
	id     core.NodeID
	voter  bool
	leader bool
	live   bool // answered lately
	ready  bool // and has nearly everything the leader has
}

// move is one change of the group.
type move uint8

const (
	stay move = iota
	promote
	demote
)

// plan says which one change brings the group closer to what it should be: an
// odd number of voters, one, three or five, as many as are alive. It never makes
// a change after which the voters that are alive are no majority.
//
//   - A second coordinator learns until a third arrives; then both vote.
//   - A dead voter is replaced: first a learner is promoted, then it is demoted.
//     Without a learner it stays, unless the living are safer without it.
//   - A pair of voters, which no death survives, goes back to one.
func plan(seats []seat) (move, core.NodeID) {
	var live, dead, spare []seat
	for _, s := range seats {
		switch {
		case s.voter && (s.live || s.leader):
			live = append(live, s)
		case s.voter:
			dead = append(dead, s)
		case s.live && s.ready:
			spare = append(spare, s)
		}
	}
	voters := len(live) + len(dead)
	want := min(len(live)+len(spare), maxVoters)
	if want%2 == 0 {
		want--
	}
	switch {
	case len(live) < want && len(spare) > 0 && len(live)+1 >= majority(voters+1):
		return promote, spare[0].id
	case len(dead) > 0 && len(live) >= 3 && (voters%2 == 0 || len(live) <= majority(voters)) && len(live) >= majority(voters-1):
		return demote, dead[0].id
	case len(dead) == 0 && voters%2 == 0:
		if i := slices.IndexFunc(live, func(s seat) bool { return !s.leader }); i >= 0 {
			return demote, live[i].id
		}
	}
	return stay, ""
}

func majority(voters int) int { return voters/2 + 1 }
