package journal

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
)

const (
	maxWaiting = 64               // nodes that asked to join and were not added
	waitFor    = 10 * time.Minute // after which one that does not ask again is forgotten
	maxBehind  = 1024             // entries a learner may lack to become a voter
)

// Member is one coordinator of a region, as its leader sees it.
type Member struct {
	ID      core.NodeID `json:"id"`
	Voter   bool        `json:"voter"`
	Leader  bool        `json:"leader"`
	Waiting bool        `json:"waiting"` // asked to join, and nobody added it yet
	Self    bool        `json:"-"`
	// Applied is the last entry of the log it applied, as of LastContact.
	Applied     uint64    `json:"applied"`
	LastContact time.Time `json:"lastContact,omitzero"`
}

// waitingList is who asked to join.
type waitingList struct {
	mu  sync.Mutex
	ids map[core.NodeID]time.Time
}

func (w *waitingList) add(id core.NodeID, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for old, at := range w.ids {
		if now.Sub(at) > waitFor {
			delete(w.ids, old)
		}
	}
	if _, known := w.ids[id]; !known && len(w.ids) >= maxWaiting {
		return false
	}
	if w.ids == nil {
		w.ids = map[core.NodeID]time.Time{}
	}
	w.ids[id] = now
	return true
}

func (w *waitingList) drop(id core.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ids, id)
}

func (w *waitingList) list() []Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Member
	for id, at := range w.ids {
		out = append(out, Member{ID: id, Waiting: true, LastContact: at})
	}
	return out
}

// contact is when a member last answered the leader, and what.
type contact struct {
	at      time.Time
	applied uint64
}

// servers is the group's configuration as this node knows it.
func (g *Group) servers() []raft.Server {
	run := g.running()
	if run == nil {
		return nil
	}
	return run.raft.GetConfiguration().Configuration().Servers
}

func (g *Group) size() int { return len(g.servers()) }

// knows reports whether a node belongs to the group, or is one that we joined by.
func (g *Group) knows(id core.NodeID) bool {
	if id == g.cfg.Self || slices.ContainsFunc(g.servers(), func(s raft.Server) bool { return s.ID == raft.ServerID(id) }) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.joining[id]
}

// mayReplicate reports whether raft may listen to a node. A stranger may have
// joined while this node was away: then one of the members it knows vouches.
func (g *Group) mayReplicate(id core.NodeID) bool {
	if g.knows(id) {
		return true
	}
	if !g.vouching.TryLock() { // one at a time; the stranger comes again
		return false
	}
	defer g.vouching.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Wait)
	defer cancel()
	for _, s := range g.servers() {
		if s.ID == raft.ServerID(g.cfg.Self) {
			continue
		}
		a, err := g.ask(ctx, core.NodeID(s.ID), question{Op: opMembers})
		if err == nil && slices.ContainsFunc(a.Members, func(m Member) bool { return m.ID == id && !m.Waiting }) {
			g.trust(id)
			return true
		}
	}
	return false
}

func (g *Group) trust(ids ...core.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.joining) > maxWaiting {
		clear(g.joining)
	}
	for _, id := range ids {
		g.joining[id] = true
	}
}

// Members returns the coordinators of the region and who waits to become one, as
// the leader knows them. Without a leader it is what this node knows, and the
// error.
func (g *Group) Members(ctx context.Context) ([]Member, error) {
	a, err := g.ask(ctx, g.cfg.Self, question{Op: opMembers})
	if err != nil {
		a.Members = nil
		for _, s := range g.servers() {
			a.Members = append(a.Members, Member{ID: core.NodeID(s.ID), Voter: s.Suffrage == raft.Voter})
		}
	}
	for i := range a.Members {
		a.Members[i].Self = a.Members[i].ID == g.cfg.Self
	}
	return a.Members, err
}

// seats is the leader's own list.
func (g *Group) seats() []Member {
	applied, now := g.m.appliedIndex(), g.cfg.Now()
	var out []Member
	servers := g.servers()
	g.mu.Lock()
	for _, s := range servers {
		m := Member{ID: core.NodeID(s.ID), Voter: s.Suffrage == raft.Voter}
		if m.Leader = m.ID == g.cfg.Self; m.Leader {
			m.Applied, m.LastContact = applied, now
		} else if c, ok := g.contacts[m.ID]; ok {
			m.Applied, m.LastContact = c.applied, c.at
		}
		out = append(out, m)
	}
	g.mu.Unlock()
	return append(out, g.waiting.list()...)
}

// Join asks a member of the region's group to take this node in. When nobody
// decided about it yet that is core.Denied, and it may ask again later. The
// journal must be empty or belong to the group.
func (g *Group) Join(ctx context.Context, member core.NodeID) error {
	run := g.running()
	if run == nil {
		return core.Errorf(core.Unavailable, "region", "the journal does not run yet")
	}
	if len(g.servers()) > 0 && !g.knows(member) {
		return core.Errorf(core.Conflict, "region", "this node has a journal of region %s already, of a group that node %s is not in", g.cfg.Region, member).
			WithHint("move its directory away to join another group")
	}
	g.trust(member)
	a, err := g.ask(ctx, member, question{Op: opJoin})
	if err != nil {
		return err
	}
	for _, m := range a.Members {
		if !m.Waiting {
			g.trust(m.ID)
		}
	}
	return nil
}

