package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// Links between gateways and the coordinators of regions, from both sides. Only
// the coordinator that leads its region takes jobs; gateways follow it.

const (
	// leaderBeat is how often a coordinator shows a linked gateway that it is there.
	leaderBeat = 400 * time.Millisecond
	// leaderSilence is how long a gateway hears nothing before it looks for another
	// leader. Too small drops links on a busy machine, too large delays every task
	// of the region after its leader died.
	leaderSilence = 4 * leaderBeat
	// maxStrikes is how often a silent leader that others still take for the leader
	// keeps its link.
	maxStrikes = 4
	// askTimeout is how long one coordinator may take to say who leads.
	askTimeout = 2 * time.Second
	// answerSpread is how long the other coordinators may take once one has answered:
	// the dead never do.
	answerSpread = 200 * time.Millisecond
	// relinkEvery is the pause between two tries to reach a region that tasks wait for.
	relinkEvery = 250 * time.Millisecond
)

// serveGateway takes jobs from a gateway, or subtasks from another region, and
// tells it how this region does.
func (l *links) serveGateway(link dispatch.Link, greeting *wire.Hello) {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	l.mu.Lock()
	l.gateways[link] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.gateways, link)
	}()
	if greeting.Leader == l.n.identity.ID() && !l.n.validator.Leading() { // lead did not know of this link
		_ = link.Close()
		return
	}
	if l.n.roleSet().Is(core.Regional) {
		l.serve(func(context.Context) { l.summarize(ctx, link) })
		defer l.n.ads.follow(link)() // a region is known by its ad, which expires
	}
	_ = l.puller(link, l.n.validator, l.regionWindow(wire.ClassJob, wire.ClassSubtask)).Serve(ctx)
}

