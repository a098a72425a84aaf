package node

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// seekStart is how often both look right after the node's start, while a submitter
	// may wait for it.
	seekStart = 250 * time.Millisecond
	// seekEager is how often a worker without a coordinator looks for one, and a
	// gateway for regions it heard of.
	seekEager = time.Second
	// seekPatient is how often one that only works for gateways looks for a coordinator.
	seekPatient = 5 * time.Second
	// seekCalm is how often a worker that has one looks for more.
	seekCalm = 15 * time.Second
	// gatewayKey is the DHT key of nodes that dispatch where no region is in reach.
	gatewayKey = "gateway"
)

// eagerTries is how often a worker looks at once again before it is only patient.
const eagerTries = 10

// seekWork keeps the worker linked to those it works for in the node's mode:
// coordinators of its region, and, first or without any of those, gateways, which
// dispatch by themselves.
func (l *links) seekWork(ctx context.Context) error {
	for tries := 0; ; tries++ {
		wait := seekEager
		switch enough := l.seekOnce(ctx); {
		case l.n.looking():
			wait = seekStart
		case l.dismissed():
		case enough: // sooner while something has just changed
			wait = min(seekCalm, seekEager<<min(tries, 4))
		case tries >= eagerTries && l.linked() > 0:
			wait = seekPatient
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		case <-l.lost:
			tries = 0
		}
	}
}

// seekOnce links what is missing and reports whether that is enough for long.
func (l *links) seekOnce(ctx context.Context) (enough bool) {
	if l.n.roleSet().Is(core.Regional) {
		return true // this node's own region is the one it works for
	}
	mode := l.n.mode()
	if mode.Coordinated() {
		l.seekCoordinators(ctx)
	}
	coordinators, gateways := l.count()
	switch {
	case mode.PeerFirst() && gateways < maxGateways:
		l.seekGateways(ctx, maxGateways)
	case coordinators == 0 && gateways < maxCoordinators:
		l.seekGateways(ctx, maxCoordinators)
	}
	coordinators, gateways = l.count()
	return (coordinators > 0 || !mode.Coordinated()) && (gateways > 0 || !mode.PeerFirst())
}

// seekCoordinators links coordinators of one region.
func (l *links) seekCoordinators(ctx context.Context) {
	have, _ := l.count()
	if have >= maxCoordinators {
		return
	}
	if have += l.linkNamed(ctx, maxCoordinators-have); have >= maxCoordinators {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout) // not shared with those that were named: they may be dead
	defer cancel()
	asked := l.n.host.DHTReachable()
	region := l.n.cfg.Region
	if near := l.nearest(); have > 0 && near != "" { // it may have got more
		region = near
		l.n.finder.Forget(region)
	}
	ids, _ := l.n.finder.Coordinators(ctx, region)
	tried := map[core.NodeID]bool{l.n.identity.ID(): true}
	for len(ids) > 0 && have < maxCoordinators {
		id := ids[0]
		ids = ids[1:]
		if tried[id] {
			continue
		}
		tried[id] = true
		if hello := l.serveBoss(ctx, id, boss{coordinator: true}); hello != nil {
			have++
			ids = append(ids, hello.Leader) // who keeps the region with it
			ids = slices.DeleteFunc(append(ids, hello.Members...), func(id core.NodeID) bool { return id == "" })
		}
	}
	if asked && have == 0 && !l.n.roleSet().Is(core.Global) { // a gateway asks about all regions
		l.n.looked.Store(true)
	}
}

// seekGateways links gateways up to limit.
func (l *links) seekGateways(ctx context.Context, limit int) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ids, _ := l.n.host.FindProviders(ctx, gatewayKey, limit)
	for _, id := range ids {
		if _, have := l.count(); id != l.n.identity.ID() && have < limit {
			l.serveBoss(ctx, id, boss{gateway: true})
		}
	}
}

// seekRegions keeps every region the gateway knows linked, so that a task never
// waits for a dial, and looks for a first one while it knows none. Regions also
// help out while work that nobody here can do waits in this node's own.
func (l *links) seekRegions(ctx context.Context) error {
	for {
		known := l.n.regions.Regions(time.Now())
		if !l.n.mode().Coordinated() {
			known = nil
		} else if len(known) == 0 {
			l.seekAnyRegion(ctx)
		}
		_, waiting := l.n.region.Waiting()
		for _, r := range known {
			if _, err := l.Link(ctx, r.Summary.Region); err != nil {
				l.n.log.Debug().Err(err).Str("region", string(r.Summary.Region)).Msg("region not linked")
			}
			if waiting > 0 {
				l.spread([]core.RegionID{r.Summary.Region})
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.n.nextSeek()):
		}
	}
}

// nextSeek is how long a gateway waits before it looks for regions again.
func (n *Node) nextSeek() time.Duration {
	if n.looking() {
		return seekStart
	}
	return seekEager
}

// seekAnyRegion links the coordinators that the DHT names; they tell the rest.
func (l *links) seekAnyRegion(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	asked, found := l.n.host.DHTReachable(), false
	defer func() {
		if asked && !found {
			l.n.looked.Store(true)
		}
	}()
	ids, _ := l.n.finder.Coordinators(ctx, "")
	for _, id := range ids {
		if id == l.n.identity.ID() || l.n.gateway.Attached(id) {
			continue
		}
		link, hello, err := l.dial(ctx, id, nil)
		found = found || err == nil
		switch {
		case err != nil:
		case hello.Leader == id:
			l.below(l.n.gateway, l.regions, link, hello)
		default:
			_ = link.Close()
			if _, err := l.Link(ctx, hello.Region); err != nil {
				l.n.log.Debug().Err(err).Str("region", string(hello.Region)).Msg("region not linked")
			}
		}
	}
}

// help works for another region's coordinator for a while: this region's workers
// then run its subtasks.
func (l *links) help(id core.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helping[id] || len(l.helping) >= maxCoordinators {
		return
	}
	l.helping[id] = true
	l.serve(func(ctx context.Context) {
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.helping, id)
		}()
		link, hello, err := l.dial(ctx, id, l.n.ads.current())
		if err != nil {
			return
		}
		defer time.AfterFunc(helpFor, func() { _ = link.Close() }).Stop() // what runs is claimed again
		l.pullHelp(link, hello.Region)
	})
}

// helpFor is how long a region helps another one before it looks again whether
// it is still needed: longer than most subtasks take.
const helpFor = time.Minute
