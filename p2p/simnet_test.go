package p2p_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// Six hosts that know only the first find each other through the DHT, find who
// provides a key, and read a value.
//
// spec 0.21 2.13 2.14 2.16
func TestSimulatedDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := p2ptest.NewNetwork(t, 6)
		time.Sleep(10 * time.Second)
		ctx := t.Context()
		provider, seeker := nw.Hosts[2], nw.Hosts[5]
		if err := provider.Provide(ctx, "coord/us-east"); err != nil {
			t.Fatal(err)
		}
		if err := provider.PutValue(ctx, "coord/us-east", []byte("at your service")); err != nil {
			t.Fatal(err)
		}
		found, err := seeker.FindProviders(ctx, "coord/us-east", 3)
		if err != nil || !slices.Equal(found, []core.NodeID{provider.ID()}) {
			t.Fatalf("FindProviders = %v, %v; want the one provider", found, err)
		}
		value, err := seeker.GetValue(ctx, provider.ID(), "coord/us-east")
		if err != nil || string(value) != "at your service" {
			t.Fatalf("GetValue = %q, %v", value, err)
		}
		if err := seeker.ConnectPeer(ctx, provider.ID()); err != nil {
			t.Fatal(err)
		}
		if n := len(seeker.Topology()); n < 5 {
			t.Errorf("topology has %d of the 5 other nodes", n)
		}
	})
}

// spec 2.49
func TestSimulatedSessionSurvivesBrokenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := p2ptest.NewNetwork(t, 2)
		time.Sleep(5 * time.Second)
		const frames = 2000
		proto := p2p.ProtocolID(p2ptest.NetworkID, "test", "1.0.0")
		got := make(chan error, 1)
		nw.Hosts[0].HandleSessions(proto, func(s *p2p.Session) { got <- expect(t.Context(), s, frames) })
		s, err := nw.Hosts[1].OpenSession(t.Context(), nw.Hosts[0].ID(), proto)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		go func() {
			for i := range frames {
				if err := s.Send(t.Context(), []byte(fmt.Sprint(i))); err != nil {
					return // the receiver reports what is missing
				}
				time.Sleep(time.Millisecond)
			}
		}()
		for range 5 {
			time.Sleep(300 * time.Millisecond)
			p2ptest.Break(t, nw.Hosts[1], nw.Hosts[0])
		}
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if r := s.Stats().Resumes; r < 3 {
			t.Errorf("the session resumed %d times; the connection broke 5 times", r)
		}
	})
}

// A partition that is shorter than the resume window costs nothing; one that is
// longer ends the session on both sides.
//
// spec 2.49
func TestSimulatedPartition(t *testing.T) {
	for _, tc := range []struct {
		name string
		gap  time.Duration
		lost bool
	}{
		{"healed within the window", 50 * time.Second, false},
		{"longer than the window", 3 * time.Minute, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nw := p2ptest.NewNetwork(t, 2)
				time.Sleep(5 * time.Second)
				proto := p2p.ProtocolID(p2ptest.NetworkID, "test", "1.0.0")
				accepted := make(chan *p2p.Session, 1)
				nw.Hosts[0].HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
				s, err := nw.Hosts[1].OpenSession(t.Context(), nw.Hosts[0].ID(), proto)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				other := <-accepted
				nw.Cut(0, 1, true)
				if err := s.Send(t.Context(), []byte("sent into the dark")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tc.gap)
				nw.Cut(0, 1, false)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				frame, err := other.Recv(ctx)
				if tc.lost {
					if core.KindOf(err) != core.Unavailable {
						t.Errorf("accepting end: Recv = %q, %v; want unavailable", frame, err)
					}
					if _, err := s.Recv(ctx); core.KindOf(err) != core.Unavailable {
						t.Errorf("dialing end: Recv: %v; want unavailable", err)
					}
					return
				}
				if err != nil || string(frame) != "sent into the dark" {
					t.Errorf("Recv = %q, %v", frame, err)
				}
			})
		})
	}
}

// pinged measures the shortest of three round trips, also over a connection that
// a relay carries.
func pinged(t *testing.T, from *p2p.Host, to peer.ID) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(t.Context(), "test"), time.Minute)
	defer cancel()
	answers, best := ping.Ping(ctx, from.LibP2P(), to), time.Hour
	for range 3 {
		r := <-answers
		if r.Error != nil {
			t.Fatal(r.Error)
		}
		best = min(best, r.RTT)
	}
	return best
}

// Two workers that can reach each other do so directly, though both also know a
// way over a coordinator that relays: on a network where every hop takes 10 ms,
// 20 ms there and back instead of 40.
//
// spec 2.3 2.67
func TestSimulatedDirectPathIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := p2ptest.NewNetwork(t, 3, func(i int, c *p2p.Config) {
			if i > 0 {
				c.Class, c.DHTClient = core.Local, true
				return
			}
			c.Reachability = p2p.ReachabilityPublic
		})
		relay, one, other := nw.Hosts[0], nw.Hosts[1], nw.Hosts[2]
		nw.Cut(1, 2, true)
		time.Sleep(5 * time.Second)
		hop := peer.AddrInfo{ID: relay.LibP2P().ID(), Addrs: relay.LibP2P().Addrs()}
		if _, err := client.Reserve(t.Context(), other.LibP2P(), hop); err != nil {
			t.Fatal(err)
		}
		way, err := multiaddr.NewMultiaddr("/p2p/" + string(relay.ID()) + "/p2p-circuit")
		if err != nil {
			t.Fatal(err)
		}
		there := peer.AddrInfo{ID: other.LibP2P().ID(), Addrs: []multiaddr.Multiaddr{way}}
		if err := one.LibP2P().Connect(network.WithAllowLimitedConn(t.Context(), "test"), there); err != nil {
			t.Fatal(err)
		}
		routed := pinged(t, one, there.ID)
		nw.Cut(1, 2, false)
		if err := one.Connect(t.Context(), other.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		direct := pinged(t, one, there.ID)
		if routed < 40*time.Millisecond || direct > 25*time.Millisecond {
			t.Errorf("routed %s, direct %s", routed, direct)
		}
	})
}

// expect reads the numbers 0 to n-1 as text, in order, each once.
func expect(ctx context.Context, s *p2p.Session, n int) error {
	for i := range n {
		frame, err := s.Recv(ctx)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		if want := fmt.Sprint(i); string(frame) != want {
			return fmt.Errorf("frame %q came where %q was expected", frame, want)
		}
	}
	return nil
}

// A hundred nodes: four answer the DHT, the others only ask. Everybody is
// connected, finds a coordinator, and can reach it.
//
// spec 2.13
func TestSimulatedHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := p2ptest.NewNetwork(t, 100, func(i int, c *p2p.Config) {
			if i >= 4 {
				c.Class, c.DHTClient = core.Local, true
			}
		})
		time.Sleep(10 * time.Second)
		coordinator := nw.Hosts[3]
		if err := coordinator.Provide(t.Context(), "coord/us-east"); err != nil {
			t.Fatal(err)
		}
		for i, h := range nw.Hosts[4:] {
			start := time.Now()
			found, err := h.FindProviders(t.Context(), "coord/us-east", 1)
			if err != nil || !slices.Equal(found, []core.NodeID{coordinator.ID()}) {
				t.Fatalf("node %d: FindProviders = %v, %v", i+4, found, err)
			}
			if err := h.ConnectPeer(t.Context(), coordinator.ID()); err != nil {
				t.Fatalf("node %d: %v", i+4, err)
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("node %d took %s of simulated time", i+4, d)
			}
		}
	})
}
