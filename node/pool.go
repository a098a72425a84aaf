package node

import (
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// pool returns the members of an aggregation of this region that can take a task
// together while no worker can take it alone; of several the smallest. It is empty
// otherwise.
func (n *Node) pool(task core.TaskType, req core.Requirements) jobs.Pool {
	groups := n.groupStates()
	if len(groups) == 0 || n.someoneAlone(task, req) {
		return ""
	}
	best, now := jobs.Pool(""), time.Now()
	for _, g := range groups {
		p := jobs.NewPool(g.Nodes)
		if (best == "" || p.Size() < best.Size()) && n.together(g.Nodes, task, req, p.Share(req), now) {
			best = p
		}
	}
	return best
}

// someoneAlone reports whether a worker that is here meets the requirements.
func (n *Node) someoneAlone(task core.TaskType, req core.Requirements) bool {
	match, now := n.workerMatch(), time.Now()
	u := &jobs.Unit{}
	u.Head.Type, u.Head.Requirements = task, req
	for _, w := range n.workers.All(now) {
		if w.State == core.Online && !isOtherRegion(w.Ad, match.own()) && match.Match(w.Ad.NodeID, u, now).Available() {
			return true
		}
	}
	return false
}

// together reports whether each of some workers meets its share, and all of them
// what is asked.
func (n *Node) together(members []core.NodeID, task core.TaskType, req, share core.Requirements, now time.Time) bool {
	sum, ok := n.sum(members, now)
	if !ok || sum.MemoryMB < req.MemoryMB || (compute.Profile{Resources: sum}).Tier() < req.MinTier {
		return false
	}
	match := n.workerMatch()
	u := &jobs.Unit{}
	u.Head.Type, u.Head.Requirements = task, share
	for _, id := range members {
		if !match.Match(id, u, now).Available() {
			return false
		}
	}
	return true
}

// sum is what some workers have together, false when one of them is not here.
func (n *Node) sum(members []core.NodeID, now time.Time) (sum core.Resources, ok bool) {
	for _, id := range members {
		w, known := n.workers.Get(id, now)
		if !known || w.State != core.Online {
			return core.Resources{}, false
		}
		sum = sum.Plus(w.Ad.Resources)
	}
	return sum, true
}

// groupTiers are the tiers that the region's aggregations have.
func (n *Node) groupTiers(now time.Time) (tiers []core.Tier) {
	for _, g := range n.groupStates() {
		if sum, ok := n.sum(g.Nodes, now); ok {
			tiers = append(tiers, compute.Profile{Resources: sum}.Tier())
		}
	}
	return tiers
}
