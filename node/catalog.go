package node

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/wire"
)

// catalog is every part of a node that comes and goes with its roles. A role
// without a row here (storage, validator) is accepted and announces nothing.
func (n *Node) catalog() roles.Catalog {
	return roles.Catalog{
		{Name: "regional", Active: func(s core.RoleSet) bool { return s.Is(core.Regional) }, Start: n.startRegional, Stop: n.stopRegional},
		{Name: "global", Active: func(s core.RoleSet) bool { return s.Is(core.Global) }, Start: n.startGlobal,
			Stop: func() { n.host.Unprovide(gatewayKey) }},
		{Name: "local", Active: func(s core.RoleSet) bool { return s.Can().Has(core.CanCompute) }, Start: n.startLocal, Stop: n.stopLocal},
		{Name: "feedback", Active: func(s core.RoleSet) bool { return s.Can().Has(core.CanObserve) }, Start: n.startFeedback},
	}
}

// startGlobal keeps a view of all regions and a link to each.
func (n *Node) startGlobal(tree *service.Tree) error {
	tree.Add("regions", service.Func("regions", n.links.seekRegions))
	tree.Add("state", global.NewState(n.regions, n.events))
	tree.Add("calls", service.Func("calls", n.announcer.call))
	far := &distances{n: n}
	tree.Add("distances", service.Every("distances", distanceLook, 0, far.measure))
	tree.Add("gateway-key", service.Every("gateway-key", time.Minute, 0, func(ctx context.Context) error {
		n.provide(ctx, gatewayKey)
		return nil
	}))
	return nil
}

// startRegional makes the region findable and tells others how it does.
func (n *Node) startRegional(tree *service.Tree) error {
	region := n.ownRegion()
	beacon, err := presence.NewBeacon(presence.BeaconConfig{Region: region, Provider: n.host, Board: n.board,
		Every: summaryEvery, Summarize: n.summarize}, n.log)
	if err != nil {
		return err
	}
	channel, err := n.channel(region)
	if err != nil {
		return err
	}
	formed := regional.NewAggregations(regional.AggregationDeps{Region: n.ownRegion, CapacityOf: n.capacityOf, Channel: channel, Events: n.events}, n.log)
	n.mu.Lock()
	n.formed = formed
	n.mu.Unlock()
	tree.Add("beacon", beacon)
	tree.Add("aggregations", formed)
	tree.Add("announcer", service.Func("announcer", n.announcer.serve))
	tree.Add("keepers", service.Func("keepers", n.links.tellKeepers))
	return nil
}

func (n *Node) stopRegional() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.formed = nil
}

const (
	// summaryEvery is how often a region tells the others how it does.
	summaryEvery = 5 * time.Second
	// summaryLook is how soon a linked gateway hears that workers came or went.
	summaryLook = 500 * time.Millisecond
)

// summarize describes the region for gateways; its own node hears it at once.
func (n *Node) summarize(seq uint64, now time.Time) *wire.RegionSummary {
	_, queued, _ := n.region.Load()
	s := n.workers.Summary(n.ownRegion(), n.identity.ID(), queued, n.validator.Metrics().Performance(), seq, now)
	for _, tier := range n.groupTiers(now) {
		s.ByTier[tier.String()]++
	}
	if err := n.regions.PutSummary(n.identity.ID(), s, now); err != nil {
		n.log.Debug().Err(err).Msg("own summary not taken")
	}
	return s
}

// capacityOf is what a worker of the region has free.
func (n *Node) capacityOf(id core.NodeID) (core.Capacity, bool) {
	w, known := n.workers.Get(id, time.Now())
	if !known {
		return core.Capacity{}, false
	}
	free := w.Ad.Resources
	free.FreeCPU, free.FreeMemoryMB = w.Free.CPU, w.Free.MemoryMB
	return free.Free(), true
}

// startLocal looks for work and watches the machine.
func (n *Node) startLocal(tree *service.Tree) error {
	tree.Add("own-worker", service.Func("own-worker", n.links.ownWorker))
	tree.Add("seek-work", service.Func("seek-work", n.links.seekWork))
	tree.Add("seek-calls", service.Func("seek-calls", n.links.answerCalls))
	tree.Add("probe", service.Every("probe", probeEvery, 0, n.links.probe))
	tree.Add("assigned", n.tasks)
	tree.Add("pressure", newPressure(n))
	tree.Add("aggregations", service.Func("aggregations", n.serveGroups))
	return nil
}

