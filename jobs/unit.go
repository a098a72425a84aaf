package jobs

import (
	"container/list"
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Key names one unit of work on a board.
type Key struct {
	Task  core.TaskID
	Index int
}

// Unit is one piece of work to be leased: a whole job towards a region, a
// subtask towards a worker.
type Unit struct {
	Key
	Class      wire.Class
	Head       wire.TaskHead
	Data       json.RawMessage // exact bytes offered; InputHash is their digest
	InputHash  core.Digest
	Weight     int64         // estimated elementary operations, at least 1: what the work is credited with
	Home       core.RegionID // only children of this region may take it; empty = any
	Pool       Pool          // only these children may take it; empty = any
	Gateway    core.NodeID
	Regions    []core.RegionID
	SpecHash   core.Digest // of what was submitted under an idempotency key; zero without one
	QueueUntil time.Time   // without a capable child by then, it ends
	Deadline   time.Time   // it ends then in any case
	Trace      string      // traceparent that travels with it; empty for none
}

// UnitState is where a unit is between being added and ending.
type UnitState uint8

// The states of a unit; verified and paid units have left the board.
const (
	Queued UnitState = iota
	Offered
	Leased
	Held // by the owner of the board: a result is being verified, or an attempt was just lost
)

// Limits of the job protocol (docs/architecture.md, "A task's journey").
type Limits struct {
	// OfferTTL is how long an offer may stay unanswered. Too small re-offers work
	// that was about to start, too large waits for the dead. Default 1 s.
	OfferTTL time.Duration
	// JobOfferTTL is OfferTTL for units of class job, whose receiver fetches the
	// data and records the job before it answers: a payload of core.MaxTaskBytes
	// must fit. Default 10 s.
	JobOfferTTL time.Duration
	// LeaseTTL is how long a lease lives after its last renewal; the holder renews
	// at a third of it. Default 15 s.
	LeaseTTL time.Duration
	// AdoptWindow is how long a new leader waits for claims before it offers what
	// it resumed, and how long the units of a child that left are kept for its
	// return. Too small runs work twice that still runs, too large leaves lost work
	// lying. Default 400 ms.
	AdoptWindow time.Duration
	// GroupWindow is AdoptWindow for the units of a child that was one of a group
	// (ChildInfo.Group): its successor has to be elected, and to find the way here.
	// Default 5 s.
	GroupWindow time.Duration
	// Attempts is how often a subtask is tried before it ends with
	// attempts_exhausted; a whole job is tried until its deadline. Default 4.
	Attempts int
	// MaxUnits bounds the board; Add refuses beyond. Default 100,000.
	MaxUnits int
	// SpeculateShare is the most of the leased subtasks, 0..1, that may run a second
	// time elsewhere because they are slower than the 95th percentile of their class
	// while nobody waits for the place. Too much wastes work that fails anyway, too
	// little waits for the slowest node. Default 0.1, but always one; below 0 = off.
	SpeculateShare float64
	// SpeculateFloor is the least time before a copy. Below a few round trips copies
	// cost more than they save. Default 1 s.
	SpeculateFloor time.Duration
	// SpeculateSamples is how many runtimes of a class must be known. Default 20.
	SpeculateSamples int
}

// WithDefaults returns l with zero fields set to their defaults.
func (l Limits) WithDefaults() Limits {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&l.OfferTTL, time.Second)
	set(&l.JobOfferTTL, 10*time.Second)
	set(&l.LeaseTTL, 15*time.Second)
	set(&l.SpeculateFloor, time.Second)
	if l.SpeculateShare == 0 {
		l.SpeculateShare = 0.1
	}
	if l.SpeculateSamples == 0 {
		l.SpeculateSamples = 20
	}
	set(&l.AdoptWindow, 400*time.Millisecond)
	set(&l.GroupWindow, 5*time.Second)
	if l.Attempts == 0 {
		l.Attempts = 4
	}
	if l.MaxUnits == 0 {
		l.MaxUnits = 100_000
	}
	return l
}

// offerTTL returns how long an offer of class may stay unanswered.
func (l Limits) offerTTL(c wire.Class) time.Duration {
	if c == wire.ClassJob {
		return l.JobOfferTTL
	}
	return l.OfferTTL
}

// backoff returns the wait before the attempt after `failed` failed ones:
// 0, 1, 4, 15 s.
func backoff(failed int) time.Duration {
	steps := [...]time.Duration{0, time.Second, 4 * time.Second, 15 * time.Second}
	return steps[min(max(failed-1, 0), len(steps)-1)]
}

// item is a unit on the board with its place in the queue and the timer heap.
type item struct {
	Unit
	hold                   // the first lease; its state is the unit's
	copy     *hold         // the second, nil for none: somebody else, never without the first
	judging  int           // results that the owner verifies
	attempt  int           // attempts started: those lost, running and being verified
	failed   int           // attempts lost
	ready    time.Time     // not to be offered before (back-off)
	took     time.Duration // runtime of the result that came last
	excluded map[core.NodeID]exclusion
	pace     *pace         // of its class; nil without speculation
	late     *list.Element // in Board.late
	left     wire.LeaseID  // of the attempt that was lost with its holder's link
	judged   int           // number of the attempt whose result came last
	wake     time.Time
	heapAt   int     // index in the timer heap
	bucket   *bucket // nil while backing off
	share    *share  // in bucket
	place    int     // in share
	seq      uint64  // when it was queued
}

// hold is one lease of a unit.
type hold struct {
	lease    wire.LeaseID
	child    core.NodeID
	state    UnitState
	number   int       // of the attempt, from 1
	since    time.Time // when it was offered; zero = nobody knows
	until    time.Time // end of the offer or the lease
	progress float64
}

// exclusion is why a child is not to have a unit.
type exclusion bool

const (
	given   exclusion = false // it lost the unit: others first
	refused exclusion = true  // it refused it or its result was wrong: never again
)

// exclude notes who is not to have the unit again. Refused is for good.
func (it *item) exclude(id core.NodeID, why exclusion) {
	if it.excluded == nil {
		it.excluded = map[core.NodeID]exclusion{}
	}
	it.excluded[id] = it.excluded[id] || why
}

// Why an attempt is lost. LeaseExpired is also the reason of a Revoke whose holder
// stopped renewing or never answered the offer.
const (
	LeaseExpired  core.Reason = "lease_expired"
	Unanswered    core.Reason = "offer_unanswered"
	LinkLost      core.Reason = "link_lost"
	ResultRefused core.Reason = "result_refused"
)
