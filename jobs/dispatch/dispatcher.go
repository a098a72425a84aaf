package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// Owner is told what becomes of the units it submitted. Calls for one unit come
// one after the other, calls for different units from different goroutines.
// Exactly one of Done and Ended is the last. Done and Ended may call the
// Dispatcher; Started and Verify must not.
type Owner interface {
	// Started: child took the unit; it is the attempt-th try.
	Started(k jobs.Key, child core.NodeID, attempt int)
	// Verify judges a result before it counts. An error of kind core.Corrupt blames
	// the child; any other error just costs the attempt.
	Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error
	// Done: the result was accepted. A Failure in r is the task's own fault.
	Done(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte)
	// Ended: the unit ended without a result.
	Ended(u *jobs.Unit, f *core.Failure)
}

// Refusee is an Owner that also wants to hear that a child did not take the unit,
// which waits on. Like Started it must not call the Dispatcher.
type Refusee interface {
	Refused(k jobs.Key, child core.NodeID, m *wire.JobReject)
}

// LossWatcher is an Owner that also wants to know of lost attempts: the child did
// not answer the offer, left, stopped renewing, or its result did not count. It
// is called between Started and the next attempt and must not call the Dispatcher.
type LossWatcher interface {
	Lost(loss *jobs.Loss)
}

// Recorder is an Owner whose results may be lost after Done. Recorded is called
// after it, waits, and says whether the result is recorded by now: what is not earns
// neither verdict nor receipt, for whoever leads next may have it computed again.
// It must return when the Dispatcher is to be retired.
type Recorder interface {
	Recorded(u *jobs.Unit) bool
}

// Config is what a Dispatcher is made of.
type Config struct {
	Name    string // "gateway" or "region", for logs
	Signer  keys.Signer
	Limits  jobs.Limits
	Match   jobs.Matcher
	Blobs   *Blobs
	Metrics *Metrics
	Seed    uint64
	// Led is set for a dispatcher that leads only when it is told to (Lead) and
	// refuses work until then; otherwise it leads from the start, without epochs.
	Led bool
	// Judge hears what a child's reputation may move on; it may be nil.
	Judge func(child core.NodeID, c Conduct, evidence core.Digest)
}

// Conduct is what a child did.
type Conduct uint8

// The kinds of conduct. The evidence names the lease they were under, and nothing that
// the child could choose: else it would show again what has counted already.
const (
	Delivered Conduct = iota // a result was verified and accepted
	Lied                     // a result was refused as corrupt
	LostLease                // it took work and stopped renewing
)

// Dispatcher hands out units to the nodes linked to it. All methods are safe for
// concurrent use.
type Dispatcher struct {
	cfg  Config
	log  zerolog.Logger
	wake chan struct{} // the earliest timer moved
	crew *crew         // tells owners of results
	over func()        // ends it

	mu       sync.Mutex
	board    *jobs.Board
	children map[core.NodeID]*childLink
	owners   map[jobs.Key]*entry
	armed    time.Time // when Serve will look next
	lead     leadership
	keepers  *wire.Coordinators // what children were told last; nil: nothing

	term  sync.Mutex     // held by Lead and Retire
	final sync.WaitGroup // calls to Done and Ended that are due; grows only under mu, while leading
}

// entry is what the board does not need to know of a unit.
type entry struct {
	owner   Owner
	payload wire.Payload
	release func()

	mu   sync.Mutex // one call to owner at a time
	over bool       // Done or Ended was called, or is about to be
}

// during calls fn unless the unit has ended, and reports whether it did.
func (e *entry) during(fn func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		fn()
	}
	return !e.over
}

// last waits for a call that is going on and lets none follow but fn.
func (e *entry) last(fn func()) {
	e.mu.Lock()
	e.over = true
	e.mu.Unlock()
	fn()
}

// New returns a dispatcher without children.
func New(cfg Config, log zerolog.Logger) *Dispatcher {
	cfg.Limits = cfg.Limits.WithDefaults()
	over := make(chan struct{})
	return &Dispatcher{cfg: cfg, log: log.With().Str("dispatcher", cfg.Name).Logger(), wake: make(chan struct{}, 1), crew: newCrew(over), over: sync.OnceFunc(func() { close(over) }),
		board:    jobs.NewBoard(cfg.Limits, cfg.Match, cfg.Seed),
		children: map[core.NodeID]*childLink{}, owners: map[jobs.Key]*entry{}, lead: leadership{on: !cfg.Led}}
}

// Submit puts a unit on the board; owner hears of it from then on. While the
// dispatcher does not lead it is core.Unavailable.
func (d *Dispatcher) Submit(u jobs.Unit, owner Owner) error {
	return d.put(u, owner, func(e *entry, now time.Time) error { return d.board.Add(u, now) })
}

// put enters a unit together with its owner.
func (d *Dispatcher) put(u jobs.Unit, owner Owner, add func(e *entry, now time.Time) error) error {
	payload, release, err := d.cfg.Blobs.Pack(u.Data, u.InputHash)
	if err != nil {
		return err
	}
	e := &entry{owner: owner, payload: payload, release: release}
	d.do(func(now time.Time) {
		switch {
		case !d.lead.on:
			err = notLeading()
			return
		case d.owners[u.Key] != nil:
			err = core.Errorf(core.Exists, "unit", "task %s subtask %d is in progress already", u.Task, u.Index)
			return
		}
		d.owners[u.Key] = e
		if err = add(e, now); err != nil {
			delete(d.owners, u.Key)
		}
	})
	if err != nil {
		release()
	}
	return err
}

