package regional

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// Deps is what a Validator works with.
type Deps struct {
	Signer     keys.Signer
	Region     func() core.RegionID // which region this node keeps
	Journal    journal.Journal
	Dispatcher *dispatch.Dispatcher // towards the region's workers and other regions
	Workers    *registry.Table
	Planners   map[core.TaskType]compute.Planner
	Executors  map[core.TaskType]compute.Executor // to check results that carry no proof
	Events     *event.Bus
	// Spread is asked to link other regions when a job is wider than this one's free
	// workers; it may be nil and must not block.
	Spread func(regions []core.RegionID)
	// Helping records the subtasks of other regions that run here; it may be nil.
	Helping journal.Helping
	// Restore goes on with one of those that an earlier leader took, under its home's
	// lease, and reports whether it does: the ticket is run until the home does not
	// want it any more. It may be nil and must not block.
	Restore func(journal.Taken, *dispatch.Ticket) bool
	// Changed is told when this node begins and stops leading; it may be nil. When it
	// stops, nothing of its jobs has been let go of yet.
	Changed func(leading bool)
	// Announce is told the digest of every job that ended here; it may be nil and
	// must not block.
	Announce func(wire.ResultDigest)
	// Aggregations are those that local nodes of the region formed; it may be nil.
	Aggregations func() []core.AggregationState
	// Pool returns the members of an aggregation that meet requirements together
	// which nobody meets alone, empty when there is none; it may be nil and must be
	// quick.
	Pool  func(core.TaskType, core.Requirements) jobs.Pool
	Trace *trace.Ring // where jobs' time goes; it may be nil
}

// Validator runs the jobs of one region while it leads it. It is safe for
// concurrent use.
type Validator struct {
	deps    Deps
	log     zerolog.Logger
	metrics *Metrics
	room    *workflow.Room // memory of all workflows
	proofs  *keys.ProofVerifier

	listening atomic.Int64 // questions for output that wait

	mu     sync.Mutex
	term   *term // nil while this node does not lead the region
	runs   map[core.TaskID]*execution
	unsure time.Time // until when a job may turn out recorded although Commit failed
}

var (
	_ dispatch.Taker = (*Validator)(nil)
	_ dispatch.Owner = (*execution)(nil)
	_ dispatch.Owner = (*relay)(nil)
)

// New returns a validator; it takes jobs while Lead runs and its dispatcher is
// served.
func New(deps Deps, log zerolog.Logger) *Validator {
	return &Validator{deps: deps, log: log, metrics: NewMetrics(), room: workflow.NewRoom(), proofs: keys.NewProofVerifier(),
		runs: map[core.TaskID]*execution{}}
}

// Metrics returns the region's figures.
func (v *Validator) Metrics() *Metrics { return v.metrics }

// Take implements dispatch.Taker: whole jobs from gateways, single subtasks from
// other regions. A job is recorded before it is accepted.
func (v *Validator) Take(_ core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	if no := v.refuse(o); no != nil {
		return nil, no
	}
	t := v.current()
	if t == nil {
		return nil, &wire.JobReject{Reason: wire.RefusedBusy, Message: "another coordinator leads the region", RetryAfterMS: 500}
	}
	if o.Class == wire.ClassSubtask {
		if v.deps.Planners[o.Task.Type] == nil {
			return nil, &wire.JobReject{Reason: wire.RefusedUnable, Message: "no such task type is known here"}
		}
		return &dispatch.Ticket{Run: v.relay(t, o), Cancel: func() {}, Over: t.ctx.Done()}, nil
	}
	var x *execution
	prepare := func(ctx context.Context, data []byte) (no *wire.JobReject) {
		job := jobs.NewJob(o.TaskID, o.Task.Spec(data), o.Gateway, time.Now().UTC())
		job.Regions, job.SpecHash, job.Trace = o.Regions, o.SpecHash, o.Trace
		v.traced(job)
		defer v.span(o.TaskID, "commit", job.Created)
		var err error
		switch x, err = v.record(ctx, job); {
		case err == nil:
			return nil
		case errors.Is(err, core.Conflict):
			return &wire.JobReject{Reason: wire.RefusedInvalid, Message: err.Error()}
		}
		return &wire.JobReject{Reason: notNow(err), Message: err.Error(), RetryAfterMS: 500}
	}
	run := func(ctx context.Context, _ []byte, progress func(float64)) *wire.JobResult {
		return x.jobResult(x.run(ctx, progress))
	}
	return &dispatch.Ticket{Prepare: prepare, Run: run, Cancel: func() {}, Survives: true}, nil
}

