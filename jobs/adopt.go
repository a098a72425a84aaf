package jobs

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// HandedOver is the reason of a Revoke that answers a claim nobody waits for: the
// unit has ended, or somebody else has it.
const HandedOver core.Reason = "handed_over"

// Claim is a lease that a child says it holds although the board does not know
// of it: of an earlier leader, or of a link that broke.
type Claim struct {
	Key
	Lease     wire.LeaseID
	Attempt   int
	InputHash core.Digest
	Progress  float64
	Finished  bool // its result follows: it takes no place at the child
}

// Claimed is what becomes of a claim.
type Claimed uint8

// The answers to a claim.
const (
	ClaimUnknown Claimed = iota // no such unit is here
	ClaimRefused                // the unit is not to be had like this
	ClaimKnown                  // the child has the unit under this lease already
	ClaimAdopted                // the child has it now
)

// Lead begins an epoch: leases given from now on are numbered above all of
// earlier ones, and units that are resumed wait for a claim until the window for
// them is over. Epoch 0, in which a board begins, has no claims.
func (b *Board) Lead(epoch uint64, now time.Time) {
	b.epoch, b.next = epoch, max(b.next, wire.LeaseID(epoch)<<32)
	b.settled = now.Add(b.limits.AdoptWindow)
}

// Retire takes every unit off the board without a word; what children granted
// stays theirs.
func (b *Board) Retire() {
	for _, it := range b.items {
		b.forget(it)
	}
	b.effects = nil
}

// Resume is Add for a unit that some child may hold: it is offered to nobody
// before the window for claims is over.
func (b *Board) Resume(u Unit, now time.Time) error { return b.add(u, b.settled, now) }

// Claim gives a child the lease that it claims, if the unit waits here, is the
// same work, and the child may have it. What it runs uses up a credit in any
// case: it granted that before it knew who would lead.
func (b *Board) Claim(from core.NodeID, c Claim, now time.Time) (Claimed, *Unit) {
	defer b.heard(from, now)
	ch, it := b.children[from], b.items[c.Key]
	if ch == nil || b.epoch == 0 {
		return ClaimRefused, nil
	}
	if !c.Finished {
		b.spend(ch, classIndex(wire.ClassSubtask))
	}
	switch {
	case it == nil:
		return ClaimUnknown, nil
	case it.InputHash == c.InputHash && b.holds(from, c.Lease, it):
		b.Renewed(from, c.Lease, c.Progress, now)
		return ClaimKnown, &it.Unit
	case b.inherits(ch, it, c, now):
		b.inherit(ch, it, c, now)
		return ClaimAdopted, &it.Unit
	case !b.claimable(ch, it, c, now):
		return ClaimRefused, nil
	}
	b.adopt(ch, it, c, now)
	return ClaimAdopted, &it.Unit
}

// claimable reports whether a child may have a waiting unit under the lease that
// it names. Room is not asked for: the work is running there, or done.
func (b *Board) claimable(ch *child, it *item, c Claim, now time.Time) bool {
	return it.state == Queued && it.Class == wire.ClassSubtask && it.InputHash == c.InputHash &&
		c.Lease > 0 && c.Lease <= b.next && b.leases[c.Lease] == nil && len(ch.leases) < wire.MaxCredits &&
		mayEver(ch, it) && b.match.Match(ch.ID, &it.Unit, now).Capable
}

// inherits reports whether a child of the same group as a lease's holder names that
// lease, which it knows from the group's record: the holder does not lead any more,
// whether its link has broken already or not.
func (b *Board) inherits(ch *child, it *item, c Claim, now time.Time) bool {
	if b.leases[c.Lease] != it || it.Class != wire.ClassSubtask || it.InputHash != c.InputHash || !ch.Group || len(ch.leases) >= wire.MaxCredits {
		return false
	}
	h := it.leased(c.Lease)
	old := b.children[h.child]
	return old != nil && old != ch && old.Group && old.Region == ch.Region && (h.state == Offered || h.state == Leased) &&
		mayEver(ch, it) && b.match.Match(ch.ID, &it.Unit, now).Capable
}

// inherit moves a lease to another child of its holder's group.
func (b *Board) inherit(ch *child, it *item, c Claim, now time.Time) {
	h := it.leased(c.Lease)
	b.effects = append(b.effects, Effect{Lost: &Loss{Unit: &it.Unit, Child: h.child, Attempt: h.number, Reason: LinkLost,
		Why: "node " + ch.ID.Short() + " of its region goes on with it"}})
	b.children[h.child].release(it, h.lease)
	h.child, h.state, h.until, h.progress = ch.ID, Leased, now.Add(b.limits.LeaseTTL), c.Progress
	ch.hold(it, h.lease)
	b.schedule(it, now)
}

func (b *Board) adopt(ch *child, it *item, c Claim, now time.Time) {
	b.dequeue(it)
	delete(it.excluded, ch.ID) // it only lost the link
	if it.left == c.Lease && it.failed > 0 {
		it.failed-- // the attempt was not lost after all
	}
	// Attempts that were lost here count, whatever number the child knows its own by.
	it.attempt = max(it.attempt, it.failed+it.judging+1, min(c.Attempt, b.limits.Attempts))
	it.hold = hold{lease: c.Lease, child: ch.ID, state: Leased, number: it.attempt, until: now.Add(b.limits.LeaseTTL), progress: c.Progress}
	b.leases[it.lease] = it
	ch.hold(it, it.lease)
	b.schedule(it, now)
}

// holds reports whether a child has a unit under a lease.
func (b *Board) holds(from core.NodeID, lease wire.LeaseID, it *item) bool {
	has, _ := b.held(from, lease)
	return has == it
}

// spend uses up a credit that a child granted, if it has one.
func (b *Board) spend(c *child, class int) {
	if c.credits[class] == 0 {
		return
	}
	if c.credits[class]--; c.credits[class] == 0 {
		b.ready[class].remove(c, class)
	}
}

// awaitReturn keeps a unit, whose holder has just left, from others for as long
// as claims are waited for: the holder, or who takes its place, may link again and
// go on.
func (b *Board) awaitReturn(c *child, it *item, lease wire.LeaseID, now time.Time) {
	if b.epoch == 0 || b.items[it.Key] != it || it.state != Queued || it.Class != wire.ClassSubtask {
		return
	}
	it.left = lease
	window := b.limits.AdoptWindow
	if c.Group {
		window = b.limits.GroupWindow
	}
	if until := now.Add(window); it.ready.Before(until) {
		b.dequeue(it)
		it.ready = until
		b.enqueue(it, now)
	}
}
