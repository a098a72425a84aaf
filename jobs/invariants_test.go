package jobs

import (
	"github.com/tenzro/tenzro/core"
)

// failer is *testing.T or *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkInvariants compares every index of the board with every other.
func checkInvariants(t failer, b *Board) {
	t.Helper()
	queued, leased, bucketed, copies, late := 0, 0, 0, 0, 0
	for k, it := range b.items {
		if it.Key != k {
			t.Fatalf("unit %v is filed under %v", it.Key, k)
		}
		if it.heapAt < 0 || it.heapAt >= len(b.timers) || b.timers[it.heapAt] != it {
			t.Fatalf("unit %v is not in the timer heap where it thinks", k)
		}
		if it.wake.After(it.Deadline) {
			t.Fatalf("unit %v sleeps past its deadline", k)
		}
		switch it.state {
		case Queued:
			queued++
			if it.bucket != nil {
				bucketed++
			}
			if it.lease != 0 || it.child != "" {
				t.Fatalf("queued unit %v has lease %d of %q", k, it.lease, it.child)
			}
		case Offered, Leased:
			for _, h := range it.holds() {
				leased++
				if c := b.children[h.child]; b.leases[h.lease] != it || c == nil || c.leases[h.lease] != it {
					t.Fatalf("unit %v is not where its lease %d says", k, h.lease)
				}
			}
		case Held:
			if it.judging == 0 {
				t.Fatalf("unit %v is nowhere", k)
			}
		}
		if it.copy != nil {
			if copies++; !it.running() || it.copy.child == it.child || it.late != nil {
				t.Fatalf("unit %v has a copy that it should not have", k)
			}
		}
		if it.late != nil {
			late++
		}
		if live := len(it.holds()); it.attempt < it.failed+it.judging+live {
			t.Fatalf("unit %v: %d attempts, %d lost, %d judged, %d running", k, it.attempt, it.failed, it.judging, live)
		}
		if it.state != Queued && (it.bucket != nil || it.share != nil) {
			t.Fatalf("unit %v is in a bucket in state %d", k, it.state)
		}
	}
	if copies != b.copies || late != b.late.Len() {
		t.Fatalf("%d copies of %d counted, %d late units of %d", copies, b.copies, late, b.late.Len())
	}
	if queued != b.queued || leased != len(b.leases) || len(b.timers) != len(b.items) {
		t.Fatalf("%d queued of %d counted, %d leases of %d, %d timers for %d units", queued, b.queued, leased, len(b.leases), len(b.timers), len(b.items))
	}
	for i := 1; i < len(b.timers); i++ {
		if b.timers.Less(i, (i-1)/2) {
			t.Fatalf("the timer heap is out of order at %d", i)
		}
	}
	checkBuckets(t, b, bucketed)
	checkChildren(t, b, leased)
}

func checkBuckets(t failer, b *Board, want int) {
	t.Helper()
	if b.order.Len() != len(b.buckets) {
		t.Fatalf("%d buckets, %d in the order", len(b.buckets), b.order.Len())
	}
	got := 0
	for e := b.order.Front(); e != nil; e = e.Next() {
		bk := e.Value.(*bucket)
		if bk.spot != e || b.buckets[bk.key] != bk || bk.n == 0 {
			t.Fatalf("bucket %v is lost or empty", bk.key)
		}
		got += bk.n
		checkShares(t, bk)
	}
	if got != want {
		t.Fatalf("%d units in buckets, %d think so", got, want)
	}
}

func checkShares(t failer, bk *bucket) {
	t.Helper()
	n := 0
	for _, s := range bk.shares {
		in := bk.rested
		if len(s.units) > 0 {
			in = bk.active
		}
		if in[s.at] != s {
			t.Fatalf("submitter %v is not where it thinks", s.key)
		}
		for i, it := range s.units {
			if n++; it.share != s || it.place != i || it.bucket != bk || it.state != Queued {
				t.Fatalf("unit %v does not know that it is in bucket %v", it.Key, bk.key)
			}
			if i > 0 && s.units.Less(i, (i-1)/2) {
				t.Fatalf("the units of %v are out of order", s.key)
			}
		}
	}
	if n != bk.n || bk.first != bk.head() || len(bk.shares) != len(bk.active)+len(bk.rested) || len(bk.rested) > maxRested {
		t.Fatalf("bucket %v: %d units of %d, %d submitters, %d active, %d rested", bk.key, n, bk.n, len(bk.shares), len(bk.active), len(bk.rested))
	}
	for i := 1; i < len(bk.active); i++ {
		if bk.active.Less(i, (i-1)/2) {
			t.Fatalf("the submitters are out of order")
		}
	}
}

func checkChildren(t failer, b *Board, want int) {
	t.Helper()
	got := 0
	for id, c := range b.children {
		got += len(c.leases)
		var sum core.Requirements
		for lease, it := range c.leases {
			if _, h := b.held(id, lease); b.leases[lease] != it || h == nil {
				t.Fatalf("node %s thinks that it holds lease %d", id, lease)
			}
			if classIndex(it.Class) == 1 {
				sum.CPU += it.Head.Requirements.CPU
				sum.MemoryMB += it.Head.Requirements.MemoryMB
			}
		}
		if c.cpu != sum.CPU || c.memory != sum.MemoryMB {
			t.Fatalf("node %s has %d %% and %d MB reserved; its units need %d and %d", id, c.cpu, c.memory, sum.CPU, sum.MemoryMB)
		}
		for class := range b.ready {
			in := c.readyAt[class] >= 0
			if in != (c.credits[class] > 0) || in && b.ready[class].list[c.readyAt[class]] != c {
				t.Fatalf("node %s with %d credits of class %d is at %d", id, c.credits[class], class, c.readyAt[class])
			}
		}
	}
	if got != want {
		t.Fatalf("nodes hold %d leases, the board knows %d", got, want)
	}
	for class := range b.ready {
		for _, c := range b.ready[class].list {
			if b.children[c.ID] != c {
				t.Fatalf("node %s left and is still ready", c.ID)
			}
		}
	}
}