// record makes a job known for good and returns its execution, which is to be
// run. A job that is known already gives the execution that is going on, or one
// that has ended.
func (v *Validator) record(ctx context.Context, job jobs.Job) (*execution, error) {
	need := &job.Spec.Requirements.Runtime
	*need = cmp.Or(compute.NeedsOf(v.deps.Planners[job.Spec.Type], job.Spec.Data), *need)
	x, first, err := v.enter(job)
	if err != nil {
		return nil, err
	}
	if !first {
		return x, x.sameAs(ctx, job)
	}
	err = v.deps.Journal.Commit(ctx, x.job)
	if errors.Is(err, core.Exists) {
		err = x.found(v.deps.Journal.Get(job.ID))
	} else if err == nil {
		v.deps.Events.Publish(event.Event{Name: event.TaskReceived, TaskID: job.ID, Data: core.Regional.String()})
	}
	if err != nil || x.over() {
		v.leave(x, err)
	}
	x.refused = err
	close(x.recorded)
	if err != nil {
		return nil, err
	}
	if err = x.sameAs(ctx, job); err != nil && !x.over() { // an open job that nobody here ran yet
		x.begin.Do(x.start)
	}
	return x, err
}

// enter returns the one execution of a job and whether this call made it. An
// execution leaves v.runs after its end was recorded.
func (v *Validator) enter(job jobs.Job) (x *execution, first bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x := v.runs[job.ID]; x != nil {
		return x, false, nil
	}
	if v.term == nil {
		return nil, false, core.Errorf(core.Unavailable, "region", "this node does not lead region %s", v.deps.Region()).
			WithHint("submit again; another coordinator takes it")
	}
	x = newExecution(v, v.term, job)
	v.runs[job.ID] = x
	return x, true, nil
}

// leave forgets an execution that is not to be run.
func (v *Validator) leave(x *execution, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.runs[x.job.ID] == x {
		delete(v.runs, x.job.ID)
	}
	if err != nil && core.KindOf(err) != core.Exhausted {
		v.unsure = time.Now().Add(orphanTime)
	}
}

// end makes a job final and tells it. An end that came first stands.
func (v *Validator) end(ctx context.Context, result core.TaskResult) (core.TaskResult, error) {
	job, err := v.deps.Journal.End(ctx, result, time.Now().UTC())
	if errors.Is(err, core.Conflict) {
		job, err = v.deps.Journal.Get(result.TaskID)
		return job.Result, err
	}
	if err != nil {
		return core.TaskResult{}, err
	}
	v.traceEnd(job)
	took := job.Updated.Sub(job.Created)
	v.metrics.finished(result, took)
	name := event.TaskAggregated
	if result.Status != core.TaskCompleted {
		name = event.TaskFailed
	}
	v.deps.Events.Publish(event.Event{Name: name, TaskID: result.TaskID, Data: core.Regional.String()})
	if v.deps.Announce != nil {
		v.deps.Announce(wire.ResultDigest{TaskID: result.TaskID, Status: result.Status, OutputHash: core.Sum(result.Result)})
	}
	v.log.Info().Str("task_id", string(result.TaskID)).Str("status", string(result.Status)).Dur("took", took).
		Int("subtasks", job.Subtasks).Msg("job ended")
	return result, nil
}

