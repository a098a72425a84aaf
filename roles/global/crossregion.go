package global

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry"
)

// CrossRegion picks the regions for a task by the node's mode, and among regions
// by capacity and performance.
type CrossRegion struct {
	regions *registry.Regions
	node    Surroundings
}

// Surroundings is what a CrossRegion asks the node it is part of.
type Surroundings struct {
	Own     func() core.RegionID // the region this node keeps, at least a region of one
	Nearest func() core.RegionID // the region this node works for; empty when none
	Mode    func() core.Mode
	// Workers says whether own has workers, and one that can run such a task. It is
	// asked where peers come first.
	Workers func(core.Requirements, core.TaskType) (any, capable bool)
	// Looking says that this node has just started and may still find regions. It
	// must end by itself.
	Looking func() bool
}

const (
	// maxRegions is how many regions an offer may name.
	maxRegions = 64
	// capablePatience is how long a gateway whose workers cannot run a task waits for
	// one that can before a region gets it.
	capablePatience = time.Second
	// lookAgain is how often it looks again.
	lookAgain = 25 * time.Millisecond
)

// NewCrossRegion returns a picker over the known regions.
func NewCrossRegion(regions *registry.Regions, node Surroundings) *CrossRegion {
	return &CrossRegion{regions: regions, node: node}
}

// Pick returns regions for a task, best first, at least one: the first is its
// home, which in hybrid mode is the best region in reach, else this node's own.
// Right after the node's start, and while own workers cannot run the task, it
// waits a moment for a better answer.
func (c *CrossRegion) Pick(ctx context.Context, req core.Requirements, task core.TaskType, seed uint64) []core.RegionID {
	until := time.Now().Add(capablePatience)
	for {
		s := c.look(req, task, seed)
		regions, sure := homes(c.node.Mode(), s)
		if sure || ctx.Err() != nil || !s.looking && !time.Now().Before(until) {
			return regions[:min(len(regions), maxRegions)]
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// keyedHomes reports whether gateways agree on the home of an idempotency key.
func (c *CrossRegion) keyedHomes() bool { return !c.node.Mode().PeerFirst() }

// largest returns the region with most workers, "" when none is known.
func (c *CrossRegion) largest(now time.Time) core.RegionID {
	known := c.regions.Regions(now)
	if len(known) == 0 {
		return ""
	}
	return slices.MaxFunc(known, func(a, b registry.Region) int { return a.Summary.Workers - b.Summary.Workers }).Summary.Region
}

func (c *CrossRegion) look(req core.Requirements, task core.TaskType, seed uint64) sight {
	now := time.Now()
	s := sight{own: c.node.Own(), near: c.node.Nearest(), looking: c.node.Looking()}
	s.able = c.regions.PickRegion(req, task, now, seed)
	if len(s.able) == 0 {
		s.known = c.largest(now)
	}
	if c.node.Mode().PeerFirst() {
		s.workers, s.capable = c.node.Workers(req, task)
	}
	return s
}
