package journal_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// takenOf is subtask n of a job of another region.
func takenOf(n int, deadline time.Time) journal.Taken {
	data := []byte(fmt.Sprintf(`{"n":%d}`, n))
	return journal.Taken{Home: "eu-west", Data: data, At: time.Now().UTC().Round(0), Offer: wire.JobOffer{Lease: wire.LeaseID(5<<32 + n), TaskID: "eu-west-1",
		Index: n, Attempt: 1, Epoch: 5, Class: wire.ClassSubtask, Task: wire.Head(core.TaskSpec{Type: "compute"}), InputHash: core.Sum(data),
		Deadline: deadline.UTC().Round(0), TTLMS: 15000}}
}

func indexes(h journal.Helping) (out []int) {
	for _, t := range h.Taken(time.Now()) {
		out = append(out, t.Offer.Index)
	}
	return out
}

// TestTakenSurvives: what a region runs for another is known to whoever leads it
// next, with its data, also when the leader was cut off without a word, and after a
// member had to be sent a snapshot. What was released is not.
//
// spec 2.5
func TestTakenSurvives(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	old := leaderOf(t, groups...)
	rest := others(groups, old)
	for i := range 4 {
		if err := old.Take(context.Background(), takenOf(i, time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	released := make(chan struct{})
	old.Release(takenOf(2, time.Time{}).Key(), takenOf(2, time.Time{}).Offer.Lease, func() { close(released) })
	<-released
	for _, g := range groups {
		eventually(t, "the records are everywhere", func() bool { return fmt.Sprint(indexes(g.Group)) == "[0 1 3]" })
	}
	n.Cut(old.ID, true)
	next := leaderOf(t, rest...)
	if got := next.Taken(time.Now()); len(got) != 3 || string(got[2].Data) != `{"n":3}` || got[2].Offer.Lease != 5<<32+3 || got[2].Home != "eu-west" {
		t.Errorf("the next leader knows %+v", got)
	}
	old.Release(takenOf(1, time.Time{}).Key(), 5<<32+1, func() { t.Error("a release of a leader that is cut off is recorded") })
	next.Release(takenOf(0, time.Time{}).Key(), 5<<32, nil)
	eventually(t, "the release", func() bool { return fmt.Sprint(indexes(next.Group)) == "[1 3]" })
	n.Cut(old.ID, false)
	eventually(t, "the old leader has what it missed", func() bool { return fmt.Sprint(indexes(old.Group)) == "[1 3]" })
}

// TestTakenAfterRestart: a region of one has its records back from the log, and
// from the snapshot it leaves behind when it stops; those past their deadline are
// not shown.
func TestTakenAfterRestart(t *testing.T) {
	cfg := alone(t)
	g := serve(t, cfg)
	for i, life := range []time.Duration{time.Hour, -time.Second, time.Hour} {
		if err := g.Take(context.Background(), takenOf(i, time.Now().Add(life))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the records", func() bool { return fmt.Sprint(indexes(g.Group)) == "[0 2]" })
	for range 2 {
		g.stop()
		g = serve(t, cfg)
		if got := fmt.Sprint(indexes(g.Group)); got != "[0 2]" {
			t.Errorf("after a restart it knows %s", got)
		}
	}
}
