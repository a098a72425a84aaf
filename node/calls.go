package node

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/wire"
)

// How gateways that dispatch by themselves find workers that have not found them:
// work that waits is announced, as a region's is, and workers of a mode in which
// peers come first link themselves below the gateway. Nothing is announced while
// there are workers with room.

// call announces work that waits at a gateway. A regional node's announcer does
// so for its region.
func (a *announcer) call(ctx context.Context) error {
	work, err := gossip.Join[*wire.JobAnnouncement](a.n.router, gossip.Jobs, gossip.Global)
	if err != nil {
		return err
	}
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if !a.n.roleSet().Is(core.Regional) {
				a.overflow(ctx, work)
			}
		}
	}
}

// answerCalls links the worker below gateways that have work for it, while peers
// come first.
func (l *links) answerCalls(ctx context.Context) error {
	for {
		mode, changed := l.n.modes.now()
		if mode.PeerFirst() {
			if err := l.hearCalls(ctx, changed); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// hearCalls answers calls until the mode changes.
func (l *links) hearCalls(ctx context.Context, changed <-chan struct{}) error {
	work, err := gossip.Join[*wire.JobAnnouncement](l.n.router, gossip.Jobs, gossip.Global)
	if err != nil {
		return err
	}
	calls, stop := work.Subscribe(64)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			return nil
		case c := <-calls:
			l.answer(ctx, c.From, c.Body)
		}
	}
}

// answer links the worker below a gateway whose work it could do. What it is able
// to do in detail is the gateway's to judge, by the worker's ad.
func (l *links) answer(ctx context.Context, from core.NodeID, m *wire.JobAnnouncement) {
	_, gateways := l.count()
	if l.n.roleSet().Is(core.Regional) || from == l.n.identity.ID() || !time.Now().Before(m.Expires) ||
		gateways >= maxGateways || l.n.executors[m.Task] == nil || m.Requirements.MinTier > l.n.tier() {
		return
	}
	l.serveBoss(ctx, from, boss{gateway: true})
}