// Fail ends a unit for a reason; its owner hears Ended. A unit that is not there
// (any more) is left alone.
func (d *Dispatcher) Fail(k jobs.Key, f *core.Failure) {
	d.do(func(now time.Time) { d.board.Fail(k, f, now) })
}

// Update takes what is known of a child anew, if it is linked; what it holds stays.
func (d *Dispatcher) Update(info jobs.ChildInfo) {
	d.do(func(time.Time) {
		if d.children[info.ID] != nil {
			d.board.Join(info)
		}
	})
}

// Reconsider looks at every waiting unit again: for an owner that learned
// something about its children which the matcher now knows.
func (d *Dispatcher) Reconsider() { d.do(func(now time.Time) { d.board.Expire(now) }) }

// Progress returns the last progress reported for a unit, 0..1.
func (d *Dispatcher) Progress(k jobs.Key) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.Progress(k)
}

// Load returns how many units are here, how many of them wait, and how many children
// are linked.
func (d *Dispatcher) Load() (units, queued, children int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	units, queued = d.board.Len()
	return units, queued, d.board.Children()
}

// Credits returns how many credits of class all children together have left.
func (d *Dispatcher) Credits(class wire.Class) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.Credits(class)
}

// ActiveOf returns how many units a child holds.
func (d *Dispatcher) ActiveOf(child core.NodeID) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.ActiveOf(child)
}

// Waiting returns the unit that has waited longest for somebody to take it and
// how many wait.
func (d *Dispatcher) Waiting() (jobs.Unit, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.Waiting()
}

// Holder returns the child that holds a unit and its lease.
func (d *Dispatcher) Holder(k jobs.Key) (core.NodeID, wire.LeaseID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.Holder(k)
}

// Serve runs the timers: offers, leases, back-off, queue times, deadlines.
func (d *Dispatcher) Serve(ctx context.Context) error {
	defer d.over()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			d.do(func(now time.Time) { d.board.Expire(now) })
		case <-d.wake:
		}
		timer.Reset(d.arm())
	}
}

// arm notes when Serve looks next and returns how long that is.
func (d *Dispatcher) arm() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	next, ok := d.board.Next()
	if !ok {
		next = now.Add(time.Hour)
	}
	d.armed = next
	return next.Sub(now)
}

// do runs fn on the board and carries out the effects: messages while the lock
// is held, so that they leave in the board's order, and calls to owners after.
func (d *Dispatcher) do(fn func(now time.Time)) {
	d.mu.Lock()
	fn(time.Now())
	calls := d.carryOut(d.board.Effects())
	if next, ok := d.board.Next(); ok && next.Before(d.armed) {
		d.armed = next
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	d.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

func (d *Dispatcher) carryOut(effects []jobs.Effect) (calls []func()) {
	for _, e := range effects {
		switch {
		case e.Offer != nil:
			d.sendOffer(e.Offer)
		case e.Revoke != nil:
			if c := d.children[e.Revoke.Child]; c != nil {
				_ = c.link.Send(&wire.LeaseRevoke{Lease: e.Revoke.Lease, Reason: e.Revoke.Reason})
			}
			if e.Revoke.Reason == jobs.LeaseExpired {
				calls = append(calls, func() { d.judge(e.Revoke.Child, LostLease, e.Revoke.Lease) })
			}
		case e.Lost != nil:
			entry := d.owners[e.Lost.Unit.Key]
			if w, ok := lossWatcher(entry); ok {
				calls = append(calls, func() {
					entry.during(func() { w.Lost(e.Lost) })
				})
			}
		case e.End != nil:
			if entry := d.forget(e.End.Unit.Key); entry != nil {
				calls = append(calls, func() { d.last(entry, func() { entry.owner.Ended(e.End.Unit, e.End.Failure) }) })
			}
		}
	}
	return calls
}

// sendOffer ignores a failed send: a dead link detaches its child, which queues
// the unit again.
func (d *Dispatcher) sendOffer(o *jobs.Offer) {
	c, e := d.children[o.Child], d.owners[o.Unit.Key]
	if c == nil || e == nil {
		return
	}
	u := o.Unit
	_ = c.link.Send(&wire.JobOffer{Lease: o.Lease, TaskID: u.Key.Task, Index: u.Index, Attempt: min(o.Attempt, wire.MaxAttempt), Epoch: d.lead.epoch, Class: u.Class,
		Task: u.Head, Data: e.payload, InputHash: u.InputHash, Deadline: u.Deadline,
		TTLMS: d.cfg.Limits.LeaseTTL.Milliseconds(), Gateway: u.Gateway, Regions: u.Regions, SpecHash: u.SpecHash, Trace: u.Trace})
}

// forget drops the entry of a unit that left the board and announces the last
// call to its owner. Called with mu held; last must follow.
func (d *Dispatcher) forget(k jobs.Key) *entry {
	e := d.owners[k]
	if e != nil {
		delete(d.owners, k)
		e.release()
		d.final.Add(1)
	}
	return e
}

// last makes the last call to the owner of a forgotten entry.
func (d *Dispatcher) last(e *entry, fn func()) {
	defer d.final.Done()
	e.last(fn)
}

func lossWatcher(e *entry) (LossWatcher, bool) {
	if e == nil {
		return nil, false
	}
	w, ok := e.owner.(LossWatcher)
	return w, ok
}

// judge tells what a child did under a lease of this coordinator.
func (d *Dispatcher) judge(child core.NodeID, c Conduct, lease wire.LeaseID) {
	if d.cfg.Judge == nil {
		return
	}
	about := "result"
	if c == LostLease {
		about = "lease"
	}
	d.cfg.Judge(child, c, core.Sum(fmt.Appendf(nil, "%s/%s/%d/%s", about, d.cfg.Signer.ID(), lease, child)))
}
