package workflow

import (
	"time"

	"github.com/tenzro/tenzro/core"
)

// StepState is where a step is.
type StepState string

// The states. Those after StepRetrying are final.
const (
	StepWaiting   StepState = "waiting"  // for the steps before it
	StepRunning   StepState = "running"  // at least one job is on its way
	StepRetrying  StepState = "retrying" // every job that is left waits to be tried again
	StepDone      StepState = "done"
	StepFailed    StepState = "failed"
	StepCancelled StepState = "cancelled" // it ran when the workflow ended
	StepSkipped   StepState = "skipped"   // it had not begun when the workflow ended
)

// StepStatus is a snapshot of one step.
type StepStatus struct {
	ID       StepID        `json:"id"`
	State    StepState     `json:"state"`
	Type     core.TaskType `json:"type"`
	Level    int           `json:"level"`             // 0 for steps that wait for none
	After    []StepID      `json:"after,omitempty"`   // what it waits for, references included
	Map      bool          `json:"map,omitempty"`     // one job for each element of a list
	Jobs     int           `json:"jobs"`              // how many it has; 0 while the list is not known
	Running  int           `json:"running"`           // of them on their way
	Done     int           `json:"done"`              // of them completed
	Retries  int           `json:"retries,omitempty"` // how often one was tried again
	Progress float64       `json:"progress"`          // 0..1
	Started  time.Time     `json:"started,omitzero"`  // when the running coordinator began it
	Finished time.Time     `json:"finished,omitzero"` // when it ended
	TaskID   core.TaskID   `json:"taskId,omitempty"`  // the job of a step without a map, or the one that failed
	Failure  *core.Failure `json:"failure,omitempty"` // why it failed
}

// Status is a snapshot of a workflow: of the job that it is, and of its steps in
// the order of the graph. Steps are missing while nobody runs it.
type Status struct {
	core.TaskStatus
	Steps []StepStatus `json:"steps"`
}

// share is the finished part of the step, 0..1.
func (s *StepStatus) share() float64 {
	switch {
	case s.State == StepDone:
		return 1
	case s.Jobs == 0:
		return 0
	case s.Map:
		return float64(s.Done) / float64(s.Jobs)
	}
	return s.Progress
}

// Snapshot returns the steps as they are now, in the order of the graph.
func (r *Runner) Snapshot() []StepStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]StepStatus, len(r.states))
	for i := range r.states {
		out[i] = r.states[i].StepStatus
		out[i].Progress = r.states[i].share()
	}
	return out
}

// Progress returns the finished share of the workflow, every step counting the
// same, 0..1.
func (r *Runner) Progress() (sum float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.states {
		sum += r.states[i].share()
	}
	return sum / float64(len(r.states))
}

// stepRun is what a runner keeps of one step.
type stepRun struct {
	StepStatus
	tries   []uint8 // by element, the try that completed; shorter while fewer are known
	waiting int     // jobs that wait to be tried again
	ended   chan struct{}
}

func newStates(p *Plan) []stepRun {
	out := make([]stepRun, len(p.steps))
	for i, s := range p.steps {
		out[i].StepStatus = StepStatus{ID: s.id, State: StepWaiting, Type: s.spec.Type, Level: s.level, Map: s.mapped}
		out[i].ended = make(chan struct{})
		for _, j := range s.after {
			out[i].After = append(out[i].After, p.steps[j].id)
		}
	}
	return out
}

// note changes a step's state.
func (r *Runner) note(i int, change func(s *stepRun)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.states[i])
}

// begin notes that a step starts with so many jobs.
func (r *Runner) begin(i, jobs int) {
	r.note(i, func(s *stepRun) {
		s.State, s.Jobs, s.tries = StepRunning, jobs, make([]uint8, jobs)
	})
}

// close notes how a step ended: f is nil for well, over says that the workflow
// had ended before.
func (r *Runner) close(i int, f *core.Failure, over bool) {
	r.note(i, func(s *stepRun) {
		s.Finished, s.Running, s.waiting = time.Now().UTC(), 0, 0
		switch {
		case f == nil:
			s.State = StepDone
		case !over:
			s.State, s.Failure = StepFailed, f
		case s.Started.IsZero():
			s.State, s.Finished = StepSkipped, time.Time{}
		default:
			s.State = StepCancelled
		}
	})
}
