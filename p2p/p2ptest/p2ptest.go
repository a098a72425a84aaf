// Package p2ptest builds networks of real p2p hosts for tests: on a simulated
// network inside a testing/synctest bubble, where a hundred nodes and minutes of
// protocol cost little real time, or on loopback, where the sockets are real.
//
// It holds no fake of its own: every host is a p2p.Host with production limits.
// The helpers fail the test on error and clean up when it ends.
package p2ptest

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
)

// NetworkID is the network all hosts belong to unless Edit changes it.
const NetworkID = core.NetworkID("test")

const (
	latency = 10 * time.Millisecond // one way
	lost    = 1000 * time.Hour      // the latency of a packet that never arrives
	port    = 9334
)

// Edit changes the configuration of host i before it is built.
type Edit func(i int, c *p2p.Config)

// Identity returns the identity of host i: the same in every run.
func Identity(i int) *keys.Identity {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i)+1)
	return keys.FromSeed(seed)
}

// Network is a simulated network of hosts.
type Network struct {
	Hosts []*p2p.Host

	t  testing.TB
	mu sync.Mutex
	// cut holds the pairs of addresses between which packets vanish.
	cut map[[2]netip.Addr]bool
}

// NewNetwork starts n hosts on a simulated network with 10 ms between any two;
// all but the first know the first as their bootstrap peer. It must be called
// inside a synctest bubble.
func NewNetwork(t *testing.T, n int, edits ...Edit) *Network {
	t.Helper()
	nw := &Network{t: t, cut: map[[2]netip.Addr]bool{}}
	sim := &simnet.Simnet{LatencyFunc: nw.latency, Logger: slog.New(slog.DiscardHandler)}
	for i := range n {
		nw.Hosts = append(nw.Hosts, build(t, nw.config(sim, i), i, edits))
	}
	sim.Start()
	t.Cleanup(sim.Close) // after the hosts
	for _, h := range nw.Hosts {
		serve(t, h)
	}
	return nw
}

func (nw *Network) config(sim *simnet.Simnet, i int) p2p.Config {
	link := simnet.LinkSettings{BitsPerSecond: 1000 * simlibp2p.OneMbps}
	c := base(i)
	c.Listen = []string{"/ip4/" + address(i).String() + "/udp/9334/quic-v1"}
	c.Options = []libp2p.Option{
		simlibp2p.QUICSimnet(sim, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
		libp2p.DisableIdentifyAddressDiscovery(), // it stalls a bubble
	}
	if i > 0 {
		c.Bootstrap = []string{"/ip4/" + address(0).String() + "/udp/9334/quic-v1/p2p/" + string(Identity(0).ID())}
	}
	return c
}

func address(i int) netip.Addr {
	ip, _ := netip.AddrFromSlice(simnet.IntToPublicIPv4(i).To4())
	return ip
}

func (nw *Network) latency(p *simnet.Packet) time.Duration {
	from, err := netip.ParseAddrPort(p.From.String())
	to, err2 := netip.ParseAddrPort(p.To.String())
	if err != nil || err2 != nil {
		return latency
	}
	nw.mu.Lock()
	defer nw.mu.Unlock()
	if nw.cut[[2]netip.Addr{from.Addr().Unmap(), to.Addr().Unmap()}] {
		return lost
	}
	return latency
}

// Cut makes every packet between hosts i and j vanish, or arrive again.
func (nw *Network) Cut(i, j int, cut bool) {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	a, b := address(i), address(j)
	nw.cut[[2]netip.Addr{a, b}], nw.cut[[2]netip.Addr{b, a}] = cut, cut
}

// Loopback starts n hosts on free ports of 127.0.0.1; all but the first know the
// first as their bootstrap peer. Local discovery is off.
func Loopback(t testing.TB, n int, edits ...Edit) []*p2p.Host {
	t.Helper()
	var hosts []*p2p.Host
	for i := range n {
		c := base(i)
		c.ListenIPs = []string{"127.0.0.1"}
		if i > 0 {
			c.Bootstrap = hosts[0].Addrs()
		}
		hosts = append(hosts, build(t, c, i, edits))
	}
	for _, h := range hosts {
		serve(t, h)
	}
	return hosts
}

func base(i int) p2p.Config {
	return p2p.Config{
		Identity: Identity(i), Network: NetworkID, Class: core.Regional,
		LANPort: p2p.Off, WSPort: p2p.Off, DHTMode: p2p.DHTLAN, MinPeers: 1,
	}
}

func build(t testing.TB, c p2p.Config, i int, edits []Edit) *p2p.Host {
	t.Helper()
	for _, edit := range edits {
		edit(i, &c)
	}
	h, err := p2p.New(c, nil, zerolog.Nop())
	if err != nil {
		t.Fatalf("building host %d: %v", i, err)
	}
	return h
}

// serve runs h until the test ends, and closes it then.
func serve(t testing.TB, h *p2p.Host) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("host %s: %v", h.ID().Short(), err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("closing host %s: %v", h.ID().Short(), err)
		}
	})
}

// Break closes every connection between two hosts; sessions have to resume.
func Break(t testing.TB, a, b *p2p.Host) {
	t.Helper()
	p, err := peer.Decode(string(b.ID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.LibP2P().Network().ClosePeer(p); err != nil {
		t.Fatalf("closing connections: %v", err)
	}
}

// Connected reports whether a has a connection to b.
func Connected(a, b *p2p.Host) bool {
	p, err := peer.Decode(string(b.ID()))
	return err == nil && a.LibP2P().Network().Connectedness(p) == network.Connected
}
