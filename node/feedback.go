package node

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// maxHealthSeen bounds the nodes a feedback node keeps count of.
const maxHealthSeen = 10_000

// healthView is the feedback duty: what the nodes of the network say of their own
// condition, as metrics an operator can plot and alarm on.
type healthView struct {
	n     *Node
	nodes *prometheus.GaugeVec

	mu   sync.Mutex
	seen map[core.NodeID]heardHealth
}

type heardHealth struct {
	state core.Lifecycle
	at    time.Time
}

func newHealthView(n *Node) *healthView {
	return &healthView{n: n, seen: map[core.NodeID]heardHealth{}, nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenzro_network_nodes", Help: "Nodes heard of in the last 90 s by the state they report."}, []string{"state"})}
}

// Serve implements service.Service.
func (v *healthView) Serve(ctx context.Context) error {
	if err := v.n.registerer.Register(v.nodes); err != nil {
		return err
	}
	defer v.n.registerer.Unregister(v.nodes)
	topic, err := gossip.Join[*wire.Health](v.n.router, gossip.Health, v.n.homeRegion())
	if err != nil {
		return err
	}
	heard, stop := topic.Subscribe(256)
	defer stop()
	tick := time.NewTicker(registry.DefaultHeartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-heard:
			v.n.met.note(m.From, m.Body.Region, m.Body.Roles)
			v.note(m.From, m.Body, time.Now())
		case now := <-tick.C:
			v.count(now)
		}
	}
}

func (v *healthView) note(from core.NodeID, h *wire.Health, now time.Time) {
	v.mu.Lock()
	if _, known := v.seen[from]; known || len(v.seen) < maxHealthSeen {
		v.seen[from] = heardHealth{state: h.State, at: now}
	}
	v.mu.Unlock()
	v.count(now)
}

func (v *healthView) count(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	counts := map[core.Lifecycle]int{core.Syncing: 0, core.Online: 0, core.Earning: 0, core.Offline: 0}
	for id, h := range v.seen {
		if now.Sub(h.at) > registry.DefaultHeartbeat*registry.DefaultMissed {
			delete(v.seen, id)
			continue
		}
		if _, known := counts[h.state]; known {
			counts[h.state]++
		}
	}
	for state, n := range counts {
		v.nodes.WithLabelValues(string(state)).Set(float64(n))
	}
}
