package jobs

import (
	"container/heap"
	"math"
	"time"

	"github.com/tenzro/tenzro/core"
)

type bucketKey struct {
	class   int
	task    core.TaskType
	require core.Requirements
	home    core.RegionID
	pool    Pool
}

const (
	// probes is how many random ready children are looked at before all are.
	probes = 8
	// choices is how many fitting ones are compared ("two random choices").
	choices = 2
	// snugWeight is the most that a good fit adds to a score, as a part of it.
	snugWeight = 0.25
	// lookPast is how many units behind a head that nobody fits are tried, and how
	// many submitters behind the first.
	lookPast = 4
	// sweep bounds the buckets that a look at the whole queue tries in vain.
	sweep = 256
	// recheck is how often a unit past its queue time looks for capable children.
	recheck = time.Second
)

// enqueue puts a unit into its bucket, or aside until its back-off is over.
func (b *Board) enqueue(it *item, now time.Time) {
	it.hold = hold{state: Queued}
	b.queued++
	if !it.ready.After(now) {
		b.push(it)
	}
	b.schedule(it, now)
}

func (b *Board) push(it *item) {
	key := keyOf(it)
	bk := b.buckets[key]
	if bk == nil {
		bk = newBucket(key)
		b.buckets[key] = bk
		bk.spot = b.order.PushBack(bk)
	}
	bk.push(it)
	it.bucket = bk
}

func keyOf(it *item) bucketKey {
	return bucketKey{classIndex(it.Class), it.Head.Type, it.Head.Requirements, it.Home, it.Pool}
}

func (b *Board) dequeue(it *item) {
	b.queued--
	if it.bucket == nil {
		return
	}
	it.bucket.remove(it)
	if it.bucket.n == 0 {
		b.order.Remove(it.bucket.spot)
		delete(b.buckets, it.bucket.key)
	}
	it.bucket = nil
}

// assign offers queued units to whoever fits, one unit of each bucket in turn.
// Past sweep buckets that nobody fits it stops: those behind them are looked at
// when they, or a child, change.
func (b *Board) assign(now time.Time) {
	misses := 0
	b.rounds(func(bk *bucket) (placed, more bool) {
		if placed = b.serve(bk, nil, now); !placed {
			misses++
		}
		return placed, misses < sweep
	})
}

// feed offers queued units to one child that has become able to take more, and a
// copy of a late one when none is for it. It is enough after an event that
// changed nobody else.
func (b *Board) feed(c *child, now time.Time) {
	b.rounds(func(bk *bucket) (placed, more bool) {
		placed = c.credits[bk.key.class] > 0 && b.serve(bk, c, now)
		return placed, c.wantsWork()
	})
	b.speculate(c, now)
}

// place offers from the bucket of a unit that was just queued.
func (b *Board) place(it *item, now time.Time) {
	if bk := it.bucket; bk != nil && b.serve(bk, nil, now) && bk.n > 0 {
		b.order.MoveToBack(bk.spot)
	}
}

// rounds visits the buckets, one after the other and again those that visit
// placed a unit of, until none is left or visit says so. Who was served goes to
// the back: the next credit is for another requirement.
func (b *Board) rounds(visit func(*bucket) (placed, more bool)) {
	for e := b.order.Front(); e != nil; {
		next, bk := e.Next(), e.Value.(*bucket)
		placed, more := visit(bk)
		if placed && bk.n > 0 {
			b.order.MoveToBack(e)
			if next == nil {
				next = e
			}
		}
		if !more {
			return
		}
		e = next
	}
}

// serve offers the first unit of a bucket that somebody fits, or that only fits
// if it is given, and reports whether there was one.
func (b *Board) serve(bk *bucket, only *child, now time.Time) bool {
	it := bk.first
	c := b.who(it, only, now)
	if c == nil {
		if len(it.excluded) == 0 {
			return false
		}
		it, c = b.find(bk, only, now)
	}
	if it != nil {
		b.offer(it, c, now)
	}
	return it != nil
}

// find looks at the submitters in their order. Only when a unit has excluded
// somebody it looks past it.
func (b *Board) find(bk *bucket, only *child, now time.Time) (it *item, c *child) {
	var aside []*share
	for again := true; again && it == nil && len(aside) <= lookPast && len(bk.active) > 0; {
		s := bk.active[0]
		if it, c, again = b.findIn(s, only, now); again {
			heap.Pop(&bk.active)
			aside = append(aside, s)
		}
	}
	for _, s := range aside {
		heap.Push(&bk.active, s)
	}
	return it, c
}

// findIn looks at one submitter's units; more says that those behind them may
// have better luck.
func (b *Board) findIn(s *share, only *child, now time.Time) (it *item, c *child, more bool) {
	var aside []*item
	for len(aside) <= lookPast && len(s.units) > 0 {
		it = s.units[0]
		if c = b.who(it, only, now); c != nil || len(it.excluded) == 0 {
			break
		}
		heap.Pop(&s.units)
		aside = append(aside, it)
	}
	for _, passed := range aside {
		heap.Push(&s.units, passed)
	}
	if c != nil {
		return it, c, false
	}
	return nil, nil, len(it.excluded) > 0
}

// who returns the child to offer a unit to: only, if it is given and fits.
func (b *Board) who(it *item, only *child, now time.Time) *child {
	if only == nil {
		return b.pick(it, now)
	}
	if only.credits[classIndex(it.Class)] > 0 {
		if _, ok := b.fits(only, it, now); ok {
			return only
		}
	}
	return nil
}

