package regional

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// TestTaskCausedFailure: what the task itself causes ends the job with its reason
// and takes the other subtasks from their workers.
func TestTaskCausedFailure(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		bad, busy := r.worker(1, 1, nil), r.worker(2, 1, nil)
		busy.block()
		bad.run = func(context.Context, []byte) *wire.JobResult {
			return failed(&core.Failure{Reason: core.ReasonOverflow, Message: "too big"})
		}
		f := r.offer(jobID, specOf(numbers(100), `["sum"]`, 5)).failed()
		if f.Reason != core.ReasonOverflow || f.Message != "too big" {
			t.Errorf("ended with %v", f)
		}
		r.idle()
		if len(busy.causes) != 1 || !errors.As(busy.causes[0], &f) || f.Reason != core.ReasonOverflow {
			t.Errorf("the other worker ended for %v", busy.causes)
		}
		if names := r.names(); !slices.Equal(names, []event.Name{event.TaskReceived, event.TaskFailed}) {
			t.Errorf("told %v", names)
		}
		if r.v.Metrics().Performance() != 1 {
			t.Error("the task's own fault counts against the region")
		}
	})
}

// TestOverflowShowsInTheMerge: what only all parts together cause is the task's
// fault as well.
func TestOverflowShowsInTheMerge(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 4, nil)
		input := "[" + strings.Repeat("9000000000000000,", 1500) + "1]"
		if f := r.offer(jobID, specOf(input, `["sum"]`, 4)).failed(); f.Reason != core.ReasonOverflow {
			t.Errorf("ended with %v", f)
		}
		r.idle()
	})
}

// TestBadDataEndsTheJob: a gateway that did not check a task cannot make the
// region run it.
func TestBadDataEndsTheJob(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 4, nil)
		for name, spec := range map[string]core.TaskSpec{
			"operation": specOf(`[1]`, `["guess"]`, 0), "input": specOf(`"x"`, `["sum"]`, 0), "type": {Type: "dreaming", Data: json.RawMessage(`{}`)},
			"overflow": specOf(`[9223372036854775807,1]`, `["sum"]`, 0),
		} {
			if f := r.offer(core.TaskID(name), spec).failed(); f.Reason != core.ReasonInvalidInput {
				t.Errorf("%s: ended with %v", name, f)
			}
		}
		if len(w.offers()) != 0 {
			t.Error("a worker was asked")
		}
		r.idle()
	})
}

// TestSameJobTwice: a gateway that lost its lease offers the job again and joins
// the execution that is going on; it never runs twice.
func TestSameJobTwice(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 4, nil)
		release := make(chan struct{})
		w.run = func(_ context.Context, data []byte) *wire.JobResult {
			<-release
			return w.compute(data)
		}
		first := r.offer(jobID, sample())
		first.revoke(&core.Failure{Reason: jobs.LeaseExpired, Message: "the coordinator revoked the lease"})
		if f := first.failed(); f.Reason != jobs.LeaseExpired {
			t.Errorf("the lost lease ends with %v", f)
		}
		ticket, no := r.v.Take(gateway, offerOf(jobID, sample()))
		if no != nil {
			t.Fatalf("refused: %+v", no)
		}
		ticket.Cancel() // this time the input could not be read: the job does not care
		if _, no := r.take(jobID, sample()); no != nil {
			t.Errorf("prepared again, it is refused: %+v", no)
		}
		second, third := r.offer(jobID, sample()), r.offer(jobID, sample())
		close(release)
		if a, b := second.completed(), third.completed(); a != "55" || b != "55" {
			t.Errorf("the job gives %s and %s", a, b)
		}
		if again := r.offer(jobID, sample()).completed(); again != "55" {
			t.Errorf("offered once it has ended, it gives %s", again)
		}
		if n := len(w.offers()); n != 1 {
			t.Errorf("it ran %d times", n)
		}
		if names := r.names(); count(names, event.TaskReceived) != 1 || count(names, event.TaskAggregated) != 1 {
			t.Errorf("told %v", names)
		}
		r.idle()
	})
}

