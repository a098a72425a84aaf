package p2p_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// A port in use is one error that names the port and what to do.
//
// spec 4.68 4.69
func TestBusyPort(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer udp.Close()
	lan, err := net.ListenPacket("udp", "0.0.0.0:0")
	must(t, err)
	defer lan.Close()
	for _, tc := range []struct {
		name string
		busy net.Addr
		edit func(c *p2p.Config, port int)
	}{
		{"tcp", tcp.Addr(), func(c *p2p.Config, port int) { c.Port = port }},
		{"quic", udp.LocalAddr(), func(c *p2p.Config, port int) { c.Port = port }},
		{"websocket", tcp.Addr(), func(c *p2p.Config, port int) { c.WSPort = port }},
		{"local discovery", lan.LocalAddr(), func(c *p2p.Config, port int) { c.LANPort = port }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			port := portOf(tc.busy)
			_, err := newHost(t, func(c *p2p.Config) { tc.edit(c, port) })
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Conflict || e.Hint == "" || !strings.Contains(e.Error(), fmt.Sprint(port)) {
				t.Fatalf("New: %v; want a conflict that names port %d and a hint", err, port)
			}
		})
	}
}

// A host of ours shares nothing with a second one on the same port.
func TestTwoHostsOnOnePort(t *testing.T) {
	a, err := newHost(t, func(c *p2p.Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0"} })
	must(t, err)
	var port int
	_, err = fmt.Sscanf(a.Addrs()[0], "/ip4/127.0.0.1/tcp/%d", &port)
	must(t, err)
	if _, err := newHost(t, func(c *p2p.Config) { c.Identity, c.Port = p2ptest.Identity(98), port }); core.KindOf(err) != core.Conflict {
		t.Fatalf("New on the port of another host: %v; want conflict", err)
	}
}

func portOf(a net.Addr) int {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.Port
	case *net.UDPAddr:
		return a.Port
	}
	return 0
}

// spec 4.68 4.69
func TestDocumentedPortsAndOverrides(t *testing.T) {
	if p2p.DefaultPort != 9334 || p2p.DefaultLANPort != 9333 {
		t.Errorf("defaults are %d and %d; documented are 9334 and 9333", p2p.DefaultPort, p2p.DefaultLANPort)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := portOf(free.Addr())
	must(t, free.Close())
	h, err := newHost(t, func(c *p2p.Config) { c.Port, c.WSPort = port, 0 })
	must(t, err)
	all := strings.Join(h.Addrs(), " ")
	for _, want := range []string{fmt.Sprintf("/tcp/%d/p2p/", port), fmt.Sprintf("/udp/%d/quic-v1/p2p/", port), "/ws/p2p/"} {
		if !strings.Contains(all, want) {
			t.Errorf("addresses %s lack %s", all, want)
		}
	}
}

func TestInvalidConfigurationNamesTheField(t *testing.T) {
	for _, tc := range []struct {
		name, field string
		edit        func(*p2p.Config)
	}{
		{"no identity", "p2p.identity", func(c *p2p.Config) { c.Identity = nil }},
		{"network with a slash", "network", func(c *p2p.Config) { c.Network = "a/b" }},
		{"port too large", "p2p.port", func(c *p2p.Config) { c.Port = 70000 }},
		{"port below zero", "p2p.port", func(c *p2p.Config) { c.Port = -1 }},
		{"one port twice", "p2p.wsPort", func(c *p2p.Config) { c.Port, c.WSPort = 9334, 9334 }},
		{"bootstrap without id", "bootstrap", func(c *p2p.Config) { c.Bootstrap = []string{"/ip4/1.2.3.4/tcp/1"} }},
		{"bootstrap is a URL", "bootstrap", func(c *p2p.Config) { c.Bootstrap = []string{"http://example.org"} }},
		{"unknown handshake", "p2p.security", func(c *p2p.Config) { c.Security = []p2p.Security{"rot13"} }},
		{"no handshake", "p2p.security", func(c *p2p.Config) { c.Security = []p2p.Security{} }},
		{"unknown reachability", "p2p.reachability", func(c *p2p.Config) { c.Reachability = "maybe" }},
		{"unknown DHT mode", "p2p.dhtMode", func(c *p2p.Config) { c.DHTMode = "mesh" }},
		{"address is no IP", "p2p.listenIPs", func(c *p2p.Config) { c.ListenIPs = []string{"localhost"} }},
		{"negative minimum", "p2p.minPeers", func(c *p2p.Config) { c.MinPeers = -1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newHost(t, tc.edit)
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != tc.field {
				t.Fatalf("New: %v; want invalid %s", err, tc.field)
			}
		})
	}
}

// libp2p's own metrics come out beside ours, and a second host on the same
// registry does not fail.
func TestMetricsAreRegistered(t *testing.T) {
	reg := prometheus.NewRegistry()
	for i := range 2 {
		h, err := p2p.New(p2p.Config{Identity: p2ptest.Identity(i), Network: p2ptest.NetworkID, ListenIPs: []string{"127.0.0.1"}, LANPort: p2p.Off}, reg, zerolog.Nop())
		must(t, err)
		defer h.Close()
	}
	families, err := reg.Gather()
	must(t, err)
	seen := map[string]bool{}
	for _, f := range families {
		seen[strings.SplitN(f.GetName(), "_", 2)[0]] = true
	}
	if !seen["libp2p"] || !seen["tenzro"] {
		t.Errorf("metric families by prefix: %v", seen)
	}
}
