package presence

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry"
)

const (
	// maxCandidates bounds the coordinators that one search measures.
	maxCandidates = 16
	// measureTimeout bounds one measurement, the connection included.
	measureTimeout = 3 * time.Second
	// measureAtOnce bounds the measurements that run together.
	measureAtOnce = 8
	// FoundFor is how long an answer is used again. Longer sends workers to
	// coordinators that are gone; shorter asks the DHT for nothing.
	FoundFor = time.Minute
	// maxAnswers bounds the regions whose answers are remembered.
	maxAnswers = 256
)

// Finder knows who coordinates a region. It is safe for concurrent use.
type Finder struct {
	net     Discovery
	regions *registry.Regions // summaries heard, a second source; may be nil

	mu    sync.Mutex
	found map[core.RegionID]answer
}

type answer struct {
	ids []core.NodeID
	at  time.Time
}

// NewFinder returns a Finder that asks net and, unless it is nil, regions.
func NewFinder(net Discovery, regions *registry.Regions) *Finder {
	return &Finder{net: net, regions: regions, found: map[core.RegionID]answer{}}
}

// Coordinators returns the coordinators of a region that answer a ping, nearest
// first; those of any region when region is "". Answers are used again for
// FoundFor. Nobody is core.Unavailable.
func (f *Finder) Coordinators(ctx context.Context, region core.RegionID) ([]core.NodeID, error) {
	if ids, ok := f.cached(region); ok {
		return ids, nil
	}
	candidates, err := f.candidates(ctx, region)
	if err != nil {
		return nil, err
	}
	ids := f.nearest(ctx, candidates)
	if len(ids) == 0 {
		return nil, core.Errorf(core.Unavailable, "coordinator", "no coordinator of %s answers; %d were named", place(region), len(candidates)).
			WithHint("check that a regional node runs and that this node reaches a bootstrap node")
	}
	f.remember(region, ids)
	return slices.Clone(ids), nil
}

// Forget makes the next question about a region a new search, for example after
// its coordinators stopped answering.
func (f *Finder) Forget(region core.RegionID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.found, region)
}

func place(region core.RegionID) string {
	if region == "" {
		return "any region"
	}
	return "region " + string(region)
}

func (f *Finder) cached(region core.RegionID) ([]core.NodeID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.found[region]
	if !ok || time.Since(a.at) >= FoundFor {
		return nil, false
	}
	return slices.Clone(a.ids), true
}

func (f *Finder) remember(region core.RegionID, ids []core.NodeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.found) >= maxAnswers {
		clear(f.found)
	}
	f.found[region] = answer{ids: ids, at: time.Now()}
}

// candidates asks the summaries heard first: they cost nothing and are signed.
func (f *Finder) candidates(ctx context.Context, region core.RegionID) ([]core.NodeID, error) {
	ids := f.heard(region)
	if len(ids) < maxCandidates {
		more, err := f.net.FindProviders(ctx, RegionKey(region), maxCandidates)
		if err != nil && len(ids) == 0 {
			return nil, err
		}
		for _, id := range more {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids[:min(len(ids), maxCandidates)], nil
}

func (f *Finder) heard(region core.RegionID) (ids []core.NodeID) {
	if f.regions == nil {
		return nil
	}
	now := time.Now()
	if region != "" {
		return f.regions.Coordinators(region, now)
	}
	for _, r := range f.regions.Regions(now) {
		ids = append(ids, r.Summary.Coordinator)
	}
	return ids
}

// nearest measures the candidates and returns those that answer, nearest first.
func (f *Finder) nearest(ctx context.Context, candidates []core.NodeID) []core.NodeID {
	rtt := make([]time.Duration, len(candidates)) // negative: no answer
	var g errgroup.Group
	g.SetLimit(measureAtOnce)
	for i, id := range candidates {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, measureTimeout)
			defer cancel()
			d, err := f.net.RTT(ctx, id)
			if err != nil {
				d = -1
			}
			rtt[i] = d
			return nil
		})
	}
	_ = g.Wait() // the functions return nil
	order := make([]int, 0, len(candidates))
	for i := range candidates {
		if rtt[i] >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rtt[a], rtt[b]) })
	ids := make([]core.NodeID, len(order))
	for i, o := range order {
		ids[i] = candidates[o]
	}
	return ids
}
