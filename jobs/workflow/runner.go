package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Steps is where the jobs of a workflow are run and remembered. It is safe for
// concurrent use.
type Steps interface {
	// Run brings the job with this id to its end: it starts it, joins it while it is
	// running, or returns the end it had. When ctx ends first, the job is cancelled
	// for ctx's cause, a *core.Failure. progress takes the finished share.
	Run(ctx context.Context, id core.TaskID, spec core.TaskSpec, progress func(float64)) core.TaskResult
	// Result returns the value of a completed job, false when it is not remembered.
	Result(id core.TaskID) (json.RawMessage, bool)
}

// MaxJobs is how many jobs of one workflow are on their way at once.
const MaxJobs = 256

// Runner runs one plan, once. Its methods are safe for concurrent use.
type Runner struct {
	id    core.TaskID
	home  core.RegionID
	plan  *Plan
	steps Steps
	room  *Room
	slots chan struct{} // one value per job on its way

	mu      sync.Mutex
	states  []stepRun
	failure *core.Failure // of the first step that failed
}

// NewRunner returns a runner for the workflow id in the region home.
func NewRunner(id core.TaskID, home core.RegionID, plan *Plan, steps Steps, room *Room) *Runner {
	return &Runner{id: id, home: home, plan: plan, steps: steps, room: room, slots: make(chan struct{}, MaxJobs), states: newStates(plan)}
}

// Steps returns how many steps there are.
func (r *Runner) Steps() int { return r.plan.Len() }

// Run brings the plan to its end and returns the workflow's value or why there is
// none: the failure of the first step that failed, or the cause of ctx's end. When
// it returns, nothing of the workflow is running any more.
func (r *Runner) Run(ctx context.Context) (json.RawMessage, *core.Failure) {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for i := range r.plan.steps {
		wg.Go(func() { r.follow(inner, i, stop) })
	}
	wg.Wait()
	r.mu.Lock()
	f := r.failure
	r.mu.Unlock()
	switch {
	case f != nil:
		return nil, f
	case ctx.Err() != nil:
		return nil, failureOf(context.Cause(ctx))
	}
	return r.output(ctx)
}

// follow waits for the steps before step i and runs it.
func (r *Runner) follow(ctx context.Context, i int, stop context.CancelCauseFunc) {
	defer close(r.states[i].ended)
	for _, j := range r.plan.steps[i].after {
		select {
		case <-r.states[j].ended:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		r.close(i, failureOf(context.Cause(ctx)), true)
		return
	}
	r.note(i, func(s *stepRun) { s.State, s.Started = StepRunning, time.Now().UTC() })
	f := r.step(ctx, i)
	over := ctx.Err() != nil
	r.close(i, f, over)
	if f != nil && !over {
		r.fail(i, f)
		stop(&core.Failure{Reason: core.ReasonCancelled, Message: fmt.Sprintf("step %q of the workflow failed", r.plan.steps[i].id)})
	}
}

// fail keeps the first failure of a step as that of the workflow. A step that was
// cancelled or late does not make the workflow so.
func (r *Runner) fail(i int, f *core.Failure) {
	reason := f.Reason
	if reason == core.ReasonCancelled || reason == core.ReasonDeadline {
		reason = core.ReasonExecutionFailed
	}
	message := fmt.Sprintf("step %q: %s", r.plan.steps[i].id, f.Error())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = &core.Failure{Reason: reason, Message: message[:min(len(message), maxMessage)]}
	}
}

// maxMessage keeps a message short enough to travel.
const maxMessage = 1000

// output returns the value of the workflow.
func (r *Runner) output(ctx context.Context) (json.RawMessage, *core.Failure) {
	if r.plan.output >= 0 {
		out, f := r.value(ctx, r.plan.output)
		if f != nil {
			return nil, f
		}
		return delivered(out)
	}
	out := []byte{'{'}
	for i, s := range r.plan.steps {
		if !s.sink {
			continue
		}
		value, f := r.value(ctx, i)
		if f != nil {
			return nil, f
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(fmt.Appendf(out, "%q:", s.id), value...) // an id needs no escapes
		if len(out) > core.MaxTaskBytes {
			break
		}
	}
	return delivered(append(out, '}'))
}

func delivered(out json.RawMessage) (json.RawMessage, *core.Failure) {
	if err := deliverable(out); err != nil {
		return nil, &core.Failure{Reason: core.ReasonExecutionFailed, Message: "the result of the workflow cannot be delivered: " + err.Error()}
	}
	return out, nil
}

// failureOf says why a context ended.
func failureOf(cause error) *core.Failure {
	var f *core.Failure
	switch {
	case errors.As(cause, &f):
		return f
	case errors.Is(cause, context.DeadlineExceeded):
		return &core.Failure{Reason: core.ReasonDeadline, Message: "the workflow's timeout passed before it was done"}
	}
	return &core.Failure{Reason: core.ReasonCancelled, Message: "the workflow was cancelled"}
}

// invalid is a failure that the data of a step caused.
func invalid(format string, args ...any) *core.Failure {
	return &core.Failure{Reason: core.ReasonInvalidInput, Message: fmt.Sprintf(format, args...)}
}
