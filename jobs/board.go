package jobs

import (
	"container/heap"
	"container/list"
	"math/rand/v2"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Match is what the owner of a board knows about one child and one unit.
type Match struct {
	Capable bool    // could ever run it
	Resting bool    // takes nothing until it says otherwise; what it holds it may keep
	Score   float64 // among capable ones, higher is offered first
}

// Available reports whether the child may be counted on: it could run the unit
// and does not rest.
func (m Match) Available() bool { return m.Capable && !m.Resting }

// Matcher judges children. It is called many times per unit: keep it cheap.
type Matcher interface {
	// Match says whether child may be offered u now.
	Match(child core.NodeID, u *Unit, now time.Time) Match
	// Explain says, for a person, which requirement nobody meets.
	Explain(u *Unit, now time.Time) string
}

// Effect is something the owner of the board must now do. Exactly one pointer
// is set.
type Effect struct {
	Offer  *Offer
	Revoke *Revoke
	Lost   *Loss
	End    *End
}

// Offer sends a unit to a child.
type Offer struct {
	Child   core.NodeID
	Lease   wire.LeaseID
	Attempt int
	Unit    *Unit
}

// Revoke tells a child to stop.
type Revoke struct {
	Child  core.NodeID
	Lease  wire.LeaseID
	Reason core.Reason
}

// Loss reports that an attempt came to nothing: offered, perhaps started, and the
// child did not answer, left, stopped renewing or gave a result that did not count.
type Loss struct {
	Unit    *Unit
	Child   core.NodeID
	Attempt int
	Reason  core.Reason // LeaseExpired, Unanswered, LinkLost or ResultRefused
	Why     string      // for a person
}

// End reports that a unit left the board without a result.
type End struct {
	Unit    *Unit
	Failure *core.Failure
}

// Board matches queued units with the credits that children granted. It is not
// safe for concurrent use.
//
// Invariants: a queued unit is in a bucket or waits for its back-off; an offered
// or leased one is in leases and in its child's leases, nobody else's, and once
// more with another child when it has a copy; every unit is in the timer heap.
type Board struct {
	limits   Limits
	match    Matcher
	rnd      *rand.Rand
	items    map[Key]*item
	leases   map[wire.LeaseID]*item
	children map[core.NodeID]*child
	ready    [classCount]readySet
	buckets  map[bucketKey]*bucket
	order    list.List // of *bucket, the non-empty ones
	timers   timerHeap
	resume   time.Time // when the next pause of a child ends; zero = none
	next     wire.LeaseID
	queued   int
	paces    paces
	late     list.List // of *item: leased for too long, not copied
	copies   int       // units leased twice
	last     companions
	effects  []Effect
	epoch    uint64    // in which it leads; 0 = without epochs
	settled  time.Time // resumed units wait for claims until then
}

// NewBoard returns an empty board. The seed decides ties only.
func NewBoard(limits Limits, match Matcher, seed uint64) *Board {
	return &Board{limits: limits.WithDefaults(), match: match, rnd: rand.New(rand.NewPCG(seed, 0)),
		items: map[Key]*item{}, leases: map[wire.LeaseID]*item{}, children: map[core.NodeID]*child{},
		buckets: map[bucketKey]*bucket{}}
}

// Effects returns what must be done since the last call, in order.
func (b *Board) Effects() []Effect {
	out := b.effects
	b.effects = nil
	return out
}

// Len returns how many units are on the board and how many of them wait.
func (b *Board) Len() (units, queued int) { return len(b.items), b.queued }

// Next returns when Expire must be called next, and false when never.
func (b *Board) Next() (time.Time, bool) {
	next := b.resume
	if len(b.timers) > 0 && (next.IsZero() || b.timers[0].wake.Before(next)) {
		next = b.timers[0].wake
	}
	return next, !next.IsZero()
}

// Add puts a unit in the queue and offers it if somebody is ready. A key that
// is already there is core.Exists, a full board core.Exhausted.
func (b *Board) Add(u Unit, now time.Time) error { return b.add(u, time.Time{}, now) }

// add is Add for a unit that is not to be offered before ready.
func (b *Board) add(u Unit, ready, now time.Time) error {
	if _, dup := b.items[u.Key]; dup {
		return core.Errorf(core.Exists, "unit", "task %s subtask %d is already on the board", u.Task, u.Index)
	}
	if len(b.items) >= b.limits.MaxUnits {
		return core.Errorf(core.Exhausted, "board", "%d units of work wait already", len(b.items)).
			WithHint("submit again in a few seconds")
	}
	it := &item{Unit: u, heapAt: -1, ready: ready}
	if u.Class == wire.ClassSubtask && b.limits.SpeculateShare > 0 {
		it.pace = b.paces.of(&it.Unit)
	}
	b.items[u.Key] = it
	if !ready.After(now) && b.buckets[keyOf(it)] == nil { // nobody waits for the same: it needs no queue
		if c := b.pick(it, now); c != nil {
			b.queued++
			b.offer(it, c, now)
			return nil
		}
	}
	b.enqueue(it, now)
	b.place(it, now)
	return nil
}

// Accepted turns an offer into a lease and returns its unit and the number of
// the attempt; nil means that the offer is not the sender's (any more).
func (b *Board) Accepted(from core.NodeID, lease wire.LeaseID, now time.Time) (u *Unit, attempt int) {
	defer b.heard(from, now)
	it, h := b.held(from, lease)
	if it == nil || h.state != Offered {
		return nil, 0
	}
	h.state, h.until = Leased, now.Add(b.limits.LeaseTTL)
	b.schedule(it, now)
	return &it.Unit, h.number
}

// Rejected returns an offered unit to the queue. Busy, or full, pauses the child for
// retryAfter; any other refusal excludes it from this unit. It returns the unit;
// nil means that the offer is not the sender's (any more).
func (b *Board) Rejected(from core.NodeID, lease wire.LeaseID, why wire.Refusal, retryAfter time.Duration, now time.Time) *Unit {
	defer b.heard(from, now)
	it, h := b.held(from, lease)
	if it == nil || h.state != Offered {
		return nil
	}
	c := b.children[from]
	b.unlease(it, h)
	it.attempt-- // it was never started
	if why == wire.RefusedBusy || why == wire.RefusedFull || why == wire.RefusedDisk {
		b.pause(c, now.Add(max(retryAfter, 10*time.Millisecond)))
	} else {
		it.exclude(from, refused)
	}
	if it.running() || it.judging > 0 { // it was a copy
		b.schedule(it, now)
	} else {
		b.enqueue(it, now)
		b.place(it, now)
	}
	b.feed(c, now)
	return &it.Unit
}

// Renewed extends a lease; false means that it is not the sender's any more.
func (b *Board) Renewed(from core.NodeID, lease wire.LeaseID, progress float64, now time.Time) bool {
	defer b.heard(from, now)
	it, h := b.held(from, lease)
	if it == nil {
		return false
	}
	h.state, h.until, h.progress = Leased, now.Add(b.limits.LeaseTTL), progress
	b.schedule(it, now)
	return true
}

// Resulted takes the unit of a lease off its holder while the owner verifies
// the result; nil means that the lease is not the sender's (any more). Done,
// Retry or Fail must follow. A result without an accept before it is fine. While
// it is verified, a second lease of the unit goes on.
func (b *Board) Resulted(from core.NodeID, lease wire.LeaseID, now time.Time) *Unit {
	defer b.heard(from, now)
	it, h := b.held(from, lease)
	if it == nil {
		return nil
	}
	it.took = 0
	if !h.since.IsZero() {
		it.took = now.Sub(h.since)
	}
	it.judging, it.judged = it.judging+1, h.number
	b.unlease(it, h)
	b.schedule(it, now)
	b.feed(b.children[from], now)
	return &it.Unit
}

// Done takes a unit whose result was accepted off the board; false means that
// it had ended in the meantime (cancelled, deadline, another result) and the
// result is void. Who still works on it is told that the race is lost.
func (b *Board) Done(k Key, now time.Time) bool {
	it := b.items[k]
	if it == nil || it.judging == 0 {
		return false
	}
	if it.pace != nil && it.took > 0 {
		it.pace.add(it.took, it.Weight)
	}
	var loser *child
	if it.running() {
		loser = b.children[it.child]
		b.effects = append(b.effects, Effect{Lost: &Loss{Unit: &it.Unit, Child: it.child, Attempt: it.number, Reason: LostRace, Why: "another node was faster"}})
		b.revoke(&it.hold, LostRace)
	}
	b.forget(it)
	if loser != nil {
		b.feed(loser, now)
	}
	return true
}

// Retry queues a unit again after a result of a child that was not accepted,
// unless it runs elsewhere too. With blame the child is never offered it again,
// otherwise only when nobody else could run it.
func (b *Board) Retry(k Key, from core.NodeID, blame bool, why string, now time.Time) {
	it := b.items[k]
	if it == nil || it.judging == 0 {
		return
	}
	it.judging--
	it.exclude(from, exclusion(blame))
	b.lost(it, &Loss{Unit: &it.Unit, Child: from, Attempt: it.judged, Reason: ResultRefused, Why: why}, now)
	b.place(it, now)
}

// Fail ends one unit for a reason, wherever it is.
func (b *Board) Fail(k Key, f *core.Failure, now time.Time) {
	it := b.items[k]
	if it == nil {
		return
	}
	holds := it.holds()
	freed := make([]*child, 0, len(holds))
	for _, h := range holds {
		freed = append(freed, b.children[h.child])
	}
	b.end(it, f)
	for _, c := range freed {
		b.feed(c, now)
	}
}

// Progress returns a unit's last reported progress.
func (b *Board) Progress(k Key) float64 {
	it := b.items[k]
	switch {
	case it == nil || it.state != Leased:
		return 0
	case it.copy != nil:
		return max(it.progress, it.copy.progress)
	}
	return it.progress
}

// Holder returns who holds the unit, first if two do, for results that arrive
// without a lease.
func (b *Board) Holder(k Key) (core.NodeID, wire.LeaseID, bool) {
	it := b.items[k]
	if it == nil || it.state != Offered && it.state != Leased {
		return "", 0, false
	}
	return it.child, it.lease, true
}

// Expire handles everything whose time has come.
func (b *Board) Expire(now time.Time) {
	b.unpause(now)
	for len(b.timers) > 0 && !b.timers[0].wake.After(now) {
		b.check(b.timers[0], now)
	}
	b.assign(now)
	b.speculate(nil, now)
}

// check looks at one unit whose timer rang: exactly one of the cases applies.
func (b *Board) check(it *item, now time.Time) {
	switch {
	case !now.Before(it.Deadline):
		b.end(it, &core.Failure{Reason: core.ReasonDeadline, Message: "the task's timeout passed before it was done"})
	case it.state == Queued && !now.Before(it.QueueUntil) && !b.anyCapable(it, now):
		b.end(it, &core.Failure{Reason: core.ReasonNoCapableWorker, Message: b.explain(it, now)})
	case it.overdue(now) != nil:
		b.expire(it, it.overdue(now), now)
	case b.noteLate(it, now):
		b.schedule(it, now)
	case it.state == Queued && it.bucket == nil && !it.ready.After(now):
		b.push(it)
		b.schedule(it, now)
	default:
		b.schedule(it, now)
	}
}

// expire ends a lease that ran out.
func (b *Board) expire(it *item, h *hold, now time.Time) {
	reason, why := expiry(h.state, h.child)
	b.children[h.child].silent = true
	b.revoke(h, LeaseExpired)
	b.drop(it, h, reason, why, now)
}

// expiry is why an attempt is lost whose time has passed in a state.
func expiry(s UnitState, holder core.NodeID) (core.Reason, string) {
	if s == Offered {
		return Unanswered, "node " + holder.Short() + " did not answer the offer"
	}
	return LeaseExpired, "node " + holder.Short() + " stopped renewing its lease"
}

// lost queues a unit again after a failed attempt, or ends a subtask after the
// last. A whole job has no last one: its home has recorded it, perhaps, and ends
// it, however often the way there is lost. One that runs elsewhere or has another
// result goes on with that.
func (b *Board) lost(it *item, l *Loss, now time.Time) {
	b.effects = append(b.effects, Effect{Lost: l})
	it.failed++
	if it.running() || it.judging > 0 {
		b.schedule(it, now)
		return
	}
	if it.Class == wire.ClassSubtask && it.failed >= b.limits.Attempts {
		b.end(it, &core.Failure{Reason: core.ReasonAttemptsExhausted, Message: l.Why + "; it was the last of the attempts"})
		return
	}
	it.ready = now.Add(backoff(it.failed))
	b.enqueue(it, now)
}

func (b *Board) end(it *item, f *core.Failure) {
	for _, h := range it.holds() {
		b.revoke(h, f.Reason)
	}
	b.forget(it)
	b.effects = append(b.effects, Effect{End: &End{Unit: &it.Unit, Failure: f}})
}

func (b *Board) revoke(h *hold, why core.Reason) {
	b.effects = append(b.effects, Effect{Revoke: &Revoke{Child: h.child, Lease: h.lease, Reason: why}})
}

// forget removes every trace of a unit.
func (b *Board) forget(it *item) {
	if it.state == Queued {
		b.dequeue(it)
	}
	for it.running() {
		b.unlease(it, &it.hold)
	}
	heap.Remove(&b.timers, it.heapAt)
	delete(b.items, it.Key)
}
