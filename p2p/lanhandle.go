package p2p

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// handle acts on a message whose frame is in order, and reports whether what it
// proves holds.
func (l *lan) handle(m lanMessage, from netip.AddrPort, local netip.Addr) bool {
	switch m.Type {
	case lanPing:
		return l.onPing(m, from, local)
	case lanPong:
		return l.onPong(m, from, local)
	case lanPeers:
		return l.onPeers(m, from)
	case lanPeersAck:
		return l.onPeersAck(m, from)
	}
	return l.onHello(m, from, local)
}

func (l *lan) onPing(m lanMessage, from netip.AddrPort, local netip.Addr) bool {
	if _, ok := l.meet(m, from); !ok {
		return false
	}
	answer, ok := l.introduce(lanPong, local, m.Token)
	if !ok {
		return true
	}
	answer.Cookie = l.cookie(from, m.Node, time.Now())
	answer.Words = l.words()
	for len(answer.Words) > 0 && len(answer.encode()) > lanPingSize {
		answer.Words = answer.Words[:len(answer.Words)-1]
	}
	if len(answer.encode()) <= lanPingSize {
		l.send(answer, from)
	}
	return true
}

func (l *lan) onPong(m lanMessage, from netip.AddrPort, local netip.Addr) bool {
	l.mu.Lock()
	fresh := m.Token != [lanToken]byte{} && (m.Token == l.nonces[0] || m.Token == l.nonces[1])
	l.mu.Unlock()
	if !fresh {
		return false
	}
	n, ok := l.meet(m, from)
	if !ok {
		return false
	}
	n.cookie, n.words = m.Cookie, m.Words
	greet := time.Since(n.greeted) > lanForget
	if greet {
		n.greeted = time.Now()
	}
	l.neighbours.Add(m.Node, n)
	l.h.offer(n.info)
	if greet {
		l.greet(m, from, local)
	}
	return true
}

// greet asks a neighbour whom it knows, and tells it that we are here to stay.
func (l *lan) greet(m lanMessage, from netip.AddrPort, local netip.Addr) {
	ask := l.message(lanPeers, m.Cookie)
	ask.Want = maxShared
	l.send(ask, from)
	if hello, ok := l.introduce(lanHello, local, m.Cookie); ok {
		hello.Answer, hello.Words = true, l.words()
		l.send(hello, from)
	}
}

func (l *lan) onPeers(m lanMessage, from netip.AddrPort) bool {
	if !l.validCookie(m.Token, from, m.Node) {
		return false
	}
	answer := l.message(lanPeersAck, m.Token)
	size := len(answer.encode())
	for _, n := range l.present() {
		id, err := keys.LANID(nodeID(n.info.ID))
		if err != nil || id == m.Node || len(answer.Records) >= int(min(m.Want, maxShared)) {
			continue
		}
		if size += 2 + len(n.record); size > lanMaxFrame {
			break
		}
		answer.Records = append(answer.Records, n.record)
	}
	l.send(answer, from)
	return true
}

func (l *lan) onPeersAck(m lanMessage, from netip.AddrPort) bool {
	if !l.answers(m, from) {
		return false
	}
	for _, rec := range m.Records {
		if info, err := l.open(rec, from); err == nil && info.ID != l.h.cfg.self {
			l.h.offer(info)
		}
	}
	return true
}

func (l *lan) onHello(m lanMessage, from netip.AddrPort, local netip.Addr) bool {
	if m.Answer && !l.validCookie(m.Token, from, m.Node) || !m.Answer && !l.answers(m, from) {
		return false
	}
	n, ok := l.meet(m, from)
	if !ok {
		return false
	}
	n.words = m.Words
	l.neighbours.Add(m.Node, n)
	if !m.Answer {
		return true
	}
	if hello, ok := l.introduce(lanHello, local, m.Token); ok {
		hello.Words = l.words()
		l.send(hello, from)
	}
	return true
}

// answers reports whether m shows the cookie that its sender gave us.
func (l *lan) answers(m lanMessage, from netip.AddrPort) bool {
	n, ok := l.neighbours.Get(m.Node)
	return ok && n.addr == from && n.cookie != [lanToken]byte{} && subtle.ConstantTimeCompare(n.cookie[:], m.Token[:]) == 1
}

// meet checks the sender's record and remembers the sender. The entry it returns
// is a copy, not shared yet.
func (l *lan) meet(m lanMessage, from netip.AddrPort) (*neighbour, bool) {
	info, err := l.open(m.Records[0], from)
	if err != nil {
		return nil, false
	}
	if id, err := keys.LANID(nodeID(info.ID)); err != nil || id != m.Node {
		return nil, false
	}
	now := time.Now()
	var n neighbour
	if old, ok := l.neighbours.Get(m.Node); ok {
		n = *old
	}
	if n.addr != from {
		n.cookie, n.greeted = [lanToken]byte{}, time.Time{}
	}
	n.addr, n.record, n.info, n.seen = from, append([]byte(nil), m.Records[0]...), info, now
	kept := n
	l.neighbours.Add(m.Node, &kept)
	return &n, true
}

// open checks a record's signature and keeps of its addresses those on the
// network it came from: a record must not make this LAN dial somebody else.
func (l *lan) open(signed []byte, from netip.AddrPort) (peer.AddrInfo, error) {
	info, err := openPeerRecord(signed)
	if err != nil {
		return info, err
	}
	local := l.localFor(from.Addr())
	var kept peer.AddrInfo
	for _, a := range info.Addrs {
		if ip, ok := addrIP(a); ok && local.IsValid() && l.localFor(ip) == local {
			kept.Addrs = append(kept.Addrs, a)
		}
	}
	if len(kept.Addrs) == 0 {
		return kept, core.Errorf(core.Denied, "lan", "record of %s has no address on this network", info.ID)
	}
	kept.ID = info.ID
	return kept, nil
}

// cookie proves, when it comes back, that its bearer receives at from.
func (l *lan) cookie(from netip.AddrPort, node [keys.LANIDSize]byte, now time.Time) [lanToken]byte {
	mac := hmac.New(sha256.New, l.secret[:])
	addr, _ := from.MarshalBinary() // cannot fail
	epoch := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/int64(cookieEpoch/time.Second)))
	for _, part := range [][]byte{epoch, node[:], addr} {
		mac.Write(part)
	}
	return [lanToken]byte(mac.Sum(nil))
}

func (l *lan) validCookie(got [lanToken]byte, from netip.AddrPort, node [keys.LANIDSize]byte) bool {
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(-cookieEpoch)} {
		want := l.cookie(from, node, at)
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return true
		}
	}
	return false
}
