package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// pulse is a watcher that knows when it last heard anything.
type pulse struct {
	regionWatcher
	last atomic.Int64 // Unix nanoseconds
}

func (p *pulse) felt() { p.last.Store(time.Now().UnixNano()) }

// Beat implements dispatch.Watcher.
func (p *pulse) Beat(core.NodeID, *wire.Pull) { p.felt() }

// Summarized implements dispatch.Watcher.
func (p *pulse) Summarized(child core.NodeID, s *wire.RegionSummary) {
	p.felt()
	p.regionWatcher.Summarized(child, s)
}

// stops waits until nothing was heard for leaderSilence and reports true, or
// until ctx ends. Silence while this process itself could not listen does not count.
func (p *pulse) stops(ctx context.Context) bool {
	tick := time.NewTicker(leaderBeat)
	defer tick.Stop()
	for looked := time.Now(); ; looked = time.Now() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if now := time.Now(); now.Sub(looked) > leaderSilence/2 {
				p.felt()
			} else if now.UnixNano()-p.last.Load() > int64(leaderSilence) {
				return true
			}
		}
	}
}
