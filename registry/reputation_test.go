package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

func apply(t testing.TB, r *Reputation, id core.NodeID, c Change, now time.Time) int {
	t.Helper()
	score, err := r.Apply(id, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return score
}

func evidence(n int) core.Digest { return core.Sum(fmt.Append(nil, n)) }

// An invalid proof costs 10 and a cooldown of 5 minutes.
// spec 4.60 4.61 2.52
func TestInvalidProof(t *testing.T) {
	r := NewReputation(0)
	proof := func(n int) Change {
		return Change{Delta: InvalidProof, Cause: CauseInvalidProof, Evidence: evidence(n)}
	}
	if got := apply(t, r, "liar", proof(1), start()); got != 40 {
		t.Fatalf("score %d, want 40", got)
	}
	if got := apply(t, r, "liar", proof(1), start().Add(time.Minute)); got != 40 {
		t.Fatalf("the same evidence counted twice: %d", got)
	}
	if !r.Cooling("liar", start().Add(5*time.Minute-1)) || r.Cooling("liar", start().Add(5*time.Minute)) {
		t.Fatal("the cooldown is not 5 minutes from the first proof")
	}
	for n := 2; n <= 4; n++ {
		apply(t, r, "liar", proof(n), start())
	}
	later := start().Add(time.Hour)
	if r.Score("liar") != 10 || r.Trusted("liar", later) {
		t.Fatalf("score %d still gets work", r.Score("liar"))
	}
	if r.Cooling("honest", start()) || !r.Trusted("honest", start()) || r.Score("honest") != StartScore {
		t.Fatal("a stranger does not start at 50")
	}
}

// Reputation moves only on evidence.
func TestApplyRefuses(t *testing.T) {
	good := Change{Delta: 1, Cause: "verified", Evidence: evidence(1)}
	cases := []struct {
		name   string
		id     core.NodeID
		change func(*Change)
	}{
		{"no evidence", "a", func(c *Change) { c.Evidence = core.Digest{} }},
		{"no cause", "a", func(c *Change) { c.Cause = "" }},
		{"long cause", "a", func(c *Change) { c.Cause = fmt.Sprintf("%65d", 1) }},
		{"no weight", "a", func(c *Change) { c.Delta = 0 }},
		{"too heavy", "a", func(c *Change) { c.Delta = -101 }},
		{"too generous", "a", func(c *Change) { c.Delta = 101 }},
		{"no node", "", func(*Change) {}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, change := NewReputation(0), good
			c.change(&change)
			if score, err := r.Apply(c.id, change, start()); core.KindOf(err) != core.Invalid || score != StartScore {
				t.Fatalf("Apply = %d, %v", score, err)
			}
		})
	}
}

func TestGainIsSlow(t *testing.T) {
	r := NewReputation(0)
	work := func(n int, at time.Time) int {
		return apply(t, r, "busy", Change{Delta: Verified, Cause: "verified", Evidence: evidence(n)}, at)
	}
	for n := range 20 {
		work(n, start())
	}
	if got := r.Score("busy"); got != StartScore+MaxGainPerHour {
		t.Fatalf("score %d after a burst", got)
	}
	if got := work(100, start().Add(59*time.Minute)); got != StartScore+MaxGainPerHour {
		t.Fatalf("score %d within the hour", got)
	}
	if got := work(101, start().Add(time.Hour)); got != StartScore+MaxGainPerHour+1 {
		t.Fatalf("score %d after the hour", got)
	}
}

func TestReputationIsBounded(t *testing.T) {
	r := NewReputation(3)
	for i := range 10 {
		apply(t, r, core.NodeID(fmt.Sprint(i)), Change{Delta: -1, Cause: "lease_lost", Evidence: evidence(i)}, start())
	}
	if r.scores.Len() != 3 || r.Score("9") != 49 || r.Score("0") != StartScore {
		t.Fatalf("%d scores, newest %d, oldest %d", r.scores.Len(), r.Score("9"), r.Score("0"))
	}
}
