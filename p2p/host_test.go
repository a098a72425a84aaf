package p2p_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// only makes every host listen on one kind of address.
func only(addr string) p2ptest.Edit {
	return func(_ int, c *p2p.Config) { c.Listen = []string{addr} }
}

func handshakes(list ...p2p.Security) p2ptest.Edit {
	return func(_ int, c *p2p.Config) { c.Security = list }
}

// newHost builds a host on loopback that the test does not serve.
func newHost(t testing.TB, edit func(*p2p.Config)) (*p2p.Host, error) {
	t.Helper()
	c := p2p.Config{Identity: p2ptest.Identity(99), Network: p2ptest.NetworkID, ListenIPs: []string{"127.0.0.1"}, LANPort: p2p.Off, WSPort: p2p.Off}
	edit(&c)
	h, err := p2p.New(c, nil, zerolog.Nop())
	if err == nil {
		t.Cleanup(func() { must(t, h.Close()) })
	}
	return h, err
}

// Every transport carries a session between two peers that proved their keys;
// TLS is preferred, Noise is there, yamux multiplexes.
//
// spec 0.20 0.41 2.6 2.7 2.8 2.9 2.10 2.11 2.12 2.50 2.51 4.69
func TestTransports(t *testing.T) {
	for _, tc := range []struct {
		name            string
		listen          string
		edit            p2ptest.Edit
		security, muxer string
		transport       string
	}{
		{"tcp prefers tls", "/ip4/127.0.0.1/tcp/0", handshakes(), string(tls.ID), "/yamux/1.0.0", "tcp"},
		{"tcp with noise", "/ip4/127.0.0.1/tcp/0", handshakes(p2p.Noise), string(noise.ID), "/yamux/1.0.0", "tcp"},
		{"websocket", "/ip4/127.0.0.1/tcp/0/ws", handshakes(), string(tls.ID), "/yamux/1.0.0", "websocket"},
		{"quic", "/ip4/127.0.0.1/udp/0/quic-v1", handshakes(), "", "", "quic-v1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defaults := tc.edit
			if tc.security != string(noise.ID) {
				defaults = func(int, *p2p.Config) {}
			}
			hosts := p2ptest.Loopback(t, 2, only(tc.listen), defaults)
			s := echoSession(t, hosts)
			defer s.Close()
			must(t, s.Send(t.Context(), []byte("hello")))
			if got, err := s.Recv(t.Context()); err != nil || string(got) != "hello" {
				t.Fatalf("Recv = %q, %v", got, err)
			}
			id, _ := peer.Decode(string(hosts[0].ID()))
			state := hosts[1].LibP2P().Network().ConnsToPeer(id)[0].ConnState()
			if string(state.Security) != tc.security || string(state.StreamMultiplexer) != tc.muxer || state.Transport != tc.transport {
				t.Errorf("connection uses %+v; want %s, %s, %s", state, tc.security, tc.muxer, tc.transport)
			}
		})
	}
}

// A host that allows TLS alone and one that allows Noise alone cannot talk.
func TestHandshakeCanBeRestricted(t *testing.T) {
	a, err := newHost(t, func(c *p2p.Config) { c.Security = []p2p.Security{p2p.TLS}; c.Listen = []string{"/ip4/127.0.0.1/tcp/0"} })
	must(t, err)
	b, err := newHost(t, func(c *p2p.Config) {
		c.Identity, c.Security = p2ptest.Identity(98), []p2p.Security{p2p.Noise}
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	})
	must(t, err)
	if err := b.Connect(t.Context(), a.Addrs()[0]); core.KindOf(err) != core.Unavailable {
		t.Fatalf("Connect: %v; want unavailable", err)
	}
}

// Only Ed25519 identities are peers.
//
// spec 2.12 2.50
func TestOtherIdentitiesAreRefused(t *testing.T) {
	hosts := p2ptest.Loopback(t, 1)
	key, _, err := crypto.GenerateSecp256k1Key(nil)
	must(t, err)
	stranger, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs)
	must(t, err)
	defer stranger.Close()
	info, err := peer.AddrInfoFromString(hosts[0].Addrs()[0])
	must(t, err)
	_ = stranger.Connect(t.Context(), *info) // the dialer may believe it is connected for a moment
	eventually(t, func() bool { return len(stranger.Network().ConnsToPeer(info.ID)) == 0 })
}

