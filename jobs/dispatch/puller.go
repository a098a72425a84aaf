package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Heartbeat is how often a puller says that it is there when nothing else does
// (three missed beats mean offline).
const Heartbeat = 30 * time.Second

// Ticket is an offer that was taken.
type Ticket struct {
	// Run does the work. It returns the result's Output (inline, whatever its size)
	// or Failure, Proofs, Workers, Regions, Subtasks; the puller fills in the rest.
	// ctx ends when the lease is revoked, soon after the offer's deadline or, unless
	// Survives, with the link (in a region with epochs: when no coordinator has
	// adopted the work within the lease's TTL of that); context.Cause tells which.
	// nil says that another node of the same group goes on with the work: nothing is
	// sent, as if this one had died.
	Run func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult
	// Prepare is called with the checked data before the offer is accepted; its
	// refusal is the answer instead. It may block, on a disk for example: it has a
	// goroutine of its own and many are called at once. ctx is that of Run, which
	// follows whatever has become of ctx meanwhile. nil means that nothing has to be
	// prepared: the offer is accepted at once, before its data is there.
	Prepare func(ctx context.Context, data []byte) *wire.JobReject
	// Cancel gives the place back when Run will not be called: the data could not be
	// read or Prepare refused.
	Cancel func()
	// Survives is set for work that goes on when the link is lost.
	Survives bool
	// Over, unless nil, is closed when this node does not go on with the work by this
	// ticket any more: Run is about to return nil, and Restore may be called already.
	Over <-chan struct{}
}

// Taker decides about offers and knows how to run them. Take must not block.
type Taker interface {
	Take(from core.NodeID, o *wire.JobOffer) (*Ticket, *wire.JobReject)
	// Answer replies to a question about a task.
	Answer(ctx context.Context, from core.NodeID, q *wire.JobQuery) *wire.JobState
	// Credited is called with rewards whose signature was checked, and with verdicts.
	Credited(from core.NodeID, m *wire.JobReward)
	Judged(from core.NodeID, m *wire.JobVerify)
}

// Window says how much a puller wants to hold at once on one link and what it
// reports with every Pull.
type Window struct {
	Size func(class wire.Class) int
	Free func() (cpu int, memoryMB int64)
	// Rests says why nothing is taken until that changes, empty when it is; it may be
	// nil.
	Rests func() string
	// Price is asked for a million operations, in base units.
	Price core.Amount
}

// Puller is the executing side of one link. What it holds is in its Holdings,
// whose mu guards the fields below it.
type Puller struct {
	*Holdings
	// Keepers hears who keeps the region of the link now, in messages of that region
	// only; it may be nil, must not block and is set before Serve.
	Keepers func(*wire.Coordinators)
	// Closing is set, before Serve, for a link on which only what is held already is
	// brought to its end: no credit is granted, and an offer refused.
	Closing bool

	link Link
	log  zerolog.Logger
	crew *crew // runs what is offered here; as long as Serve

	epoch uint64 // that the coordinator announced on this link; 0 = none
	open  [2]int // credits granted and not used, by class
	asked int    // questions being answered
	rests string // that the coordinator was told last
}

// errLinkLost is the cause of a context that ended with its link.
var errLinkLost = errors.New("the link to the coordinator is gone")

// NewPuller returns a puller with holdings of its own; it starts in Serve.
func NewPuller(link Link, taker Taker, window Window, blobs *Blobs, m *Metrics, log zerolog.Logger) *Puller {
	return NewHoldings("", taker, window, blobs, m, log).Puller(link)
}

// Serve pulls work until the link ends or ctx does. With ctx ends all work that
// does not survive; with the link only what nobody can adopt.
func (p *Puller) Serve(ctx context.Context) error {
	on, stop := context.WithCancel(ctx)
	defer p.abandon()
	defer p.link.Close()
	defer stop()
	p.crew = newCrew(on.Done())
	go p.renewals(on)
	p.topUp(true)
	for {
		bodies, err := p.link.Recv(ctx)
		if err != nil {
			return err
		}
		for _, b := range bodies {
			p.receive(ctx, on, b)
		}
	}
}

// receive handles one message; on ends with the link.
func (p *Puller) receive(ctx, on context.Context, b wire.Body) {
	switch m := b.(type) {
	case *wire.JobOffer:
		p.offered(ctx, m)
	case *wire.Adopt:
		p.adopt(m)
	case *wire.LeaseRevoke:
		p.revoked(m)
	case *wire.JobQuery:
		p.queried(on, m)
	case *wire.JobVerify:
		p.judged(m)
	case *wire.JobReward:
		p.rewarded(m)
	case *wire.Coordinators:
		p.keptBy(m)
	default:
		p.metrics.dropped(p.link.Peer(), "unexpected")
	}
}

func (p *Puller) keptBy(m *wire.Coordinators) {
	switch {
	case p.region != "" && m.Region != p.region:
		p.metrics.dropped(p.link.Peer(), "foreign")
	case p.Keepers != nil:
		p.Keepers(m)
	}
}

func (p *Puller) rewarded(m *wire.JobReward) {
	if m.Coordinator != p.link.Peer() || wire.VerifyReward(m) != nil {
		p.metrics.dropped(p.link.Peer(), "forged")
		return
	}
	p.taker.Credited(p.link.Peer(), m)
}

