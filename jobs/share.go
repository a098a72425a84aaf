package jobs

import (
	"container/heap"
	"container/list"

	"github.com/tenzro/tenzro/core"
)

// bucket holds the queued units that ask for the same thing: if its head cannot
// be placed, the others cannot either, exclusions apart.
//
// Its submitters share what is offered from it by weight, whatever the number or
// size of their units: start-time fair queueing with the virtual clock of WF2Q+
// (Bennett and Zhang 1996). Every offer moves its submitter's pass ahead by what
// the unit weighs, and the least pass is served next. Who comes in starts at the
// clock, so that nobody saves up for later, and waits for at most one unit of
// each of the others.
type bucket struct {
	key    bucketKey
	shares map[shareKey]*share
	first  *item     // whose turn it is
	active shareHeap // with queued units
	rested shareHeap // without, but ahead of the clock: they have had their part
	clock  uint64
	turns  uint64        // counts offers and arrivals
	n      int           // queued units
	spot   *list.Element // in Board.order
}

// shareKey names a submitter: one of a gateway's.
type shareKey struct {
	gateway   core.NodeID
	submitter string
}

// share is what one submitter has in a bucket.
type share struct {
	key   shareKey
	units unitHeap
	pass  uint64
	turn  uint64 // among equal passes: newcomers first, then who waited longest
	at    int    // index in active or rested
}

const (
	// unitCost is charged besides the weight: what the messages of a unit cost, in
	// elementary operations (a fifth of ShardUnits).
	unitCost = ShardUnits / 5
	// maxCharge bounds what one unit counts, so that passes do not overflow soon.
	maxCharge = 1 << 40
	// maxRested bounds the submitters remembered without a queued unit.
	maxRested = 256
	// rebaseAt is where passes are brought back towards zero.
	rebaseAt = 1 << 62
	// hadTurn is added to the turn of a share that was served.
	hadTurn = 1 << 62
)

func newBucket(key bucketKey) *bucket {
	return &bucket{key: key, shares: map[shareKey]*share{}}
}

// push queues a unit behind its submitter's others of the same priority.
func (bk *bucket) push(it *item) {
	key := shareKey{it.Gateway, it.Head.Submitter}
	s := bk.shares[key]
	bk.turns++
	switch {
	case s == nil:
		s = &share{key: key, pass: bk.clock, turn: bk.turns}
		bk.shares[key] = s
		heap.Push(&bk.active, s)
	case len(s.units) == 0:
		heap.Remove(&bk.rested, s.at)
		heap.Push(&bk.active, s)
	}
	it.share, it.seq = s, bk.turns
	heap.Push(&s.units, it)
	bk.n++
	bk.first = bk.head()
}

// remove takes a unit out of the queue.
func (bk *bucket) remove(it *item) {
	s := it.share
	heap.Remove(&s.units, it.place)
	it.share = nil
	bk.n--
	if len(s.units) == 0 {
		heap.Remove(&bk.active, s.at)
		bk.rest(s)
	}
	bk.first = bk.head()
}

// rest remembers a submitter without units for as long as it is ahead of the clock.
func (bk *bucket) rest(s *share) {
	heap.Push(&bk.rested, s)
	bk.sweepRested()
}

// sweepRested forgets who would begin at the clock anyway, and the first to get
// there of too many.
func (bk *bucket) sweepRested() {
	for len(bk.rested) > 0 && (bk.rested[0].pass <= bk.clock || len(bk.rested) > maxRested) {
		old := heap.Pop(&bk.rested).(*share)
		delete(bk.shares, old.key)
	}
}

// charge counts an offer of a queued unit against its submitter.
func (bk *bucket) charge(it *item) {
	s, cost := it.share, min(uint64(max(it.Weight, 0))+unitCost, maxCharge)
	bk.turns++
	s.pass, s.turn = s.pass+cost, bk.turns+hadTurn
	heap.Fix(&bk.active, s.at)
	bk.clock = max(bk.clock+cost/uint64(len(bk.active)), bk.active[0].pass)
	bk.sweepRested()
	if s.pass > rebaseAt || bk.clock > rebaseAt {
		bk.rebase()
	}
	bk.first = bk.head()
}

// rebase moves clock and passes towards zero, differences kept.
func (bk *bucket) rebase() {
	base := min(bk.clock, bk.active[0].pass)
	bk.clock -= base
	for _, s := range bk.shares {
		s.pass -= min(s.pass, base)
	}
}

// head finds the unit whose turn it is, nil when none is queued.
func (bk *bucket) head() *item {
	if len(bk.active) == 0 {
		return nil
	}
	return bk.active[0].units[0]
}

// shareHeap orders shares by pass.
type shareHeap []*share

// Len implements heap.Interface.
func (h shareHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h shareHeap) Less(i, j int) bool {
	if h[i].pass != h[j].pass {
		return h[i].pass < h[j].pass
	}
	return h[i].turn < h[j].turn
}

// Swap implements heap.Interface.
func (h shareHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *shareHeap) Push(x any) {
	s := x.(*share)
	s.at = len(*h)
	*h = append(*h, s)
}

// Pop implements heap.Interface.
func (h *shareHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return s
}

// unitHeap orders the units of one submitter: by priority, then as they came.
type unitHeap []*item

// Len implements heap.Interface.
func (h unitHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h unitHeap) Less(i, j int) bool {
	if a, b := h[i].Head.Priority, h[j].Head.Priority; a != b {
		return a > b
	}
	return h[i].seq < h[j].seq
}

// Swap implements heap.Interface.
func (h unitHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *unitHeap) Push(x any) {
	it := x.(*item)
	it.place = len(*h)
	*h = append(*h, it)
}

// Pop implements heap.Interface.
func (h *unitHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return it
}
