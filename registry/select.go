package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Weights of a node's score; they add up to 1. Reputation leads, so that a liar
// with a fast machine never beats an honest neighbour.
const (
	weightReputation = 0.5
	weightFree       = 0.3
	weightSpeed      = 0.2
	// fastest is the CPU score (cores * score per core) that counts as full
	// speed: beyond it, one subtask gains nothing.
	fastest = 64.0
	// bands is how finely scores are told apart. Nodes of one band are equal and
	// share the work; too many bands would send everything to one node.
	bands = 20
)

// Select returns up to n nodes for a task, best first: online, capable, not at
// rest, reputation at least ExcludeBelow, not cooling down. Those with room now come
// before those without; then reputation, free share and CPU speed decide, in
// bands. Within a band each place goes to the less busy of two nodes drawn at
// random from seed, so that coordinators that see the same table do not all pick
// the same node.
func (t *Table) Select(now time.Time, req core.Requirements, task core.TaskType, n int, seed uint64) []core.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := range t.ranked {
		t.ranked[b] = t.ranked[b][:0]
	}
	t.eachTrusted(now, func(i int, e *entry, reputation int) {
		if unable(e, req, task) == "" && e.free.Rests == "" {
			b := band(e, reputation)
			if hasRoom(e, req) {
				b += bands + 1
			}
			t.ranked[b] = append(t.ranked[b], int32(i))
		}
	})
	rng := rand.New(rand.NewPCG(seed, 0))
	var out []core.NodeID
	for b := len(t.ranked) - 1; b >= 0 && len(out) < n; b-- {
		out = t.draw(out, t.ranked[b], n, rng)
	}
	return out
}

// draw appends nodes of one band to out until n are there or the band is empty.
func (t *Table) draw(out []core.NodeID, band []int32, n int, rng *rand.Rand) []core.NodeID {
	for len(out) < n && len(band) > 0 {
		pick, other := rng.IntN(len(band)), rng.IntN(len(band))
		if t.nodes[band[other]].free.Active < t.nodes[band[pick]].free.Active {
			pick = other
		}
		out = append(out, t.nodes[band[pick]].ad.NodeID)
		last := len(band) - 1
		band[pick] = band[last]
		band = band[:last]
	}
	return out
}

// eachTrusted calls f with every online node that may be given work.
func (t *Table) eachTrusted(now time.Time, f func(i int, e *entry, reputation int)) {
	rep := t.cfg.Reputation
	if rep != nil {
		// One lock for the whole scan instead of one per node.
		rep.mu.RLock()
		defer rep.mu.RUnlock()
	}
	for i := range t.nodes {
		e := &t.nodes[i]
		if !t.online(e, now) {
			continue
		}
		score := StartScore
		if rep != nil {
			rec := rep.record(e.ad.NodeID)
			if !rec.trusted(now) {
				continue
			}
			score = rec.score
		}
		f(i, e, score)
	}
}

// band maps a node's score to 0..bands.
func band(e *entry, reputation int) int {
	return int((weightReputation/MaxScore*float64(reputation) + e.rank) * bands)
}

// ranked is the part of the score that is not reputation: the free share of the
// scarcer of CPU and memory, and the speed of the machine.
func (e *entry) ranked() float64 {
	free, r := e.capacity(), e.ad.Resources
	speed := min(1, r.CPUScore*float64(max(1, r.Cores))/fastest)
	return weightFree*min(free.CPU, free.Memory) + weightSpeed*speed
}

// capacity is what is free of the node, by its last word.
func (e *entry) capacity() core.Capacity {
	r := e.ad.Resources
	r.FreeCPU = min(100, max(0, e.free.CPU))
	r.FreeMemoryMB = e.free.MemoryMB
	return r.Free()
}

// Explain says in one sentence why Select finds nobody with room, for the reason
// no_capable_worker; "" when it would find somebody. For example "nobody has tier
// trainer; best here is aggregator".
func (t *Table) Explain(now time.Time, req core.Requirements, task core.TaskType) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var f funnel
	for i := range t.nodes {
		if e := &t.nodes[i]; t.online(e, now) {
			f.add(e, req, task)
		}
	}
	if f.capable == 0 {
		return f.explain(req, task)
	}
	trusted, room, rests := 0, 0, 0
	why := ""
	t.eachTrusted(now, func(_ int, e *entry, _ int) {
		switch {
		case unable(e, req, task) != "":
			return
		case e.free.Rests != "":
			rests, why = rests+1, e.free.Rests
		case hasRoom(e, req):
			room++
		}
		trusted++
	})
	switch {
	case trusted > 0 && rests == trusted:
		return allRest(trusted, why)
	case trusted == 0:
		return fmt.Sprintf("each of the %d capable workers is excluded by its reputation or cooling down", f.capable)
	case room == 0:
		return fmt.Sprintf("each of the %d capable workers is busy", trusted)
	}
	return ""
}

// allRest says that n capable workers rest, and why one of them does.
func allRest(n int, why string) string {
	if n == 1 {
		return "the only capable worker rests: " + why
	}
	return fmt.Sprintf("each of the %d capable workers rests, one of them %s", n, why)
}

// funnel remembers the requirement at which the best of the unable nodes fell
// out, and the most that anybody who came so far has of it.
type funnel struct {
	online, capable int
	stage           int // index into needs() of the furthest failure
	tier            core.Tier
	memory          int64
}

func (f *funnel) add(e *entry, req core.Requirements, task core.TaskType) {
	f.online++
	need := unable(e, req, task)
	if need == "" {
		f.capable++
		return
	}
	switch stage := slices.Index(needs(), need); {
	case stage < f.stage:
		return
	case stage > f.stage:
		f.stage, f.tier, f.memory = stage, 0, 0
	}
	f.tier = max(f.tier, e.ad.Tier)
	f.memory = max(f.memory, e.ad.Resources.MemoryMB)
}

func (f *funnel) explain(req core.Requirements, task core.TaskType) string {
	if f.online == 0 {
		return "no worker is online"
	}
	need := needs()[f.stage]
	s := "nobody has " + wanted(need, req, task)
	switch need {
	case needType:
		return fmt.Sprintf("nobody runs task type %q", task)
	case needRuntime:
		return fmt.Sprintf("nobody that runs task type %q has %q, which this task needs", task, req.Runtime)
	case needTier:
		s += "; best here is " + f.tier.String()
	case needMemory:
		s += fmt.Sprintf("; best here is %d MiB", f.memory)
	}
	return s
}