// TestCancel: the submitter's wish reaches the workers and stands.
//
// spec 4.22
func TestCancel(t *testing.T) {
	for name, cancel := range map[string]func(r *rig, j *job) error{
		"by the region": func(r *rig, _ *job) error { return r.v.Cancel(r.ctx, jobID) },
		"by question": func(r *rig, _ *job) error {
			return r.v.Answer(r.ctx, gateway, &wire.JobQuery{ID: 7, TaskID: jobID, Op: wire.QueryCancel}).Fault.Err()
		},
		"by revoking the lease": func(_ *rig, j *job) error {
			j.revoke(&core.Failure{Reason: core.ReasonCancelled, Message: "the coordinator revoked the lease"})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				w := r.worker(1, 2, nil)
				w.block()
				j := r.offer(jobID, specOf(numbers(100), `["sum"]`, 5))
				if err := cancel(r, j); err != nil {
					t.Fatalf("cancelling: %v", err)
				}
				if f := j.failed(); f.Reason != core.ReasonCancelled {
					t.Errorf("ended with %v", f)
				}
				r.idle()
				if len(w.causes) != 2 {
					t.Fatalf("%d of 2 running subtasks ended", len(w.causes))
				}
				for _, cause := range w.causes {
					if f := new(core.Failure); !errors.As(cause, &f) || f.Reason != core.ReasonCancelled {
						t.Errorf("the worker ended for %v", cause)
					}
				}
				if s := r.v.Answer(r.ctx, gateway, &wire.JobQuery{TaskID: jobID, Op: wire.QueryStatus}); s.Status == nil || s.Status.Status != core.TaskCancelled {
					t.Errorf("status %+v", s.Status)
				}
				if err := r.v.Cancel(r.ctx, jobID); !errors.Is(err, core.Conflict) {
					t.Errorf("cancelling again: %v", err)
				}
				if err := r.v.Cancel(r.ctx, "unknown"); !errors.Is(err, core.NotFound) {
					t.Errorf("cancelling the unknown: %v", err)
				}
			})
		})
	}
}

// TestCancelWhileItStarts: a job that ends before all its subtasks are queued
// leaves none of them behind.
func TestCancelWhileItStarts(t *testing.T) {
	var r *rig
	hook := func(j journal.Journal) journal.Journal {
		return &interrupted{Journal: j, then: func() { _ = r.v.Cancel(r.ctx, jobID) }}
	}
	synctest.Test(t, func(t *testing.T) {
		r = newRig(t, east, 1000, options{journal: hook})
		defer r.stop()
		if f := r.offer(jobID, specOf(numbers(100), `["sum"]`, 5)).failed(); f.Reason != core.ReasonCancelled {
			t.Errorf("ended with %v", f)
		}
		r.idle()
	})
}

// interrupted is a Journal after whose first update something happens.
type interrupted struct {
	journal.Journal
	then func()
}

func (j *interrupted) Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error {
	err := j.Journal.Update(id, fn)
	if then := j.then; then != nil {
		j.then = nil
		then()
	}
	return err
}

// TestFullBoard: a job whose subtasks do not all fit on the board fails and takes
// those away that did.
func TestFullBoard(t *testing.T) {
	bubbleWith(t, options{limits: jobs.Limits{MaxUnits: 3}}, func(t *testing.T, r *rig) {
		if f := r.offer(jobID, specOf(numbers(100), `["sum"]`, 5)).failed(); f.Reason != core.ReasonInternal {
			t.Errorf("ended with %v", f)
		}
		r.idle()
	})
}

// TestDeadline: a job that is not done in time expires and frees its workers.
func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 4, nil)
		w.block()
		spec, start := sample(), time.Now()
		spec.TimeoutMS = 5000
		if f := r.offer(jobID, spec).failed(); f.Reason != core.ReasonDeadline || time.Since(start) != 5*time.Second {
			t.Errorf("ended with %v after %s", f, time.Since(start))
		}
		r.idle()
		if len(w.causes) != 1 || r.v.Metrics().Performance() >= 1 {
			t.Errorf("the worker ended for %v; performance %v", w.causes, r.v.Metrics().Performance())
		}
	})
}