// Answer implements dispatch.Taker.
func (v *Validator) Answer(ctx context.Context, _ core.NodeID, q *wire.JobQuery) *wire.JobState {
	if q.Op == wire.QueryOutput {
		return v.output(ctx, q)
	}
	if seen := v.see(q); seen != nil {
		return seen
	}
	state := &wire.JobState{ID: q.ID}
	if q.Op == wire.QueryCancel {
		if err := v.Cancel(ctx, q.TaskID); err != nil {
			state.Fault = wire.FaultOf(err)
			return state
		}
	}
	job, err := v.deps.Journal.Get(q.TaskID)
	if errors.Is(err, core.NotFound) && !v.Leading() { // the leader may have it
		err = core.Errorf(core.Unavailable, "taskId", "task %.64s is not known on this coordinator of region %s, which does not lead it", q.TaskID, v.deps.Region()).
			WithHint("try again in a second")
	}
	if err != nil {
		state.Fault = wire.FaultOf(err)
		return state
	}
	status := v.status(job)
	state.Status, state.SpecHash = &status, job.SpecHash
	if q.Op == wire.QueryWorkflow {
		if state.Output.Inline, err = v.steps(job); err != nil {
			return &wire.JobState{ID: q.ID, Fault: wire.FaultOf(err)}
		}
	}
	if q.Op == wire.QueryResult && job.State.Final() {
		result := job.Result
		state.Output, result.Result = wire.Payload{Inline: result.Result}, nil
		state.Result = &result
	}
	return state
}

// status is the journal's view with the live progress of the running subtasks.
func (v *Validator) status(job jobs.Job) core.TaskStatus {
	v.mu.Lock()
	x := v.runs[job.ID]
	v.mu.Unlock()
	if x != nil {
		job.Partial = x.partial()
	}
	return job.Status()
}

// Cancel ends a job at the submitter's wish and waits until that is recorded;
// core.Conflict when it has ended, core.Unavailable where it does not run.
func (v *Validator) Cancel(ctx context.Context, id core.TaskID) error {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return err
	}
	if job.State.Final() {
		return core.Errorf(core.Conflict, "taskId", "task %s is %s already", id, job.State.Task())
	}
	v.mu.Lock()
	x := v.runs[id]
	v.mu.Unlock()
	if x == nil {
		return core.Errorf(core.Unavailable, "taskId", "task %s does not run on this coordinator of region %s", id, v.deps.Region()).
			WithHint("try again in a second")
	}
	x.abort(&core.Failure{Reason: core.ReasonCancelled, Message: "the submitter cancelled the task"})
	select {
	case <-x.finished:
		return nil
	case <-ctx.Done():
		return core.Errorf(core.Timeout, "taskId", "the end of task %s is not recorded yet: %w", id, ctx.Err())
	}
}

// Credited implements dispatch.Taker: a region's own credit is its workers'.
func (v *Validator) Credited(core.NodeID, *wire.JobReward) {}

// Judged implements dispatch.Taker.
func (v *Validator) Judged(from core.NodeID, m *wire.JobVerify) {
	if !m.Accepted {
		v.log.Warn().Str("node", string(from)).Str("task_id", string(m.TaskID)).Str("cause", m.Message).Msg("our result was refused")
	}
}

// check finds the planner of a task and lets it judge the data.
func (v *Validator) check(spec core.TaskSpec) (compute.Cost, error) {
	planner, ok := v.deps.Planners[spec.Type]
	if !ok {
		return compute.Cost{}, core.Errorf(core.Invalid, "type", "no task type %.32q is known here", spec.Type)
	}
	return planner.Check(spec.Data)
}

func (v *Validator) shards(cost compute.Cost, spec core.TaskSpec) int {
	_, _, workers := v.deps.Dispatcher.Load()
	return jobs.Shards(cost.Units, cost.MaxShards, spec.Parallelism, workers)
}

// Result returns the end of a job; core.Conflict while it is open.
func (v *Validator) Result(id core.TaskID) (core.TaskResult, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return core.TaskResult{}, err
	}
	if !job.State.Final() {
		return core.TaskResult{}, core.Errorf(core.Conflict, "taskId", "task %s has not ended", id)
	}
	return job.Result, nil
}

// InProgress returns how many jobs have been accepted here and have not ended.
func (v *Validator) InProgress() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.runs)
}

// notNow tells a journal that is full from one that cannot record just now.
func notNow(err error) wire.Refusal {
	switch core.KindOf(err) {
	case core.Exhausted:
		return wire.RefusedFull
	case core.Full:
		return wire.RefusedDisk
	}
	return wire.RefusedBusy
}
