package p2p_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// A request that ends, and an answer that follows, on a raw stream: two local
// nodes talk to each other with nobody and no HTTP between them.
//
// spec 2.2 2.3 2.6 4.1
func TestRawStream(t *testing.T) {
	hosts := p2ptest.Loopback(t, 2, tcpOnly)
	hosts[0].HandleStream(proto, func(_ context.Context, from core.NodeID, s p2p.Stream) {
		request, err := io.ReadAll(s)
		if err == nil {
			_, _ = s.Write([]byte(string(request) + " from " + string(from))) // the client misses it
		}
	})
	must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
	s, err := hosts[1].OpenStream(t.Context(), hosts[0].ID(), proto)
	must(t, err)
	defer s.Close()
	_, err = s.Write([]byte("greetings"))
	must(t, err)
	must(t, s.CloseWrite())
	answer, err := io.ReadAll(s)
	if err != nil || string(answer) != "greetings from "+string(hosts[1].ID()) {
		t.Errorf("answer %q, %v", answer, err)
	}
	hosts[0].RemoveHandler(proto)
}

func TestStreamToNobody(t *testing.T) {
	h := p2ptest.Loopback(t, 1)[0]
	if _, err := h.OpenStream(t.Context(), p2ptest.Identity(70).ID(), proto); core.KindOf(err) != core.Unavailable {
		t.Errorf("OpenStream to an unknown peer: %v; want unavailable", err)
	}
	if _, err := h.OpenStream(t.Context(), "nonsense", proto); core.KindOf(err) != core.Invalid {
		t.Errorf("OpenStream to a malformed id: %v; want invalid", err)
	}
}

// Coordinators and gateways that are reachable relay for others; workers do not.
func TestRelayServiceByClass(t *testing.T) {
	for class, want := range map[core.NodeType]bool{core.Local: false, core.Regional: true, core.Global: true} {
		h, err := newHost(t, func(c *p2p.Config) {
			c.Class, c.Reachability, c.DHTMode = class, p2p.ReachabilityPublic, p2p.DHTPublic
		})
		must(t, err)
		const hop = "/libp2p/circuit/relay/0.2.0/hop"
		serves := func() bool {
			for _, p := range h.LibP2P().Mux().Protocols() {
				if string(p) == hop {
					return true
				}
			}
			return false
		}
		if want {
			eventually(t, serves)
		} else if serves() {
			t.Errorf("a %s node serves as a relay", class)
		}
	}
}

// On the internet there are two tables, both of this network's prefix.
//
// spec 2.13
func TestDHTProtocolsCarryTheNetwork(t *testing.T) {
	for _, tc := range []struct {
		mode p2p.DHTMode
		want []string
	}{
		{p2p.DHTLAN, []string{"/tenzro/test/kad/1.0.0"}},
		{p2p.DHTPublic, []string{"/tenzro/test/kad/1.0.0", "/tenzro/test/lan/kad/1.0.0"}},
	} {
		h, err := newHost(t, func(c *p2p.Config) { c.DHTMode, c.Reachability = tc.mode, p2p.ReachabilityPublic })
		must(t, err)
		var got []string
		for _, p := range h.LibP2P().Mux().Protocols() {
			if strings.Contains(string(p), "kad") {
				got = append(got, string(p))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("mode %s serves %v; want %v", tc.mode, got, tc.want)
		}
	}
}

// A key that is provided before anybody is there is known once somebody comes,
// and in the public mode too.
//
// spec 0.21 2.13
func TestProvideBeforeAnybodyIsThere(t *testing.T) {
	for _, mode := range []p2p.DHTMode{p2p.DHTLAN, p2p.DHTPublic} {
		t.Run(string(mode), func(t *testing.T) {
			hosts := p2ptest.Loopback(t, 2, func(_ int, c *p2p.Config) { c.DHTMode, c.Bootstrap = mode, nil })
			if err := hosts[0].Provide(t.Context(), "coord/us-east"); core.KindOf(err) != core.Unavailable {
				t.Fatalf("Provide alone: %v; want unavailable", err)
			}
			if err := hosts[0].PutValue(t.Context(), "hello", []byte("world")); core.KindOf(err) != core.Unavailable {
				t.Fatalf("PutValue alone: %v; want unavailable", err)
			}
			must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
			eventually(t, func() bool {
				found, err := hosts[1].FindProviders(t.Context(), "coord/us-east", 1)
				return err == nil && slices.Equal(found, []core.NodeID{hosts[0].ID()})
			})
			eventually(t, func() bool {
				value, err := hosts[1].GetValue(t.Context(), hosts[0].ID(), "hello")
				return err == nil && string(value) == "world"
			})
			hosts[0].Unprovide("coord/us-east")
			hosts[0].RemoveValue("hello")
			if _, err := hosts[1].GetValue(t.Context(), hosts[1].ID(), "hello"); core.KindOf(err) != core.NotFound {
				t.Errorf("GetValue of what nobody put: %v; want not found", err)
			}
			if err := hosts[1].PutValue(t.Context(), "big", make([]byte, p2p.MaxValue+1)); core.KindOf(err) != core.Invalid {
				t.Errorf("PutValue of too much: %v; want invalid", err)
			}
		})
	}
}

// Multicast DNS finds a node of the same network where the machine has it.
//
// spec 4.54
func TestMDNS(t *testing.T) {
	if !hasMulticast(t) {
		t.Skip("no interface with multicast is up")
	}
	hosts := p2ptest.Loopback(t, 2, func(_ int, c *p2p.Config) {
		c.MDNS, c.Bootstrap = true, nil
		c.ListenIPs = nil
		c.DHTMode = p2p.DHTLAN
	})
	eventually(t, func() bool { return len(hosts[0].Peers()) == 1 && len(hosts[1].Peers()) == 1 })
}

func hasMulticast(t *testing.T) bool {
	interfaces, err := net.Interfaces()
	must(t, err)
	return slices.ContainsFunc(interfaces, func(i net.Interface) bool {
		const need = net.FlagUp | net.FlagMulticast
		return i.Flags&need == need && i.Flags&net.FlagLoopback == 0
	})
}
