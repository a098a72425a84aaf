package node

import (
	"context"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// Whom this node's worker works for: coordinators of one region, gateways that
// dispatch by themselves, or both while it moves from one to the other.

// boss is a node this one works for.
type boss struct {
	region      core.RegionID
	link        dispatch.Link
	held        *dispatch.Holdings
	coordinator bool // sought as a coordinator of its region
	gateway     bool // sought as a gateway
	silent      bool // did not answer when it was last asked
}

// leaves reports whether this node takes no more work from b in mode m:
// coordinated says that it has a coordinator.
func (b boss) leaves(m core.Mode, coordinated bool) bool {
	switch m {
	case core.ModeP2P:
		return !b.gateway
	case core.ModeHybrid:
		return !b.coordinator && coordinated
	}
	return false
}

// serveBoss starts working for a node and returns its greeting, nil when it
// cannot or does already. A worker without a region of its own stays in the region
// of its first coordinator; gateways are of no region.
func (l *links) serveBoss(ctx context.Context, id core.NodeID, as boss) *wire.Hello {
	link, hello := l.dialBoss(ctx, id, as)
	if link == nil || !l.workFor(id, link, hello, as) {
		return nil
	}
	return hello
}

// dialBoss opens a link to a node to work for it, nil when it cannot or there is one.
func (l *links) dialBoss(ctx context.Context, id core.NodeID, as boss) (dispatch.Link, *wire.Hello) {
	if l.ctx.Err() != nil || l.knows(id, as) {
		return nil, nil
	}
	link, hello, err := l.dial(ctx, id, l.n.ads.current())
	if err != nil {
		l.n.log.Debug().Err(err).Str("coordinator", string(id)).Msg("coordinator not linked")
		l.n.finder.Forget(l.n.cfg.Region)
		return nil, nil
	}
	return link, hello
}

// workFor starts working for a node over a link that it then owns, and reports
// whether it does; if not, the link is closed.
func (l *links) workFor(id core.NodeID, link dispatch.Link, hello *wire.Hello, as boss) bool {
	as.region, as.link = hello.Region, link
	as.held = l.holdings(hello.Region, l.n.tasks, l.n.tasks.Window())
	if !l.hire(id, as) {
		_ = link.Close()
		return false
	}
	l.n.log.Info().Str("coordinator", string(id)).Str("region", string(hello.Region)).Msg("working for a coordinator")
	l.serve(func(serving context.Context) {
		stop := l.n.ads.follow(link)
		l.n.ads.publisher.Refresh() // the ad may say another region now
		p := as.held.Puller(link)
		if as.coordinator {
			p.Keepers = l.keptBy
		}
		_ = p.Serve(serving)
		stop()
		l.mu.Lock()
		delete(l.bosses, id)
		l.mu.Unlock()
		l.wake()
	})
	return true
}

// knows reports whether this node works for id already, and notes what it is.
func (l *links) knows(id core.NodeID, as boss) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.bosses[id]
	if known {
		b.coordinator, b.gateway = b.coordinator || as.coordinator, b.gateway || as.gateway
		l.bosses[id] = b
	}
	return known
}

// hire adds a boss unless it coordinates another region than the others do.
func (l *links) hire(id core.NodeID, b boss) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.bosses[id]; known { // a call was answered meanwhile
		return false
	}
	for _, other := range l.bosses {
		if b.coordinator && other.coordinator && !other.silent && other.region != b.region {
			return false
		}
	}
	l.bosses[id] = b
	return true
}

// wake makes the search for work look again now.
func (l *links) wake() {
	select {
	case l.lost <- struct{}{}:
	default:
	}
}

// linked is how many nodes this one works for.
func (l *links) linked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.bosses)
}

// count returns how many coordinators that answer and gateways this node works
// for.
func (l *links) count() (coordinators, gateways int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bosses {
		if b.coordinator && !b.silent {
			coordinators++
		}
		if b.gateway {
			gateways++
		}
	}
	return coordinators, gateways
}

// nearest is the region this node works for, empty when it works for none but
// its own: that of its coordinators before that of a gateway.
func (l *links) nearest() core.RegionID {
	if l.n.roleSet().Is(core.Regional) {
		return l.n.ownRegion()
	}
	region, coordinated := l.of(true)
	if !coordinated {
		region, _ = l.of(false)
	}
	return region
}

