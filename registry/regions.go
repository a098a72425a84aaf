package registry

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Bounds and times of Regions.
const (
	// MaxCoordinators bounds the coordinators remembered.
	MaxCoordinators = 4096
	// SummaryLife is how long a summary counts after it was heard.
	SummaryLife = DefaultHeartbeat * DefaultMissed
	// KnownFor is how long a silent coordinator still counts as one of the
	// network's validators.
	KnownFor = 24 * time.Hour
)

// Region is one region as its coordinators describe it.
type Region struct {
	Summary  *wire.RegionSummary // shared: read it only
	LastSeen time.Time
	RTT      time.Duration // to its nearest coordinator, smoothed; 0: not measured, taken for near
}

// Regions is what a gateway knows of the network: the last summary of every
// coordinator.
type Regions struct {
	mu    sync.Mutex
	heard map[core.NodeID]Region // by coordinator; at most MaxCoordinators
}

// NewRegions returns an empty table.
func NewRegions() *Regions { return &Regions{heard: map[core.NodeID]Region{}} }

// PutSummary takes a summary from its authenticated author. Refused are: one out
// of bounds (core.Invalid), one about another coordinator (core.Denied), one that
// is not newer than the last (core.Conflict), and a new coordinator when
// MaxCoordinators are live (core.Exhausted). The caller must not change s
// afterwards.
func (r *Regions) PutSummary(from core.NodeID, s *wire.RegionSummary, now time.Time) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if from != s.Coordinator {
		return core.Errorf(core.Denied, "coordinator", "%s sent a summary in the name of %s", from.Short(), s.Coordinator.Short())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.heard[from]
	if known && s.Sequence <= old.Summary.Sequence {
		return core.Errorf(core.Conflict, "sequence", "summary %d of %s is not newer than summary %d", s.Sequence, from.Short(), old.Summary.Sequence)
	}
	if !known && !r.makeRoom(now) {
		return core.Errorf(core.Exhausted, "coordinators", "%d live coordinators are known, the limit", MaxCoordinators)
	}
	r.heard[from] = Region{Summary: s, LastSeen: now, RTT: old.RTT}
	return nil
}

// Measured takes a round trip to a coordinator. One that is not known is not
// remembered.
func (r *Regions) Measured(id core.NodeID, rtt time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, known := r.heard[id]
	if !known || rtt <= 0 {
		return
	}
	if h.RTT > 0 { // one slow answer makes nobody far
		rtt = (3*h.RTT + rtt) / 4
	}
	h.RTT = rtt
	r.heard[id] = h
}

// makeRoom forgets coordinators after KnownFor, and silent ones earlier when the
// table is full.
func (r *Regions) makeRoom(now time.Time) bool {
	for _, limit := range []time.Duration{KnownFor, SummaryLife} {
		if len(r.heard) < MaxCoordinators {
			return true
		}
		for id, h := range r.heard {
			if now.Sub(h.LastSeen) >= limit {
				delete(r.heard, id)
			}
		}
	}
	return len(r.heard) < MaxCoordinators
}

// Remove forgets a coordinator, for example when it laid the role down.
func (r *Regions) Remove(id core.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.heard, id)
}

// Lost takes a coordinator whose link ended for silent until it is heard again: it
// is not chosen any more, but still counted as known.
func (r *Regions) Lost(id core.NodeID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h, known := r.heard[id]; known && h.live(now) {
		h.LastSeen = now.Add(-SummaryLife)
		r.heard[id] = h
	}
}

// Regions returns each region heard of within SummaryLife once, sorted by id. Of
// several coordinators the one that sees most workers describes it; the newest
// of equals.
func (r *Regions) Regions(now time.Time) []Region {
	best, nearest := map[core.RegionID]Region{}, map[core.RegionID]time.Duration{}
	r.mu.Lock()
	for _, h := range r.heard {
		id := h.Summary.Region
		if !h.live(now) {
			continue
		}
		if old, ok := best[id]; !ok || h.better(old) {
			best[id] = h
		}
		if d := nearest[id]; h.RTT > 0 && (d == 0 || h.RTT < d) {
			nearest[id] = h.RTT
		}
	}
	r.mu.Unlock()
	out := make([]Region, 0, len(best))
	for id, h := range best {
		h.RTT = nearest[id]
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Region) int { return strings.Compare(string(a.Summary.Region), string(b.Summary.Region)) })
	return out
}

func (h Region) live(now time.Time) bool { return now.Sub(h.LastSeen) < SummaryLife }

// better is a total order, so that map order never shows.
func (h Region) better(o Region) bool {
	switch {
	case h.Summary.Workers != o.Summary.Workers:
		return h.Summary.Workers > o.Summary.Workers
	case !h.LastSeen.Equal(o.LastSeen):
		return h.LastSeen.After(o.LastSeen)
	}
	return h.Summary.Coordinator < o.Summary.Coordinator
}

