package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// running is one offer that was taken. Guarded by Holdings.mu, but for what never
// changes: offer, started, ttl, and from begin on ctx and cancel.
type running struct {
	offer    *wire.JobOffer
	started  time.Time
	ttl      time.Duration
	ctx      context.Context         // of the work: ends as Ticket.Run says
	cancel   context.CancelCauseFunc // nil until the taker has taken it
	survives bool
	over     <-chan struct{} // Ticket.Over

	p        *Puller // the link that it belongs to now
	replaced bool    // by Restore: it is off the books
	accepted bool    // not before Ticket.Prepare has returned; renewed from then on
	progress float64
	renewAt  time.Time
	timer    *time.Timer // ends it unless it is adopted; nil while its link is there
}

// past reports whether another may take its place under the same lease.
func (r *running) past() bool {
	select {
	case <-r.over: // never for nil
		return true
	default:
		return false
	}
}

func (r *running) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// begin makes the context of an offer that was taken.
func (p *Puller) begin(ctx context.Context, r *running, t *Ticket) {
	if t.Survives {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ctx, r.cancel, r.survives, r.over = ctx, cancel, t.Survives, t.Over
	r.accepted, r.renewAt = t.Prepare == nil, r.started.Add(r.ttl/3)
}

// run carries one offer that was taken to its result.
func (p *Puller) run(t *Ticket, r *running) {
	defer r.cancel(nil)
	data, err := p.input(r.ctx, r.offer)
	if now := p.owner(r); err != nil && now != p { // who offered it is gone; who adopted it has the data too
		data, err = now.input(r.ctx, r.offer)
	}
	if t.Prepare != nil {
		if no := prepare(r.ctx, t, data, err); no != nil {
			t.Cancel()
			p.refuse(r, no)
			return
		}
		p.accept(r)
	}
	if err != nil {
		t.Cancel()
		p.finish(r, &wire.JobResult{Failure: &core.Failure{Reason: core.ReasonInternal, Message: bounded(err.Error())}}, false)
		return
	}
	result := t.Run(r.ctx, data, func(f float64) { p.report(r, f) })
	p.finish(r, result, r.ctx.Err() == nil)
}

// owner is the link that a piece of work belongs to now.
func (h *Holdings) owner(r *running) *Puller {
	h.mu.Lock()
	defer h.mu.Unlock()
	return r.p
}

func (h *Holdings) report(r *running, f float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f >= 0 { // not NaN
		r.progress = min(1, f)
	}
}

// input returns the offered bytes, checked.
func (p *Puller) input(ctx context.Context, o *wire.JobOffer) ([]byte, error) {
	data, err := p.blobs.Unpack(ctx, p.link.Peer(), o.Data)
	if err == nil && core.Sum(data) != o.InputHash {
		err = core.Errorf(core.Corrupt, "data", "the offered bytes do not match their digest")
	}
	if err != nil {
		err = fmt.Errorf("reading the input: %w", err)
	}
	return data, err
}

// fetchRetryMS is when a coordinator may offer again a job whose data could not
// be fetched.
const fetchRetryMS = 500

// prepare returns why an offer is not accepted after all, nil if it is. err is
// that of its data.
func prepare(ctx context.Context, t *Ticket, data []byte, err error) *wire.JobReject {
	switch {
	case err == nil:
		return t.Prepare(ctx, data)
	case errors.Is(err, core.Corrupt):
		return &wire.JobReject{Reason: wire.RefusedInvalid, Message: err.Error()}
	}
	return &wire.JobReject{Reason: wire.RefusedBusy, Message: err.Error(), RetryAfterMS: fetchRetryMS}
}

// accept tells at once what was prepared: somebody waits to hear that a job is
// recorded.
func (p *Puller) accept(r *running) {
	p.mu.Lock()
	r.accepted, r.renewAt = true, time.Now().Add(r.ttl/3)
	p.mu.Unlock()
	_ = p.link.Send(&wire.JobAccept{Lease: r.offer.Lease})
}

// finish sends a result, with the credits for the next work, on the link that the
// work belongs to now, and keeps one that is worth claiming until it is confirmed.
func (p *Puller) finish(r *running, result *wire.JobResult, keep bool) {
	o := r.offer
	if result != nil {
		result.Lease, result.TaskID, result.Index, result.Attempt, result.Epoch = o.Lease, o.TaskID, o.Index, o.Attempt, o.Epoch
		result.TookUS = time.Since(r.started).Microseconds()
		p.complete(result)
	}
	p.mu.Lock()
	p.release(keyOf(p, o), r)
	if result == nil || r.replaced {
		p.mu.Unlock()
		return
	}
	if keep && o.Epoch > 0 && o.Class == wire.ClassSubtask {
		p.kept.add(o, result, time.Now())
	}
	now := r.p
	p.mu.Unlock()
	if pull := now.refill(); pull != nil {
		_ = now.link.Send(result, pull)
		return
	}
	_ = now.link.Send(result)
}

// complete makes a result of what an engine returned that can be sent.
func (h *Holdings) complete(r *wire.JobResult) {
	payload, err := h.pack(r.Output.Inline, len(r.Proofs)+len(r.Workers))
	if r.Output = payload; err == nil && r.Failure == nil && len(payload.Inline) == 0 && payload.Blob == nil {
		err = core.Errorf(core.Internal, "output", "there is none")
	}
	if err != nil {
		r.Failure, r.Proofs = unsendable(err), nil
	}
	if f := r.Failure; f != nil {
		r.Failure, r.Output = &core.Failure{Reason: f.Reason, Message: bounded(f.Message)}, wire.Payload{}
	}
}

// pack makes a payload of what goes to the coordinator, which has resultKept to
// fetch a big one. Beside a lot of evidence there is less room in a message.
func (h *Holdings) pack(out []byte, evidence int) (wire.Payload, error) {
	if out == nil {
		return wire.Payload{}, nil
	}
	inline := wire.MaxInline
	if evidence > littleEvidence {
		inline = inlineBeside
	}
	payload, release, err := h.blobs.pack(out, core.Sum(out), inline)
	if payload.Blob != nil {
		time.AfterFunc(resultKept, release)
	}
	return payload, err
}

// unsendable is the failure of work whose output cannot be delivered: too big is
// the task's own fault, everything else may go better elsewhere.
func unsendable(err error) *core.Failure {
	if errors.Is(err, core.Invalid) {
		return &core.Failure{Reason: core.ReasonExecutionFailed, Message: "the output cannot be sent: " + err.Error()}
	}
	return &core.Failure{Reason: core.ReasonInternal, Message: "the output cannot be sent: " + err.Error()}
}

const (
	// littleEvidence is how many proofs and workers leave room for wire.MaxInline.
	littleEvidence = 16
	// inlineBeside is the room beside as many as a message may name.
	inlineBeside = 4 << 10
)

// resultKept is how long a result that did not fit in its message can be fetched.
const resultKept = time.Minute
