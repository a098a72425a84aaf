package global

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/wire"
)

// linked runs a test with a gateway and one region.
func linked(t *testing.T, test func(t *testing.T, r *rig, g *region)) {
	bubble(t, func(t *testing.T, r *rig) {
		r.hear(summary(east, 1, core.TierTrainer, 4, 1, 1))
		test(t, r, r.region(east, 1))
	})
}

// TestAcceptedOnlyAfterTheHomeRecorded: the submitter waits for the region's
// JOB_ACCEPT and is told nothing before.
//
// spec 0.4 0.29
func TestResult(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		id, o := r.accepted(g, sample(), "")
		if _, err := r.c.Result(t.Context(), id, 0); !errors.Is(err, core.Conflict) {
			t.Fatalf("the result of an open task: %v", err)
		}
		start := time.Now()
		if _, err := r.c.Result(t.Context(), id, 3*time.Second); !errors.Is(err, core.Conflict) || time.Since(start) != 3*time.Second {
			t.Fatalf("waiting in vain: %v after %s", err, time.Since(start))
		}
		start = time.Now()
		go func() {
			time.Sleep(2 * time.Second)
			_ = g.Send(g.result(o))
		}()
		got, err := r.c.Result(t.Context(), id, time.Minute)
		if err != nil || string(got.Result) != "55" || got.Status != core.TaskCompleted || time.Since(start) != 2*time.Second {
			t.Fatalf("result %+v, %v after %s", got, err, time.Since(start))
		}
		if len(got.Proofs) != 1 || !slices.Equal(got.Workers, []core.NodeID{g.id.ID()}) || !slices.Equal(got.Regions, []core.RegionID{east}) {
			t.Errorf("who computed it: %+v", got)
		}
		if s, err := r.c.Status(t.Context(), id); err != nil || s.Status != core.TaskCompleted || s.Progress != 1 || s.ResultLen != 2 || s.Subtasks != 1 {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}

// foreign is a task of us-east that another gateway took.
const foreign core.TaskID = "us-east-01890a5d-ac96-774b-bcce-b302099a8057"

// TestQuestionsGoHome: status, result and cancel of a task are the home region's
// to answer, whichever gateway is asked.
func TestQuestionsGoHome(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		ends := time.Now().Add(time.Second)
		g.answers(func(q *wire.JobQuery) *wire.JobState {
			switch {
			case q.TaskID != foreign:
				return &wire.JobState{Fault: wire.FaultOf(core.Errorf(core.NotFound, "taskId", "task %s is not known here", q.TaskID))}
			case q.Op == wire.QueryCancel:
				return &wire.JobState{Status: &core.TaskStatus{TaskID: foreign, Status: core.TaskCancelled}}
			case time.Now().Before(ends):
				return &wire.JobState{Status: &core.TaskStatus{TaskID: foreign, Status: core.TaskRunning, Progress: 0.5}}
			}
			return &wire.JobState{Status: &core.TaskStatus{TaskID: foreign, Status: core.TaskCompleted, Progress: 1},
				Result: &core.TaskResult{TaskID: foreign, Status: core.TaskCompleted}, Output: wire.Payload{Inline: json.RawMessage("55")}}
		})
		if s, err := r.c.Status(t.Context(), foreign); err != nil || s.Status != core.TaskRunning || s.Progress != 0.5 {
			t.Errorf("status %+v, %v", s, err)
		}
		if _, err := r.c.Result(t.Context(), foreign, 0); !errors.Is(err, core.Conflict) {
			t.Errorf("the result of an open task: %v", err)
		}
		if got, err := r.c.Result(t.Context(), foreign, 10*time.Second); err != nil || string(got.Result) != "55" || time.Since(ends) > pollEvery {
			t.Errorf("result %+v, %v, %s after the end", got, err, time.Since(ends))
		}
		if s, err := r.c.Cancel(t.Context(), foreign); err != nil || s.Status != core.TaskCancelled {
			t.Errorf("cancel %+v, %v", s, err)
		}
		for _, unknown := range []core.TaskID{"us-east-01890a5d-ac96-774b-bcce-b302099a8058"} {
			_, status := r.c.Status(t.Context(), unknown)
			_, result := r.c.Result(t.Context(), unknown, time.Second)
			_, cancel := r.c.Cancel(t.Context(), unknown)
			for _, err := range []error{status, result, cancel} {
				if !errors.Is(err, core.NotFound) {
					t.Errorf("of task %s: %v", unknown, err)
				}
			}
		}
		if _, err := r.c.Status(t.Context(), "eu-west-01890a5d-ac96-774b-bcce-b302099a8057"); !errors.Is(err, core.Unavailable) {
			t.Errorf("of a region out of reach: %v", err)
		}
	})
}

