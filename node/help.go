package node

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// How this region goes on with the subtasks of another one when its own leader, or
// the other's, is another node than before. What is held of a region is in one
// Holdings, whatever link it came over; a new leader here fills it from the
// journal; and whoever leads the other region is told by a claim.

const (
	// reclaimEvery is the pause between two tries to reach the leader of a region of
	// which something is held.
	reclaimEvery = 250 * time.Millisecond
	// reclaimLook is how often is looked whether anything is still held.
	reclaimLook = time.Second
	// maxVouching is how many searches for the coordinators of a region run at once
	// because somebody says that he is one. Too few make an honest stranger wait to be
	// known until he is heard of; too many let strangers search through this node.
	maxVouching = 4
)

// knownCoordinator reports whether a node was heard of as a coordinator of another
// region before it asked for help in its name. Who was not is served as a stranger:
// he gets what he brings, and may claim nothing. So is he who cannot be looked for
// now, because too many are.
func (l *links) knownCoordinator(region core.RegionID, id core.NodeID) bool {
	if region == "" || region == l.n.ownRegion() {
		return false
	}
	if slices.Contains(l.n.regions.Coordinators(region, time.Now()), id) {
		return true
	}
	select {
	case l.vouching <- struct{}{}:
		defer func() { <-l.vouching }()
	default:
		l.n.log.Debug().Str("node", string(id)).Str("region", string(region)).Msg("a stranger who asks for help is not looked for: too many are")
		return false
	}
	ctx, cancel := context.WithTimeout(l.ctx, askTimeout)
	defer cancel()
	ids, _ := l.n.finder.Coordinators(ctx, region)
	return slices.Contains(ids, id)
}

// serveHelp pulls subtasks of another region, at its wish, while this node leads.
func (l *links) serveHelp(link dispatch.Link, theirs, mine *wire.Hello) {
	if mine.Leader == l.n.identity.ID() && !l.n.validator.Leading() { // lead did not know of this link
		_ = link.Close()
		return
	}
	l.pullHelp(link, theirs.Region)
}

// pullHelp runs subtasks of another region that come over a link. What is held when
// that ends is claimed at whoever leads the region.
func (l *links) pullHelp(link dispatch.Link, region core.RegionID) {
	held := l.holdings(region, l.n.validator, l.regionWindow(wire.ClassSubtask))
	l.servePull(link, held.Puller(link))
	l.reclaim(region, held)
}

// servePull serves a link to another region until it ends: its leader hears how this
// one does, without which it offers nothing.
func (l *links) servePull(link dispatch.Link, p *dispatch.Puller) {
	l.mu.Lock()
	l.helpings[link] = struct{}{}
	l.mu.Unlock()
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	if l.n.roleSet().Is(core.Regional) {
		l.serve(func(context.Context) { l.summarize(ctx, link) })
		defer l.n.ads.follow(link)() // a region is known by its ad, which expires
	}
	_ = p.Serve(l.ctx) // not with the link: what runs goes on
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.helpings, link)
}

// asker is how a dispatcher's links introduce themselves: that of the gateway hands
// over jobs, that of the region asks for help.
func (l *links) asker(d *dispatch.Dispatcher) *wire.Hello {
	mine := l.hello(nil)
	mine.Help = d == l.n.region
	return mine
}

// restore implements regional.Deps.Restore.
func (l *links) restore(t journal.Taken, ticket *dispatch.Ticket) bool {
	held := l.holdings(t.Home, l.n.validator, l.regionWindow(wire.ClassSubtask))
	if !held.Restore(l.ctx, &t.Offer, t.Data, ticket) {
		return false
	}
	l.n.log.Info().Str("task_id", string(t.Offer.TaskID)).Int("subtask", t.Offer.Index).Msg("going on with a subtask of another region")
	l.reclaim(t.Home, held)
	return true
}

// reclaim links this region below the leader of another one for as long as
// something of it is held here, so that it is claimed; one try at a time.
func (l *links) reclaim(region core.RegionID, held *dispatch.Holdings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, on := l.claiming[region]; on {
		l.claiming[region] = true // whoever does it looks once more before it ends
		return
	}
	if l.ctx.Err() != nil {
		return
	}
	if len(l.claiming) >= maxRegionLinks {
		l.n.log.Warn().Str("region", string(region)).Int("regions", len(l.claiming)).
			Msg("what is held of so many regions is claimed already; what is held of this one ends with its leases unless its leader links us")
		return
	}
	l.claiming[region] = false
	l.serve(func(ctx context.Context) {
		for l.claims(ctx, region, held) {
			l.claimAt(ctx, region, held)
			select {
			case <-ctx.Done():
			case <-time.After(reclaimEvery):
			}
		}
	})
}

// claims reports whether something is held that is to be claimed; when not, the
// claiming has ended, and the next reclaim begins another. That is decided under the
// lock: what was added meanwhile is seen here or there.
func (l *links) claims(ctx context.Context, region core.RegionID, held *dispatch.Holdings) bool {
	for {
		l.mu.Lock()
		l.claiming[region] = false
		l.mu.Unlock()
		if ctx.Err() == nil && !held.Idle() { // asked without the lock: holdings may want it
			return true
		}
		l.mu.Lock()
		if again := l.claiming[region]; !again || ctx.Err() != nil {
			delete(l.claiming, region)
			l.mu.Unlock()
			return false
		}
		l.mu.Unlock()
	}
}

// claimAt links the leader of a region once, unless its link to us is there, and
// serves the link until nothing is held any more.
func (l *links) claimAt(ctx context.Context, region core.RegionID, held *dispatch.Holdings) {
	if held.Linked() {
		return
	}
	finding, cancel := context.WithTimeout(ctx, dialTimeout)
	link, _, err := l.findLeader(finding, region, l.hello(l.n.ads.current()))
	cancel()
	if err != nil {
		l.n.log.Debug().Err(err).Str("region", string(region)).Msg("nobody to claim at")
		return
	}
	over := make(chan struct{})
	l.serve(func(context.Context) { closeIdle(link, held, over) })
	defer close(over)
	p := held.Puller(link)
	p.Closing = true // how long and how many regions are helped is bounded; this is not
	l.servePull(link, p)
}

// closeIdle ends a link once nothing is held for it, until over is closed.
func closeIdle(link dispatch.Link, held *dispatch.Holdings, over <-chan struct{}) {
	tick := time.NewTicker(reclaimLook)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		if held.Idle() {
			_ = link.Close()
			return
		}
	}
}
