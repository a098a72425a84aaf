package regional

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// execution is one job on its way through the region, in one term.
type execution struct {
	v    *Validator
	term *term
	job  jobs.Job // as recorded: nothing but its id, spec and plan is read later
	cost compute.Cost
	flaw error // why the data cannot be run

	recorded chan struct{} // closed when the journal has answered
	refused  error         // what it answered; valid after recorded
	begin    sync.Once
	finished chan struct{}   // closed when result is set
	result   core.TaskResult // valid after finished
	closing  sync.Once

	planner compute.Planner
	queue   time.Time // until when a capable node must be there

	looked sync.Once // whether the subtasks write output, which takes reading all the data
	writes bool      // valid after looked

	mu    sync.Mutex
	parts []part
	left  int
	ended bool
	flow  *flow // of a workflow, once it has started
}

// part is one subtask.
type part struct {
	data   json.RawMessage
	output json.RawMessage // nil until accepted
	proof  core.Proof
	region core.RegionID
	// recorded is closed when the journal has it; nil for what is recorded with the
	// end, and for what an earlier term left unsure.
	recorded chan struct{}
}

// newExecution plans a job: into how many subtasks it is cut, and which pool takes
// it, is part of its record, so that whoever takes it over does the same.
func newExecution(v *Validator, t *term, job jobs.Job) *execution {
	x := &execution{v: v, term: t, job: job, recorded: make(chan struct{}), finished: make(chan struct{}),
		planner: v.deps.Planners[job.Spec.Type], queue: time.Now().Add(job.Spec.QueueTimeout())}
	if x.cost, x.flaw = v.check(job.Spec); x.flaw == nil && x.job.Subtasks == 0 {
		x.job.Pool = v.pooled(job.Spec, x.cost)
		x.job.Subtasks = max(v.shards(x.cost, job.Spec), x.job.Pool.Size())
	}
	return x
}

func (x *execution) id() core.TaskID { return x.job.ID }

// found makes x the execution of a job that the journal knew already.
func (x *execution) found(job jobs.Job, err error) error {
	if err != nil {
		return err
	}
	x.v.mu.Lock() // others look at what is in v.runs
	x.job = job
	x.v.mu.Unlock()
	if job.State.Final() {
		x.close(job.Result)
	}
	return nil
}

// sameAs waits for the record and refuses another task under the same id.
func (x *execution) sameAs(ctx context.Context, job jobs.Job) error {
	select {
	case <-x.recorded: // whatever became of ctx meanwhile: who made the record has to run it
	default:
		select {
		case <-x.recorded:
		case <-ctx.Done():
			return core.Errorf(core.Timeout, "journal", "task %s is not recorded yet: %w", job.ID, ctx.Err())
		}
	}
	if x.refused == nil && x.job.SpecHash != job.SpecHash {
		return core.Errorf(core.Conflict, "taskId", "task %s is known as another task", job.ID)
	}
	return x.refused
}

// over reports whether the job has ended.
func (x *execution) over() bool {
	select {
	case <-x.finished:
		return true
	default:
		return false
	}
}

// close sets the result, once.
func (x *execution) close(r core.TaskResult) {
	x.closing.Do(func() {
		x.result = r
		close(x.finished)
	})
}

// run brings a recorded job to its end, or joins whoever does.
func (x *execution) run(ctx context.Context, progress func(float64)) core.TaskResult {
	if !x.over() {
		x.begin.Do(x.start)
	}
	return x.wait(ctx, progress)
}

// wait returns the job's end. The context's end, other than by losing its
// gateway, ends the job; without the gateway it goes on.
func (x *execution) wait(ctx context.Context, progress func(float64)) core.TaskResult {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-x.finished:
			return x.result
		case <-tick.C:
			progress(x.progress())
		case <-ctx.Done():
			f := failureOf(context.Cause(ctx))
			if f.Reason == jobs.LeaseExpired || f.Reason == jobs.HandedOver { // who waited is gone; the job is not
				return jobs.FailedResult(x.id(), f)
			}
			x.abort(f)
			<-x.finished
			return x.result
		}
	}
}