// TestHomeAnswersAboutAnotherTask: a hostile region cannot put another task's
// result under this one's id.
func TestHomeAnswersAboutAnotherTask(t *testing.T) {
	const other core.TaskID = "us-east-01890a5d-ac96-774b-bcce-b302099a8058"
	for name, state := range map[string]wire.JobState{
		"status": {Status: &core.TaskStatus{TaskID: other, Status: core.TaskCompleted}},
		"result": {Status: &core.TaskStatus{TaskID: foreign, Status: core.TaskCompleted},
			Result: &core.TaskResult{TaskID: other, Status: core.TaskCompleted}, Output: wire.Payload{Inline: json.RawMessage("54")}},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				g.answers(func(*wire.JobQuery) *wire.JobState { return &state })
				if got, err := r.c.Result(t.Context(), foreign, time.Second); !errors.Is(err, core.Corrupt) {
					t.Errorf("result %+v, %v", got, err)
				}
			})
		})
	}
}

// TestStatusWhileRunning: the home knows best; while it does not answer, the
// gateway says what it knows.
func TestStatusWhileRunning(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		id, o := r.accepted(g, sample(), "")
		g.answers(func(*wire.JobQuery) *wire.JobState {
			return &wire.JobState{Status: &core.TaskStatus{TaskID: id, Status: core.TaskRunning, Progress: 0.25, Subtasks: 4}}
		})
		if s, err := r.c.Status(t.Context(), id); err != nil || s.Status != core.TaskRunning || s.Progress != 0.25 {
			t.Errorf("status %+v, %v", s, err)
		}
		r.routes.mu.Lock()
		delete(r.routes.known, east)
		r.routes.mu.Unlock()
		if s, err := r.c.Status(t.Context(), id); err != nil || s.Status != core.TaskPending || s.TaskID != o.TaskID {
			t.Errorf("without the home the status is %+v, %v", s, err)
		}
	})
}

// TestStatusOfEnded: the home knows more of an ended task than its gateway, its
// attempts; a home that is behind, or gone, changes nothing.
func TestStatusOfEnded(t *testing.T) {
	tries := []core.Attempt{{Attempt: 1, Worker: "w", Outcome: "ok"}}
	for name, c := range map[string]struct {
		says *core.TaskStatus // nil: nothing
		want int              // attempts
	}{
		"the home knows more": {&core.TaskStatus{Status: core.TaskCompleted, Progress: 1, Attempts: tries}, 1},
		"the home is behind":  {&core.TaskStatus{Status: core.TaskRunning, Attempts: tries}, 0},
		"the home is gone":    {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				id, o := r.accepted(g, sample(), "")
				g.send(g.result(o))
				if c.says == nil {
					_ = g.Close()
				} else {
					g.answers(func(*wire.JobQuery) *wire.JobState {
						s := *c.says
						s.TaskID = id
						return &wire.JobState{Status: &s}
					})
				}
				if s, err := r.c.Status(t.Context(), id); err != nil || s.Status != core.TaskCompleted || len(s.Attempts) != c.want {
					t.Errorf("status %+v, %v", s, err)
				}
			})
		})
	}
}

