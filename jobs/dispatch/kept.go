package dispatch

import (
	"container/list"
	"time"

	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

const (
	// keptResults and keptBytes bound the results that a node keeps for one region
	// until a verdict confirms them; the oldest go first.
	keptResults = 4096
	keptBytes   = 16 << 20
	// keptFor is how long one is kept at most: well below resultKept, so that one
	// that is claimed can still be fetched.
	keptFor = 30 * time.Second
	// keptBeside is what a kept result takes besides its output, about.
	keptBeside = 1 << 10
)

// kept is the results, oldest first, that no verdict has confirmed: the next
// leader may not know them.
type kept struct {
	order  list.List // of *keptResult
	byUnit map[jobs.Key]*list.Element
	bytes  int
}

type keptResult struct {
	claim  wire.ClaimedLease
	result *wire.JobResult
	until  time.Time
	size   int
}

func newKept() kept { return kept{byUnit: map[jobs.Key]*list.Element{}} }

// add keeps a result in the place of an earlier one of the same unit.
func (k *kept) add(o *wire.JobOffer, r *wire.JobResult, now time.Time) {
	key := jobs.Key{Task: o.TaskID, Index: o.Index}
	k.confirm(key)
	n := &keptResult{claim: claimed(o, 1, true), result: r, until: now.Add(keptFor), size: len(r.Output.Inline) + keptBeside*(1+len(r.Proofs))}
	k.byUnit[key] = k.order.PushBack(n)
	k.bytes += n.size
	for k.order.Len() > keptResults || k.bytes > keptBytes {
		k.remove(k.order.Front())
	}
	k.expire(now)
}

func (k *kept) remove(e *list.Element) {
	n := k.order.Remove(e).(*keptResult)
	k.bytes -= n.size
	delete(k.byUnit, jobs.Key{Task: n.claim.TaskID, Index: n.claim.Index})
}

func (k *kept) confirm(key jobs.Key) {
	if e := k.byUnit[key]; e != nil {
		k.remove(e)
	}
}

// revoke drops the result of a lease that nobody waits for.
func (k *kept) revoke(lease wire.LeaseID) {
	for e := k.order.Front(); e != nil; e = e.Next() {
		if e.Value.(*keptResult).claim.Lease == lease {
			k.remove(e)
			return
		}
	}
}

func (k *kept) expire(now time.Time) {
	for e := k.order.Front(); e != nil && e.Value.(*keptResult).until.Before(now); e = k.order.Front() {
		k.remove(e)
	}
}

func (k *kept) list(now time.Time) (out []*keptResult) {
	k.expire(now)
	for e := k.order.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*keptResult))
	}
	return out
}
