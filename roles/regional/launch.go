package regional

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

// start hands the job's subtasks to the dispatcher.
func (x *execution) start() { x.launch(journal.OpenJob{}, x.v.deps.Dispatcher.Submit) }

// launch cuts the job and submits what no kept part answers.
func (x *execution) launch(kept journal.OpenJob, submit func(jobs.Unit, dispatch.Owner) error) {
	if x.job.Spec.Type == workflow.Type {
		x.startFlow()
		return
	}
	defer x.v.span(x.id(), "plan", time.Now())
	err := x.flaw
	if err == nil {
		err = x.cut(kept)
	}
	if err != nil {
		x.fail(&core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()})
		return
	}
	x.note(func(j jobs.Job) (jobs.Job, error) {
		j.Subtasks, j.Done, j.Worth = len(x.parts), len(x.parts)-x.left, x.worth()
		return j.To(jobs.Planned, time.Now().UTC())
	})
	if x.left == 0 {
		x.complete()
		return
	}
	x.submit(submit)
	x.spread()
}

// cut splits the job's data and fills in the parts that fit it.
func (x *execution) cut(kept journal.OpenJob) error {
	datas, err := x.split(x.job.Subtasks)
	if err != nil {
		return err
	}
	parts, left := make([]part, len(datas)), len(datas)
	for i, data := range datas {
		parts[i].data = data
	}
	fill := func(kept []jobs.Part, recorded chan struct{}) {
		for _, k := range kept {
			if k.Index >= 0 && k.Index < len(parts) && parts[k.Index].output == nil && k.Proof.InputHash == jobs.InputHash(parts[k.Index].data) {
				p := &parts[k.Index]
				p.output, p.proof, p.region, p.recorded = k.Output, k.Proof, k.Region, recorded
				left--
			}
		}
	}
	recorded := make(chan struct{})
	close(recorded)
	fill(kept.Parts, recorded)
	fill(kept.Unsure, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.parts, x.left = parts, left
	return nil
}

func (x *execution) split(n int) ([]json.RawMessage, error) {
	if n <= 1 {
		return []json.RawMessage{x.job.Spec.Data}, nil
	}
	return x.planner.Split(x.job.Spec.Data, n)
}

// worth is what each part is credited with, in elementary operations.
func (x *execution) worth() int64 { return max(1, int64(x.cost.Units)/int64(len(x.parts))) }

func (x *execution) submit(submit func(jobs.Unit, dispatch.Owner) error) {
	head, weight := wire.Head(x.job.Spec), x.worth()
	head.Requirements = x.job.Pool.Share(head.Requirements)
	traceparent := x.v.deps.Trace.Context(x.id()).String()
	for i, p := range x.parts {
		if p.output != nil {
			continue
		}
		if x.term.ctx.Err() != nil { // the board is another term's by now
			return
		}
		u := jobs.Unit{Key: jobs.Key{Task: x.id(), Index: i}, Class: wire.ClassSubtask, Head: head, Pool: x.job.Pool, Data: p.data,
			InputHash: jobs.InputHash(p.data), Weight: weight, QueueUntil: x.queue, Deadline: x.job.Deadline(), Gateway: x.job.Gateway, Trace: traceparent}
		if err := submit(u, x); err != nil {
			x.abort(&core.Failure{Reason: core.ReasonInternal, Message: "queueing a subtask: " + err.Error()})
			return
		}
		if f := x.needless(); f != nil { // whoever ended the job may not have seen this subtask
			x.v.deps.Dispatcher.Fail(u.Key, f)
			return
		}
	}
}

// needless returns why a job that has ended needs no more work, nil while it is open.
func (x *execution) needless() *core.Failure {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended {
		return nil
	}
	return &core.Failure{Reason: core.ReasonCancelled, Message: "the task has ended"}
}

// spread asks for links to other regions when subtasks wait because the workers
// here have no room for them or cannot run them: those regions then pull their
// share.
func (x *execution) spread() {
	if x.v.deps.Spread == nil || len(x.job.Regions) < 2 {
		return
	}
	if _, queued, _ := x.v.deps.Dispatcher.Load(); queued > 0 {
		x.v.deps.Spread(x.job.Regions[1:])
	}
}