// TestRegionsResultIsVerified: a result counts only with a proof that ties this
// input to this output. The region is told why not, and may send a right one.
//
// spec 4.22 4.59
func TestRegionsResultIsVerified(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(g *region, o *wire.JobOffer, r *wire.JobResult)
	}{
		{"no proof", func(_ *region, _ *wire.JobOffer, r *wire.JobResult) { r.Proofs = nil }},
		{"another output", func(_ *region, _ *wire.JobOffer, r *wire.JobResult) { r.Output.Inline = json.RawMessage("56") }},
		{"another input", func(g *region, _ *wire.JobOffer, r *wire.JobResult) {
			r.Proofs[0] = prove(g.id, core.Sum([]byte("x")), r.Output.Inline)
		}},
		{"a forged signature", func(_ *region, _ *wire.JobOffer, r *wire.JobResult) { r.Proofs[0].Signature[0] ^= 1 }},
		{"another operation", func(_ *region, _ *wire.JobOffer, r *wire.JobResult) { r.Proofs[0].OperationType = "inference" }},
		{"no JSON", func(g *region, o *wire.JobOffer, r *wire.JobResult) {
			r.Output.Inline = json.RawMessage("55!")
			r.Proofs[0] = prove(g.id, o.InputHash, r.Output.Inline)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				id, o := r.accepted(g, sample(), "")
				bad := g.result(o)
				c.spoil(g, o, bad)
				g.send(bad)
				if m := next[*wire.JobVerify](g); m.Accepted || m.Message == "" || m.TaskID != id {
					t.Errorf("the region hears %+v", m)
				}
				if _, err := r.c.Result(t.Context(), id, 0); !errors.Is(err, core.Conflict) {
					t.Fatalf("the refused result counts: %v", err)
				}
				second := r.region(east, 2) // another coordinator of the region
				g2 := second.take()
				second.send(second.result(g2))
				if got, err := r.c.Result(t.Context(), id, time.Minute); err != nil || string(got.Result) != "55" {
					t.Errorf("result %+v, %v", got, err)
				}
			})
		})
	}
}

// TestLateResult: when a gateway hears nothing in time it does not say how the
// task ended: the home does, now as later, and may have recorded another end.
func TestLateResult(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		spec := sample()
		spec.TimeoutMS = 1000
		id, o := r.accepted(g, spec, "")
		g.answers(func(*wire.JobQuery) *wire.JobState {
			return &wire.JobState{Status: &core.TaskStatus{TaskID: id, Status: core.TaskCompleted}, Output: wire.Payload{Inline: []byte("55")},
				Result: &core.TaskResult{TaskID: id, Status: core.TaskCompleted}}
		})
		got, err := r.c.Result(t.Context(), id, time.Minute)
		if err != nil || got.Status != core.TaskCompleted || string(got.Result) != "55" {
			t.Fatalf("result %+v, %v", got, err)
		}
		g.send(g.result(o))
		if names := r.names(); slices.Contains(names, event.TaskFailed) || slices.Contains(names, event.TaskCompleted) {
			t.Errorf("told %v", names)
		}
	})
}

// TestRegionLost: a gateway whose region is gone offers the job to the region's
// next coordinator, and the submitter notices nothing.
func TestRegionLost(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		id, _ := r.accepted(g, sample(), "")
		_ = g.Close()
		other := r.region(east, 2)
		o := other.take()
		if o.TaskID != id || o.Attempt != 2 {
			t.Fatalf("offered %s, attempt %d", o.TaskID, o.Attempt)
		}
		other.send(other.result(o))
		if got, err := r.c.Result(t.Context(), id, time.Minute); err != nil || string(got.Result) != "55" {
			t.Errorf("result %+v, %v", got, err)
		}
	})
}

// TestTaskOwnFailure: a failure that the region reports is the task's end, with
// its reason.
//
// spec 0.72
func TestTaskOwnFailure(t *testing.T) {
	for reason, want := range map[core.Reason]core.TaskState{core.ReasonNoCapableWorker: core.TaskFailed, core.ReasonOverflow: core.TaskFailed,
		core.ReasonCancelled: core.TaskCancelled, core.ReasonDeadline: core.TaskExpired} {
		t.Run(string(reason), func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				id, o := r.accepted(g, sample(), "")
				g.send(&wire.JobResult{Lease: o.Lease, TaskID: id, Attempt: 1, Failure: &core.Failure{Reason: reason, Message: "why"}})
				got, err := r.c.Result(t.Context(), id, 0)
				if err != nil || got.Status != want || *got.Failure != (core.Failure{Reason: reason, Message: "why"}) {
					t.Errorf("result %+v, %v", got, err)
				}
				if names := r.names(); names[len(names)-1] != event.TaskFailed {
					t.Errorf("told %v", names)
				}
			})
		})
	}
}
