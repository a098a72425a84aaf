package regional

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// relay is one subtask of another region's job, on its way through this one: it
// goes to a worker of this region as it is, and the worker's proof goes back.
type relay struct {
	v    *Validator
	done chan *wire.JobResult // capacity 1
}

// relay returns what runs an offered subtask in a term.
func (v *Validator) relay(t *term, o *wire.JobOffer) func(context.Context, []byte, func(float64)) *wire.JobResult {
	return func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		cost, err := v.check(o.Task.Spec(data))
		if err != nil {
			return failed(&core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()})
		}
		r := &relay{v: v, done: make(chan *wire.JobResult, 1)}
		u := jobs.Unit{Key: jobs.Key{Task: o.TaskID, Index: o.Index}, Class: wire.ClassSubtask, Head: o.Task, Data: data,
			InputHash: o.InputHash, Weight: max(1, int64(cost.Units)), Home: v.deps.Region(), Gateway: o.Gateway, Deadline: o.Deadline,
			Trace: o.Trace, QueueUntil: time.Now().Add(o.Task.Spec(nil).QueueTimeout())}
		if err := v.deps.Dispatcher.Submit(u, r); err != nil {
			return failed(&core.Failure{Reason: core.ReasonInternal, Message: err.Error()})
		}
		stop := context.AfterFunc(ctx, func() { v.deps.Dispatcher.Fail(u.Key, failureOf(context.Cause(ctx))) })
		defer stop()
		select {
		case result := <-r.done:
			return result
		case <-t.ctx.Done(): // nobody hears of the unit any more
			return failed(&core.Failure{Reason: core.ReasonAttemptsExhausted, Message: "another coordinator leads the region now"})
		}
	}
}

func failed(f *core.Failure) *wire.JobResult { return &wire.JobResult{Failure: f} }

// Started implements dispatch.Owner.
func (r *relay) Started(jobs.Key, core.NodeID, int) {}

// Verify implements dispatch.Owner.
func (r *relay) Verify(u *jobs.Unit, child core.NodeID, m *wire.JobResult, output []byte) error {
	if err := jobs.VerifyProof(u, child, m, output, time.Now()); err != nil {
		return err
	}
	planner, ok := r.v.deps.Planners[u.Head.Type]
	if !ok {
		return core.Errorf(core.Unsupported, "type", "no task type %.32q is known here", u.Head.Type)
	}
	return compute.Judge(planner, u.Data, output, m.Proofs[0].ResultMetric)
}

// Done implements dispatch.Owner.
func (r *relay) Done(_ *jobs.Unit, _ core.NodeID, m *wire.JobResult, output []byte) {
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