// jobResult is how a job's end travels to its gateway.
func (x *execution) jobResult(r core.TaskResult) *wire.JobResult {
	return &wire.JobResult{Output: wire.Payload{Inline: r.Result}, Failure: r.Failure, Proofs: r.Proofs, Workers: r.Workers,
		Regions: r.Regions, Subtasks: max(1, x.job.Subtasks)}
}

// failureOf says why a context ended.
func failureOf(cause error) *core.Failure {
	var f *core.Failure
	switch {
	case errors.As(cause, &f):
		return f
	case errors.Is(cause, context.DeadlineExceeded):
		return &core.Failure{Reason: core.ReasonDeadline, Message: "the task's timeout passed before it was done"}
	}
	return &core.Failure{Reason: core.ReasonCancelled, Message: "the node that ran the task stopped"}
}

// note changes the journal's record; a job that has ended keeps it as it is.
func (x *execution) note(fn func(jobs.Job) (jobs.Job, error)) {
	if err := x.v.deps.Journal.Update(x.id(), fn); err != nil {
		x.v.log.Debug().Err(err).Str("task_id", string(x.id())).Msg("journal not updated")
	}
}

// Started implements dispatch.Owner.
func (x *execution) Started(k jobs.Key, child core.NodeID, attempt int) {
	x.note(func(j jobs.Job) (jobs.Job, error) {
		j = j.Begin(k.Index, attempt, child, time.Now().UTC())
		if j.State == jobs.Running {
			return j, nil
		}
		return j.To(jobs.Running, j.Updated)
	})
}

// Verify implements dispatch.Owner: the proof must tie exactly this input to
// exactly this output, and the output must be possible for the input and of the
// quality that the proof claims.
func (x *execution) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	if err := jobs.VerifyProof(x.v.proofs, u, x.signer(child, r), r, output, time.Now()); err != nil {
		return err
	}
	return compute.Judge(x.planner, u.Data, output, r.Proofs[0].ResultMetric)
}

// signer is who must have signed: the worker itself, or for another region any
// of its workers; a result that this region computed again it signs itself.
func (x *execution) signer(child core.NodeID, r *wire.JobResult) core.NodeID {
	if len(r.Proofs) == 0 {
		return child
	}
	if p := r.Proofs[0].NodeID; p == x.v.deps.Signer.ID() || x.v.otherRegion(child) != "" {
		return p
	}
	return child
}

// otherRegion returns the region that a child coordinates, empty for a worker of
// this one. Only the child's signed ad counts, not what it writes into results.
func (v *Validator) otherRegion(child core.NodeID) core.RegionID {
	n, known := v.deps.Workers.Get(child, time.Now())
	if !known || !n.Ad.Can.Has(core.CanCoordinate) || n.Ad.Region == v.deps.Region() {
		return ""
	}
	return n.Ad.Region
}

// origin is the region that a result of child was computed in.
func (x *execution) origin(child core.NodeID) core.RegionID {
	if other := x.v.otherRegion(child); other != "" {
		return other
	}
	return x.v.deps.Region()
}

// Done implements dispatch.Owner.
func (x *execution) Done(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) {
	x.closeAttempt(u.Key, child, outcomeOf(r))
	x.v.workerSpans(r, child, time.Now())
	if r.Failure != nil {
		x.abort(r.Failure)
		return
	}
	x.v.deps.Events.Publish(event.Event{Name: event.SubtaskCompleted, TaskID: x.id(), Data: u.Index})
	if x.store(jobs.Part{Index: u.Index, Output: output, Proof: r.Proofs[0], Region: x.origin(child)}) {
		x.complete()
	}
}

// closeAttempt notes how an attempt ended.
func (x *execution) closeAttempt(k jobs.Key, child core.NodeID, outcome string) {
	var closed jobs.Job
	x.note(func(j jobs.Job) (jobs.Job, error) {
		closed = j.Close(k.Index, child, outcome, time.Now().UTC())
		return closed, nil
	})
	x.v.leased(x.id(), closed, k.Index, child)
}

