package node

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// lookFor is how long after its start a node that knows others may say that it
// still looks for regions: a submitter waits for it.
const lookFor = 3 * time.Second

var _ api.Modes = (*Node)(nil)

// modes is the node's mode, which may change while it runs.
type modes struct {
	mu      sync.Mutex
	mode    core.Mode
	changed chan struct{} // closed at the next change
}

func newModes(m core.Mode) *modes { return &modes{mode: m, changed: make(chan struct{})} }

// now returns the mode and what is closed when it changes.
func (m *modes) now() (core.Mode, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mode, m.changed
}

func (m *modes) set(mode core.Mode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mode = mode
	close(m.changed)
	m.changed = make(chan struct{})
}

func (n *Node) mode() core.Mode {
	m, _ := n.modes.now()
	return m
}

// Mode implements api.Modes.
func (n *Node) Mode() string { return n.mode().String() }

// SetMode implements api.Modes. What runs goes on where it is; links that the mode
// does not want end when nothing is held on them any more.
func (n *Node) SetMode(_ context.Context, name string) error {
	m, err := core.ParseMode(name)
	if err != nil {
		return err
	}
	n.modes.set(m)
	n.links.wake()
	n.ads.publisher.Refresh()
	n.log.Info().Str("mode", name).Msg("mode is set")
	return nil
}

// looking reports whether the node has just started and may still find regions: it
// was told of others and has not heard yet that there are none.
func (n *Node) looking() bool {
	set := n.roleSet()
	return n.hinted && !n.looked.Load() && time.Since(n.started) < n.lookFor && (set.Is(core.Global) || set.Can().Has(core.CanCompute))
}

// knowsOthers reports whether the node was told of others, or met some before.
func (n *Node) knowsOthers() bool {
	if n.cfg.P2P.Standalone {
		return false
	}
	_, err := os.Stat(n.path(PeersFile))
	return err == nil || len(n.cfg.P2P.Bootstrap) > 0
}

// ownWorkers says whether workers are linked to this node's own region, and one
// that can run such a task.
func (n *Node) ownWorkers(req core.Requirements, task core.TaskType) (some, capable bool) {
	now := time.Now()
	unit := &jobs.Unit{Head: wire.TaskHead{Type: task, Requirements: req}}
	match := n.workerMatch()
	for _, w := range n.workers.All(now) {
		if !n.region.Attached(w.Ad.NodeID) || isOtherRegion(w.Ad, n.ownRegion()) {
			continue
		}
		if some = true; match.Match(w.Ad.NodeID, unit, now).Available() {
			return true, true
		}
	}
	return some, false
}