// admit takes a node in, or remembers that it asked.
func (g *Group) admit(ctx context.Context, id core.NodeID) (answer, error) {
	in := slices.ContainsFunc(g.servers(), func(s raft.Server) bool { return s.ID == raft.ServerID(id) })
	if !in && (g.cfg.Admit == nil || !g.cfg.Admit(id)) {
		if !g.waiting.add(id, g.cfg.Now()) {
			return answer{}, core.Errorf(core.Exhausted, "region", "%d nodes wait to join region %s already", maxWaiting, g.cfg.Region)
		}
		return answer{}, core.Errorf(core.Denied, "region", "node %s waits to become a coordinator of region %s", id, g.cfg.Region).
			WithHint("run `tenzro region add " + string(id) + "` on one of its coordinators")
	}
	if !in {
		if err := g.add(ctx, id); err != nil {
			return answer{}, err
		}
	}
	return answer{Members: g.seats()}, nil
}

// Add makes a node a learner of the group; the steward makes it a voter when that
// helps. The node has to Join too, so that it listens. It may be called on any
// member.
func (g *Group) Add(ctx context.Context, id core.NodeID) error {
	_, err := g.ask(ctx, g.cfg.Self, question{Op: opAdd, ID: id})
	return err
}

// Remove takes a node out of the group. It may be called on any member.
func (g *Group) Remove(ctx context.Context, id core.NodeID) error {
	_, err := g.ask(ctx, g.cfg.Self, question{Op: opRemove, ID: id})
	return err
}

func (g *Group) add(ctx context.Context, id core.NodeID) error {
	run, _, err := g.leading()
	if err != nil {
		return err
	}
	if len(id) == 0 || len(id) > 128 {
		return core.Errorf(core.Invalid, "id", "%.64q is no node id", id)
	}
	if slices.ContainsFunc(g.servers(), func(s raft.Server) bool { return s.ID == raft.ServerID(id) }) {
		return nil
	}
	g.touch(id, 0)
	s := g.server(id)
	if err := g.settle(ctx, run.raft.AddNonvoter(s.ID, s.Address, 0, g.cfg.Wait)); err != nil {
		return err
	}
	g.waiting.drop(id)
	g.log.Info().Str("node", string(id)).Str("region", string(g.cfg.Region)).Msg("a coordinator joined as a learner")
	return nil
}

func (g *Group) remove(ctx context.Context, id core.NodeID) error {
	run, _, err := g.leading()
	if err != nil {
		return err
	}
	left, live, in := 0, 0, false
	for _, s := range g.seats() {
		if s.ID == id {
			in = in || !s.Waiting
		} else if s.Voter {
			left++
			if g.alive(s) {
				live++
			}
		}
	}
	g.waiting.drop(id)
	switch {
	case !in:
		return core.Errorf(core.NotFound, "id", "node %.64q is no coordinator of region %s", id, g.cfg.Region)
	case live < majority(left) || left == 0:
		return core.Errorf(core.Conflict, "id", "without node %s only %d of %d voters of region %s are there: no majority", id, live, left, g.cfg.Region).
			WithHint("add another coordinator first")
	}
	if err := g.settle(ctx, run.raft.RemoveServer(raft.ServerID(id), 0, g.cfg.Wait)); err != nil {
		return err
	}
	g.log.Info().Str("node", string(id)).Str("region", string(g.cfg.Region)).Msg("a coordinator was removed")
	return nil
}

// settle waits for one change of the configuration.
func (g *Group) settle(ctx context.Context, f raft.IndexFuture) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }() // ends with the entry's fate or the leadership
	select {
	case err := <-done:
		return g.explain(err)
	case <-ctx.Done():
		return g.explain(ctx.Err())
	}
}

func (g *Group) touch(id core.NodeID, applied uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.contacts[id] = contact{at: g.cfg.Now(), applied: max(applied, g.contacts[id].applied)}
}

func (g *Group) alive(m Member) bool {
	return m.Leader || g.cfg.Now().Sub(m.LastContact) < g.cfg.Dead
}

// steward keeps the leader's group in shape: it asks the others how they are,
// and makes at most one change at a time.
func (g *Group) steward(ctx context.Context, run *groupRun) error {
	tick := time.NewTicker(2 * g.cfg.Election)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, _, err := g.leading(); err != nil || g.size() < 2 {
			continue
		}
		g.poll(ctx)
		if err := g.improve(ctx, run); err != nil && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("changing the region's group")
		}
	}
}

// poll asks every other member at once.
func (g *Group) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*g.cfg.Election)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range g.servers() {
		id := core.NodeID(s.ID)
		if id == g.cfg.Self {
			continue
		}
		wg.Go(func() {
			if a, err := g.askOne(ctx, id, question{Op: opStatus}); err == nil {
				g.touch(id, a.Applied)
			}
		})
	}
	wg.Wait()
}

func (g *Group) improve(ctx context.Context, run *groupRun) error {
	var seats []seat
	applied := g.m.appliedIndex()
	for _, m := range g.seats() {
		if !m.Waiting {
			seats = append(seats, seat{id: m.ID, voter: m.Voter, leader: m.Leader, live: g.alive(m),
				ready: m.Applied > 0 && m.Applied+maxBehind >= applied})
		}
	}
	what, id := plan(seats)
	if what == stay {
		return nil
	}
	s := g.server(id)
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Wait)
	defer cancel()
	if what == promote {
		g.log.Info().Str("node", string(id)).Msg("a learner becomes a voter of its region")
		return g.settle(ctx, run.raft.AddVoter(s.ID, s.Address, 0, g.cfg.Wait))
	}
	g.log.Warn().Str("node", string(id)).Msg("a voter of the region becomes a learner: it is out of contact, or one too many")
	return g.settle(ctx, run.raft.DemoteVoter(s.ID, 0, g.cfg.Wait))
}
