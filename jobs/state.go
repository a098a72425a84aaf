package jobs

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
)

// State is where a job is in its life. Every state after Verifying is final.
type State uint8

// The states, in order.
const (
	Received  State = iota // decoded and checked, known to nobody else
	Committed              // recorded by its home region: the submitter may be told
	Planned                // split into subtasks
	Running                // at least one subtask is leased
	Verifying              // every subtask has a result; they are being merged
	Completed
	Failed
	Cancelled
	Expired
	stateCount
)

//archtest:constant
var stateNames = [stateCount]string{"RECEIVED", "COMMITTED", "PLANNED", "RUNNING", "VERIFYING",
	"COMPLETED", "FAILED", "CANCELLED", "EXPIRED"}

// String returns the upper-case name.
func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return "UNKNOWN"
}

// Final reports whether nothing can follow.
func (s State) Final() bool { return s >= Completed && s < stateCount }

// Task returns the state as the submitter sees it.
func (s State) Task() core.TaskState {
	switch s {
	case Received, Committed, Planned:
		return core.TaskPending
	case Completed:
		return core.TaskCompleted
	case Failed:
		return core.TaskFailed
	case Cancelled:
		return core.TaskCancelled
	case Expired:
		return core.TaskExpired
	}
	return core.TaskRunning
}

// Job is the record of one task: a value; transitions return the next one.
type Job struct {
	ID       core.TaskID
	Spec     core.TaskSpec   // Data is dropped once the job is final
	Gateway  core.NodeID     // who took it
	Regions  []core.RegionID // where it may be spread, the home first
	SpecHash core.Digest     // of what was submitted under an idempotency key; zero without one
	Trace    string          // the traceparent it came with, so that a successor goes on with that trace
	State    State
	Created  time.Time
	Updated  time.Time
	Pool     Pool  // who takes it together; empty when somebody can take it alone. Part of the record like Subtasks
	Subtasks int   // planned: part of the record, so that a successor splits the same way
	Done     int   // of them finished and accepted
	Worth    int64 // of each subtask, in units of work: what its worker's receipt says
	Partial  float64
	Attempts []core.Attempt // the last core.MaxAttemptsShown
	Result   core.TaskResult
}

// Part is the accepted result of one subtask.
type Part struct {
	Index  int
	Output json.RawMessage
	Proof  core.Proof
	Region core.RegionID // where it was computed
}

// NewJob returns a job in state Received.
func NewJob(id core.TaskID, spec core.TaskSpec, gateway core.NodeID, now time.Time) Job {
	return Job{ID: id, Spec: spec, Gateway: gateway, State: Received, Created: now, Updated: now}
}

// To moves the job forward. Going back, staying, or leaving a final state is
// core.Conflict: whoever tries holds an old view.
func (j Job) To(next State, now time.Time) (Job, error) {
	if j.State.Final() || next <= j.State || next >= stateCount {
		return j, core.Errorf(core.Conflict, "job", "job %s cannot go from %s to %s", j.ID, j.State, next)
	}
	j.State = next
	if now.After(j.Updated) { // a clock that was set back does not turn the record around
		j.Updated = now
	}
	return j, nil
}

// End moves the job to the final state that result asks for and drops the data.
func (j Job) End(result core.TaskResult, now time.Time) (Job, error) {
	next := map[core.TaskState]State{core.TaskCompleted: Completed, core.TaskFailed: Failed,
		core.TaskCancelled: Cancelled, core.TaskExpired: Expired}[result.Status]
	outcome := string(result.Status)
	if result.Failure != nil {
		outcome = string(result.Failure.Reason)
	}
	if _, err := j.To(next, now); err != nil {
		return j, err
	}
	j, err := j.closeAll(outcome, now).To(next, now)
	if err != nil {
		return j, err
	}
	j.Result, j.Spec.Data = result, nil
	return j, nil
}

// Deadline returns when the job expires.
func (j Job) Deadline() time.Time { return j.Spec.Until(j.Created) }

// Progress returns the finished share: accepted subtasks plus the reported part
// of the running ones, 0..1, and exactly 1 only when completed.
func (j Job) Progress() float64 {
	if j.State == Completed {
		return 1
	}
	if j.Subtasks == 0 {
		return 0
	}
	return min(0.99, (float64(j.Done)+j.Partial)/float64(j.Subtasks))
}

// Status returns the submitter's view.
func (j Job) Status() core.TaskStatus {
	home, _ := j.ID.Home()
	return core.TaskStatus{TaskID: j.ID, Status: j.State.Task(), Progress: j.Progress(), Type: j.Spec.Type, Region: home,
		Gateway: j.Gateway, Subtasks: j.Subtasks, Created: j.Created, Updated: j.Updated, Failure: j.Result.Failure,
		Attempts: j.Attempts, ResultLen: len(j.Result.Result)}
}

// FailedResult is the end of a task for a reason. Cancelled and deadline give
// their own states, everything else is failed.
func FailedResult(id core.TaskID, f *core.Failure) core.TaskResult {
	state := core.TaskFailed
	switch f.Reason {
	case core.ReasonCancelled:
		state = core.TaskCancelled
	case core.ReasonDeadline:
		state = core.TaskExpired
	}
	return core.TaskResult{TaskID: id, Status: state, Failure: f}
}
