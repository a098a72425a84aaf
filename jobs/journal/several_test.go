package journal_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// TestGroupOfThree holds the leader of three to the contract of every journal.
func TestGroupOfThree(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journal.Journal { return leaderOf(t, trio(t, newMemNet(), nil)...) })
}

// TestFailover: when the leader is cut off, the others go on under a greater
// epoch with everything that was acknowledged, kept parts too; the old leader
// acknowledges nothing, says so, and catches up when it is back.
func TestFailover(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	old := leaderOf(t, groups...)
	_, before, _ := old.Leader()
	ctx := context.Background()
	done, openJob := finish(t, old.Group, 1), journaltest.NewJob(2)
	if err := old.Commit(ctx, openJob); err != nil {
		t.Fatal(err)
	}
	if err := old.Keep(openJob.ID, jobs.Part{Index: 3, Output: []byte("7")}, nil); err != nil {
		t.Fatal(err)
	}
	rest := others(groups, old)
	for _, g := range groups {
		eventually(t, "the part is everywhere", func() bool { o := g.Open(); return len(o) == 1 && len(o[0].Parts) == 1 })
	}
	n.Cut(old.ID, true)
	next := leaderOf(t, rest...)
	if _, epoch, _ := next.Leader(); epoch <= before {
		t.Errorf("epoch %d follows %d", epoch, before)
	}
	if got, err := next.Get(done); err != nil || got.State != jobs.Completed {
		t.Errorf("the finished job: %+v, %v", got, err)
	}
	if o := next.Open(); len(o) != 1 || o[0].Job.ID != openJob.ID || len(o[0].Parts) != 1 || string(o[0].Parts[0].Output) != "7" {
		t.Errorf("open: %+v", o)
	}
	eventually(t, "the old leader knows that it is none", func() bool { _, _, ok := old.Leader(); return !ok })
	err := old.Commit(ctx, journaltest.NewJob(3))
	if !errors.Is(err, core.Unavailable) || !strings.Contains(err.Error(), "no majority") {
		t.Errorf("a minority of one says %v", err)
	}
	third := finish(t, next.Group, 4)
	n.Cut(old.ID, false)
	eventually(t, "the old leader has what it missed", func() bool { _, err := old.Get(third); return err == nil })
	if err := old.Commit(ctx, journaltest.NewJob(5)); !errors.Is(err, core.Unavailable) && err != nil {
		t.Errorf("a follower says %v", err)
	}
}

// TestStoppedLeader: a leader that stops hands over; its directory takes part
// again afterwards.
func TestStoppedLeader(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	old := leaderOf(t, groups...)
	id := finish(t, old.Group, 1)
	rest := others(groups, old)
	old.stop()
	next := leaderOf(t, rest...)
	if _, err := next.Get(id); err != nil {
		t.Error(err)
	}
	finish(t, next.Group, 2)
}

// TestHandOver: a leader that is about to stop lets another one lead, and goes on
// as a member; who is alone goes on leading.
func TestHandOver(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	old := leaderOf(t, groups...)
	id := finish(t, old.Group, 1)
	eventually(t, "another leader", func() bool {
		old.HandOver() // a follower that is behind does not take it
		who, _, ok := old.Leader()
		return ok && who != old.ID
	})
	finish(t, leaderOf(t, others(groups, old)...).Group, 2)
	if _, err := old.Get(id); err != nil {
		t.Error(err)
	}
	lone := serve(t, alone(t))
	lone.HandOver()
	finish(t, lone.Group, 1)
}

// TestUnknownOutcome: an entry that was on its way when the majority was lost is
// neither acknowledged nor denied, within the time allowed.
func TestUnknownOutcome(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	leader := leaderOf(t, groups...)
	for _, g := range others(groups, leader) {
		n.Cut(g.ID, true)
	}
	err := leader.Commit(context.Background(), journaltest.NewJob(1))
	var e *core.Error
	if !errors.Is(err, core.Unavailable) || !errors.As(err, &e) || e.Hint == "" {
		t.Fatalf("without a majority: %v", err)
	}
	for _, g := range groups {
		n.Cut(g.ID, false)
	}
	eventually(t, "the second try", func() bool {
		err := leaderOf(t, groups...).Commit(context.Background(), journaltest.NewJob(1))
		if err != nil && !errors.Is(err, core.Exists) && !errors.Is(err, core.Unavailable) {
			t.Errorf("the second try: %v", err)
		}
		return err == nil || errors.Is(err, core.Exists)
	})
}