// Peers of another network connect to nobody here: they do not count, are not
// listed, and share no protocol.
//
// spec 4.62
func TestNetworksAreSeparate(t *testing.T) {
	hosts := p2ptest.Loopback(t, 2, func(i int, c *p2p.Config) {
		if i == 1 {
			c.Network = "other"
		}
	})
	must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
	_, err := hosts[1].RTT(t.Context(), hosts[0].ID()) // both sides have identified each other after this
	must(t, err)
	if !p2ptest.Connected(hosts[1], hosts[0]) {
		t.Fatal("not connected")
	}
	for _, h := range hosts {
		if len(h.Peers()) != 0 || h.Ready() == nil {
			t.Errorf("host of %s counts a peer of another network: %v", h.Network(), h.Peers())
		}
	}
	_, err = hosts[1].OpenSession(t.Context(), hosts[0].ID(), p2p.ProtocolID("other", "job", "1.0.0"))
	if core.KindOf(err) != core.Unsupported {
		t.Errorf("OpenSession across networks: %v; want unsupported", err)
	}
}

// spec 4.62
func TestReadyNeedsThreePeers(t *testing.T) {
	hosts := p2ptest.Loopback(t, 4, func(i int, c *p2p.Config) {
		c.MinPeers = p2p.DefaultMinPeers
		c.Bootstrap = nil
	})
	for i := 1; i < 4; i++ {
		err := hosts[0].Ready()
		if want := fmt.Sprintf("connected to %d of the 3 peers", i-1); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("Ready = %v; want %q", err, want)
		}
		connected := make(chan struct{})
		cancel := hosts[0].OnPeer(func(id core.NodeID, up bool) {
			if up && id == hosts[i].ID() {
				close(connected)
			}
		})
		must(t, hosts[0].Connect(t.Context(), hosts[i].Addrs()[0]))
		receive(t, connected)
		cancel()
	}
	must(t, hosts[0].Ready())
	alone, err := newHost(t, func(c *p2p.Config) { c.MinPeers, c.Standalone = 3, true })
	must(t, err)
	must(t, alone.Ready())
}

// What Peers, Topology, RTT and OnPeer say of a peer that comes and goes.
//
// spec 2.16
func TestPeersComeAndGo(t *testing.T) {
	hosts := p2ptest.Loopback(t, 2, func(_ int, c *p2p.Config) { c.Bootstrap = nil; c.Agent = "tenzro/test" })
	events := make(chan bool, 4)
	hosts[0].OnPeer(func(_ core.NodeID, up bool) { events <- up })
	must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
	if up := receive(t, events); !up {
		t.Fatal("first event says disconnected")
	}
	peers := hosts[0].Peers()
	if len(peers) != 1 || peers[0].ID != hosts[1].ID() || peers[0].Direction != "inbound" || peers[0].Agent != "tenzro/test" || !peers[0].Connected {
		t.Fatalf("Peers = %+v", peers)
	}
	rtt, err := hosts[0].RTT(t.Context(), hosts[1].ID())
	if err != nil || rtt <= 0 || hosts[0].Peers()[0].RTT <= 0 {
		t.Fatalf("RTT = %v, %v", rtt, err)
	}
	if top := hosts[0].Topology(); len(top) != 1 || top[0].ID != hosts[1].ID() {
		t.Errorf("Topology = %+v", top)
	}
	must(t, hosts[1].Close())
	if up := receive(t, events); up {
		t.Fatal("second event says connected")
	}
}

func TestBannedPeersStayOut(t *testing.T) {
	hosts := p2ptest.Loopback(t, 2, func(_ int, c *p2p.Config) { c.Bootstrap = nil })
	accepted := make(chan *p2p.Session, 1)
	proto := p2p.ProtocolID(p2ptest.NetworkID, "test", "1.0.0")
	hosts[0].HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
	must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
	_, err := hosts[1].OpenSession(t.Context(), hosts[0].ID(), proto)
	must(t, err)
	s := receive(t, accepted)
	until := time.Now().Add(time.Hour)
	must(t, hosts[0].Ban(hosts[1].ID(), until, "lied"))
	receive(t, s.Done())
	if err := hosts[0].ConnectPeer(t.Context(), hosts[1].ID()); core.KindOf(err) != core.Denied || !strings.Contains(err.Error(), "lied") {
		t.Errorf("ConnectPeer to a banned peer: %v; want denied with its reason", err)
	}
	if b := hosts[0].Banned(); len(b) != 1 || b[0].ID != hosts[1].ID() || !b[0].Until.Equal(until) {
		t.Errorf("Banned = %+v", b)
	}
}

func TestAdmitDecides(t *testing.T) {
	var mu sync.Mutex
	var asked []core.NodeID
	hosts := p2ptest.Loopback(t, 2, func(i int, c *p2p.Config) {
		c.Bootstrap = nil
		if i == 0 {
			c.Admit = func(id core.NodeID) error {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, id)
				return core.Errorf(core.Denied, "admit", "not on the list")
			}
		}
	})
	if err := hosts[0].Connect(t.Context(), hosts[1].Addrs()[0]); core.KindOf(err) != core.Denied {
		t.Errorf("Connect: %v; want denied", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) == 0 || asked[0] != hosts[1].ID() {
		t.Errorf("Admit was asked about %v", asked)
	}
}

