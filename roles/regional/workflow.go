package regional

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

// maxWorkflows is how many workflows a region runs at once: they hold a place in
// the journal while their steps need others.
const maxWorkflows = 256

// taskWorkflowRecord is the type of the record that says how the steps of a
// workflow ended. Nobody runs it.
const taskWorkflowRecord core.TaskType = "workflow-record"

// flow is a workflow on its way: an execution whose parts are jobs of this region.
type flow struct {
	x      *execution
	runner *workflow.Runner
	stop   context.CancelCauseFunc

	mu      sync.Mutex
	workers []core.NodeID
	regions []core.RegionID
	open    map[core.TaskID]struct{} // jobs of steps that are under way
}

var _ workflow.Steps = (*flow)(nil)

// startFlow begins a workflow. Whoever starts it again, on this coordinator or on
// the next one, finds the jobs of the steps that have begun or ended.
func (x *execution) startFlow() {
	plan, err := workflow.Planner{Tasks: x.v.deps.Planners}.Parse(x.job.Spec.Data)
	if err != nil {
		x.fail(&core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()})
		return
	}
	late := &core.Failure{Reason: core.ReasonDeadline, Message: "the workflow's timeout passed before it was done"}
	ctx, cancel := context.WithDeadlineCause(context.Background(), x.job.Deadline(), late)
	ctx, stop := context.WithCancelCause(ctx)
	release := context.AfterFunc(x.term.ctx, func() {
		stop(&core.Failure{Reason: jobs.HandedOver, Message: "another coordinator leads the region now"})
	})
	f := &flow{x: x, stop: stop, open: map[core.TaskID]struct{}{}}
	f.runner = workflow.NewRunner(x.id(), x.v.deps.Region(), plan, f, x.v.room)
	x.job.Subtasks = plan.Len() // read again once the workflow has ended
	x.mu.Lock()
	x.flow = f
	ended := x.ended
	x.mu.Unlock()
	if ended { // it was cancelled before there was anything to stop
		release()
		cancel()
		return
	}
	x.note(func(j jobs.Job) (jobs.Job, error) {
		j.Subtasks = plan.Len()
		return j.To(jobs.Running, time.Now().UTC())
	})
	go func() {
		defer cancel()
		defer release()
		f.run(ctx)
	}()
}

// run brings the workflow to its end and records it. A workflow that is stopped
// because this coordinator lost the region (jobs.HandedOver) stays open, and so
// do the jobs of its steps: the next coordinator goes on with them.
func (f *flow) run(ctx context.Context) {
	x := f.x
	value, failure := f.runner.Run(ctx)
	if failure != nil && failure.Reason == jobs.HandedOver {
		return
	}
	f.record()
	if failure != nil {
		x.fail(failure)
		return
	}
	f.mu.Lock()
	result := core.TaskResult{TaskID: x.id(), Status: core.TaskCompleted, Result: value, Workers: f.workers, Regions: f.regions,
		Proofs: []core.Proof{x.v.prove(x.job.Spec.Type, jobs.InputHash(x.job.Spec.Data), value, 1)}}
	f.mu.Unlock()
	x.finish(result)
}

// record keeps how the steps ended, for those who ask later. Without it only the
// picture is lost.
func (f *flow) record() {
	x := f.x
	id := workflow.RecordID(x.v.deps.Region(), x.id())
	now := time.Now().UTC()
	steps, err := json.Marshal(f.runner.Snapshot())
	if err == nil {
		spec := core.TaskSpec{Type: taskWorkflowRecord, Data: json.RawMessage("{}")}
		err = x.v.deps.Journal.Commit(context.Background(), jobs.NewJob(id, spec, x.v.deps.Signer.ID(), now))
	}
	if err == nil || errors.Is(err, core.Exists) { // of a coordinator that did not get further
		_, err = x.v.deps.Journal.End(context.Background(), core.TaskResult{TaskID: id, Status: core.TaskCompleted, Result: steps}, now)
	}
	if err != nil && !errors.Is(err, core.Conflict) {
		x.v.log.Warn().Err(err).Str("task_id", string(x.id())).Msg("the steps of a workflow are not kept")
	}
}

