package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math/rand/v2"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/wire"
)

// buildTables makes what the network is asked about while it is built.
func (n *Node) buildTables() error {
	n.reputation = registry.NewReputation(0)
	n.workers = registry.NewTable(registry.Config{Network: n.cfg.Network, Reputation: n.reputation})
	n.regions, n.met = registry.NewRegions(), newMet()
	return nil
}

// buildCompute makes what runs tasks here.
func (n *Node) buildCompute() error {
	n.capacity = compute.NewCapacity(n.offered(), n.cfg.Compute.Slots)
	n.capacity.LimitCPU(n.offered().FreeCPU)
	n.planners, n.executors = map[core.TaskType]compute.Planner{}, map[core.TaskType]compute.Executor{}
	engines, err := n.engines()
	if err != nil {
		return err
	}
	for t, e := range engines {
		n.planners[t], n.executors[t] = e, e
	}
	if n.engine, err = compute.NewEngine(n.executors, n.capacity, n.registerer, n.log); err != nil {
		return err
	}
	return n.buildRest(context.Background())
}

// offered is what of the machine is given to others: the operator's limits cut
// what was measured.
func offered(r core.Resources, c ComputeConfig) core.Resources {
	r.FreeCPU = 100
	if c.MaxCPU > 0 {
		r.FreeCPU = min(c.MaxCPU, 100)
	}
	if c.MaxMemoryMB > 0 {
		r.MemoryMB = min(r.MemoryMB, c.MaxMemoryMB)
	}
	r.FreeMemoryMB, r.FreeDiskMB = r.MemoryMB, min(r.FreeDiskMB, r.DiskMB)
	return r
}

// buildWork connects the two levels of dispatch with the roles above them.
func (n *Node) buildWork() error {
	var err error
	if n.linkMetrics, err = dispatch.NewMetrics(n.registerer); err != nil {
		return err
	}
	n.linkMetrics.Blame = n.host.Offended
	limits := jobs.Limits{LeaseTTL: n.cfg.Jobs.LeaseTTL, SpeculateShare: float64(n.cfg.Jobs.Speculation) / 100}
	n.gateway = dispatch.New(dispatch.Config{Name: "gateway", Signer: n.identity, Limits: limits, Match: regionMatch{},
		Blobs: n.blobs, Metrics: n.linkMetrics, Seed: rand.Uint64()}, n.log)
	n.region = dispatch.New(dispatch.Config{Name: "region", Signer: n.identity, Limits: limits,
		Match: n.workerMatch(), Blobs: n.blobs, Metrics: n.linkMetrics, Seed: rand.Uint64(),
		Judge: n.judge, Led: true}, n.log)
	n.links = newLinks(n)
	n.keeper = newKeeper(n)
	if err := n.keeper.open(n.ownRegion()); err != nil {
		return err
	}
	n.host.Spare(n.keeper.keepsWith)
	n.closers = append(n.closers, n.keeper.close)
	n.whole = maps.Clone(n.planners) // workflows are none of a worker's
	n.whole[workflow.Type] = workflow.Planner{Tasks: n.planners}
	n.validator = regional.New(regional.Deps{Signer: n.identity, Region: n.keeper.keeps,
		Journal: n.keeper, Dispatcher: n.region, Workers: n.workers,
		Planners: n.whole, Executors: n.executors, Events: n.events, Spread: n.links.spread, Helping: n.keeper, Restore: n.links.restore,
		Aggregations: n.groupStates, Pool: n.pool, Changed: n.links.lead, Announce: func(d wire.ResultDigest) { n.announcer.result(d) }, Trace: trace.NewRing(0, n.sink())}, n.log)
	n.tasks, err = local.New(local.Deps{Signer: n.identity, Engine: n.engine, Capacity: n.capacity, Events: n.events,
		Accepts: n.acceptsWork, Rests: n.tellsRest, Price: core.Amount(n.cfg.Compute.Price), Trace: n.sink()}, n.log)
	if err != nil {
		return err
	}
	n.coordinator = global.New(global.Deps{ID: n.identity.ID(), Dispatcher: n.gateway,
		Routes: n.links,
		Regions: global.NewCrossRegion(n.regions, global.Surroundings{Own: n.ownRegion, Nearest: n.links.nextHome, Mode: n.mode,
			Workers: n.ownWorkers, Looking: n.looking}), Own: n.ownRegion,
		Planners: n.whole, Events: n.events, Quota: n.quota, Trace: trace.NewRing(0, n.sink())}, n.log)
	return nil
}

// workerMatch judges what works for this node's own region.
func (n *Node) workerMatch() workerMatch {
	return workerMatch{n.workers, n.regions, n.reputation, n.ownRegion}
}

// ownRegion is the region this node keeps: the configured one for a regional
// node, otherwise a region of one that carries the node's name.
func (n *Node) ownRegion() core.RegionID { return n.regionOf(n.roleSet()) }

// regionOf is the region this node would keep with a set of roles.
func (n *Node) regionOf(set core.RoleSet) core.RegionID {
	if n.cfg.Region != "" && set.Is(core.Regional) {
		return n.cfg.Region
	}
	sum := sha256.Sum256([]byte(n.identity.ID()))
	return core.RegionID("solo-" + hex.EncodeToString(sum[:4]))
}

// acceptsWork is the worker's own word on taking outside work.
func (n *Node) acceptsWork() error {
	if !n.roleSet().Can().Has(core.CanCompute) {
		return core.Errorf(core.Denied, "role", "this node has no role that computes")
	}
	if why := n.Resting(); why != "" {
		return core.Errorf(core.Unavailable, "rest", "this node rests: %s", why)
	}
	return n.Ready()
}