// store keeps an accepted part and reports whether it was the last.
func (x *execution) store(accepted jobs.Part) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := &x.parts[accepted.Index]
	if p.output != nil || x.ended {
		return false
	}
	p.output, p.proof, p.region = accepted.Output, accepted.Proof, accepted.Region
	x.left--
	if x.left > 0 { // the last one is kept with the end
		recorded := make(chan struct{})
		p.recorded = recorded
		x.keep([]jobs.Part{accepted}, func() { close(recorded) })
	}
	return x.left == 0
}

// Recorded implements dispatch.Recorder: a part counts when the journal has it, or
// the end of the job. Until then this term may end without a trace of it, and the
// next one has it computed, and paid, again.
func (x *execution) Recorded(u *jobs.Unit) bool { return x.recordedPart(u.Index) }

// keep has the journal keep parts for a successor.
func (x *execution) keep(parts []jobs.Part, recorded func()) {
	for _, p := range parts {
		if err := x.v.deps.Journal.Keep(x.id(), p, recorded); err != nil {
			x.v.log.Debug().Err(err).Str("task_id", string(x.id())).Msg("subtask not kept; a successor would run it again")
		}
	}
}

// Ended implements dispatch.Owner.
func (x *execution) Ended(_ *jobs.Unit, f *core.Failure) { x.abort(f) }

// abort ends the job for a reason and takes its subtasks off the board.
func (x *execution) abort(f *core.Failure) {
	if w := x.flowOf(); w != nil {
		w.stop(f) // it ends once its steps have
		return
	}
	if !x.fail(f) {
		return // it had ended; whoever ended it cleans up
	}
	if w := x.flowOf(); w != nil { // it started just now
		w.stop(f)
	}
	x.mu.Lock()
	n := len(x.parts)
	x.mu.Unlock()
	for i := n - 1; i >= 0; i-- { // those that wait first: nobody is to begin one now
		x.v.deps.Dispatcher.Fail(jobs.Key{Task: x.id(), Index: i}, f)
	}
}

// fail ends the job for a reason, unless it has ended, and reports whether it did.
// The record is made in the background.
func (x *execution) fail(f *core.Failure) bool {
	first := x.claimEnd()
	if first {
		go x.settle(jobs.FailedResult(x.id(), f))
	}
	return first
}

// finish ends the job and waits until that is recorded, unless it has ended.
func (x *execution) finish(r core.TaskResult) {
	if x.claimEnd() {
		x.settle(r)
	}
}

// claimEnd reports whether the caller is the one to end the job.
func (x *execution) claimEnd() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	first := !x.ended
	x.ended = true
	return first
}

// settle records the end of the job, however long the journal takes to be able
// to; when the term is over by then, the job is whoever leads next's, and what
// ended it here may be no more than the end of the term.
func (x *execution) settle(r core.TaskResult) {
	for wait := settleFirst; x.term.ctx.Err() == nil; wait = min(2*wait, settleMost) {
		result, err := x.v.end(x.term.ctx, r)
		if err == nil {
			x.v.leave(x, nil)
			x.close(result)
			return
		}
		x.v.log.Warn().Err(err).Str("task_id", string(x.id())).Msg("the end of a job is not recorded yet")
		select {
		case <-x.term.ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Waits between tries to record an end: a full disk or a group without a majority
// may last.
const (
	settleFirst = 50 * time.Millisecond
	settleMost  = 2 * time.Second
)

// abandon ends the execution here, not the job: another coordinator has it now.
func (x *execution) abandon() {
	x.mu.Lock()
	x.ended = true
	x.mu.Unlock()
	x.close(jobs.FailedResult(x.id(), &core.Failure{Reason: jobs.HandedOver, Message: "another coordinator leads the region now"}))
}

// partial is the sum of the running subtasks' own progress.
func (x *execution) partial() (sum float64) {
	if w := x.flowOf(); w != nil {
		return w.runner.Progress() * float64(w.runner.Steps())
	}
	x.mu.Lock()
	n := len(x.parts)
	x.mu.Unlock()
	for i := range n {
		sum += x.v.deps.Dispatcher.Progress(jobs.Key{Task: x.id(), Index: i})
	}
	return sum
}

func (x *execution) progress() float64 {
	job, err := x.v.deps.Journal.Get(x.id())
	if err != nil {
		return 0
	}
	job.Partial = x.partial()
	return job.Progress()
}
