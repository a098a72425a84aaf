package node

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// regionMatch is the gateway's matcher: every linked region can take a job; the
// region itself knows whether its workers can run it.
type regionMatch struct{}

var _ jobs.Matcher = regionMatch{}

// Match implements jobs.Matcher.
func (regionMatch) Match(core.NodeID, *jobs.Unit, time.Time) jobs.Match {
	return jobs.Match{Capable: true}
}

// Explain implements jobs.Matcher.
func (regionMatch) Explain(u *jobs.Unit, _ time.Time) string {
	return "no coordinator of region " + string(u.Home) + " is linked"
}

// workerMatch is a region's matcher: workers by their ads and reputation, other
// regions by their summaries.
type workerMatch struct {
	workers    *registry.Table
	regions    *registry.Regions
	reputation *registry.Reputation
	own        func() core.RegionID
}

var _ jobs.Matcher = workerMatch{}

// elsewhere is what a place in another region is worth against one here: any
// worker of ours comes first.
const elsewhere = -1.0

// Match implements jobs.Matcher.
func (m workerMatch) Match(child core.NodeID, u *jobs.Unit, now time.Time) jobs.Match {
	n, known := m.workers.Get(child, now)
	if !known {
		return jobs.Match{}
	}
	if isOtherRegion(n.Ad, m.own()) {
		return jobs.Match{Capable: m.regionCan(n.Ad.Region, u, now), Score: elsewhere}
	}
	if !m.reputation.Trusted(child, now) || registry.Capable(n, u.Head.Requirements, u.Head.Type) != nil || u.Head.Requirements.CPU > offersCPU(n) {
		return jobs.Match{}
	}
	if tooDear(n, u.Head.Requirements) {
		return jobs.Match{}
	}
	return jobs.Match{Capable: true, Resting: n.Free.Rests != "", Score: float64(n.Reputation) * (1 + n.Ad.Resources.CPUScore) / dearness(n.Free.AskPrice)}
}

// tooDear reports whether a worker asks more than the task pays.
func tooDear(n registry.Node, r core.Requirements) bool {
	return r.MaxPrice > 0 && n.Free.AskPrice > r.MaxPrice
}

// dearness is what a price does to a score: 1 for nothing asked, and with every
// doubling of the price a sixteenth more, whatever a base unit is worth.
func dearness(price core.Amount) float64 { return 1 + math.Log2(1+float64(price))/16 }

func (m workerMatch) regionCan(region core.RegionID, u *jobs.Unit, now time.Time) bool {
	return slices.Contains(m.regions.PickRegion(u.Head.Requirements, u.Head.Type, now, 0), region)
}

// offersCPU is the most of its CPU that a worker's operator gives to others.
func offersCPU(n registry.Node) int { return max(1, n.Ad.Resources.FreeCPU) }

// Explain implements jobs.Matcher.
func (m workerMatch) Explain(u *jobs.Unit, now time.Time) string {
	most, cheapest, dear := 0, core.MaxAmount, false
	for _, n := range m.workers.All(now) {
		if n.State != core.Online || registry.Capable(n, u.Head.Requirements, u.Head.Type) != nil {
			continue
		}
		if most = max(most, offersCPU(n)); offersCPU(n) >= u.Head.Requirements.CPU {
			cheapest, dear = min(cheapest, n.Free.AskPrice), true
		}
	}
	switch {
	case most > 0 && most < u.Head.Requirements.CPU:
		return fmt.Sprintf("nobody offers %d %% of its CPU; best here is %d %%", u.Head.Requirements.CPU, most)
	case dear && u.Head.Requirements.MaxPrice > 0 && cheapest > u.Head.Requirements.MaxPrice:
		return fmt.Sprintf("nobody works for %s base units per million operations; the cheapest here asks %s", u.Head.Requirements.MaxPrice, cheapest)
	}
	return m.workers.Explain(now, u.Head.Requirements, u.Head.Type)
}

// watcher feeds what children say about themselves into the table.
type watcher struct{ n *Node }

// Beat implements dispatch.Watcher.
func (w watcher) Beat(child core.NodeID, m *wire.Pull) {
	free := registry.Free{CPU: m.FreeCPU, MemoryMB: m.FreeMemoryMB, Active: m.Active, AskPrice: m.AskPrice, Rests: m.Rests}
	turned, err := w.n.workers.Beat(child, free, time.Now())
	if err != nil {
		w.n.log.Debug().Err(err).Str("node", string(child)).Msg("heartbeat of an unknown node")
	}
	if turned {
		w.n.region.Reconsider()
	}
}

// Advertised implements dispatch.Watcher.
func (w watcher) Advertised(child core.NodeID, ad *wire.Ad) {
	if _, err := w.n.workers.Put(ad, time.Now()); err != nil {
		w.n.blameAd(child, err)
		w.n.log.Warn().Err(err).Str("node", string(child)).Msg("ad refused")
		return
	}
	w.learnt(ad)
}

// learnt has the board reckon with what a worker says it has now. Another region
// has no bounds to learn.
func (w watcher) learnt(ad *wire.Ad) {
	if !isOtherRegion(ad, w.n.ownRegion()) {
		w.n.region.Update(w.n.links.workerInfo(ad))
	}
	w.n.region.Reconsider()
}

// regionWatcher is watcher for a gateway's links to regions, which are no workers
// of this node's own region.
type regionWatcher struct{ watcher }

// Advertised implements dispatch.Watcher.
func (w regionWatcher) Advertised(child core.NodeID, ad *wire.Ad) {
	w.n.met.note(child, ad.Region, ad.Roles)
}

// Summarized implements dispatch.Watcher.
func (w watcher) Summarized(child core.NodeID, s *wire.RegionSummary) {
	if err := w.n.regions.PutSummary(child, s, time.Now()); err != nil {
		w.n.log.Debug().Err(err).Str("node", string(child)).Msg("summary not taken")
		return
	}
	w.n.region.Reconsider()
}
