package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
)

// How a coordinator with an empty journal finds those that it keeps its region
// with, and how the group is seen and changed.

const (
	// formLook is how often a coordinator without a group looks for one.
	formLook = 500 * time.Millisecond
	// formWait is how long it looks before it founds the group itself: long enough to
	// be found by others that start with it.
	formWait = 1500 * time.Millisecond
	// formAlone is how long it waits for its bootstrap nodes, and for coordinators
	// that do not answer, before it goes on as if there were none.
	formAlone = 30 * time.Second
)

// foundAlone makes a region of one its own group; it must not be served yet.
func (k *keeper) foundAlone(b book) error {
	g, ok := b.(*journal.Group)
	if !ok || g.Formed() || k.keeps() == k.n.cfg.Region && !k.n.cfg.P2P.Standalone {
		return nil
	}
	return g.Found()
}

// form makes the node part of the group of a configured region, once: it joins
// where somebody keeps the region, and founds the group where nobody does.
func (k *keeper) form(ctx context.Context, g *journal.Group) error {
	if k.keeps() != k.n.cfg.Region || k.n.cfg.P2P.Standalone {
		return nil
	}
	begun := time.Now()
	told := false
	for !g.Formed() {
		switch joined, founder := k.join(ctx, g, begun); {
		case joined:
			return nil
		case founder:
			k.n.log.Info().Str("region", string(k.keeps())).Msg("nobody keeps the region yet: founding it")
			return g.Found()
		case !told && time.Since(begun) > 4*formWait:
			told = true
			k.n.log.Warn().Str("region", string(k.keeps())).
				Msg("not a coordinator of the region yet; on one of them run: tenzro region add " + string(k.n.identity.ID()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(formLook):
		}
	}
	return nil
}

// join asks every other coordinator of the region to be let in. It says founder
// when there is none with a group and this node is the one to begin.
func (k *keeper) join(ctx context.Context, g *journal.Group, begun time.Time) (joined, founder bool) {
	self, said := k.n.identity.ID(), answers{}
	for _, id := range k.others(ctx) {
		err := joinAt(ctx, g, id)
		if err == nil {
			return true, false
		}
		said.hear(self, id, err)
		k.n.log.Debug().Err(err).Str("node", string(id)).Msg("not let into the region's group")
	}
	return false, said.founder(time.Since(begun), k.offline())
}

// joinAt asks one coordinator. Each has a time of its own: one that is dead must
// not hide those behind it.
func joinAt(ctx context.Context, g *journal.Group, id core.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return g.Join(ctx, id)
}

// answers is what the other coordinators of a region said to one without a group.
type answers struct {
	kept   bool // somebody keeps the region and does not let this node in
	lower  bool // somebody without a group has the lower id: he begins
	silent bool // somebody cannot be asked: he may keep it
}

func (a *answers) hear(self, id core.NodeID, err error) {
	switch {
	case errors.Is(err, core.Denied):
		a.kept = true
	case errors.Is(err, core.NotFound):
		a.lower = a.lower || id < self
	default:
		a.silent = true
	}
}

// founder reports whether the node founds the group: two would share the name of
// the region, and nothing joins them again. So who may be there has his time.
func (a *answers) founder(since time.Duration, offline bool) bool {
	wait := formWait
	if offline || a.silent {
		wait = formAlone
	}
	return !a.kept && !a.lower && since > wait
}

// others are the other coordinators of the region that can be found now.
func (k *keeper) others(ctx context.Context) []core.NodeID {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	region, self := k.keeps(), k.n.identity.ID()
	ids := k.n.regions.Coordinators(region, time.Now())
	k.n.finder.Forget(region)
	found, _ := k.n.finder.Coordinators(ctx, region)
	ids = append(ids, found...)
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id core.NodeID) bool { return id == self })
}

// offline reports whether the node knows others and reaches none of them.
func (k *keeper) offline() bool {
	return len(k.n.cfg.P2P.Bootstrap) > 0 && len(k.n.host.Peers()) == 0
}

// Region implements api.Coordinators.
func (k *keeper) Region(ctx context.Context) (api.RegionStatus, error) {
	b, self := k.now(), k.n.identity.ID()
	s := api.RegionStatus{Region: k.keeps(), Journal: JournalMemory}
	s.Leader, s.Epoch, _ = k.view()
	g, ok := b.(*journal.Group)
	if !ok {
		s.Open = len(b.Open())
		s.Finished = len(b.List(journal.Filter{Limit: maxCounted})) - s.Open
		s.Members = []api.RegionMember{{ID: self, State: "voter", Leader: true, Self: true}}
		return s, nil
	}
	stats := g.Stats()
	s.Journal, s.Applied, s.Open, s.Finished = JournalDisk, stats.Applied, stats.Open, stats.Finished
	members, _ := g.Members(ctx) // without a leader, what this node knows
	for _, m := range members {
		state := "learner"
		switch {
		case m.Waiting:
			state = "waiting"
		case m.Voter:
			state = "voter"
		}
		s.Members = append(s.Members, api.RegionMember{ID: m.ID, State: state, Leader: m.Leader, Self: m.ID == self, LastContact: m.LastContact})
	}
	return s, nil
}

// maxCounted bounds what is counted of a journal in memory.
const maxCounted = 1 << 20

// Admit implements api.Coordinators. What is no node's id can never come, and would
// count as a member until somebody took it out.
func (k *keeper) Admit(ctx context.Context, id core.NodeID) error {
	if _, err := keys.PublicKey(id); err != nil {
		return core.Errorf(core.Invalid, "nodeId", "%.80q is not the id of a node", id).
			WithHint("tenzro region status shows the whole ids of those who wait, tenzro key show a node's own")
	}
	g, err := k.group()
	if err != nil {
		return err
	}
	return g.Add(ctx, id)
}

// Remove implements api.Coordinators.
func (k *keeper) Remove(ctx context.Context, id core.NodeID) error {
	g, err := k.group()
	if err != nil {
		return err
	}
	return g.Remove(ctx, id)
}

func (k *keeper) group() (*journal.Group, error) {
	if g, ok := k.now().(*journal.Group); ok && k.keeps() == k.n.cfg.Region {
		return g, nil
	}
	return nil, core.Errorf(core.Unsupported, "region", "region %s is kept by this node alone", k.keeps()).
		WithHint("give the node --role regional, a --region and a journal on disk")
}
