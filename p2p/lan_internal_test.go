package p2p

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/keys"
)

// quiet returns a host whose local discovery is fed by hand: it is not served.
func quiet(t *testing.T) *lan {
	t.Helper()
	h, err := New(Config{Identity: keys.FromSeed([32]byte{42}), Network: "testnet", ListenIPs: []string{"127.0.0.1"}, WSPort: Off,
		Announce: func() []string { return []string{"compute"} }}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h.lan
}

var stranger = netip.MustParseAddrPort("127.0.0.1:40000")

// knock is a PING that a neighbour with a seed would send from loopback.
func knock(t *testing.T, l *lan, seed byte, addrs ...string) lanMessage {
	rec, node := testRecord(t, seed, addrs...)
	return lanMessage{Type: lanPing, Node: node, Network: l.network, Time: time.Now().UnixMilli(), Token: [lanToken]byte{1}, Records: [][]byte{rec}}
}

// What a PING has to be to make its sender a neighbour.
//
// spec 4.15
func TestPingIsJudged(t *testing.T) {
	const local = "/ip4/127.0.0.1/tcp/9334"
	for _, tc := range []struct {
		name string
		from netip.AddrPort
		edit func(m *lanMessage)
		addr string
		want bool
	}{
		{"honest", stranger, func(*lanMessage) {}, local, true},
		{"from another network's address", netip.MustParseAddrPort("5.6.7.8:9333"), func(*lanMessage) {}, local, false},
		{"from a private network we are not on", netip.MustParseAddrPort("10.99.88.77:9333"), func(*lanMessage) {}, local, false},
		{"of another tenzro network", stranger, func(m *lanMessage) { m.Network[0]++ }, local, false},
		{"two minutes old", stranger, func(m *lanMessage) { m.Time -= 120_000 }, local, false},
		{"two minutes ahead", stranger, func(m *lanMessage) { m.Time += 120_000 }, local, false},
		{"id of somebody else", stranger, func(m *lanMessage) { m.Node[0]++ }, local, false},
		{"record changed", stranger, func(m *lanMessage) { m.Records[0][len(m.Records[0])-1]++ }, local, false},
		{"record points at the internet", stranger, func(*lanMessage) {}, "/ip4/5.6.7.8/tcp/9334", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := quiet(t)
			m := knock(t, l, 7, tc.addr)
			tc.edit(&m)
			l.receive(m.encode(), tc.from)
			if got := len(l.peers()) == 1; got != tc.want {
				t.Errorf("became a neighbour: %v; want %v", got, tc.want)
			}
		})
	}
}

// PEERS and HELLO are answered only to who received our cookie where it claims
// to be; a PONG must answer a PING of ours.
//
// spec 4.17 4.18
func TestCookies(t *testing.T) {
	l := quiet(t)
	m := knock(t, l, 7, "/ip4/127.0.0.1/tcp/9334")
	good := l.cookie(stranger, m.Node, time.Now())
	elsewhere := netip.MustParseAddrPort("127.0.0.1:40001")
	for _, tc := range []struct {
		name  string
		from  netip.AddrPort
		token [lanToken]byte
		want  bool
	}{
		{"the cookie it was given", stranger, good, true},
		{"the one of the last epoch", stranger, l.cookie(stranger, m.Node, time.Now().Add(-cookieEpoch)), true},
		{"an old one", stranger, l.cookie(stranger, m.Node, time.Now().Add(-2*cookieEpoch)), false},
		{"none", stranger, [lanToken]byte{}, false},
		{"from another port", elsewhere, good, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ask := m
			ask.Token = tc.token
			if got := l.onPeers(ask, tc.from); got != tc.want {
				t.Errorf("PEERS accepted: %v; want %v", got, tc.want)
			}
			ask.Answer = true
			if got := l.onHello(ask, tc.from, l.localFor(tc.from.Addr())); got != tc.want {
				t.Errorf("HELLO accepted: %v; want %v", got, tc.want)
			}
			if l.onPong(ask, tc.from, l.localFor(tc.from.Addr())) {
				t.Error("PONG without a PING accepted")
			}
		})
	}
}

func TestLANFloodsAreBounded(t *testing.T) {
	l := quiet(t)
	one := 0
	for range 1000 {
		if l.allow(stranger) {
			one++
		}
	}
	if one > sourceBurst+1 {
		t.Errorf("one source got %d of 1000 datagrams through; its burst is %d", one, sourceBurst)
	}
	all := 0
	for i := range 5000 {
		if l.allow(netip.AddrPortFrom(stranger.Addr(), uint16(1000+i))) {
			all++
		}
	}
	if all > totalBurst+5 {
		t.Errorf("5000 sources got %d datagrams through; the burst is %d", all, totalBurst)
	}
	if n := l.sources.Len(); n > maxSources {
		t.Errorf("%d token buckets are kept; the bound is %d", n, maxSources)
	}
}

func TestNeighboursAreBoundedAndForgotten(t *testing.T) {
	l := quiet(t)
	for i := range 300 {
		l.neighbours.Add([keys.LANIDSize]byte{byte(i), byte(i >> 8)}, &neighbour{seen: time.Now().Add(-lanForget - time.Second)})
	}
	if n := l.neighbours.Len(); n != maxNeighbours {
		t.Errorf("%d neighbours are kept; the bound is %d", n, maxNeighbours)
	}
	if n := len(l.present()); n != 0 || l.neighbours.Len() != 0 {
		t.Errorf("%d silent neighbours are still present", n)
	}
}

// spec 4.13 4.19
func TestAnnouncementSchedule(t *testing.T) {
	if lanInterval != 30*time.Second || lanForget != 90*time.Second {
		t.Errorf("re-ping every %s, forgotten after %s; documented are 30 s and three missed", lanInterval, lanForget)
	}
	var waits []time.Duration
	for round := range 40 {
		waits = append(waits, announcePause(round))
	}
	if waits[0] != time.Second || waits[1] != 2*time.Second {
		t.Errorf("the first pauses are %s and %s; want 1 s and 2 s", waits[0], waits[1])
	}
	for _, w := range waits[2:] {
		if w < 24*time.Second || w > 36*time.Second {
			t.Errorf("a pause of %s; want 30 s give or take a fifth", w)
		}
	}
}

// A quiet neighbour is pinged directly, at the port it speaks from.
//
// spec 4.13
func TestQuietNeighboursArePingedDirectly(t *testing.T) {
	l, other := quiet(t), quiet(t)
	m := knock(t, l, 7, "/ip4/127.0.0.1/tcp/9334")
	at := netip.AddrPortFrom(stranger.Addr(), other.sockets.ownPort)
	if _, ok := l.meet(m, at); !ok {
		t.Fatal("not met")
	}
	n, _ := l.neighbours.Get(m.Node)
	n.seen = time.Now().Add(-lanInterval)
	if err := l.ping(); err != nil {
		t.Fatal(err)
	}
	if err := other.sockets.own.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, lanMaxFrame)
	size, from, err := other.sockets.own.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeLAN(buf[:size]); err != nil || got.Type != lanPing || from.Port() != l.sockets.ownPort {
		t.Errorf("got %+v from %s, %v", got, from, err)
	}
}

func TestBroadcastOf(t *testing.T) {
	for prefix, want := range map[string]string{"127.0.0.1/8": "127.255.255.255", "192.168.1.7/24": "192.168.1.255", "10.1.2.3/30": "10.1.2.3"} {
		if got := broadcastOf(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("broadcast of %s is %s; want %s", prefix, got, want)
		}
	}
}