// TestJoinWithoutLeader: a group that has no leader is not taken for none: who
// asks would found another.
func TestJoinWithoutLeader(t *testing.T) {
	n := newMemNet()
	groups := trio(t, n, nil)
	last := others(groups, leaderOf(t, groups...))[0]
	for _, g := range others(groups, last) {
		g.stop()
	}
	fresh := start(t, open(t, n.member(t, "node-d")))
	eventually(t, "being told to wait", func() bool { // the last one may still name a leader that is gone
		err := fresh.Join(context.Background(), last.ID)
		if errors.Is(err, core.NotFound) {
			t.Errorf("asking to join: %v", err)
		}
		return errors.Is(err, core.Denied)
	})
	if err := fresh.Join(context.Background(), "node-x"); errors.Is(err, core.Denied) || errors.Is(err, core.NotFound) {
		t.Errorf("asking nobody: %v", err)
	}
}

// TestNotRecordedForNobody: what nobody waits for any more is not recorded.
func TestNotRecordedForNobody(t *testing.T) {
	g := serve(t, alone(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	job := journaltest.NewJob(1)
	if err := g.Commit(ctx, job); !errors.Is(err, core.Unavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := g.Get(job.ID); !errors.Is(err, core.NotFound) {
		t.Errorf("it is there: %v", err)
	}
}

// voters waits until the group has so many voters and learners.
func shape(t *testing.T, g *served, voters, learners int) {
	t.Helper()
	eventually(t, "the shape of the group", func() bool {
		m, err := g.Members(context.Background())
		v := 0
		for _, m := range m {
			if m.Voter {
				v++
			}
		}
		return err == nil && v == voters && len(m)-v == learners
	})
}

// TestJoin: the second coordinator learns, with the third both vote; who joins
// gets the finished jobs too, though the log does not have them any more.
func TestJoin(t *testing.T) {
	n := newMemNet()
	first := n.member(t, "node-a")
	a := serve(t, first)
	var ids []core.TaskID
	for i := range 100 {
		ids = append(ids, finish(t, a.Group, i))
	}
	waiting := journaltest.NewJob(200)
	if err := a.Commit(context.Background(), waiting); err != nil {
		t.Fatal(err)
	}
	a.stop() // its snapshot takes the place of the log
	a = serve(t, first)
	b := start(t, open(t, n.member(t, "node-b")))
	join(t, b, "node-a")
	shape(t, a, 1, 1)
	c := start(t, open(t, n.member(t, "node-c")))
	eventually(t, "b knows the group", func() bool { m, _ := b.Members(context.Background()); return len(m) == 2 })
	join(t, c, "node-b") // which says who leads
	shape(t, a, 3, 0)
	for _, g := range []*served{b, c} {
		eventually(t, "the open job", func() bool { o := g.Open(); return len(o) == 1 && o[0].Job.ID == waiting.ID })
		for _, id := range ids {
			if got, err := g.Get(id); err != nil || string(got.Result.Result) != `{"sum": 55 }` {
				t.Fatalf("%s on %s: %+v, %v", id, g.ID, got, err)
			}
		}
		if g.GroupID() != a.GroupID() || a.GroupID() == "" {
			t.Errorf("%s is in group %q", g.ID, g.GroupID())
		}
	}
	if got, want := b.Finished(), a.Finished(); !slices.Equal(got, want) {
		t.Errorf("%d records on b, %d on a", len(got), len(want))
	}
}

func join(t *testing.T, g *served, member core.NodeID) {
	t.Helper()
	eventually(t, "joining", func() bool { return g.Join(context.Background(), member) == nil })
}

// TestWaiting: without a policy who asks waits, visibly, until it is added; a
// stranger may ask nothing else.
func TestWaiting(t *testing.T) {
	n := newMemNet()
	cfg := n.member(t, "node-a")
	cfg.Admit = nil
	a, b := serve(t, cfg), start(t, open(t, n.member(t, "node-b")))
	ctx := context.Background()
	eventually(t, "asking to join", func() bool { return errors.Is(b.Join(ctx, "node-a"), core.Denied) })
	m, err := a.Members(ctx)
	if err != nil || len(m) != 2 || !m[1].Waiting || m[1].ID != "node-b" || !m[0].Leader || !m[0].Self {
		t.Fatalf("members %+v, %v", m, err)
	}
	if err := a.Add(ctx, "node-b"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b follows", func() bool { id, _, ok := b.Leader(); return ok && id == "node-a" })
	if err := b.Commit(ctx, journaltest.NewJob(1)); !errors.Is(err, core.Unavailable) || !strings.Contains(err.Error(), "node-a leads") {
		t.Errorf("a learner says %v", err)
	}
	if err := a.Remove(ctx, "node-a"); !errors.Is(err, core.Conflict) {
		t.Errorf("removing the only voter: %v", err)
	}
	eventually(t, "b knows the group", b.Formed)
	if err := b.Remove(ctx, "node-b"); err != nil { // forwarded
		t.Errorf("removing the learner: %v", err)
	}
	shape(t, a, 1, 0)
	if err := a.Remove(ctx, "node-x"); !errors.Is(err, core.NotFound) {
		t.Errorf("removing a stranger: %v", err)
	}
}

// TestReplaceDeadVoter: a voter that is gone for long gives its vote to a
// learner.
func TestReplaceDeadVoter(t *testing.T) {
	n := newMemNet()
	quick := func(c *journal.GroupConfig) { c.Dead = 2 * time.Second }
	groups := trio(t, n, quick)
	leader := leaderOf(t, groups...)
	finish(t, leader.Group, 1)
	cfg := n.member(t, "node-d")
	quick(&cfg)
	d := start(t, open(t, cfg))
	join(t, d, leader.ID)
	shape(t, leader, 3, 1)
	dead := others(groups, leader)[0]
	n.Cut(dead.ID, true)
	eventually(t, "the learner votes", func() bool {
		m, err := d.Members(context.Background())
		votes := map[core.NodeID]bool{}
		for _, m := range m {
			votes[m.ID] = m.Voter
		}
		return err == nil && votes["node-d"] && !votes[dead.ID] && len(m) == 4
	})
}

// TestRetention: what is too many is deleted on every member alike.
func TestRetention(t *testing.T) {
	groups := trio(t, newMemNet(), func(c *journal.GroupConfig) {
		c.Retention = journal.Retention{Jobs: 5, Age: 100 * 365 * 24 * time.Hour}
	})
	leader := leaderOf(t, groups...)
	for i := range 12 {
		finish(t, leader.Group, i)
	}
	if err := journal.Forget(leader.Group, context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		eventually(t, "the old ones are gone", func() bool { return slices.Equal(g.Finished(), leader.Finished()) })
		if l := g.List(journal.Filter{Limit: 100}); len(l) != 5 || l[4].ID != journaltest.NewJob(7).ID {
			t.Errorf("%s lists %d jobs", g.ID, len(l))
		}
	}
}

// TestRecover: when the majority is lost for good, one node goes on alone with
// what it has.
func TestRecover(t *testing.T) {
	n := newMemNet()
	dirs := map[core.NodeID]journal.GroupConfig{}
	groups := trio(t, n, func(c *journal.GroupConfig) { dirs[c.Self] = *c })
	leader := leaderOf(t, groups...)
	id, openJob := finish(t, leader.Group, 1), journaltest.NewJob(2)
	if err := leader.Commit(context.Background(), openJob); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		g.stop()
	}
	cfg := dirs[leader.ID]
	if err := journal.Recover(cfg.Dir, "node-x", zerolog.Nop()); !errors.Is(err, core.Conflict) {
		t.Errorf("recovering the journal of another node: %v", err)
	}
	if err := journal.Recover(cfg.Dir, cfg.Self, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	g := start(t, open(t, cfg))
	g.leads(t)
	if _, err := g.Get(id); err != nil {
		t.Error(err)
	}
	if o := g.Open(); len(o) != 1 || o[0].Job.ID != openJob.ID {
		t.Errorf("open: %+v", o)
	}
	finish(t, g.Group, 3)
}
