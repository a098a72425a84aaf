package p2p_test

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// lanHost runs a host with local discovery on a port and no bootstrap peer.
func lanHost(t *testing.T, i, port int, net core.NetworkID, words ...string) (*p2p.Host, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	h, err := p2p.New(p2p.Config{Identity: p2ptest.Identity(i), Network: net, ListenIPs: []string{"127.0.0.1"}, WSPort: p2p.Off,
		LANPort: port, MinPeers: 1, Announce: func() []string { return words }}, reg, zerolog.Nop())
	must(t, err)
	stop := serveUntil(t, h)
	t.Cleanup(func() {
		stop()
		must(t, h.Close())
	})
	return h, reg
}

// Three nodes of one machine share the UDP port, find each other with nothing
// but broadcasts on loopback, and learn what each offers; a node of another
// network on the same port stays apart.
//
// spec 0.22 2.16 4.12 4.14 4.15 4.16 4.17 4.18 4.54 4.68
func TestNodesFindEachOtherOnLoopback(t *testing.T) {
	a, reg := lanHost(t, 0, 0, "one", "compute", "store")
	b, _ := lanHost(t, 1, a.LANPort(), "one", "gateway")
	c, _ := lanHost(t, 2, a.LANPort(), "one")
	d, _ := lanHost(t, 3, a.LANPort(), "two")
	for _, h := range []*p2p.Host{a, b, c} {
		eventually(t, func() bool { return len(h.Peers()) == 2 })
	}
	eventually(t, func() bool { return slices.Equal(wordsOf(b, a), []string{"compute", "store"}) })
	eventually(t, func() bool { return slices.Equal(wordsOf(a, b), []string{"gateway"}) })
	for _, kind := range []string{"ping", "pong", "peers", "peers_ack", "hello"} {
		eventually(t, func() bool { return lanCount(t, reg, kind, "sent") > 0 && lanCount(t, reg, kind, "accepted") > 0 })
	}
	eventually(t, func() bool { return lanCount(t, reg, "ping", "other_network") > 0 })
	if p := d.Peers(); len(p) != 0 {
		t.Errorf("a node of another network has peers: %v", p)
	}
}

func wordsOf(h, other *p2p.Host) []string {
	for _, p := range h.Topology() {
		if p.ID == other.ID() {
			return p.Words
		}
	}
	return nil
}

func lanCount(t *testing.T, reg *prometheus.Registry, kind, verdict string) float64 {
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != "tenzro_p2p_lan_frames_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == kind && m.GetLabel()[1].GetValue() == verdict {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
