package node

import (
	"runtime"
	"strconv"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles/global"
)

var (
	_ api.Node  = (*Node)(nil)
	_ api.Roles = (*Node)(nil)
)

// ID returns the node's id.
func (n *Node) ID() core.NodeID { return n.identity.ID() }

// lifecycle is where the node is in its life (document 4).
func (n *Node) lifecycle() core.Lifecycle {
	switch {
	case n.connected() != nil:
		return core.Syncing
	case n.tasks.Credits() > 0:
		return core.Earning
	}
	return core.Online
}

// Status implements api.Node.
func (n *Node) Status() api.NodeStatus {
	set := n.roleSet()
	peers := n.host.Peers()
	_, metrics := n.server.Addrs()
	_, queued, _ := n.region.Load()
	skew, heard := n.clockSkew(peers)
	return api.NodeStatus{ID: n.ID(), Version: n.cfg.Version, Network: n.cfg.Network, Region: n.shownRegion(),
		Type: set.Highest().String(), Roles: set.Names(), Tier: n.tier(), Mode: n.Mode(), State: n.lifecycle(), StartedAt: n.started.UTC(),
		UptimeS: int64(time.Since(n.started).Seconds()), Peers: len(peers), MinPeers: neededPeers(n.cfg.P2P.MinPeers, peers),
		Addrs: n.host.Addrs(), HTTP: n.httpAddr(), Metrics: metrics, CreditsEarned: strconv.FormatInt(n.tasks.Credits(), 10),
		ActiveTasks: n.tasks.Active() + n.validator.InProgress(), Queued: queued, Resting: n.Resting(), ClockSkewMS: skew, ClockPeers: heard}
}

// shownRegion is the region a person would say this node is in.
func (n *Node) shownRegion() core.RegionID {
	if r := n.homeRegion(); r != "" {
		return r
	}
	return n.ownRegion()
}

// Peers implements api.Node.
func (n *Node) Peers() []api.Peer {
	now := time.Now()
	out := []api.Peer{}
	for _, p := range n.host.Peers() {
		score := n.reputation.Score(p.ID)
		view := api.Peer{ID: p.ID, Addrs: []string{p.Addr}, Direction: p.Direction, RTTMS: float64(p.RTT.Microseconds()) / 1000,
			Reputation: &score, Since: p.Since, Version: versionOf(p.Agent)}
		view.Roles, view.Region = n.introduced(p.ID, p.Since, now)
		out = append(out, view)
	}
	return out
}

// introduced is what is known of a peer's roles and region: by its ad as a worker,
// by how it introduced itself, or by the summary of the region that it keeps.
func (n *Node) introduced(id core.NodeID, since, now time.Time) ([]string, core.RegionID) {
	if w, known := n.workers.Get(id, now); known {
		return w.Ad.Roles, w.Region
	}
	if said, known := n.met.since(id, since); known {
		return said.roles, said.region
	}
	if region, keeps := n.regions.KeptBy(id, now); keeps {
		return []string{core.Regional.String()}, region
	}
	return nil, ""
}

// Profile implements api.Node.
func (n *Node) Profile() api.Profile {
	p := n.profile()
	out := api.Profile{OS: runtime.GOOS, Arch: p.Arch, CPUModel: p.CPUModel, Resources: n.offered(), Accelerators: p.Accelerators, Power: n.shownPower(),
		Tier: n.tier(), Capabilities: n.announced().Names(), MeasuredAt: n.started.UTC(), EligibleRoles: []string{}, TaskTypes: []string{}}
	for _, r := range core.Roles() {
		if p.Meets(r.Minimum) == nil {
			out.EligibleRoles = append(out.EligibleRoles, r.Name)
		}
	}
	for _, t := range n.runtimes() {
		out.TaskTypes = append(out.TaskTypes, string(t))
	}
	return out
}

// Parameters implements api.Node.
func (n *Node) Parameters() core.Parameters {
	return global.NewParameters(n.cfg.Network, max(n.cfg.P2P.MinPeers, minPeersPublic), n.cfg.Jobs.LeaseTTL)
}
