package regional

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// relay is one subtask of another region's job, on its way through this one: it
// goes to a worker of this region as it is, and the worker's proof goes back.
type relay struct {
	v        *Validator
	term     *term
	offer    *wire.JobOffer
	recorded bool                 // in the journal
	done     chan *wire.JobResult // capacity 1
	released chan struct{}        // closed when the journal has it that it is over
	once     sync.Once            // closes released

	// Where its time goes. What follows is touched by one call of the dispatcher at a
	// time.
	traced trace.Active
	tries  map[core.NodeID]core.Attempt // that run, by worker
}

// relay returns what runs an offered subtask in a term. It is recorded, so that
// whoever leads next goes on with it.
func (v *Validator) relay(t *term, o *wire.JobOffer) func(context.Context, []byte, func(float64)) *wire.JobResult {
	return func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
		u, err := v.relayed(o, data)
		if err != nil {
			return failed(&core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()})
		}
		r := newRelay(v, t, o)
		u.Trace = cmp.Or(r.traced.Context().String(), o.Trace)
		r.record(ctx, data)
		if err := v.deps.Dispatcher.Submit(u, r); err != nil {
			return r.over(failed(&core.Failure{Reason: core.ReasonInternal, Message: err.Error()}))
		}
		return r.wait(ctx)
	}
}

// relayed is the unit that an offered subtask is here.
func (v *Validator) relayed(o *wire.JobOffer, data []byte) (jobs.Unit, error) {
	cost, err := v.check(o.Task.Spec(data))
	if err != nil {
		return jobs.Unit{}, err
	}
	return jobs.Unit{Key: jobs.Key{Task: o.TaskID, Index: o.Index}, Class: wire.ClassSubtask, Head: o.Task, Data: data,
		InputHash: o.InputHash, Weight: max(1, int64(cost.Units)), Home: v.deps.Region(), Gateway: o.Gateway, Deadline: o.Deadline,
		Trace: o.Trace, QueueUntil: time.Now().Add(o.Task.Spec(nil).QueueTimeout())}, nil
}

// wait returns what became of the subtask, nil when the term ended before and the
// record is there for the next.
func (r *relay) wait(ctx context.Context) *wire.JobResult {
	key := jobs.Key{Task: r.offer.TaskID, Index: r.offer.Index}
	stop := context.AfterFunc(ctx, func() { r.v.deps.Dispatcher.Fail(key, failureOf(context.Cause(ctx))) })
	defer stop()
	select {
	case result := <-r.done:
		return r.over(result)
	case <-r.term.ctx.Done(): // nobody hears of the unit any more
	}
	if r.recorded {
		return nil
	}
	return failed(&core.Failure{Reason: core.ReasonAttemptsExhausted, Message: "another coordinator leads the region now"})
}

// record notes in the journal that the subtask is run here, before a worker has it. What
// cannot be recorded is run all the same: should this node vanish, its home has it run
// again.
func (r *relay) record(ctx context.Context, data []byte) {
	home, known := r.offer.TaskID.Home()
	if r.v.deps.Helping == nil || !known || r.offer.Epoch == 0 {
		return
	}
	err := r.v.deps.Helping.Take(ctx, journal.Taken{Home: home, Offer: *r.offer, Data: data, At: time.Now()})
	if r.recorded = err == nil; err != nil {
		r.v.log.Debug().Err(err).Str("task_id", string(r.offer.TaskID)).Msg("a subtask of another region is not recorded; a successor would not know of it")
	}
}

// over ends the record with the result, and exports the whole.
func (r *relay) over(result *wire.JobResult) *wire.JobResult {
	if r.recorded {
		r.v.deps.Helping.Release(jobs.Key{Task: r.offer.TaskID, Index: r.offer.Index}, r.offer.Lease, r.release)
	}
	r.traced.End(r.offer.TaskID, core.Span{Name: "relay", At: core.AtRegion, Node: r.v.deps.Signer.ID(), Subtask: &r.offer.Index,
		Attempt: r.offer.Attempt, Note: outcomeOf(result)}, time.Now())
	return result
}

// release notes that the journal has the end of the record.
func (r *relay) release() { r.once.Do(func() { close(r.released) }) }

// Recorded implements dispatch.Recorder: while the journal has it that the subtask is
// run here, whoever leads next takes it up, and has it computed, and paid, again. From
// the offer's deadline on the record is void.
func (r *relay) Recorded(*jobs.Unit) bool {
	if !r.recorded {
		return r.term.ctx.Err() == nil
	}
	void := time.NewTimer(time.Until(r.offer.Deadline))
	defer void.Stop()
	select {
	case <-r.released:
		return true
	case <-void.C:
		return r.term.ctx.Err() == nil
	case <-r.term.ctx.Done():
		return false
	}
}

// takeUp goes on with the subtasks that the region's leaders before this one took
// from others: what workers of the region still run is adopted from them, and the
// homes are told who holds it now.
func (v *Validator) takeUp(t *term) {
	if v.deps.Helping == nil || v.deps.Restore == nil {
		return
	}
	for _, rec := range v.deps.Helping.Taken(time.Now()) {
		if err := v.takeUpOne(t, rec); err != nil && !errors.Is(err, core.Exists) { // Exists: it runs here
			v.log.Debug().Err(err).Str("task_id", string(rec.Offer.TaskID)).Int("subtask", rec.Offer.Index).Msg("a subtask of another region is not taken up")
		}
	}
}

// takeUpOne goes on with one recorded subtask. The record of what cannot be run at all
// ends; every other stays, for whoever leads next.
func (v *Validator) takeUpOne(t *term, rec journal.Taken) error {
	u, err := v.relayed(&rec.Offer, rec.Data)
	if err != nil {
		v.deps.Helping.Release(rec.Key(), rec.Offer.Lease, nil)
		return err
	}
	r := newRelay(v, t, &rec.Offer)
	r.recorded = true
	if err := v.deps.Dispatcher.Resume(u, r); err != nil {
		return err
	}
	run := func(ctx context.Context, _ []byte, _ func(float64)) *wire.JobResult { return r.wait(ctx) }
	if !v.deps.Restore(rec, &dispatch.Ticket{Run: run, Cancel: func() {}, Over: t.ctx.Done()}) {
		v.deps.Dispatcher.Fail(rec.Key(), &core.Failure{Reason: core.ReasonInternal, Message: "its lease is held otherwise"})
		return core.Errorf(core.Conflict, "lease", "lease %d of region %s is held otherwise", rec.Offer.Lease, rec.Home)
	}
	return nil
}

func newRelay(v *Validator, t *term, o *wire.JobOffer) *relay {
	return &relay{v: v, term: t, offer: o, done: make(chan *wire.JobResult, 1), released: make(chan struct{}), tries: map[core.NodeID]core.Attempt{},
		traced: trace.Start(v.deps.Trace.Sink(), o.Trace, o.Index, o.Attempt, time.Now())}
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
	if err := jobs.VerifyProof(r.v.proofs, u, child, m, output, time.Now()); err != nil {
		return err
	}
	planner, ok := r.v.deps.Planners[u.Head.Type]
	if !ok {
		return core.Errorf(core.Unsupported, "type", "no task type %.32q is known here", u.Head.Type)
	}
	return compute.Judge(planner, u.Data, output, m.Proofs[0].ResultMetric)
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
