package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

const taskID core.TaskID = "us-east-0190b5a4-7e3c-7cc0-8000-000000000001"

func testNow() time.Time { return time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) }

// TestJobTo tries every pair of states: only forward, and never out of a final one.
func TestJobTo(t *testing.T) {
	for from := Received; from < stateCount; from++ {
		for next := Received; next <= stateCount; next++ {
			j := NewJob(taskID, core.TaskSpec{Type: "compute"}, "gw", testNow())
			j.State = from
			later := testNow().Add(time.Minute)
			got, err := j.To(next, later)
			legal := from < Completed && next > from && next < stateCount
			if legal != (err == nil) {
				t.Errorf("%s -> %s: %v", from, next, err)
			}
			if legal && (got.State != next || !got.Updated.Equal(later)) {
				t.Errorf("%s -> %s gives %s, updated %s", from, next, got.State, got.Updated)
			}
			if !legal && (!errors.Is(err, core.Conflict) || got.State != from || !got.Updated.Equal(testNow())) {
				t.Errorf("%s -> %s is refused with %v and changed the job: %+v", from, next, err, got)
			}
			if j.State != from {
				t.Fatalf("the transition changed its receiver")
			}
		}
	}
}

// TestStateNames pins the names and what the submitter sees of each state.
func TestStateNames(t *testing.T) {
	for s, want := range map[State]struct {
		name string
		task core.TaskState
	}{
		Received: {"RECEIVED", core.TaskPending}, Committed: {"COMMITTED", core.TaskPending}, Planned: {"PLANNED", core.TaskPending},
		Running: {"RUNNING", core.TaskRunning}, Verifying: {"VERIFYING", core.TaskRunning}, Completed: {"COMPLETED", core.TaskCompleted},
		Failed: {"FAILED", core.TaskFailed}, Cancelled: {"CANCELLED", core.TaskCancelled}, Expired: {"EXPIRED", core.TaskExpired},
	} {
		if s.String() != want.name || s.Task() != want.task || s.Final() != want.task.Final() {
			t.Errorf("state %d is %s, %s, final %t", s, s, s.Task(), s.Final())
		}
	}
	if stateCount.String() != "UNKNOWN" || stateCount.Final() {
		t.Error("a number that is no state has a name or is final")
	}
}

// TestJobEnd ends a job in every way; what it was asked to compute is dropped.
func TestJobEnd(t *testing.T) {
	for name, c := range map[string]struct {
		from State
		res  core.TaskResult
		want State // Received: refused
	}{
		"completed":               {Verifying, core.TaskResult{Status: core.TaskCompleted, Result: []byte("55")}, Completed},
		"failed before it began":  {Committed, core.FailedFor(taskID, core.ReasonInvalidInput, "no"), Failed},
		"cancelled":               {Running, FailedResult(taskID, &core.Failure{Reason: core.ReasonCancelled}), Cancelled},
		"deadline":                {Running, FailedResult(taskID, &core.Failure{Reason: core.ReasonDeadline}), Expired},
		"nobody able":             {Planned, FailedResult(taskID, &core.Failure{Reason: core.ReasonNoCapableWorker}), Failed},
		"twice":                   {Completed, core.TaskResult{Status: core.TaskCompleted}, Received},
		"failed after completed":  {Completed, core.TaskResult{Status: core.TaskFailed}, Received},
		"a state that is no end":  {Running, core.TaskResult{Status: core.TaskRunning}, Received},
		"a state that is unknown": {Running, core.TaskResult{Status: "done"}, Received},
	} {
		t.Run(name, func(t *testing.T) {
			j := NewJob(taskID, core.TaskSpec{Type: "compute", Data: []byte(`{}`)}, "gw", testNow())
			j.State = c.from
			c.res.TaskID = taskID
			got, err := j.End(c.res, testNow().Add(time.Second))
			if c.want == Received {
				if !errors.Is(err, core.Conflict) || got.State != c.from || got.Spec.Data == nil {
					t.Fatalf("got %s and %v", got.State, err)
				}
				return
			}
			if err != nil || got.State != c.want || got.Spec.Data != nil || got.Result.Status != c.want.Task() {
				t.Fatalf("got %s with data %q, result %+v, %v", got.State, got.Spec.Data, got.Result, err)
			}
		})
	}
}

// TestJobProgress: between 0 and 1, and 1 only at the end.
func TestJobProgress(t *testing.T) {
	for name, c := range map[string]struct {
		job  Job
		want float64
	}{
		"not planned":            {Job{State: Committed, Partial: 3}, 0},
		"nothing done":           {Job{State: Running, Subtasks: 4}, 0},
		"one of four":            {Job{State: Running, Subtasks: 4, Done: 1}, 0.25},
		"and half of the second": {Job{State: Running, Subtasks: 4, Done: 1, Partial: 0.5}, 0.375},
		"all, not merged":        {Job{State: Verifying, Subtasks: 4, Done: 4}, 0.99},
		"completed":              {Job{State: Completed}, 1},
		"failed half way":        {Job{State: Failed, Subtasks: 2, Done: 1}, 0.5},
	} {
		if got := c.job.Progress(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestJobStatus checks the submitter's view of a job, its home and its deadline.
func TestJobStatus(t *testing.T) {
	j := NewJob(taskID, core.TaskSpec{Type: "compute", TimeoutMS: 5000}, "gw", testNow())
	j.State, j.Subtasks, j.Done = Running, 2, 1
	j.Attempts = []core.Attempt{{Index: 1, Attempt: 2, Worker: "w1"}}
	s := j.Status()
	if s.TaskID != taskID || s.Region != "us-east" || s.Status != core.TaskRunning || s.Progress != 0.5 || s.Gateway != "gw" ||
		s.Subtasks != 2 || len(s.Attempts) != 1 || s.Type != "compute" || s.Failure != nil {
		t.Errorf("status is %+v", s)
	}
	if got := j.Deadline().Sub(testNow()); got != 5*time.Second {
		t.Errorf("the deadline is %s after the start", got)
	}
	j, err := j.End(core.TaskResult{TaskID: taskID, Status: core.TaskFailed, Failure: &core.Failure{Reason: core.ReasonOverflow}, Result: []byte("123")}, testNow())
	if s := j.Status(); err != nil || s.Failure == nil || s.Failure.Reason != core.ReasonOverflow || s.ResultLen != 3 {
		t.Errorf("after the end it is %+v, %v", s, err)
	}
}
