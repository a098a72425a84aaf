package gossip

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const testNet = "testnet"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(n int) *keys.Identity {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n)+1)
	return keys.FromSeed(seed)
}

func hostKey(t testing.TB, id *keys.Identity) libp2p.Option {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(id.PrivateKey()[:ed25519.PrivateKeySize])
	if err != nil {
		t.Fatal(err)
	}
	return libp2p.Identity(key)
}

// node is a host with a Router. Its index is its identity.
type node struct {
	*Router
	host host.Host
	reg  *prometheus.Registry
	id   *keys.Identity
	stop func() // ends Serve and checks how it ended
}

func (n *node) name() core.NodeID { return n.id.ID() }

// start runs Serve until stop.
func (n *node) start(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
	}
}

func newNode(t testing.TB, i int, h host.Host, change func(*Config)) *node {
	t.Helper()
	n := &node{host: h, reg: prometheus.NewRegistry(), id: identity(i)}
	cfg := Config{Host: h, Signer: n.id, Network: testNet, Small: true}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg, n.reg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	n.Router = r
	return n
}

// simulate runs f with count nodes, all connected, on virtual time.
func simulate(t *testing.T, count int, f func(t *testing.T, nodes []*node)) {
	t.Helper()
	simulateHosts(t, count, func(t *testing.T, hosts []host.Host) {
		nodes := make([]*node, count)
		for i, h := range hosts {
			nodes[i] = newNode(t, i, h, nil)
			nodes[i].start(t)
		}
		connectAll(t, hosts)
		f(t, nodes)
		for _, n := range nodes {
			n.stop()
		}
	})
}

// simulateHosts runs f with count hosts, 10 ms apart and not yet connected.
func simulateHosts(t *testing.T, count int, f func(t *testing.T, hosts []host.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := &simnet.Simnet{LatencyFunc: simnet.StaticLatency(10 * time.Millisecond)}
		link := simnet.NodeBiDiLinkSettings{Downlink: simnet.LinkSettings{BitsPerSecond: 100_000_000}, Uplink: simnet.LinkSettings{BitsPerSecond: 100_000_000}}
		hosts := make([]host.Host, count)
		for i := range hosts {
			h, err := libp2p.New(libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/10.0.0.%d/udp/9334/quic-v1", i+1)), hostKey(t, identity(i)),
				simlibp2p.QUICSimnet(sim, link), libp2p.DisableIdentifyAddressDiscovery(), libp2p.ResourceManager(&network.NullResourceManager{}))
			if err != nil {
				t.Fatal(err)
			}
			hosts[i] = h
		}
		sim.Start()
		defer sim.Close()
		f(t, hosts)
		for _, h := range hosts {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// pass lets virtual time pass; outside a bubble it panics.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func connectAll(t *testing.T, hosts []host.Host) {
	t.Helper()
	for i, a := range hosts {
		for _, b := range hosts[i+1:] {
			if err := a.Connect(context.Background(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func join[T wire.Body](t testing.TB, n *node, kind Kind, region core.RegionID) *Topic[T] {
	t.Helper()
	topic, err := Join[T](n.Router, kind, region)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// counter reads one series of a node's metrics.
func (n *node) counter(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tenzro_gossip_"+name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func summary(n int, seq uint64) *wire.RegionSummary {
	return &wire.RegionSummary{Region: "us-east", Coordinator: identity(n).ID(), Sequence: seq, Workers: 1, ByTier: map[string]int{"trainer": 1},
		FreeSlots: 1, Capacity: core.Capacity{CPU: 1}, Performance: 1, Runtimes: []core.TaskType{"compute"}}
}

func health(n int) *wire.Health {
	return &wire.Health{NodeID: identity(n).ID(), State: core.Online, Roles: []string{"local"}, Version: "1"}
}
