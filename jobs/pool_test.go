package jobs_test

import (
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// TestPool: a pool has its nodes and no others, shares memory, and the empty one
// restricts nobody.
func TestPool(t *testing.T) {
	p := jobs.NewPool([]core.NodeID{"a", "bb", "c"})
	for id, want := range map[core.NodeID]bool{"a": true, "bb": true, "c": true, "b": false, "": false, "a,bb": false} {
		if p.Has(id) != want {
			t.Errorf("%q is in: %t", id, !want)
		}
	}
	whole := core.Requirements{MinTier: core.TierTrainer, CPU: 40, MemoryMB: 100, MaxPrice: 7}
	if got, want := p.Share(whole), (core.Requirements{CPU: 40, MemoryMB: 34, MaxPrice: 7}); p.Size() != 3 || got != want {
		t.Errorf("%d nodes share %+v, want %+v", p.Size(), got, want)
	}
	if none := jobs.NewPool(nil); none != "" || none.Size() != 0 || !none.Has("a") || none.Share(whole) != whole {
		t.Errorf("the empty pool is %q", none)
	}
}