// nextHome is the region that a task which no region is known to be able to run
// should go to from here: a gateway's only from a node that is none itself.
func (l *links) nextHome() core.RegionID {
	if l.n.roleSet().Is(core.Global) && !l.n.roleSet().Is(core.Regional) {
		region, _ := l.of(true)
		return region
	}
	return l.nearest()
}

// of returns the first region by name of the coordinators, or of the gateways,
// that this node works for and does not leave.
func (l *links) of(coordinator bool) (best core.RegionID, some bool) {
	mode := l.n.mode()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bosses {
		if b.coordinator == coordinator && !b.silent && !b.leaves(mode, coordinator) && (!some || b.region < best) {
			best, some = b.region, true
		}
	}
	return best, some
}

// leaving reports whether no more work is taken from a region that this node
// works for.
func (l *links) leaving(region core.RegionID) bool {
	mode := l.n.mode()
	coordinators, _ := l.count()
	l.mu.Lock()
	defer l.mu.Unlock()
	some := false
	for _, b := range l.bosses {
		if b.region != region {
			continue
		}
		if some = true; !b.leaves(mode, coordinators > 0) {
			return false
		}
	}
	return some
}

// dismissed ends the links of bosses that are left once nothing is held for them,
// and reports whether some are still waited for.
func (l *links) dismissed() (waiting bool) {
	mode := l.n.mode()
	coordinators, _ := l.count()
	var left []boss
	l.mu.Lock()
	for _, b := range l.bosses {
		if b.leaves(mode, coordinators > 0) {
			left = append(left, b)
		}
	}
	l.mu.Unlock()
	for _, b := range left {
		if b.held.Idle() {
			_ = b.link.Close()
		} else {
			waiting = true
		}
	}
	return waiting
}

const (
	// probeEvery is how often a worker asks its coordinators whether they are there: a
	// connection to a machine that is gone takes half a minute to break.
	probeEvery   = 5 * time.Second
	probeTimeout = 2 * time.Second
)

// probe notes which coordinators do not answer, so that the worker looks for
// others meanwhile. Their links stay: what is held for them goes on.
func (l *links) probe(ctx context.Context) error {
	l.mu.Lock()
	var ids []core.NodeID
	for id, b := range l.bosses {
		if b.coordinator {
			ids = append(ids, id)
		}
	}
	l.mu.Unlock()
	var asking sync.WaitGroup
	for _, id := range ids {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			_, err := l.n.host.RTT(ctx, id)
			l.heard(id, err == nil)
		})
	}
	asking.Wait()
	return nil
}

// heard notes whether a coordinator answers.
func (l *links) heard(id core.NodeID, answers bool) {
	l.mu.Lock()
	b, known := l.bosses[id]
	changed := known && b.silent == answers
	if changed {
		b.silent = !answers
		l.bosses[id] = b
	}
	l.mu.Unlock()
	if !changed {
		return
	}
	if !answers {
		l.n.log.Warn().Str("coordinator", string(id)).Msg("the coordinator does not answer; looking for others")
		l.n.finder.Forget(l.n.cfg.Region)
	}
	if answers && b.held.Idle() { // it may have started anew, and know nothing of the link
		_ = b.link.Close()
	}
	l.wake()
}

// leaveBosses stops working for others.
func (l *links) leaveBosses() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bosses {
		_ = b.link.Close()
	}
}

// choosy is a taker that takes no more work from a region that is left.
type choosy struct {
	dispatch.Taker
	leaving func() bool
}

// retryLeft is when one who is left may ask again: the mode may have changed.
const retryLeft = time.Second

// Take implements dispatch.Taker.
func (c choosy) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	if c.leaving() {
		return nil, &wire.JobReject{Reason: wire.RefusedBusy, Message: "this worker leaves the region", RetryAfterMS: retryLeft.Milliseconds()}
	}
	return c.Taker.Take(from, o)
}

// choosyWindow grants nothing to a region that is left.
func choosyWindow(w dispatch.Window, leaving func() bool) dispatch.Window {
	size := w.Size
	w.Size = func(class wire.Class) int {
		if leaving() {
			return 0
		}
		return size(class)
	}
	return w
}