// Run implements workflow.Steps.
func (f *flow) Run(ctx context.Context, id core.TaskID, spec core.TaskSpec, progress func(float64)) core.TaskResult {
	job, failure := f.commit(ctx, id, spec)
	if failure != nil {
		return jobs.FailedResult(id, failure)
	}
	r := f.runJob(ctx, job, progress)
	if r.Status != core.TaskCompleted {
		return r
	}
	if len(r.Proofs) == 0 || r.Proofs[0].InputHash != jobs.InputHash(spec.Data) || r.Proofs[0].OperationType != string(spec.Type) {
		return core.FailedFor(id, core.ReasonInternal, "another task has the id of this step's job: "+string(id))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range r.Workers {
		f.workers = appendNew(f.workers, w, wire.MaxWorkersShown)
	}
	for _, region := range r.Regions {
		f.regions = appendNew(f.regions, region, maxRegionsShown)
	}
	return r
}

// runJob runs the job of a step, which is under way meanwhile.
func (f *flow) runJob(ctx context.Context, job *execution, progress func(float64)) core.TaskResult {
	f.mu.Lock()
	f.open[job.id()] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.open, job.id())
		f.mu.Unlock()
	}()
	return job.run(ctx, progress)
}

// underWay returns the jobs of steps that have neither ended nor failed, in order.
func (f *flow) underWay() []core.TaskID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.open))
}

// commit records the job of a step, in the name of who submitted the workflow and as
// part of its trace, or finds it recorded. While the region takes no more jobs it waits.
func (f *flow) commit(ctx context.Context, id core.TaskID, spec core.TaskSpec) (*execution, *core.Failure) {
	spec.Submitter, spec.Priority = f.x.job.Spec.Submitter, cmp.Or(spec.Priority, f.x.job.Spec.Priority)
	if err := wire.Head(spec).Spec(json.RawMessage("{}")).Validate(); err != nil { // nobody could be offered it
		return nil, &core.Failure{Reason: core.ReasonInvalidInput, Message: "the step's task: " + err.Error()}
	}
	defer f.x.v.span(id, "commit", time.Now())
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		job := jobs.NewJob(id, spec, f.x.job.Gateway, time.Now().UTC())
		job.Regions, job.Trace = f.x.job.Regions, f.x.v.deps.Trace.Context(f.x.id()).String()
		f.x.v.traced(job)
		x, err := f.x.v.record(ctx, job)
		if err == nil {
			return x, nil
		}
		if k := core.KindOf(err); k == core.Conflict || k == core.Invalid || k == core.Internal {
			return nil, &core.Failure{Reason: core.ReasonInternal, Message: "recording the step's job: " + err.Error()}
		}
		select {
		case <-ctx.Done():
			return nil, failureOf(context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// Result implements workflow.Steps.
func (f *flow) Result(id core.TaskID) (json.RawMessage, bool) {
	job, err := f.x.v.deps.Journal.Get(id)
	return job.Result.Result, err == nil && job.State == jobs.Completed
}

// flowOf returns what runs a workflow, nil for any other job.
func (x *execution) flowOf() *flow {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.flow
}

// workflows counts those that are running, 0 when the one with this id is one of
// them: that one needs no more room.
func (v *Validator) workflows(id core.TaskID) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.runs[id] != nil {
		return 0
	}
	for _, x := range v.runs {
		if x.job.Spec.Type == workflow.Type {
			n++
		}
	}
	return n
}

// refuse says why an offer is not taken: a workflow is a whole job, and a region
// runs so many.
func (v *Validator) refuse(o *wire.JobOffer) *wire.JobReject {
	switch {
	case o.Task.Type != workflow.Type:
		return nil
	case o.Class == wire.ClassSubtask:
		return &wire.JobReject{Reason: wire.RefusedUnable, Message: "a workflow is no subtask"}
	case v.workflows(o.TaskID) >= maxWorkflows:
		return &wire.JobReject{Reason: wire.RefusedFull, Message: "enough workflows are running here", RetryAfterMS: 10} // other jobs need not wait
	}
	return nil
}

// steps answers wire.QueryWorkflow: the steps as JSON, of the running workflow or
// as they ended. Before it runs, and once they are forgotten, there are none.
func (v *Validator) steps(job jobs.Job) (json.RawMessage, error) {
	if job.Spec.Type != workflow.Type {
		return nil, core.Errorf(core.NotFound, "taskId", "task %s is not a workflow", job.ID).WithHint("see it with: tenzro task get " + string(job.ID))
	}
	states, _ := v.stepStates(job)
	return json.Marshal(states)
}

// stepStates returns the steps of a workflow, and what runs it here, nil when nothing
// does.
func (v *Validator) stepStates(job jobs.Job) ([]workflow.StepStatus, *flow) {
	v.mu.Lock()
	x := v.runs[job.ID]
	v.mu.Unlock()
	if x != nil {
		if f := x.flowOf(); f != nil {
			return f.runner.Snapshot(), f
		}
	}
	states := []workflow.StepStatus{}
	record, err := v.deps.Journal.Get(workflow.RecordID(v.deps.Region(), job.ID))
	if err == nil && record.State == jobs.Completed && record.Spec.Type == taskWorkflowRecord && json.Unmarshal(record.Result.Result, &states) != nil {
		states = []workflow.StepStatus{}
	}
	return states, nil
}
