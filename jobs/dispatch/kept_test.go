package dispatch

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// TestKeptIsBounded: results wait for their confirmation in bounded number, size
// and time; the oldest go first.
func TestKeptIsBounded(t *testing.T) {
	now := time.Now()
	add := func(k *kept, i, size int, at time.Time) {
		k.add(&wire.JobOffer{Lease: wire.LeaseID(i), TaskID: core.TaskID(fmt.Sprint("t", i))}, &wire.JobResult{Output: wire.Payload{Inline: json.RawMessage(big(size))}}, at)
	}
	many, heavy, old := newKept(), newKept(), newKept()
	for i := range keptResults + 10 {
		add(&many, i, 2, now)
	}
	for i := range 2 * keptBytes / wire.MaxInline {
		add(&heavy, i, wire.MaxInline, now)
	}
	for i := range 100 {
		add(&old, i, 2, now.Add(time.Duration(i)*time.Second))
	}
	if n := len(many.byUnit); n != keptResults || many.list(now)[0].claim.Lease != 10 {
		t.Errorf("%d results are kept", n)
	}
	if heavy.bytes > keptBytes || heavy.bytes < keptBytes-2*wire.MaxInline || heavy.order.Len() != len(heavy.byUnit) {
		t.Errorf("%d results of %d bytes are kept", heavy.order.Len(), heavy.bytes)
	}
	if n := len(old.list(now.Add(99 * time.Second))); n != 31 {
		t.Errorf("%d of the last 100 s are kept", n)
	}
	for i := range keptResults + 10 {
		add(&many, i, 2, now) // again: takes the place of the first
		many.confirm(jobs.Key{Task: core.TaskID(fmt.Sprint("t", i))})
		heavy.revoke(wire.LeaseID(i))
	}
	if many.bytes != 0 || many.order.Len()+len(many.byUnit) != 0 || heavy.bytes != 0 || len(heavy.byUnit) != 0 {
		t.Errorf("%d and %d bytes are left", many.bytes, heavy.bytes)
	}
}
