package registry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// maxRuntimes is the most a summary names of what workers announce. Types, which have no
// slash in them, come first: of the rest there may be more than there is room for.
const maxRuntimes = 64

// Summary describes the table's live workers of a region (and those of none) that
// do not rest in the few figures that other regions need. queue is how many subtasks wait,
// performance the share of work finished in time and accepted, 0..1.
func (t *Table) Summary(region core.RegionID, coordinator core.NodeID, queue int, performance float64, seq uint64, now time.Time) *wire.RegionSummary {
	s := &wire.RegionSummary{Region: region, Coordinator: coordinator, Sequence: seq, Queue: max(0, queue),
		Performance: min(1, max(0, performance)), ByTier: map[string]int{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	runtimes := map[core.TaskType]bool{}
	for i := range t.nodes {
		e := &t.nodes[i]
		if t.online(e, now) && e.free.Rests == "" && e.ad.Can.Has(core.CanCompute) && (e.ad.Region == region || e.ad.Region == "") {
			addWorker(s, e, runtimes)
		}
	}
	if s.Workers > 0 {
		s.Capacity = scaled(s.Capacity, 1/float64(s.Workers))
	}
	s.Runtimes = sortedKeys(runtimes)
	return s
}

func addWorker(s *wire.RegionSummary, e *entry, runtimes map[core.TaskType]bool) {
	s.Workers++
	s.ByTier[e.ad.Tier.String()]++
	s.FreeSlots += max(0, e.ad.MaxSlots-e.free.Active)
	s.Capacity = sum(s.Capacity, e.capacity())
	for _, r := range e.ad.Runtimes {
		runtimes[r] = true
	}
}

func sortedKeys(set map[core.TaskType]bool) []core.TaskType {
	out := make([]core.TaskType, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b core.TaskType) int {
		return cmp.Or(strings.Count(string(a), "/")-strings.Count(string(b), "/"), strings.Compare(string(a), string(b)))
	})
	return out[:min(len(out), maxRuntimes)]
}

func sum(a, b core.Capacity) core.Capacity {
	return core.Capacity{CPU: a.CPU + b.CPU, Memory: a.Memory + b.Memory, Storage: a.Storage + b.Storage}
}

func scaled(c core.Capacity, f float64) core.Capacity {
	return core.Capacity{CPU: clamp(c.CPU * f), Memory: clamp(c.Memory * f), Storage: clamp(c.Storage * f)}
}

// clamp keeps rounding errors out of values that are 0..1 by contract.
func clamp(v float64) float64 { return min(1, max(0, v)) }
