package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// Bug is a fault of the product that the simulation plants around it, by wrapping
// what the parts say to each other, to show that it would be found. None of them
// can be switched on in the product.
type Bug string

// The planted bugs.
const (
	NoBug            Bug = ""
	DropIdempotency  Bug = "drop-idempotency"  // a key that is sent again is a new task
	EarlyAck         Bug = "early-ack"         // a job is acknowledged before it is committed
	EarlyEnd         Bug = "early-end"         // an end is told before it is committed
	SkipFsync        Bug = "skip-fsync"        // the disk forgets what it acknowledged
	ForgetEpoch      Bug = "forget-epoch"      // workers take offers of deposed leaders
	LeadOn           Bug = "lead-on"           // a deposed leader goes on
	LoudRetire       Bug = "loud-retire"       // one that retires tells gateways that its jobs failed
	LoseParts        Bug = "lose-parts"        // who takes over computes kept parts again
	Resplit          Bug = "resplit"           // who takes over cuts jobs in another way
	SplitBrain       Bug = "split-brain"       // every coordinator is a majority
	NoVerify         Bug = "no-verify"         // results count whatever their proof says
	CancelUnrecorded Bug = "cancel-unrecorded" // a cancellation is confirmed and forgotten
	ForgetDebts      Bug = "forget-debts"      // who takes over does not pay for what was done before
)

// Bugs returns the planted bugs.
func Bugs() []Bug {
	return []Bug{DropIdempotency, EarlyAck, EarlyEnd, SkipFsync, ForgetEpoch, LeadOn, LoudRetire, LoseParts, Resplit, SplitBrain, NoVerify, CancelUnrecorded, ForgetDebts}
}

// late is how much later than it says a buggy journal records.
const late = 500 * time.Millisecond

// key is the idempotency key of a client's n-th try.
func (b Bug) key(key string, n int) string {
	if b == DropIdempotency {
		return fmt.Sprintf("%s-%d", key, n)
	}
	return key
}

// journal is the journal as a buggy coordinator uses it.
func (b Bug) journal(ctx context.Context, j journal.Journal) journal.Journal {
	switch b {
	case EarlyAck, EarlyEnd, LoseParts, Resplit:
		return &buggyJournal{Journal: j, bug: b, ctx: ctx}
	}
	return j
}

type buggyJournal struct {
	journal.Journal
	bug Bug
	ctx context.Context
}

// Commit implements journal.Journal.
func (j *buggyJournal) Commit(ctx context.Context, job jobs.Job) error {
	if _, err := j.Get(job.ID); j.bug != EarlyAck || err == nil {
		return j.Journal.Commit(ctx, job)
	}
	go func() {
		wait(j.ctx, late)
		_ = j.Journal.Commit(j.ctx, job)
	}()
	return nil
}

// End implements journal.Journal.
func (j *buggyJournal) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	job, err := j.Get(r.TaskID)
	if j.bug != EarlyEnd || err != nil {
		return j.Journal.End(ctx, r, now)
	}
	if job, err = job.End(r, now); err == nil {
		go func() {
			wait(j.ctx, late)
			_, _ = j.Journal.End(j.ctx, r, now)
		}()
	}
	return job, err
}

// Open implements journal.Journal.
func (j *buggyJournal) Open() []journal.OpenJob {
	open := j.Journal.Open()
	for i := range open {
		switch {
		case j.bug == LoseParts:
			open[i].Parts = nil
		case j.bug == Resplit && open[i].Job.Subtasks > 1:
			open[i].Job.Subtasks--
		}
	}
	return open
}

// toGateway is a coordinator as gateways find it.
func (b Bug) toGateway(t dispatch.Taker) dispatch.Taker {
	switch b {
	case LoudRetire, CancelUnrecorded:
		return buggyTaker{t, b}
	}
	return t
}

type buggyTaker struct {
	dispatch.Taker
	bug Bug
}

// Take implements dispatch.Taker.
func (t buggyTaker) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := t.Taker.Take(from, o)
	if no != nil || t.bug != LoudRetire {
		return ticket, no
	}
	run := ticket.Run
	ticket.Run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		r := run(ctx, data, progress)
		if r.Failure != nil && r.Failure.Reason == jobs.HandedOver {
			r.Failure = &core.Failure{Reason: core.ReasonInternal, Message: "the coordinator lost its leadership"}
		}
		return r
	}
	return ticket, nil
}

// Answer implements dispatch.Taker.
func (t buggyTaker) Answer(ctx context.Context, from core.NodeID, q *wire.JobQuery) *wire.JobState {
	if t.bug != CancelUnrecorded || q.Op != wire.QueryCancel {
		return t.Taker.Answer(ctx, from, q)
	}
	status := *q
	status.Op = wire.QueryStatus
	a := t.Taker.Answer(ctx, from, &status)
	if a.Status != nil && !a.Status.Status.Final() {
		a.Status.Status = core.TaskCancelled
	}
	return a
}

// toWorker is a coordinator's end of its link to a worker.
func (b Bug) toWorker(s *sim, link dispatch.Link) dispatch.Link {
	switch b {
	case NoVerify:
		return &blind{link, s}
	case ForgetDebts:
		return &forgetful{link}
	}
	return link
}

// forgetful hears of no work that is finished.
type forgetful struct{ dispatch.Link }

// Recv implements dispatch.Link.
func (l *forgetful) Recv(ctx context.Context) ([]wire.Body, error) {
	bodies, err := l.Link.Recv(ctx)
	for _, b := range bodies {
		if m, ok := b.(*wire.Claim); ok {
			m.Leases = slices.DeleteFunc(m.Leases, func(c wire.ClaimedLease) bool { return c.Finished })
		}
	}
	return bodies, err
}

// blind makes every proof fit.
type blind struct {
	dispatch.Link
	s *sim
}

// Recv implements dispatch.Link.
func (l *blind) Recv(ctx context.Context) ([]wire.Body, error) {
	bodies, err := l.Link.Recv(ctx)
	for _, b := range bodies {
		m, ok := b.(*wire.JobResult)
		if !ok || len(m.Proofs) == 0 {
			continue
		}
		for _, w := range l.s.workers {
			if w.id.ID() == l.Peer() {
				m.Proofs[0].OutputHash = core.Sum(m.Output.Inline)
				keys.SignProof(w.id, &m.Proofs[0])
			}
		}
	}
	return bodies, err
}

// atWorker is a worker's end of its link to a coordinator.
func (b Bug) atWorker(_ *workLife, link dispatch.Link) dispatch.Link {
	if b == ForgetEpoch {
		return &timeless{link}
	}
	return link
}

// timeless knows nothing of epochs.
type timeless struct{ dispatch.Link }

// Recv implements dispatch.Link.
func (l *timeless) Recv(ctx context.Context) ([]wire.Body, error) {
	for {
		bodies, err := l.Link.Recv(ctx)
		for _, b := range bodies {
			if o, ok := b.(*wire.JobOffer); ok {
				o.Epoch = 0
			}
		}
		bodies = slices.DeleteFunc(bodies, func(b wire.Body) bool { _, ok := b.(*wire.Adopt); return ok })
		if len(bodies) > 0 || err != nil {
			return bodies, err
		}
	}
}