// Coordinators returns the live coordinators of a region, sorted by id.
func (r *Regions) Coordinators(region core.RegionID, now time.Time) []core.NodeID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []core.NodeID
	for id, h := range r.heard {
		if h.Summary.Region == region && h.live(now) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// KeptBy returns the region that node id coordinates, false when it is not heard
// of as a live coordinator.
func (r *Regions) KeptBy(id core.NodeID, now time.Time) (core.RegionID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, known := r.heard[id]
	if !known || !h.live(now) {
		return "", false
	}
	return h.Summary.Region, true
}

// GlobalState answers the documented GET /network/state: the live regions sorted
// by id, the free share of the network weighted by workers, and its validators
// (coordinators): known within KnownFor, and heard within SummaryLife.
func (r *Regions) GlobalState(now time.Time) core.GlobalState {
	state := core.GlobalState{Regions: []core.RegionState{}}
	workers := 0
	for _, h := range r.Regions(now) {
		s := h.Summary
		state.Regions = append(state.Regions, core.RegionState{ID: s.Region, Capacity: s.Capacity, PerformanceScore: s.Performance})
		weight := float64(s.Workers)
		state.GlobalCapacity = sum(state.GlobalCapacity,
			core.Capacity{CPU: s.Capacity.CPU * weight, Memory: s.Capacity.Memory * weight, Storage: s.Capacity.Storage * weight})
		workers += s.Workers
	}
	if workers > 0 {
		state.GlobalCapacity = scaled(state.GlobalCapacity, 1/float64(workers))
	}
	state.TotalValidators, state.ActiveValidators = r.count(now)
	return state
}

func (r *Regions) count(now time.Time) (total, active int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.heard {
		if now.Sub(h.LastSeen) < KnownFor {
			total++
		}
		if h.live(now) {
			active++
		}
	}
	return total, active
}

// PickRegion returns the regions that could run a task, best first, ordered by
// capacity, performance and distance: the free share of the scarcer of CPU and
// memory times the performance score, less the farther the region is. Equal regions come in the random order of seed. A
// region without a live worker of a sufficient tier or without the task type is
// left out.
func (r *Regions) PickRegion(req core.Requirements, task core.TaskType, now time.Time, seed uint64) []core.RegionID {
	fit := slices.DeleteFunc(r.Regions(now), func(h Region) bool { return !can(h.Summary, req, task) })
	if len(fit) == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(fit), func(i, j int) { fit[i], fit[j] = fit[j], fit[i] })
	slices.SortStableFunc(fit, func(a, b Region) int { return regionBand(b) - regionBand(a) })
	out := make([]core.RegionID, len(fit))
	for i, h := range fit {
		out[i] = h.Summary.Region
	}
	return out
}

// How distance counts against a region.
const (
	// nearRTT is the round trip below which regions are equally near, and the step in
	// which distance is told: within one place noise must not decide.
	nearRTT = 10 * time.Millisecond
	// farRTT is what halves a region's worth: at such a distance a region must have
	// twice as much free as a near one, and then gets the task. Less would send work
	// into full regions nearby, more across oceans for nothing.
	farRTT = 100 * time.Millisecond
)

// nearness is 1 for a region nearby and falls with distance, never to 0.
func nearness(rtt time.Duration) float64 {
	beyond := min(rtt, time.Second).Truncate(nearRTT)
	return 1 / (1 + float64(beyond)/float64(farRTT))
}

// regionBand is the score of a region in 0..bands*bands. No factor is let fall to
// zero: a full region that performs well still beats one that does not.
func regionBand(h Region) int {
	const floor = 1.0 / bands
	free := max(floor, min(h.Summary.Capacity.CPU, h.Summary.Capacity.Memory))
	return int(free * max(floor, h.Summary.Performance) * nearness(h.RTT) * bands * bands)
}

// can reports whether a worker of the region may run the task. A full list of runtimes
// may lack the one that is needed.
func can(s *wire.RegionSummary, req core.Requirements, task core.TaskType) bool {
	return s.Workers > 0 && (task == "" || slices.Contains(s.Runtimes, task)) &&
		(req.Runtime == "" || slices.Contains(s.Runtimes, req.Runtime) || len(s.Runtimes) >= maxRuntimes) &&
		bestTier(s) >= req.MinTier
}

func bestTier(s *wire.RegionSummary) core.Tier {
	for tier := core.TierTrainer; tier > core.TierAny; tier-- {
		if s.ByTier[tier.String()] > 0 {
			return tier
		}
	}
	return core.TierAny
}