// pick returns the child to offer a unit to, nil for none: that of the tiny ones
// before it, if it may join them.
func (b *Board) pick(it *item, now time.Time) *child {
	if c := b.join(it, now); c != nil {
		return c
	}
	c := b.choose(it, now)
	b.lead(it, c, now)
	return c
}

// choose returns the better of two random ready children that fit, or nil.
func (b *Board) choose(it *item, now time.Time) *child {
	ready := b.ready[classIndex(it.Class)].list
	var best *child
	bestScore, found := 0.0, 0
	consider := func(c *child) {
		m, ok := b.fits(c, it, now)
		if !ok || c == best {
			return
		}
		score := m.Score + math.Abs(m.Score)*snugWeight*c.snug(it)
		if found++; best == nil || score > bestScore {
			best, bestScore = c, score
		}
	}
	for i := 0; i < probes && found < choices && len(ready) > choices; i++ {
		consider(ready[b.rnd.IntN(len(ready))])
	}
	for i := 0; i < len(ready) && (found == 0 || len(ready) <= choices); i++ {
		consider(ready[i])
	}
	return best
}

func (b *Board) fits(c *child, it *item, now time.Time) (Match, bool) {
	if !b.mayTake(c, it, now) || !c.hasRoom(it) || c.silent || c.paused.After(now) {
		return Match{}, false
	}
	m := b.match.Match(c.ID, &it.Unit, now)
	return m, m.Available()
}

// mayTake reports whether nothing that happened before speaks against a child.
// Who lost the unit may have it again when nobody else could ever run it.
func (b *Board) mayTake(c *child, it *item, now time.Time) bool {
	if !it.isFor(c) || c.ID == it.child {
		return false
	}
	if len(it.excluded) == 0 {
		return true
	}
	if it.excluded[c.ID] == refused {
		return false
	}
	if _, failed := it.excluded[c.ID]; !failed {
		return true
	}
	for _, other := range b.children {
		_, failed := it.excluded[other.ID]
		if !failed && !other.silent && mayEver(other, it) && b.match.Match(other.ID, &it.Unit, now).Available() {
			return false
		}
	}
	return true
}

func mayEver(c *child, it *item) bool {
	return it.isFor(c) && it.excluded[c.ID] != refused
}

// anyCapable reports whether some child that does not rest could run the unit,
// ready or not.
func (b *Board) anyCapable(it *item, now time.Time) bool {
	for _, c := range b.children {
		if mayEver(c, it) && b.match.Match(c.ID, &it.Unit, now).Available() {
			return true
		}
	}
	return false
}

// offer takes a unit out of the queue.
func (b *Board) offer(it *item, c *child, now time.Time) {
	if it.bucket != nil {
		it.bucket.charge(it)
	}
	b.dequeue(it)
	b.give(it, &it.hold, c, now)
}

// give offers a unit under a new lease.
func (b *Board) give(it *item, h *hold, c *child, now time.Time) {
	b.next++
	it.attempt++
	*h = hold{lease: b.next, child: c.ID, state: Offered, number: it.attempt, since: now, until: now.Add(b.limits.offerTTL(it.Class))}
	b.leases[h.lease] = it
	class := classIndex(it.Class)
	c.take(it, h.lease, class)
	if c.credits[class] == 0 {
		b.ready[class].remove(c, class)
	}
	b.schedule(it, now)
	b.effects = append(b.effects, Effect{Offer: &Offer{Child: c.ID, Lease: h.lease, Attempt: h.number, Unit: &it.Unit}})
}

// Waiting returns the head of the first bucket and how many units are queued in
// buckets, those backing off not counted.
func (b *Board) Waiting() (first Unit, n int) {
	for e := b.order.Front(); e != nil; e = e.Next() {
		bk := e.Value.(*bucket)
		if n == 0 {
			first = bk.first.Unit
		}
		n += bk.n
	}
	return first, n
}

// pause keeps a busy child from being offered work until a time.
func (b *Board) pause(c *child, until time.Time) {
	c.paused = until
	if b.resume.IsZero() || until.Before(b.resume) {
		b.resume = until
	}
}

// unpause finds the next pause to end; cheap because pauses are rare.
func (b *Board) unpause(now time.Time) {
	if b.resume.IsZero() || b.resume.After(now) {
		return
	}
	b.resume = time.Time{}
	for _, c := range b.children {
		if c.paused.After(now) && (b.resume.IsZero() || c.paused.Before(b.resume)) {
			b.resume = c.paused
		}
	}
}

// schedule sets when a unit must be looked at again.
func (b *Board) schedule(it *item, now time.Time) {
	wake := it.Deadline
	earlier := func(t time.Time) {
		if t.Before(wake) {
			wake = t
		}
	}
	switch it.state {
	case Queued:
		if it.bucket == nil {
			earlier(it.ready)
		}
		if it.QueueUntil.After(now) {
			earlier(it.QueueUntil)
		} else {
			earlier(now.Add(recheck))
		}
	case Offered, Leased:
		earlier(it.until)
		if it.copy != nil {
			earlier(it.copy.until)
		}
		if at, ok := b.slow(it); ok && it.late == nil {
			earlier(at)
		}
	}
	it.wake = wake
	if it.heapAt < 0 {
		heap.Push(&b.timers, it)
	} else {
		heap.Fix(&b.timers, it.heapAt)
	}
}

// timerHeap orders units by wake.
type timerHeap []*item

// Len implements heap.Interface.
func (h timerHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h timerHeap) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }

// Swap implements heap.Interface.
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	it := x.(*item)
	it.heapAt = len(*h)
	*h = append(*h, it)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.heapAt = -1
	return it
}
