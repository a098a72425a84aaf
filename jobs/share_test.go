package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// queue is one node that takes a unit at a time, and what was offered to whom.
type queue struct {
	t     *testing.T
	board *Board
	now   time.Time
	added int
	work  map[string]int64 // weight by submitter
	count map[string]int
}

func newQueue(t *testing.T) *queue {
	q := &queue{t: t, now: time.Unix(1e9, 0), work: map[string]int64{}, count: map[string]int{}}
	q.board = NewBoard(Limits{}, world{}, 1)
	q.board.Join(ChildInfo{ID: "w"})
	return q
}

func (q *queue) add(gateway core.NodeID, submitter string, n int, weight int64) {
	q.t.Helper()
	for range n {
		q.added++
		u := Unit{Key: Key{Task: core.TaskID(fmt.Sprint("t", q.added))}, Class: wire.ClassSubtask, Gateway: gateway,
			Head: wire.TaskHead{Submitter: submitter}, Weight: weight, QueueUntil: q.now.Add(time.Hour), Deadline: q.now.Add(time.Hour)}
		if err := q.board.Add(u, q.now); err != nil {
			q.t.Fatal(err)
		}
	}
}

// serve lets n units be offered and finished, and returns whose was the last.
func (q *queue) serve(n int) (last string) {
	q.t.Helper()
	for range n {
		q.board.Grant("w", wire.ClassSubtask, 1, q.now)
		for _, e := range q.board.Effects() {
			last = string(e.Offer.Unit.Gateway) + e.Offer.Unit.Head.Submitter
			q.work[last] += e.Offer.Unit.Weight
			q.count[last]++
			q.board.Resulted("w", e.Offer.Lease, q.now)
			q.board.Done(e.Offer.Unit.Key, q.now)
		}
	}
	checkInvariants(q.t, q.board)
	return last
}

// TestFairShare counts what submitters get while all of them wait: the same
// number of like units, the same work when the units are unlike, and nobody
// waits for another's long queue.
//
// spec 2.64 4.23
func TestFairShare(t *testing.T) {
	t.Run("like units", func(t *testing.T) {
		q := newQueue(t)
		q.add("g", "hog", 900, 1)
		q.add("g", "alice", 100, 1)
		q.add("g", "bob", 100, 1)
		if q.serve(300); q.count["galice"] != 100 || q.count["gbob"] != 100 || q.count["ghog"] != 100 {
			t.Errorf("served %v", q.count)
		}
	})
	t.Run("unlike units", func(t *testing.T) {
		q := newQueue(t)
		q.add("g", "big", 100, 40_000_000)
		q.add("g", "small", 2000, 1_000_000)
		q.serve(800)
		if a, b := q.work["gbig"], q.work["gsmall"]; a > b+80_000_000 || b > a+80_000_000 {
			t.Errorf("work of %v by %v units", q.work, q.count)
		}
	})
	t.Run("a small job beside a big one", func(t *testing.T) {
		q := newQueue(t)
		q.add("g", "big", 4096, 250_000)
		q.serve(1000)
		q.add("g", "small", 1, 250_000)
		if who := q.serve(1); who != "gsmall" {
			t.Errorf("%s was next", who)
		}
	})
	t.Run("one at a time", func(t *testing.T) {
		q := newQueue(t) // who comes back after each heavy unit gets no more than who waits
		q.add("g", "waits", 2000, 1_000_000)
		for range 1000 {
			if s := q.board.buckets[bucketKey{class: 1}].shares[shareKey{"g", "returns"}]; s == nil || len(s.units) == 0 {
				q.add("g", "returns", 1, 20_000_000)
			}
			q.serve(1)
		}
		if a, b := q.work["greturns"], q.work["gwaits"]; a > b+60_000_000 || b > a+60_000_000 {
			t.Errorf("work of %v by %v units", q.work, q.count)
		}
	})
	t.Run("the same name at two gateways", func(t *testing.T) {
		q := newQueue(t)
		q.add("g", "anonymous", 50, 1)
		q.add("h", "anonymous", 10, 1)
		if q.serve(20); q.count["hanonymous"] != 10 {
			t.Errorf("served %v", q.count)
		}
	})
}

// Fresh names do not starve who waits: with each unit that it gets one more of
// them waits beside it, so that it has about one in k when it has had k.
func TestFairShareWithManyNames(t *testing.T) {
	q := newQueue(t)
	q.add("g", "waits", 100, 1_000_000)
	for i := range 2000 {
		q.add("g", fmt.Sprint("fresh", i), 1, 1_000_000)
		q.serve(1)
	}
	if q.count["gwaits"] < 50 {
		t.Errorf("who waited had %d units served, want about 63", q.count["gwaits"])
	}
}

// The clock does not run out however much is served.
func TestFairShareForever(t *testing.T) {
	q := newQueue(t)
	q.add("g", "a", 40, maxCharge)
	q.add("g", "b", 40, maxCharge)
	bk := q.board.buckets[bucketKey{class: 1}]
	bk.clock += rebaseAt
	for _, s := range bk.shares {
		s.pass += rebaseAt
	}
	if q.serve(40); q.count["ga"] != 20 || q.count["gb"] != 20 || bk.clock > rebaseAt {
		t.Errorf("served %v, the clock is at %d", q.count, bk.clock)
	}
}

// TestSnug: of two nodes that are as good the one is asked that the unit fills
// better; where it asks for nothing the score alone counts.
//
// spec 2.64
func TestSnug(t *testing.T) {
	for _, c := range []struct {
		name        string
		require     core.Requirements
		small, wide float64 // scores
		want        core.NodeID
	}{
		{"fits better", core.Requirements{CPU: 40, MemoryMB: 400}, 50, 50, "small"},
		{"not at any price", core.Requirements{CPU: 40, MemoryMB: 400}, 50, 90, "wide"},
		{"asks for nothing", core.Requirements{}, 50, 51, "wide"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			b := NewBoard(Limits{}, world{"small": {score: c.small}, "wide": {score: c.wide}}, 1)
			b.Join(ChildInfo{ID: "wide", CPU: 100, MemoryMB: 64_000})
			b.Join(ChildInfo{ID: "small", CPU: 50, MemoryMB: 500})
			b.Grant("wide", wire.ClassSubtask, 1, now)
			b.Grant("small", wire.ClassSubtask, 1, now)
			u := Unit{Class: wire.ClassSubtask, Head: wire.TaskHead{Requirements: c.require}, QueueUntil: now, Deadline: now.Add(time.Hour)}
			if err := b.Add(u, now); err != nil {
				t.Fatal(err)
			}
			if got := b.Effects()[0].Offer.Child; got != c.want {
				t.Errorf("%s was asked", got)
			}
		})
	}
}
