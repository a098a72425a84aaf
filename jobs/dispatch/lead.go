package dispatch

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxStash bounds the bytes of results that wait for their unit to be resumed;
	// one beyond is dropped, and its work done again.
	maxStash = 64 << 20
	// stashedBeside is what a stashed result takes besides its output, about.
	stashedBeside = 1 << 10
)

// leadership is what a dispatcher knows of its epoch. Guarded by Dispatcher.mu.
type leadership struct {
	on     bool
	region core.RegionID
	epoch  uint64 // the highest in which it has led; 0 = without epochs
	early  map[earlyKey]*early
	bytes  int // stashed results
	until  time.Time
	timer  *time.Timer // ends early
	owed   Owed        // set once every unit has been resumed; may be nil
}

// Owed returns the units of work that child is owed for a result which an earlier
// epoch accepted from it: the result is recorded, and its receipt may have been lost
// with who led then. 0 for any other result. It may wait for a disk.
type Owed func(child core.NodeID, m *wire.JobResult) (units int64)

// claiming is where a child is in its answer to an Adopt.
type claiming struct {
	epoch  uint64 // of the Adopt that is not answered completely; 0 = none
	leases int    // claimed so far
	early  map[wire.LeaseID]earlyKey
	ended  map[wire.LeaseID]bool // finished ones of units that are not here; their results follow
}

// earlyKey is the work that a claim is about.
type earlyKey struct {
	jobs.Key
	input core.Digest
}

// early is a claim that came before its unit was resumed.
type early struct {
	child  *childLink
	claim  jobs.Claim
	result *wire.JobResult // came meanwhile
}

func notLeading() error {
	return core.Errorf(core.Unavailable, "region", "this coordinator does not lead its region").
		WithHint("try again in a few seconds: the region's other coordinators elect a leader")
}

// Lead begins an epoch in which this dispatcher leads its region: every child,
// and every one that is linked later, is asked to claim what it holds. An epoch
// that is not above the last is core.Conflict. Units that are on the board, for a
// dispatcher that led before and was not retired, stay.
func (d *Dispatcher) Lead(region core.RegionID, epoch uint64) error {
	d.term.Lock()
	defer d.term.Unlock()
	if err := (&wire.Adopt{Region: region, Epoch: epoch}).Validate(); err != nil {
		return err
	}
	var err error
	d.do(func(now time.Time) {
		if region == d.lead.region && epoch <= d.lead.epoch {
			err = core.Errorf(core.Conflict, "epoch", "epoch %d is not above %d, in which this coordinator led already", epoch, d.lead.epoch)
			return
		}
		d.endEarly()
		d.lead = leadership{on: true, region: region, epoch: epoch, early: map[earlyKey]*early{}, until: now.Add(d.cfg.Limits.LeaseTTL)}
		d.lead.timer = time.AfterFunc(d.cfg.Limits.LeaseTTL, func() { d.lapse(epoch) })
		d.board.Lead(epoch, now)
		for _, c := range d.children {
			d.askClaims(c)
		}
	})
	if err == nil {
		d.log.Info().Str("region", string(region)).Uint64("epoch", epoch).Msg("leading")
	}
	return err
}

// Retire stops leading: every unit leaves the board in silence, for whoever leads
// next to resume; the children go on. Verdicts that wait for company are dropped:
// what they confirm may not have been recorded, and the next leader hears of it
// again. Once it has returned no owner is called any more; it must not be called
// by one. Lead may follow.
func (d *Dispatcher) Retire() {
	d.term.Lock()
	defer d.term.Unlock()
	d.mu.Lock()
	d.lead.on = false
	d.endEarly()
	d.board.Retire()
	left := d.owners
	d.owners = map[jobs.Key]*entry{}
	for _, c := range d.children {
		c.claiming = claiming{}
		c.rewards.discard()
	}
	d.mu.Unlock()
	for _, e := range left {
		e.release()
		e.last(func() {}) // waits for a call that is going on
	}
	d.final.Wait()
	d.log.Info().Uint64("epoch", d.lead.epoch).Int("units", len(left)).Msg("not leading any more")
}