// A forced reachability holds: AutoNAT v2, which would overrule it, is off.
func TestForcedReachability(t *testing.T) {
	for word, want := range map[p2p.Reachability]network.Reachability{
		p2p.ReachabilityPublic: network.ReachabilityPublic, p2p.ReachabilityPrivate: network.ReachabilityPrivate,
	} {
		h, err := newHost(t, func(c *p2p.Config) { c.Reachability, c.DHTMode, c.Class = word, p2p.DHTPublic, core.Regional })
		must(t, err)
		sub, err := h.LibP2P().EventBus().Subscribe(new(event.EvtLocalReachabilityChanged))
		must(t, err)
		got := receive(t, sub.Out()).(event.EvtLocalReachabilityChanged).Reachability
		must(t, sub.Close())
		if got != want {
			t.Errorf("reachability %q is reported as %s", word, got)
		}
		for _, p := range h.LibP2P().Mux().Protocols() {
			if strings.Contains(string(p), "autonat/2") {
				t.Errorf("reachability %q is forced, yet %s is served", word, p)
			}
		}
	}
}

// A worker reaches its network through the saved peers when the bootstrap node
// is gone; a damaged file is a warning.
//
// spec 2.14 4.54
func TestSavedPeersReplaceTheBootstrapNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers.json")
	hosts := p2ptest.Loopback(t, 2)
	worker := func(c *p2p.Config) { c.PeersFile, c.MinPeers = file, 1 }
	first, err := newHost(t, func(c *p2p.Config) { worker(c); c.Bootstrap = hosts[1].Addrs() })
	must(t, err)
	stop := serveUntil(t, first)
	waitForRecord(t, first, hosts[1])
	stop()
	must(t, first.Close())
	second, err := newHost(t, worker)
	must(t, err)
	defer serveUntil(t, second)()
	waitReady(t, second)
	if top := second.Topology(); len(top) == 0 {
		t.Error("topology does not show the saved peers")
	}
}

// waitForRecord waits until h has processed the signed record of other: h handles
// events in order, so a third peer that comes later shows it.
func waitForRecord(t *testing.T, h, other *p2p.Host) {
	t.Helper()
	sub, err := h.LibP2P().EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	must(t, err)
	defer sub.Close()
	for e := (event.EvtPeerIdentificationCompleted{}); string(other.ID()) != e.Peer.String() || e.SignedPeerRecord == nil; {
		e = receive(t, sub.Out()).(event.EvtPeerIdentificationCompleted)
	}
	third, err := newHost(t, func(c *p2p.Config) { c.Identity = p2ptest.Identity(97) })
	must(t, err)
	seen := make(chan struct{})
	defer h.OnPeer(func(id core.NodeID, up bool) {
		if up && id == third.ID() {
			close(seen)
		}
	})()
	must(t, third.Connect(t.Context(), h.Addrs()[0]))
	receive(t, seen)
}

func TestDamagedPeersFileIsAWarning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers.json")
	must(t, os.WriteFile(file, []byte(`{"version":1,"peers":[{"id":"x","record":"AAAA"}]}`), 0o600))
	var log bytes.Buffer
	h, err := p2p.New(p2p.Config{Identity: p2ptest.Identity(99), Network: p2ptest.NetworkID, ListenIPs: []string{"127.0.0.1"},
		LANPort: p2p.Off, PeersFile: file}, prometheus.NewRegistry(), zerolog.New(&log))
	must(t, err)
	must(t, h.Close())
	must(t, h.Close()) // twice is once
	if !strings.Contains(log.String(), "saved peers are damaged") || !strings.Contains(log.String(), `"level":"warn"`) {
		t.Errorf("log: %s", log.String())
	}
}

func TestUnreachableBootstrapIsOneLine(t *testing.T) {
	var log syncBuffer
	c := p2p.Config{Identity: p2ptest.Identity(99), Network: p2ptest.NetworkID, ListenIPs: []string{"127.0.0.1"}, LANPort: p2p.Off, MinPeers: 1,
		Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + string(p2ptest.Identity(1).ID())}}
	h, err := p2p.New(c, nil, zerolog.New(&log))
	must(t, err)
	defer h.Close()
	stop := serveUntil(t, h)
	defer stop()
	eventually(t, func() bool { return strings.Contains(log.String(), "bootstrap peer cannot be reached") })
}

// syncBuffer is a bytes.Buffer that a logger may write while a test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serveUntil runs h until the returned function is called.
func serveUntil(t testing.TB, h *p2p.Host) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
	}
}

func waitReady(t testing.TB, h *p2p.Host) {
	t.Helper()
	eventually(t, func() bool { return h.Ready() == nil })
}

// eventually waits until cond holds: for what other goroutines and the kernel do
// in their own time.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatal("it did not come about in a minute")
		case <-tick.C:
		}
	}
}

// receive waits for a value or the closing of a channel.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing came in a minute")
		panic("unreachable")
	}
}