// summarize tells a gateway how the region does: at once, when workers come or
// go, and every summaryEvery; in between that this node is there.
func (l *links) summarize(ctx context.Context, link dispatch.Link) {
	tick := time.NewTicker(leaderBeat)
	defer tick.Stop()
	workers, sent := -1, time.Time{}
	for {
		now := time.Now()
		cpu, memory := l.regionWindow().Free()
		var news wire.Body = &wire.Pull{Class: wire.ClassSubtask, FreeCPU: cpu, FreeMemoryMB: memory}
		if s := l.n.summarize(uint64(now.UnixMilli()), now); s.Workers != workers || now.Sub(sent) >= summaryEvery {
			workers, sent, news = s.Workers, now, s
		}
		if link.Send(news) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lead is told when this node begins and stops leading its region: gateways, this
// node's own among them, then link whoever leads.
func (l *links) lead(leads bool) {
	l.mu.Lock()
	gateways := slices.Collect(maps.Keys(l.gateways))
	if !leads { // whoever leads next claims what is recorded
		gateways = slices.AppendSeq(gateways, maps.Keys(l.helpings))
	}
	l.mu.Unlock()
	for _, link := range gateways {
		_ = link.Close()
	}
	l.rejoin()
}

// Link implements global.Routes.
func (l *links) Link(ctx context.Context, region core.RegionID) (core.NodeID, error) {
	if region == l.n.ownRegion() && l.leadsSoon() {
		return l.n.identity.ID(), nil
	}
	return l.under(ctx, l.n.gateway, l.regions, region)
}

// leadsSoon reports whether this node leads its region, or will in a moment
// because nobody else keeps it.
func (l *links) leadsSoon() bool {
	if l.n.validator.Leading() {
		return true
	}
	leader, _, members := l.n.keeper.view()
	return leader == "" && len(members) <= 1
}

// under makes sure that a coordinator of region is linked below a dispatcher.
func (l *links) under(ctx context.Context, d *dispatch.Dispatcher, table map[core.RegionID]core.NodeID, region core.RegionID) (core.NodeID, error) {
	l.mu.Lock()
	id, linked := table[region]
	full := len(table) >= maxRegionLinks
	l.mu.Unlock()
	if linked && d.Attached(id) {
		return id, nil
	}
	if full && !linked {
		return "", core.Errorf(core.Exhausted, "region", "%d regions are linked already", maxRegionLinks)
	}
	name := string(region) + "/gateway"
	if d == l.n.region {
		name = string(region) + "/region"
	}
	got := l.dialing.DoChan(name, func() (any, error) { return l.reach(d, table, region) })
	select {
	case r := <-got:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(core.NodeID), nil
	case <-ctx.Done():
		return "", core.Errorf(core.Unavailable, "region", "no coordinator of region %s answered: %w", region, ctx.Err())
	}
}

// reach finds the leader of region, links it below d and serves the link.
func (l *links) reach(d *dispatch.Dispatcher, table map[core.RegionID]core.NodeID, region core.RegionID) (core.NodeID, error) {
	ctx, cancel := context.WithTimeout(l.ctx, dialTimeout)
	defer cancel()
	link, hello, err := l.findLeader(ctx, region, l.asker(d))
	if err != nil {
		l.n.finder.Forget(region)
		return "", err
	}
	over := l.below(d, table, link, hello)
	return link.Peer(), l.settled(ctx, d, link.Peer(), over)
}

// findLeader asks the coordinators that are known, then those that these name.
func (l *links) findLeader(ctx context.Context, region core.RegionID, mine *wire.Hello) (dispatch.Link, *wire.Hello, error) {
	asked := map[core.NodeID]bool{l.n.identity.ID(): true}
	answered := 0
	for next := l.coordinators(ctx, region); len(next) > 0; {
		for _, id := range next {
			asked[id] = true
		}
		leader, others := l.whoLeads(ctx, region, next, mine)
		if leader.link != nil {
			return leader.link, leader.hello, nil
		}
		next = nil
		for _, h := range others {
			answered++
			for _, id := range append(h.Members, h.Leader) {
				if id != "" && !asked[id] && !slices.Contains(next, id) {
					next = append(next, id)
				}
			}
		}
	}
	if answered > 0 {
		return nil, nil, core.Errorf(core.Unavailable, "region", "region %s has no leader at the moment", region).
			WithHint("try again in a few seconds; if it lasts, most of its coordinators are down: see tenzro region status there")
	}
	return nil, nil, core.Errorf(core.Unavailable, "region", "no coordinator of region %s can be reached", region).
		WithHint("check that a regional node of it runs and that this node has peers")
}

// greeted is a coordinator that answered.
type greeted struct {
	link  dispatch.Link
	hello *wire.Hello
}

// whoLeads asks coordinators at once, as the dead take long to give up on, and
// returns the first that leads, or what the others said.
func (l *links) whoLeads(ctx context.Context, region core.RegionID, ids []core.NodeID, mine *wire.Hello) (leader greeted, others []*wire.Hello) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	answers := make(chan greeted, len(ids))
	for _, id := range ids {
		l.serve(func(context.Context) {
			link, hello, err := l.greet(ctx, id, mine)
			if err != nil {
				link = nil
			}
			answers <- greeted{link, hello}
		})
	}
	left := len(ids)
	defer func() { // the others are not waited for
		l.serve(func(context.Context) {
			defer cancel()
			dismiss(answers, left)
		})
	}()
	var slow <-chan time.Time // nil until somebody answered
	for left > 0 {
		select {
		case <-slow:
			return greeted{}, others
		case a := <-answers:
			left--
			if a.link == nil || a.hello.Region != region {
				a.dismiss()
				continue
			}
			if a.hello.Leader == a.link.Peer() {
				return a, nil
			}
			a.dismiss()
			others = append(others, a.hello)
			slow = time.After(answerSpread)
		}
	}
	return greeted{}, others
}

// dismiss closes the link of an answer that is not needed.
func (g greeted) dismiss() {
	if g.link != nil {
		_ = g.link.Close()
	}
}

// dismiss closes the links of the answers that nobody waits for any more.
func dismiss(answers <-chan greeted, n int) {
	for range n {
		a := <-answers
		a.dismiss()
	}
}

// below serves a greeted link to a coordinator below d; what it returns is closed
// when the link has ended.
func (l *links) below(d *dispatch.Dispatcher, table map[core.RegionID]core.NodeID, link dispatch.Link, hello *wire.Hello) <-chan struct{} {
	over := make(chan struct{})
	id := link.Peer()
	if hello.Ad != nil && d == l.n.region {
		watcher{l.n}.Advertised(id, hello.Ad)
	}
	l.mu.Lock()
	table[hello.Region] = id
	l.mu.Unlock()
	l.serve(func(ctx context.Context) {
		if d == l.n.gateway {
			l.follow(ctx, link, hello)
		} else {
			_ = d.Attach(ctx, link, jobs.ChildInfo{ID: id, Region: hello.Region, Group: true}, watcher{l.n})
		}
		close(over)
		l.mu.Lock()
		if table[hello.Region] == id && !d.Attached(id) {
			delete(table, hello.Region)
		}
		l.mu.Unlock()
		if d.Attached(id) { // by a newer link
			return
		}
		l.n.regions.Lost(id, time.Now())
		if d == l.n.gateway {
			l.relink(ctx, hello.Region)
		}
	})
	return over
}

// follow hands jobs to the leader of a region until the link ends or somebody else
// leads.
func (l *links) follow(ctx context.Context, link dispatch.Link, hello *wire.Hello) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pulse := &pulse{regionWatcher: regionWatcher{watcher{l.n}}}
	pulse.felt()
	l.serve(func(context.Context) { l.attend(ctx, link, hello, pulse) })
	_ = l.n.gateway.Attach(ctx, link, jobs.ChildInfo{ID: link.Peer(), Region: hello.Region}, pulse)
}

