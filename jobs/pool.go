package jobs

import (
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Pool is a set of nodes as one comparable value: their ids with a comma behind
// each, in the order given. The empty pool is no restriction.
type Pool string

const poolEnd = ","

// NewPool returns the pool of some nodes.
func NewPool(ids []core.NodeID) Pool {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(string(id))
		b.WriteString(poolEnd)
	}
	return Pool(b.String())
}

// Has reports whether a node is one of them; the empty pool has everybody.
func (p Pool) Has(id core.NodeID) bool {
	if p == "" {
		return true
	}
	for one := range strings.SplitSeq(string(p), poolEnd) {
		if one == string(id) && one != "" {
			return true
		}
	}
	return false
}

// Size returns how many nodes they are.
func (p Pool) Size() int { return strings.Count(string(p), poolEnd) }

// Share is what each of them has to meet of what they meet together: an equal
// part of the memory, and no tier, which none of them need have alone.
func (p Pool) Share(r core.Requirements) core.Requirements {
	if n := int64(p.Size()); n > 0 {
		r.MemoryMB, r.MinTier = (r.MemoryMB+n-1)/n, core.TierAny
	}
	return r
}

// isFor reports whether a unit's home and pool let a child have it at all.
func (it *item) isFor(c *child) bool {
	return (it.Home == "" || it.Home == c.Region) && it.Pool.Has(c.ID)
}

// explain says why nobody can run a unit.
func (b *Board) explain(it *item, now time.Time) string {
	if it.Pool == "" {
		return b.match.Explain(&it.Unit, now)
	}
	return "the nodes of the aggregation that took the task are gone"
}
