package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
)

// term is one time of leading.
type term struct {
	epoch  uint64
	ctx    context.Context
	cancel context.CancelFunc
}

// HandOver makes another member lead, if this node does and there is one: a planned
// stop then costs no election, and open jobs go on elsewhere at once. It returns
// when that has happened, or cannot, within the time of an election.
func (g *Group) HandOver() {
	if run := g.running(); run != nil {
		g.transfer(run)
	}
}

func (g *Group) transfer(run *groupRun) {
	if run.raft.State() != raft.Leader || alone(run.raft, g.cfg.Self) {
		return
	}
	if err := run.raft.LeadershipTransfer().Error(); err != nil {
		g.log.Debug().Err(err).Msg("nobody took over the leadership; the others elect one")
	}
}

// watch follows raft's word on who leads.
func (g *Group) watch(ctx context.Context, run *groupRun) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case leads := <-run.notify:
			if !leads {
				g.lose()
			} else if err := g.win(ctx, run); err != nil {
				g.log.Debug().Err(err).Msg("leadership was lost before it began")
			}
		}
	}
}

// win makes this node the leader once it has applied everything that was
// committed before.
func (g *Group) win(ctx context.Context, run *groupRun) error {
	if err := run.raft.Barrier(0).Error(); err != nil {
		return err
	}
	epoch := run.raft.CurrentTerm()
	g.greet()
	if g.m.groupID() == "" {
		if err := g.found(run); err != nil {
			return err
		}
	}
	if run.raft.State() != raft.Leader || run.raft.CurrentTerm() != epoch {
		return raft.ErrLeadershipLost
	}
	inner, cancel := context.WithCancel(ctx)
	g.set(func() { g.lead = &term{epoch: epoch, ctx: inner, cancel: cancel} })
	g.metrics.led()
	g.log.Info().Uint64("epoch", epoch).Str("region", string(g.cfg.Region)).Msg("this node leads its region")
	return nil
}

// greet gives every member the time until it counts as dead to be heard of.
func (g *Group) greet() {
	servers := g.servers()
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.contacts)
	for _, s := range servers {
		g.contacts[core.NodeID(s.ID)] = contact{at: g.cfg.Now()}
	}
}

// found records the name of a new group as its first entry.
func (g *Group) found(run *groupRun) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	e, err := appendEntry(nil, entryFounded, foundedHead{Group: hex.EncodeToString(id[:])}, nil)
	if err != nil {
		return err
	}
	return run.raft.Apply(e, g.cfg.Wait).Error()
}

func (g *Group) lose() {
	g.set(func() {
		if g.lead != nil {
			g.lead.cancel()
			g.log.Info().Uint64("epoch", g.lead.epoch).Msg("this node does not lead its region any more")
		}
		g.lead = nil
	})
}

// Lead calls fn each time this node leads, until ctx ends. Everything that
// earlier leaders acknowledged can be read when fn begins. Its ctx ends with the
// leadership; epoch is greater than that of any leader before. It returns when
// ctx has ended and fn has returned.
func (g *Group) Lead(ctx context.Context, fn func(ctx context.Context, epoch uint64)) {
	last := uint64(0)
	for ctx.Err() == nil {
		g.mu.Lock()
		t, changed := g.lead, g.changed
		g.mu.Unlock()
		if t == nil || t.epoch == last {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		last = t.epoch
		inner, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(t.ctx, cancel)
		fn(inner, t.epoch)
		stop()
		cancel()
	}
}

// Leader returns who leads as far as this node knows, and its epoch.
func (g *Group) Leader() (id core.NodeID, epoch uint64, ok bool) {
	g.mu.Lock()
	run, lead := g.run, g.lead
	g.mu.Unlock()
	switch {
	case run == nil:
		return "", 0, false
	case lead != nil:
		return g.cfg.Self, lead.epoch, true
	}
	_, server := run.raft.LeaderWithID()
	if server == "" || server == raft.ServerID(g.cfg.Self) {
		return "", 0, false // not yet, when it is this node
	}
	return core.NodeID(server), run.raft.CurrentTerm(), true
}