// attend looks for another leader whenever nothing is heard of the one that link
// goes to, and links that one instead. A leader that is merely slow, as on a busy
// machine, keeps its link: to drop it would make everybody start over.
func (l *links) attend(ctx context.Context, link dispatch.Link, hello *wire.Hello, p *pulse) {
	for strikes := 0; p.stops(ctx); {
		now, found, err := l.findLeader(ctx, hello.Region, l.hello(nil))
		if ctx.Err() != nil || err != nil {
			greeted{now, found}.dismiss()
			continue
		}
		if strikes++; found.Leader == link.Peer() && found.Epoch == hello.Epoch && strikes < maxStrikes {
			_ = now.Close()
			p.felt()
			continue
		}
		l.n.log.Warn().Str("node", string(link.Peer())).Str("region", string(hello.Region)).Str("leader", string(now.Peer())).
			Msg("the region's leader is silent and another one leads")
		if now.Peer() != link.Peer() { // nothing that waits is to be offered to the silent one
			l.n.gateway.Detach(link.Peer())
		}
		l.below(l.n.gateway, l.regions, now, found) // a second link of a node replaces the first
		return
	}
}

// relink goes on looking for the leader of a region while tasks wait for it.
func (l *links) relink(ctx context.Context, region core.RegionID) {
	for ctx.Err() == nil && l.n.coordinator.Waits(region) {
		if _, err := l.Link(ctx, region); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(relinkEvery):
		}
	}
}

// settled waits until the dispatcher knows a child whose Attach was started. One
// whose link is over already is not waited for: others wait for this one's answer.
func (l *links) settled(ctx context.Context, d *dispatch.Dispatcher, id core.NodeID, over <-chan struct{}) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !d.Attached(id) {
		select {
		case <-tick.C:
			continue
		case <-over:
			if d.Attached(id) { // by a newer link
				return nil
			}
		case <-ctx.Done():
		}
		return core.Errorf(core.Unavailable, "link", "node %s left at once", id.Short())
	}
	return nil
}

// coordinators are the nodes that keep a region: those heard of, else those the
// DHT names.
func (l *links) coordinators(ctx context.Context, region core.RegionID) []core.NodeID {
	ids := l.n.regions.Coordinators(region, time.Now())
	if region == l.n.ownRegion() {
		_, _, members := l.n.keeper.view()
		ids = append(ids, members...)
	}
	l.mu.Lock()
	for id, b := range l.bosses {
		if b.region == region && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	l.mu.Unlock()
	if len(ids) == 0 {
		ids, _ = l.n.finder.Coordinators(ctx, region)
	}
	return slices.DeleteFunc(ids, func(id core.NodeID) bool { return id == l.n.identity.ID() })
}

// spread links other regions below our own, so that they pull subtasks; it does
// not wait for them.
func (l *links) spread(regions []core.RegionID) {
	for _, r := range regions {
		if r != l.n.ownRegion() {
			l.serve(func(ctx context.Context) {
				if _, err := l.under(ctx, l.n.region, l.helpers, r); err != nil {
					l.n.log.Debug().Err(err).Str("region", string(r)).Msg("region does not help out")
				}
			})
		}
	}
}