// Leading reports whether this dispatcher leads, and in which epoch.
func (d *Dispatcher) Leading() (epoch uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lead.epoch, d.lead.on
}

// Resume is Submit for a unit that some child may hold since before this epoch.
// When one claims it, it is leased to it as it was and owner hears Started; else
// it is offered once jobs.Limits.AdoptWindow has passed since Lead.
func (d *Dispatcher) Resume(u jobs.Unit, owner Owner) error {
	var claimed *early
	var started func()
	err := d.put(u, owner, func(e *entry, now time.Time) error {
		if err := d.board.Resume(u, now); err != nil {
			return err
		}
		if claimed = d.takeEarly(earlyKey{u.Key, u.InputHash}); claimed != nil {
			c := claimed.claim
			c.Finished = true // its credit was used up when it was made
			started = d.answer(claimed.child, c, now)
		}
		return nil
	})
	if started != nil {
		started()
		if claimed.result != nil { // off the caller's goroutine: owners are called
			go claimed.child.result(context.Background(), claimed.result)
		}
	}
	return err
}

// Resumed says that every unit of earlier epochs has been resumed: a claim for
// any other is handed over at once, and not kept for the TTL of a lease; for finished
// work owed is asked first. nil: nothing is owed.
func (d *Dispatcher) Resumed(owed Owed) {
	d.mu.Lock()
	d.lead.until, d.lead.owed = time.Time{}, owed
	epoch := d.lead.epoch
	d.mu.Unlock()
	d.lapse(epoch)
}

// askClaims sends a child the Adopt of the epoch. Called with mu held.
func (d *Dispatcher) askClaims(c *childLink) {
	c.claiming = claiming{}
	if d.lead.on && d.lead.epoch > 0 {
		c.claiming = claiming{epoch: d.lead.epoch, early: map[wire.LeaseID]earlyKey{}, ended: map[wire.LeaseID]bool{}}
		_ = c.link.Send(&wire.Adopt{Region: d.lead.region, Epoch: d.lead.epoch})
	}
}

// drop takes a child off the board, and its early claims with it. Called with mu
// held.
func (d *Dispatcher) drop(id core.NodeID, now time.Time) {
	for k, e := range d.lead.early {
		if e.child.link.Peer() == id {
			d.takeEarly(k)
		}
	}
	d.board.Leave(id, now)
}

// claims answers one part of a child's claims.
func (c *childLink) claims(_ context.Context, m *wire.Claim) {
	d := c.d
	var started []func()
	d.do(func(now time.Time) {
		if c.claiming.epoch == 0 || m.Epoch != c.claiming.epoch || d.children[c.link.Peer()] != c {
			d.cfg.Metrics.dropped(c.link.Peer(), "stale_claim")
			return
		}
		for i := range m.Leases {
			if c.claiming.leases++; c.claiming.leases > wire.MaxCredits {
				c.handOver(m.Leases[i].Lease)
				continue
			}
			if fn := d.answer(c, claimOf(&m.Leases[i]), now); fn != nil {
				started = append(started, fn)
			}
		}
		if !m.More {
			c.claiming.epoch = 0
		}
	})
	for _, fn := range started {
		fn()
	}
}

func claimOf(l *wire.ClaimedLease) jobs.Claim {
	return jobs.Claim{Key: jobs.Key{Task: l.TaskID, Index: l.Index}, Lease: l.Lease, Attempt: l.Attempt, InputHash: l.InputHash,
		Progress: l.Progress, Finished: l.Finished}
}

// answer puts a claim to the board and returns the call to the owner that is due
// if it was adopted. Called with mu held.
func (d *Dispatcher) answer(c *childLink, claim jobs.Claim, now time.Time) (started func()) {
	id := c.link.Peer()
	got, u := d.board.Claim(id, claim, now)
	switch {
	case got == jobs.ClaimKnown:
	case got == jobs.ClaimAdopted:
		d.cfg.Metrics.claim("adopted")
		e := d.owners[u.Key]
		return func() { e.during(func() { e.owner.Started(u.Key, id, claim.Attempt) }) }
	case got == jobs.ClaimUnknown && d.keepEarly(c, claim, now):
	case got == jobs.ClaimUnknown && claim.Finished && d.lead.owed != nil:
		c.claiming.ended[claim.Lease] = true
	default:
		c.handOver(claim.Lease)
	}
	return nil
}

