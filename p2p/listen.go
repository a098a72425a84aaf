package p2p

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/tenzro/tenzro/core"
)

// listenAddrs returns what to bind. A busy port is found here, by binding it
// once without sharing: libp2p itself shares TCP ports between processes and
// carries on when one of several listeners fails, so it would start a node that
// nobody reaches.
func (r *resolved) listenAddrs() ([]ma.Multiaddr, error) {
	if r.Listen != nil {
		return parseListen(r.Listen)
	}
	ips := r.ListenIPs
	if len(ips) == 0 {
		ips = []string{"0.0.0.0", "::"}
	}
	var out []ma.Multiaddr
	for _, s := range ips {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, core.Errorf(core.Invalid, "p2p.listenIPs", "listen address %.40q is not an IP address", s)
		}
		addrs, err := r.listenOn(ip)
		if unsupported(err) && len(r.ListenIPs) == 0 && ip.Is6() {
			continue // a machine without IPv6
		}
		if err != nil {
			return nil, err
		}
		out = append(out, addrs...)
	}
	return out, nil
}

func parseListen(list []string) ([]ma.Multiaddr, error) {
	out := make([]ma.Multiaddr, 0, len(list))
	for _, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, core.Errorf(core.Invalid, "p2p.listen", "listen address %.120q is not a multiaddr: %w", s, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (r *resolved) listenOn(ip netip.Addr) ([]ma.Multiaddr, error) {
	if err := probeTCP(ip, r.Port, "p2p.port"); err != nil {
		return nil, err
	}
	if err := probeUDP(ip, r.Port); err != nil {
		return nil, err
	}
	family := "ip4"
	if ip.Is6() {
		family = "ip6"
	}
	texts := []string{
		fmt.Sprintf("/%s/%s/tcp/%d", family, ip, r.Port),
		fmt.Sprintf("/%s/%s/udp/%d/quic-v1", family, ip, r.Port),
	}
	if r.WSPort != Off {
		if err := probeTCP(ip, r.WSPort, "p2p.wsPort"); err != nil {
			return nil, err
		}
		texts = append(texts, fmt.Sprintf("/%s/%s/tcp/%d/ws", family, ip, r.WSPort))
	}
	return parseListen(texts)
}

func probeTCP(ip netip.Addr, port int, field string) error {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	if err != nil {
		return busyPort(field, "tcp", ip, port, err)
	}
	return l.Close()
}

func probeUDP(ip netip.Addr, port int) error {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	if err != nil {
		return busyPort("p2p.port", "udp", ip, port, err)
	}
	return c.Close()
}

func busyPort(field, proto string, ip netip.Addr, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return core.Errorf(core.Conflict, field, "port %d/%s on %s is already in use", port, proto, ip).
			WithHint("stop the program that uses it (ss -lnp shows it) or choose another port; 0 takes any free one")
	}
	return core.Errorf(core.Unavailable, field, "cannot listen on %s port %d/%s: %w", ip, port, proto, err)
}

func unsupported(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// checkListening fails when the host listens on fewer addresses than it was told
// to: the port was taken between the probe and now.
func checkListening(h host.Host, want []ma.Multiaddr) error {
	open := slices.DeleteFunc(h.Network().ListenAddresses(), func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(ma.P_CIRCUIT) // relays are no listeners of ours
		return err == nil
	})
	if got := len(open); got < len(want) {
		return core.Errorf(core.Conflict, "p2p.listen", "only %d of %d listeners could be opened (%v)", got, len(want), want).
			WithHint("another program took one of the ports; choose others or 0 for any free one")
	}
	return nil
}

func allLoopback(addrs []ma.Multiaddr) bool {
	for _, a := range addrs {
		if !manet.IsIPLoopback(a) {
			return false
		}
	}
	return len(addrs) > 0
}

func hasPublicInterface() bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !privateIP(p.Addr()) {
			return true
		}
	}
	return false
}