func (n *Node) stopLocal() { n.links.leaveBosses() }

// startFeedback watches how the nodes of the network say they are.
func (n *Node) startFeedback(tree *service.Tree) error {
	tree.Add("health", newHealthView(n))
	return nil
}

// provide announces a DHT key; a network of one has nobody to tell.
func (n *Node) provide(ctx context.Context, key string) {
	if err := n.host.Provide(ctx, key); err != nil {
		n.log.Debug().Err(err).Str("key", key).Msg("not provided yet")
	}
}

// buildRoles resolves what was asked for against this machine.
func (n *Node) buildRoles() error {
	set, err := n.resolveRoles(n.cfg.Roles)
	if err != nil {
		return err
	}
	n.wanted = n.cfg.Roles
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set = set
	return nil
}

// Roles implements api.Roles.
func (n *Node) Roles() []string { return n.roleSet().Names() }

// autoRole leaves the choice of roles to the hardware profile.
const autoRole = "auto"

// SetRoles implements api.Roles: it stops what does not belong to the new roles,
// starts what they need and then announces them. Work that runs goes on. What the
// machine has is looked at first: disk may have been added just now.
func (n *Node) SetRoles(ctx context.Context, names []string) error {
	var want core.RoleSet
	var err error
	if !slices.Equal(names, []string{autoRole}) {
		if want, err = core.ParseRoles(names...); err != nil {
			return err
		}
	}
	n.deciding.Lock()
	defer n.deciding.Unlock()
	if err := n.measure(ctx); err != nil {
		n.log.Warn().Err(err).Msg("this machine cannot be measured again")
	}
	set, err := n.resolveRoles(want)
	if err != nil {
		return err
	}
	if err := n.startRoles(set); err != nil {
		return err
	}
	n.wanted = want
	return n.writeRuntime()
}

// startRoles makes set the node's roles.
func (n *Node) startRoles(set core.RoleSet) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	renamed := n.regionOf(set) != n.ownRegion()
	if running := n.validator.InProgress(); renamed && running > 0 { // nobody would find them any more
		return core.Errorf(core.Conflict, "roles", "these roles rename this node's own region, in which %d tasks run", running).
			WithHint("try again once they have ended")
	}
	n.mu.Lock()
	n.set = set
	n.mu.Unlock()
	needed := n.catalog().Active(set)
	if err := n.stopRows(needed, renamed); err != nil {
		return err
	}
	for _, row := range needed {
		if err := n.startRow(row); err != nil {
			return err
		}
	}
	n.ads.publisher.Refresh()
	n.events.Publish(event.Event{Name: event.RolesChanged, Data: set.Names()})
	n.log.Info().Strs("roles", set.Names()).Msg("roles are active")
	return nil
}

// stopRows ends the rows that are not needed any more; when the node's own
// region got another name, all of them, as every link carries it.
func (n *Node) stopRows(needed roles.Catalog, all bool) error {
	n.mu.Lock()
	rows := n.active
	n.active = nil
	n.mu.Unlock()
	for _, r := range rows {
		if !all && has(needed, r.row.Name) {
			n.mu.Lock()
			n.active = append(n.active, r)
			n.mu.Unlock()
			continue
		}
		if err := n.tree.Remove(r.token, service.StopTimeout); err != nil {
			n.log.Error().Err(err).Str("role", r.row.Name).Msg("role did not stop in time")
		}
		if r.row.Stop != nil {
			r.row.Stop()
		}
	}
	if all {
		return n.renameRegion()
	}
	return nil
}

// renameRegion drops what carries the old name of the node's own region and keeps
// the new one's journal.
func (n *Node) renameRegion() error {
	n.links.renameRegion()
	return n.keeper.move(n.ownRegion())
}

func (n *Node) startRow(row roles.Row) error {
	n.mu.Lock()
	for _, r := range n.active {
		if r.row.Name == row.Name {
			n.mu.Unlock()
			return nil
		}
	}
	n.mu.Unlock()
	sub := n.tree.Sub(row.Name)
	if err := row.Start(sub); err != nil {
		return err
	}
	token := n.tree.Add(row.Name, sub)
	n.mu.Lock()
	n.active = append(n.active, activeRow{row: row, token: token})
	n.mu.Unlock()
	return nil
}

func has(c roles.Catalog, name string) bool {
	for _, r := range c {
		if r.Name == name {
			return true
		}
	}
	return false
}