// handOver tells a child to let go of a lease that it claimed.
func (c *childLink) handOver(lease wire.LeaseID) {
	c.d.cfg.Metrics.claim("refused")
	_ = c.link.Send(&wire.LeaseRevoke{Lease: lease, Reason: jobs.HandedOver})
}

// keepEarly keeps a claim for a unit that may still be resumed. Of two for the
// same work the first stays. Called with mu held.
func (d *Dispatcher) keepEarly(c *childLink, claim jobs.Claim, now time.Time) bool {
	k := earlyKey{claim.Key, claim.InputHash}
	if _, twice := c.claiming.early[claim.Lease]; twice || !now.Before(d.lead.until) || d.lead.early[k] != nil ||
		len(d.lead.early) >= d.cfg.Limits.MaxUnits {
		return false
	}
	d.lead.early[k] = &early{child: c, claim: claim}
	c.claiming.early[claim.Lease] = k
	return true
}

// takeEarly removes an early claim and returns it, nil for none. Called with mu
// held.
func (d *Dispatcher) takeEarly(k earlyKey) *early {
	e := d.lead.early[k]
	if e != nil {
		delete(d.lead.early, k)
		delete(e.child.claiming.early, e.claim.Lease)
		if e.result != nil {
			d.lead.bytes -= stashSize(e.result)
		}
	}
	return e
}

// lapse hands over what nobody has resumed.
func (d *Dispatcher) lapse(epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.lead.on || d.lead.epoch != epoch {
		return
	}
	for k, e := range d.lead.early {
		d.takeEarly(k)
		switch c := e.child; {
		case !e.claim.Finished || d.lead.owed == nil:
			c.handOver(e.claim.Lease)
		case e.result != nil:
			d.crew.run(c.repay(e.result))
		default:
			c.claiming.ended[e.claim.Lease] = true
		}
	}
}

// repay returns what is left to do about the result of finished work whose unit is
// not here: it has the verdict and the receipt that it is owed, or is handed over.
// Called with mu held; the answer is called without.
func (c *childLink) repay(m *wire.JobResult) func() {
	owed, epoch := c.d.lead.owed, c.d.lead.epoch
	return func() {
		units := owed(c.link.Peer(), m)
		if units < 1 {
			c.handOver(m.Lease)
			return
		}
		c.d.cfg.Metrics.claim("repaid")
		c.creditIn(epoch, func() { c.pay(m, units) })
	}
}

// endEarly forgets early claims without a word. Called with mu held.
func (d *Dispatcher) endEarly() {
	for k := range d.lead.early {
		d.takeEarly(k)
	}
	if d.lead.timer != nil {
		d.lead.timer.Stop()
	}
}

// mayClaim reports whether a lease that the board does not know is none to
// revoke: nobody leads here, the child has not claimed all it holds yet, or its
// claim is kept. Called with mu held.
func (c *childLink) mayClaim(lease wire.LeaseID) bool {
	_, kept := c.claiming.early[lease]
	return kept || !c.d.lead.on || c.claiming.epoch > 0
}

// stash keeps the result of a claim whose unit may still be resumed. Called with
// mu held.
func (c *childLink) stash(m *wire.JobResult) bool {
	k, ok := c.claiming.early[m.Lease]
	e := c.d.lead.early[k]
	if !ok || e == nil || e.result != nil || c.d.lead.bytes+stashSize(m) > maxStash {
		return false
	}
	e.result = m
	c.d.lead.bytes += stashSize(m)
	return true
}

func stashSize(m *wire.JobResult) int {
	return len(m.Output.Inline) + stashedBeside*(1+len(m.Proofs))
}
