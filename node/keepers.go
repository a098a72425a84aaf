package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// How workers hear at once of a coordinator that was added: each coordinator tells
// those linked to it who keeps the region, when that changes. A lead that moves to
// the new one then finds it with workers.

// keepersLook is how often a coordinator looks who keeps its region. A learner
// takes longer than that until it may lead.
const keepersLook = 250 * time.Millisecond

// tellKeepers tells the region's workers who keeps it, until ctx ends.
func (l *links) tellKeepers(ctx context.Context) error {
	tick := time.NewTicker(keepersLook)
	defer tick.Stop()
	defer l.n.region.Tell(nil)
	var told []core.NodeID
	for {
		if _, _, members := l.n.keeper.view(); len(members) > 0 && !slices.Equal(members, told) {
			told = members
			l.n.region.Tell(&wire.Coordinators{Region: l.n.ownRegion(), Members: members})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// keptBy notes who keeps a region that this node works for, and looks at once when
// somebody among them is new.
func (l *links) keptBy(m *wire.Coordinators) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := slices.DeleteFunc(slices.Clone(m.Members), func(id core.NodeID) bool {
		_, linked := l.bosses[id]
		return linked || id == l.n.identity.ID()
	})
	if l.named = fresh; len(fresh) > 0 {
		l.wake()
	}
}

// linkNamed links up to most coordinators that others named, and returns how many. It
// dials them together, as the dead take long to give up on, within a time of its own.
func (l *links) linkNamed(ctx context.Context, most int) (linked int) {
	l.mu.Lock()
	named := l.named
	l.named = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var hiring sync.Mutex
	var dialling sync.WaitGroup
	for _, id := range named { // at most wire.MaxMembers
		dialling.Go(func() {
			as := boss{coordinator: true}
			link, hello := l.dialBoss(ctx, id, as)
			if link == nil {
				return
			}
			hiring.Lock()
			defer hiring.Unlock()
			switch {
			case linked >= most:
				_ = link.Close()
			case l.workFor(id, link, hello, as):
				linked++
			}
		})
	}
	dialling.Wait()
	return linked
}