// queried answers in the background, so many questions at once.
func (p *Puller) queried(ctx context.Context, q *wire.JobQuery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked >= maxAsks {
		_ = p.link.Send(&wire.JobState{ID: q.ID, Fault: wire.FaultOf(core.Errorf(core.Exhausted, "query", "%d questions wait here already", maxAsks))})
		return
	}
	p.asked++
	go func() {
		state := *p.taker.Answer(ctx, p.link.Peer(), q)
		state.ID = q.ID
		payload, err := p.pack(state.Output.Inline, evidence(&state))
		if err != nil {
			state = wire.JobState{ID: q.ID, Fault: wire.FaultOf(err)}
		}
		state.Output = payload
		_ = p.link.Send(&state)
		p.mu.Lock()
		p.asked--
		p.mu.Unlock()
	}()
}

// evidence counts what makes an answer long besides its output.
func evidence(s *wire.JobState) (n int) {
	if s.Status != nil {
		n = len(s.Status.Attempts)
	}
	if s.Result != nil {
		n += len(s.Result.Proofs) + len(s.Result.Workers)
	}
	return n
}

func (p *Puller) offered(ctx context.Context, o *wire.JobOffer) {
	r, why := p.admit(o)
	switch why {
	case "stale", "unasked":
		message := "another coordinator leads the region"
		if why == "unasked" {
			message = "this link is for what is held already"
		}
		p.metrics.dropped(p.link.Peer(), why)
		_ = p.link.Send(&wire.JobReject{Lease: o.Lease, Reason: wire.RefusedBusy, Message: message, RetryAfterMS: staleRetryMS})
		return
	case "duplicate":
		p.metrics.dropped(p.link.Peer(), why)
		return
	}
	ticket, no := p.taker.Take(p.link.Peer(), o)
	if no != nil {
		p.refuse(r, no)
		return
	}
	p.begin(ctx, r, ticket)
	if ticket.Prepare == nil {
		_ = p.link.SendLazy(&wire.JobAccept{Lease: o.Lease})
	}
	p.crew.run(func() { p.run(ticket, r) })
}

// staleRetryMS is when a coordinator that does not lead any more may offer again,
// if it leads then, and one on a closing link, if there is another.
const staleRetryMS = 1000

// refuse gives an offer back that was not accepted.
func (p *Puller) refuse(r *running, no *wire.JobReject) {
	p.mu.Lock()
	p.release(keyOf(p, r.offer), r)
	p.mu.Unlock()
	no.Lease, no.Message = r.offer.Lease, bounded(no.Message)
	_ = p.link.Send(no)
	p.topUp(false)
}

// topUp grants what is missing to the window; with always, even zero credits
// are sent, as a heartbeat.
func (p *Puller) topUp(always bool) {
	sent := false
	for _, class := range []wire.Class{wire.ClassJob, wire.ClassSubtask} {
		if pull := p.grant(class); pull != nil {
			_ = p.link.Send(pull)
			sent = true
		}
	}
	if always && !sent {
		_ = p.link.Send(p.pull(wire.ClassSubtask, 0))
	}
}

// refill is topUp for the subtask class, to ride with a result.
func (p *Puller) refill() wire.Body {
	if pull := p.grant(wire.ClassSubtask); pull != nil {
		return pull
	}
	if pull := p.grant(wire.ClassJob); pull != nil {
		return pull
	}
	return nil
}

func (p *Puller) grant(class wire.Class) *wire.Pull {
	if p.Closing {
		return nil
	}
	p.mu.Lock()
	want := min(p.window.Size(class)-p.held[classAt(class)]-p.open[classAt(class)], wire.MaxCredits)
	if want > 0 {
		p.open[classAt(class)] += want
	}
	p.mu.Unlock()
	if want <= 0 {
		return nil
	}
	return p.pull(class, want)
}

func (p *Puller) pull(class wire.Class, credits int) *wire.Pull {
	cpu, memory := p.window.Free()
	rests := p.window.rests()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rests = rests
	return &wire.Pull{Class: class, Credits: credits, FreeCPU: cpu, FreeMemoryMB: memory, Active: len(p.active), AskPrice: p.window.Price, Rests: rests}
}

// rests is the reason as it is told.
func (w Window) rests() string {
	if w.Rests == nil {
		return ""
	}
	return cut(w.Rests(), wire.MaxRests)
}

// restTurned reports whether the coordinator was told otherwise.
func (p *Puller) restTurned() bool {
	rests := p.window.rests()
	p.mu.Lock()
	defer p.mu.Unlock()
	return rests != p.rests
}

// renewals keeps leases alive and the coordinator informed.
func (p *Puller) renewals(ctx context.Context) {
	tick, beat := time.NewTicker(renewTick), time.NewTicker(Heartbeat)
	defer tick.Stop()
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.topUp(p.restTurned())
			if m := p.due(now); len(m) > 0 {
				_ = p.link.Send(m...)
			}
		case <-beat.C:
			p.topUp(true)
		}
	}
}

// renewTick is how often leases are looked at; each is renewed at a third of its
// life.
const renewTick = 500 * time.Millisecond

// due returns the renewals whose time has come, and ends what is too late.
func (p *Puller) due(now time.Time) (out []wire.Body) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept.expire(now)
	for key, r := range p.active {
		if r.p != p || r.cancel == nil {
			continue
		}
		if !now.Before(r.offer.Deadline) {
			r.cancel(context.DeadlineExceeded)
		}
		if r.accepted && !r.renewAt.After(now) {
			r.renewAt = now.Add(r.ttl / 3)
			out = append(out, &wire.LeaseRenew{Lease: key.lease, Progress: r.progress})
		}
	}
	return out
}

func classAt(c wire.Class) int {
	if c == wire.ClassJob {
		return 0
	}
	return 1
}
