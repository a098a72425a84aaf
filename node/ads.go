package node

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/wire"
)

// ads is this node's own ad and the links to coordinators that must hear when it
// changes.
type ads struct {
	n         *Node
	publisher *presence.Publisher

	mu    sync.Mutex
	links []dispatch.Link
}

var _ presence.Self = (*Node)(nil)

// current returns the signed ad that is true now.
func (a *ads) current() *wire.Ad {
	ad, err := a.publisher.Ad()
	if err != nil {
		a.n.log.Error().Err(err).Msg("this node's ad cannot be signed")
		return nil
	}
	return ad
}

// follow tells a link every new ad until the returned function is called.
func (a *ads) follow(link dispatch.Link) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.links = append(a.links, link)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.links = slices.DeleteFunc(a.links, func(l dispatch.Link) bool { return l == link })
	}
}

// renewed passes a new ad on.
func (a *ads) renewed(ad *wire.Ad) {
	if _, known := a.n.workers.Get(ad.NodeID, time.Now()); known { // our own worker
		if _, err := a.n.workers.Put(ad, time.Now()); err != nil {
			a.n.log.Debug().Err(err).Msg("own ad not taken")
		}
		watcher{a.n}.learnt(ad)
	}
	a.mu.Lock()
	links := slices.Clone(a.links)
	a.mu.Unlock()
	for _, l := range links {
		_ = l.Send(ad)
	}
}

// announced is what the node's roles let it offer and this version can do:
// storage and ledger have no service yet, so they are never announced.
func (n *Node) announced() core.Capability {
	return n.roleSet().Can() &^ (core.CanStore | core.CanValidate)
}

// Describe implements presence.Self.
func (n *Node) Describe() wire.Ad {
	_, slots := n.capacity.Slots()
	return wire.Ad{NodeID: n.identity.ID(), Region: n.homeRegion(), Roles: n.roleSet().Names(), Can: n.announced(), Tier: n.tier(),
		Arch: runtime.GOARCH, Resources: n.offered(), Accelerators: n.profile().Accelerators, Runtimes: n.runtimes(), MaxSlots: slots}
}

// runtimes is what this node runs now: containers only while there is an engine and an
// image for them.
func (n *Node) runtimes() []core.TaskType {
	types := slices.DeleteFunc(n.engine.Types(), func(t core.TaskType) bool { return t == container.Type })
	return slices.Sorted(slices.Values(append(types, n.containers.Runtimes()...)))
}

// Health implements presence.Self.
func (n *Node) Health() wire.Health {
	return wire.Health{State: n.lifecycle(), Roles: n.roleSet().Names(), Version: n.cfg.Version, Peers: len(n.host.Peers()),
		UptimeS: int64(time.Since(n.started).Seconds())}
}

// tier is what the roles ask for, else what the machine is.
func (n *Node) tier() core.Tier {
	if t := n.roleSet().Tier(); t != core.TierAny {
		return t
	}
	return n.profile().Tier()
}
