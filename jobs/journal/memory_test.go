package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// TestMemory holds Memory to the contract of every journal.
func TestMemory(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journal.Journal { return journal.NewMemory(journal.Limits{}) })
}

func end(t *testing.T, m *journal.Memory, n int, result []byte) {
	t.Helper()
	r := core.TaskResult{TaskID: journaltest.NewJob(n).ID, Status: core.TaskCompleted, Result: result}
	if _, err := m.End(context.Background(), r, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestMemoryOpenBounds: new jobs are refused beyond the count and the bytes of
// the open ones, with the one thing to do, and taken again after an end.
func TestMemoryOpenBounds(t *testing.T) {
	for name, limits := range map[string]journal.Limits{"count": {Open: 2}, "bytes": {OpenBytes: 2 * len(journaltest.NewJob(0).Spec.Data)}} {
		t.Run(name, func(t *testing.T) {
			m, ctx := journal.NewMemory(limits), context.Background()
			for n := range 2 {
				if err := m.Commit(ctx, journaltest.NewJob(n)); err != nil {
					t.Fatal(err)
				}
			}
			err := m.Commit(ctx, journaltest.NewJob(2))
			var e *core.Error
			if !errors.Is(err, core.Exhausted) || !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("the third job: %v", err)
			}
			if _, err := m.Get(journaltest.NewJob(2).ID); !errors.Is(err, core.NotFound) {
				t.Fatal("a refused job is there")
			}
			end(t, m, 0, nil)
			if err := m.Commit(ctx, journaltest.NewJob(2)); err != nil {
				t.Fatalf("after an end: %v", err)
			}
		})
	}
}

// TestMemoryOpenBytesFollowUpdates: data that an update drops or adds counts.
func TestMemoryOpenBytesFollowUpdates(t *testing.T) {
	m, ctx := journal.NewMemory(journal.Limits{OpenBytes: 10}), context.Background()
	job := journaltest.NewJob(0)
	if err := m.Commit(ctx, job); err != nil {
		t.Fatal(err)
	}
	if err := m.Update(job.ID, func(j jobs.Job) (jobs.Job, error) { j.Spec.Data = nil; return j, nil }); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(ctx, journaltest.NewJob(1)); err != nil {
		t.Fatal(err)
	}
}

// TestMemoryForgetsOldest: beyond the count or the bytes of final jobs the oldest
// are forgotten; open jobs never are, and the newest final one stays in any case.
func TestMemoryForgetsOldest(t *testing.T) {
	big := bytes.Repeat([]byte("7"), 1000)
	for name, c := range map[string]struct {
		limits journal.Limits
		result []byte
		want   int // how many of ten are left
	}{
		"count":               {journal.Limits{Finished: 3}, nil, 3},
		"bytes":               {journal.Limits{FinishedBytes: 4500}, big, 4},
		"all fit":             {journal.Limits{FinishedBytes: 10_000}, big, 10},
		"one is already more": {journal.Limits{FinishedBytes: 10}, big, 1},
		"count bites first":   {journal.Limits{Finished: 2, FinishedBytes: 4500}, big, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := journal.NewMemory(c.limits)
			for n := range 11 {
				if err := m.Commit(context.Background(), journaltest.NewJob(n)); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 10 {
				end(t, m, n, c.result)
			}
			for n := range 11 {
				_, err := m.Get(journaltest.NewJob(n).ID)
				if kept := n >= 10-c.want; kept != (err == nil) || err != nil && !errors.Is(err, core.NotFound) {
					t.Errorf("job %d: %v", n, err)
				}
			}
			if got := len(m.List(journal.Filter{State: core.TaskCompleted, Limit: 100})); got != c.want {
				t.Errorf("%d are listed, want %d", got, c.want)
			}
		})
	}
}

// TestMemoryEvidenceCounts: proofs and attempts are part of what a final job
// keeps, so many small results with much evidence are bounded too.
func TestMemoryEvidenceCounts(t *testing.T) {
	m := journal.NewMemory(journal.Limits{FinishedBytes: 3 * 64 * 320})
	for n := range 5 {
		job := journaltest.NewJob(n)
		if err := m.Commit(context.Background(), job); err != nil {
			t.Fatal(err)
		}
		r := core.TaskResult{TaskID: job.ID, Status: core.TaskCompleted, Proofs: make([]core.Proof, core.MaxProofsShown)}
		if _, err := m.End(context.Background(), r, job.Created); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(m.List(journal.Filter{Limit: 10})); got != 3 {
		t.Errorf("%d jobs with 64 proofs each are kept in the room of 3", got)
	}
}

// TestMemoryTies: jobs of one moment are listed by id, always in the same order.
func TestMemoryTies(t *testing.T) {
	m := journal.NewMemory(journal.Limits{})
	for _, n := range []int{3, 1, 2} {
		job := journaltest.NewJob(0)
		job.ID = core.TaskID(fmt.Sprintf("t%d", n))
		if err := m.Commit(context.Background(), job); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if l := m.List(journal.Filter{Limit: 3}); l[0].ID != "t1" || l[1].ID != "t2" || l[2].ID != "t3" {
			t.Fatalf("listed as %s %s %s", l[0].ID, l[1].ID, l[2].ID)
		}
	}
}
