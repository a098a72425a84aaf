package regional

import (
	"cmp"
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// relay is one subtask of another region's job, on its way through this one: it
// goes to a worker of this region as it is, and the worker's proof goes back.
type relay struct {
	v    *Validator
	done chan *wire.JobResult // capacity 1

	// Where its time goes. What follows is touched by one call of the dispatcher at a
	// time.
	traced trace.Active
	tries  map[core.NodeID]core.Attempt // that run, by worker
}

// relay returns what runs an offered subtask in a term.
func (v *Validator) relay(t *term, o *wire.JobOffer) func(context.Context, []byte, func(float64)) *wire.JobResult {
	return func(ctx context.Context, data []byte, progress func(float64)) (result *wire.JobResult) {
		cost, err := v.check(o.Task.Spec(data))
		if err != nil {
			return failed(&core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()})
		}
		r := newRelay(v, o)
		defer func() { r.trace(o, result) }()
		u := jobs.Unit{Key: jobs.Key{Task: o.TaskID, Index: o.Index}, Class: wire.ClassSubtask, Head: o.Task, Data: data,
			InputHash: o.InputHash, Weight: max(1, int64(cost.Units)), Home: v.deps.Region(), Gateway: o.Gateway, Deadline: o.Deadline,
			Trace: cmp.Or(r.traced.Context().String(), o.Trace), QueueUntil: time.Now().Add(o.Task.Spec(nil).QueueTimeout())}
		if err := v.deps.Dispatcher.Submit(u, r); err != nil {
			return failed(&core.Failure{Reason: core.ReasonInternal, Message: err.Error()})
		}
		stop := context.AfterFunc(ctx, func() { v.deps.Dispatcher.Fail(u.Key, failureOf(context.Cause(ctx))) })
		defer stop()
		select {
		case result = <-r.done:
			return result
		case <-t.ctx.Done(): // nobody hears of the unit any more
			return failed(&core.Failure{Reason: core.ReasonAttemptsExhausted, Message: "another coordinator leads the region now"})
		}
	}
}

func newRelay(v *Validator, o *wire.JobOffer) *relay {
	return &relay{v: v, done: make(chan *wire.JobResult, 1), tries: map[core.NodeID]core.Attempt{},
		traced: trace.Start(v.deps.Trace.Sink(), trace.OfLease(o.Trace, o.Index, o.Attempt), time.Now())}
}

// tried exports an attempt of a worker that has ended.
func (r *relay) tried(task core.TaskID, child core.NodeID, outcome string) {
	a, some := r.tries[child]
	if !some {
		return
	}
	delete(r.tries, child)
	a.Finished, a.Outcome = time.Now().UTC(), outcome
	r.traced.Lease(task, lease(a, a.Finished))
}

// trace exports the whole of it.
func (r *relay) trace(o *wire.JobOffer, result *wire.JobResult) {
	r.traced.End(o.TaskID, core.Span{Name: "relay", At: core.AtRegion, Node: r.v.deps.Signer.ID(), Subtask: &o.Index, Attempt: o.Attempt,
		Note: outcomeOf(result)}, time.Now())
}

func outcomeOf(r *wire.JobResult) string {
	if r.Failure != nil {
		return string(r.Failure.Reason)
	}
	return jobs.OutcomeOK
}

func failed(f *core.Failure) *wire.JobResult { return &wire.JobResult{Failure: f} }

// Started implements dispatch.Owner.
func (r *relay) Started(k jobs.Key, child core.NodeID, attempt int) {
	r.tries[child] = core.Attempt{Index: k.Index, Attempt: attempt, Worker: child, Started: time.Now().UTC()}
}

// Lost implements dispatch.LossWatcher.
func (r *relay) Lost(l *jobs.Loss) { r.tried(l.Unit.Task, l.Child, string(l.Reason)) }

// Verify implements dispatch.Owner.
func (r *relay) Verify(u *jobs.Unit, child core.NodeID, m *wire.JobResult, output []byte) error {
	if err := jobs.VerifyProof(u, child, m, output, time.Now()); err != nil {
		return err
	}
	planner, ok := r.v.deps.Planners[u.Head.Type]
	if !ok {
		return core.Errorf(core.Unsupported, "type", "no task type %.32q is known here", u.Head.Type)
	}
	return planner.Validate(u.Data, output)
}

// Done implements dispatch.Owner.
func (r *relay) Done(u *jobs.Unit, child core.NodeID, m *wire.JobResult, output []byte) {
	r.tried(u.Task, child, outcomeOf(m))
	if m.Failure != nil {
		r.done <- failed(m.Failure)
		return
	}
	r.done <- &wire.JobResult{Output: wire.Payload{Inline: output}, Proofs: m.Proofs, Regions: []core.RegionID{r.v.deps.Region()}}
}

// Ended implements dispatch.Owner. That nobody here can run it says nothing about
// the other regions: to the home it is one more lost attempt.
func (r *relay) Ended(_ *jobs.Unit, f *core.Failure) {
	if f.Reason == core.ReasonNoCapableWorker {
		f = &core.Failure{Reason: core.ReasonAttemptsExhausted, Message: f.Message}
	}
	r.done <- failed(f)
}
