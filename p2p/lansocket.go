package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sys/unix"

	"github.com/tenzro/tenzro/core"
)

// lanSockets are the shared port that hears broadcasts and the own port that
// speaks.
type lanSockets struct {
	shared, own *net.UDPConn
	port        int // of shared
	ownPort     uint16
}

func openLANSockets(port int, loopback bool) (*lanSockets, error) {
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctl := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		return errors.Join(ctl, err)
	}}
	any := netip.IPv4Unspecified()
	conn, err := share.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(any, uint16(port)).String())
	if err != nil {
		return nil, busyPort("p2p.lanPort", "udp", any, port, err)
	}
	if loopback {
		any = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	own, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(any, 0)))
	if err != nil {
		return nil, errors.Join(busyPort("p2p.lanPort", "udp", any, 0, err), conn.Close())
	}
	s := &lanSockets{shared: conn.(*net.UDPConn), own: own}
	s.port = s.shared.LocalAddr().(*net.UDPAddr).Port
	s.ownPort = uint16(own.LocalAddr().(*net.UDPAddr).Port)
	return s, nil
}

func (s *lanSockets) close() error { return errors.Join(s.shared.Close(), s.own.Close()) }

// unblock lets reads block until ctx ends.
func (s *lanSockets) unblock(ctx context.Context) {
	for _, c := range []*net.UDPConn{s.shared, s.own} {
		_ = c.SetReadDeadline(time.Time{}) // fails on a closed socket, where reads fail too
		context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	}
}

func (s *lanSockets) read(ctx context.Context, c *net.UDPConn, handle func([]byte, netip.AddrPort)) error {
	buf := make([]byte, lanMaxFrame+1) // one more shows what is too long
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, net.ErrClosed) {
			return core.Errorf(core.Unavailable, "p2p.lan", "local discovery: %w", err)
		}
		if err == nil {
			handle(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		}
	}
}

func (s *lanSockets) write(b []byte, to netip.AddrPort) error {
	_, err := s.own.WriteToUDPAddrPort(b, to)
	return err
}

// localLinks returns our private IPv4 addresses with their networks, of
// interfaces that are up; only loopback when nothing else is listened on.
func localLinks(loopback bool) []netip.Prefix {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || loopback && i.Flags&net.FlagLoopback == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() && privateIP(p.Addr()) && p.Bits() < 31 {
				out = append(out, p)
			}
		}
	}
	return out
}

// broadcastOf returns the last address of a network.
func broadcastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	host := uint32(1)<<(32-p.Bits()) - 1
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])|host)))
}

// addrIP returns the IP address at the start of a multiaddr.
func addrIP(a ma.Multiaddr) (netip.Addr, bool) {
	first, _ := ma.SplitFirst(a)
	if first == nil || first.Protocol().Code != ma.P_IP4 {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(first.RawValue())
	return ip, ok
}

// lanRecord returns a signed peer record with our TCP and QUIC addresses at a
// local address, small enough for any frame.
func (h *Host) lanRecord(local netip.Addr) ([]byte, error) {
	all, err := h.host.Network().InterfaceListenAddresses()
	if err != nil {
		return nil, core.Errorf(core.Internal, "lan", "listing our addresses: %w", err)
	}
	rec := peer.NewPeerRecord()
	rec.PeerID = h.cfg.self
	for _, a := range all {
		if ip, ok := addrIP(a); ok && ip == local && !isWebSocket(a) {
			rec.Addrs = append(rec.Addrs, a)
		}
	}
	if len(rec.Addrs) == 0 {
		return nil, core.Errorf(core.NotFound, "lan", "nothing listens on %s", local)
	}
	env, err := record.Seal(rec, h.host.Peerstore().PrivKey(h.cfg.self))
	if err != nil {
		return nil, core.Errorf(core.Internal, "lan", "signing our peer record: %w", err)
	}
	return env.Marshal()
}

func isWebSocket(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_WS)
	return err == nil
}
