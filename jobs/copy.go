package jobs

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// LostRace is the reason of a Revoke whose unit somebody else finished first. It
// says nothing against the holder.
const LostRace core.Reason = "lost_race"

// lateTries is how many late units in a row are tried in vain.
const lateTries = 8

// slow returns when a unit is late enough for a copy, false for never: it is a
// subtask that runs in one place, with an attempt left, and its class has a pace.
func (b *Board) slow(it *item) (time.Time, bool) {
	if it.pace == nil || it.state != Leased || it.copy != nil || it.judging > 0 || it.since.IsZero() || it.attempt >= b.limits.Attempts {
		return time.Time{}, false
	}
	d := it.pace.limit(it.Weight, b.limits.SpeculateSamples, b.limits.SpeculateFloor)
	return it.since.Add(d), d > 0
}

// noteLate files a unit that has become late and reports whether it had.
func (b *Board) noteLate(it *item, now time.Time) bool {
	at, ok := b.slow(it)
	if !ok || it.late != nil || now.Before(at) {
		return false
	}
	it.late = b.late.PushBack(it)
	return true
}

func (b *Board) unnoteLate(it *item) {
	if it.late != nil {
		b.late.Remove(it.late)
		it.late = nil
	}
}

// speculate offers copies of late units to whoever is idle, or only to one child.
// It comes after the queue was looked through: what is idle then, nobody waits for.
func (b *Board) speculate(only *child, now time.Time) {
	misses := 0
	for e := b.late.Front(); e != nil && misses < lateTries && b.mayCopy(); {
		it := e.Value.(*item)
		e = e.Next()
		if c := b.who(it, only, now); c != nil {
			b.offerCopy(it, c, now)
		} else {
			misses++
		}
	}
}

// mayCopy reports whether one more copy stays within the limit: a share of the
// leased units, but always one.
func (b *Board) mayCopy() bool {
	units := len(b.leases) - b.copies
	return b.copies < max(1, int(b.limits.SpeculateShare*float64(units)))
}

// offerCopy offers a leased unit a second time.
func (b *Board) offerCopy(it *item, c *child, now time.Time) {
	b.unnoteLate(it)
	it.copy = &hold{}
	b.copies++
	b.give(it, it.copy, c, now)
}

// unlease ends one lease of a unit. When it was the first of two, the copy takes
// its place; when it was the only one, nobody holds the unit then. h is not to be
// used after it.
func (b *Board) unlease(it *item, h *hold) {
	b.unnoteLate(it)
	delete(b.leases, h.lease)
	if c := b.children[h.child]; c != nil {
		c.release(it, h.lease)
	}
	switch {
	case h == it.copy:
		it.copy = nil
		b.copies--
	case it.copy != nil:
		it.hold, it.copy = *it.copy, nil
		b.copies--
	default:
		it.state = Held
	}
}

// drop ends a lease that was lost, which costs the unit an attempt. A copy is an
// extra: its loss costs nothing while the first goes on.
func (b *Board) drop(it *item, h *hold, reason core.Reason, why string, now time.Time) {
	extra, loss := h == it.copy, &Loss{Unit: &it.Unit, Child: h.child, Attempt: h.number, Reason: reason, Why: why}
	it.exclude(h.child, given)
	b.unlease(it, h)
	if !extra {
		b.lost(it, loss, now)
		return
	}
	b.effects = append(b.effects, Effect{Lost: loss})
	it.attempt--
	b.schedule(it, now)
}

// held returns the unit and the one of its leases that a child names.
func (b *Board) held(from core.NodeID, lease wire.LeaseID) (*item, *hold) {
	it := b.leases[lease]
	if it == nil {
		return nil, nil
	}
	h := it.leased(lease)
	if h.child != from {
		return nil, nil
	}
	return it, h
}

// leased returns the hold of one of the unit's leases.
func (it *item) leased(lease wire.LeaseID) *hold {
	if it.copy != nil && it.copy.lease == lease {
		return it.copy
	}
	return &it.hold
}

// running reports whether somebody holds the unit.
func (it *item) running() bool { return it.state == Offered || it.state == Leased }

// holds returns the leases of a unit.
func (it *item) holds() []*hold {
	switch {
	case !it.running():
		return nil
	case it.copy == nil:
		return []*hold{&it.hold}
	}
	return []*hold{it.copy, &it.hold} // the copy first: ending it moves nothing
}

// overdue returns a lease of the unit that has run out.
func (it *item) overdue(now time.Time) *hold {
	for _, h := range it.holds() {
		if !now.Before(h.until) {
			return h
		}
	}
	return nil
}
