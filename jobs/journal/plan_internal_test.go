package journal

import (
	"testing"

	"github.com/tenzro/tenzro/core"
)

// seatsOf reads a group: V a voter, v a dead one, L a learner, l a dead one, s a
// learner that is behind. The first V leads.
func seatsOf(s string) []seat {
	var out []seat
	for i, c := range s {
		out = append(out, seat{id: core.NodeID(rune('a' + i)), voter: c == 'V' || c == 'v', leader: i == 0,
			live: c == 'V' || c == 'L' || c == 's', ready: c == 'L'})
	}
	return out
}

// TestPlan: which one change a group needs.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, group string
		want        move
		who         core.NodeID
	}{
		{"alone", "V", stay, ""},
		{"a second one learns", "VL", stay, ""},
		{"with a third both vote, one", "VLL", promote, "b"},
		{"and the other", "VVL", promote, "c"},
		{"one that is behind has to wait", "VLs", stay, ""},
		{"a dead learner does not count", "VLl", stay, ""},
		{"three are enough", "VVV", stay, ""},
		{"a spare stays one", "VVVL", stay, ""},
		{"five when there are five", "VVVLL", promote, "d"},
		{"and the fifth", "VVVVL", promote, "e"},
		{"never more", "VVVVVLL", stay, ""},
		{"four are no better than three", "VVVV", demote, "b"},
		{"two are worse than one", "VV", demote, "b"},
		{"a dead voter without a spare stays", "VVv", stay, ""},
		{"with a spare that votes first", "VVvL", promote, "d"},
		{"and then the dead one does not", "VVvV", demote, "c"},
		{"a spare that is behind is none", "VVvs", stay, ""},
		{"one dead of five is borne", "VVVVv", stay, ""},
		{"two dead of five leave three that are safer alone", "VVVvv", demote, "d"},
		{"without a majority nothing can be done", "Vvv", stay, ""},
		{"not even with a spare", "VvvL", stay, ""},
		{"a pair of which one died", "Vv", stay, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, who := plan(seatsOf(c.group)); got != c.want || who != c.who {
				t.Errorf("%s: %d %q, want %d %q", c.group, got, who, c.want, c.who)
			}
		})
	}
}

// TestPlanSettles: from every group of up to seven the changes come to an end,
// and the living keep their majority all the way.
func TestPlanSettles(t *testing.T) {
	kinds := "VvLls"
	total := 1
	for size := 1; size < 7; size++ {
		total *= len(kinds)
		for n := range total {
			group := []byte("V")
			for i, rest := 1, n; i < size; i, rest = i+1, rest/len(kinds) {
				group = append(group, kinds[rest%len(kinds)])
			}
			settle(t, string(group))
		}
	}
}

func settle(t *testing.T, group string) {
	seats := seatsOf(group)
	for range 20 {
		what, who := plan(seats)
		if what == stay {
			return
		}
		live, voters := 0, 0
		for i := range seats {
			if seats[i].id == who {
				seats[i].voter = what == promote
			}
			if seats[i].voter {
				voters++
				if seats[i].live {
					live++
				}
			}
		}
		if live < majority(voters) || !seats[0].voter {
			t.Fatalf("%s: %d of %d voters are alive after a change", group, live, voters)
		}
	}
	t.Fatalf("%s never settles", group)
}
