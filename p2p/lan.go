package p2p

import (
	"context"
	"crypto/rand"
	mrand "math/rand/v2"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

const (
	lanInterval   = 30 * time.Second    // between announcements, give or take a fifth
	lanForget     = 3 * lanInterval     // a neighbour that is silent for so long is gone
	lanWindow     = time.Minute         // older or newer datagrams are refused
	cookieEpoch   = 2 * time.Minute     // a cookie is good for one to two of these
	maxNeighbours = 256                 // remembered; more on one LAN still find the DHT
	maxSources    = 1024                // token buckets kept
	sourceRate    = 5                   // datagrams per second from one source
	sourceBurst   = 20                  // a first contact takes about six
	totalRate     = 50                  // datagrams per second from everybody
	totalBurst    = 100                 // a signature costs 50 us: 5 ms
	repingQuiet   = lanInterval * 2 / 3 // neighbours quieter than this are pinged directly
)

// lan finds nodes of this network on the local one. It yields addresses and
// capability words only; who somebody is the handshake of a connection decides.
//
// It has two sockets: the port that everybody knows, shared with other nodes of
// this machine, hears broadcasts; its own port speaks, so that answers come back
// to it and not to a neighbour on the same machine.
type lan struct {
	h       *Host
	self    [keys.LANIDSize]byte
	network [8]byte
	sockets *lanSockets
	secret  [32]byte // signs cookies

	neighbours *lru.Cache[[keys.LANIDSize]byte, *neighbour]
	sources    *lru.Cache[netip.AddrPort, *rate.Limiter]
	total      *rate.Limiter

	mu     sync.Mutex
	nonces [2][lanToken]byte // of this round and the one before
	links  []netip.Prefix    // our addresses on the networks we are on
}

// neighbour is a node heard on the LAN.
type neighbour struct {
	addr    netip.AddrPort // of its own port
	record  []byte
	info    peer.AddrInfo
	words   []string
	cookie  [lanToken]byte // what it wants to see; zero if it never gave one
	seen    time.Time
	greeted time.Time // when we last sent it PEERS and HELLO
}

func newLAN(h *Host) (*lan, error) {
	self, err := keys.LANID(h.ID())
	if err != nil {
		return nil, err
	}
	sources, err := lru.New[netip.AddrPort, *rate.Limiter](maxSources)
	if err != nil {
		return nil, core.Errorf(core.Internal, "p2p.lan", "building rate limits: %w", err)
	}
	neighbours, err := lru.New[[keys.LANIDSize]byte, *neighbour](maxNeighbours)
	if err != nil {
		return nil, core.Errorf(core.Internal, "p2p.lan", "building the table of neighbours: %w", err)
	}
	l := &lan{h: h, self: self, network: networkTag(h.cfg.Network), sources: sources, neighbours: neighbours,
		total: rate.NewLimiter(totalRate, totalBurst), links: localLinks(h.cfg.loopback)}
	if _, err := rand.Read(l.secret[:]); err != nil {
		return nil, core.Errorf(core.Internal, "p2p.lan", "drawing a secret: %w", err)
	}
	l.sockets, err = openLANSockets(h.cfg.LANPort, h.cfg.loopback)
	return l, err
}

// LANPort returns the UDP port of local discovery, Off when it is off.
func (h *Host) LANPort() int {
	if h.lan == nil {
		return Off
	}
	return h.lan.sockets.port
}

// serve announces this node and answers others.
func (l *lan) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	l.sockets.unblock(ctx)
	g.Go(func() error { return l.sockets.read(ctx, l.sockets.shared, l.receive) })
	g.Go(func() error { return l.sockets.read(ctx, l.sockets.own, l.receive) })
	g.Go(func() error { return l.announce(ctx) })
	return g.Wait()
}

func (l *lan) close() error {
	if l.sockets == nil {
		return nil
	}
	return l.sockets.close()
}

// announce broadcasts at 0, 1 and 3 seconds, then every 30 give or take a fifth.
func (l *lan) announce(ctx context.Context) error {
	for round := 0; ; round++ {
		if err := l.ping(); err != nil {
			return err
		}
		timer := time.NewTimer(announcePause(round))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func announcePause(round int) time.Duration {
	if round < 2 {
		return time.Duration(round+1) * time.Second
	}
	return lanInterval + time.Duration((mrand.Float64()-0.5)*0.4*float64(lanInterval))
}

// ping starts a round: a broadcast on every network, and a datagram to each
// neighbour that has become quiet.
func (l *lan) ping() error {
	nonce, err := l.startRound()
	if err != nil {
		return err
	}
	for _, link := range l.onLinks() {
		if msg, ok := l.introduce(lanPing, link.Addr(), nonce); ok {
			l.send(msg, netip.AddrPortFrom(broadcastOf(link), uint16(l.sockets.port)))
		}
	}
	for _, n := range l.present() {
		if time.Since(n.seen) < repingQuiet {
			continue
		}
		if msg, ok := l.introduce(lanPing, l.localFor(n.addr.Addr()), nonce); ok {
			l.send(msg, n.addr)
		}
	}
	return nil
}

func (l *lan) startRound() (nonce [lanToken]byte, err error) {
	if _, err := rand.Read(nonce[:]); err != nil {
		return nonce, core.Errorf(core.Internal, "p2p.lan", "drawing a nonce: %w", err)
	}
	links := localLinks(l.h.cfg.loopback)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nonces = [2][lanToken]byte{nonce, l.nonces[0]}
	l.links = links
	return nonce, nil
}

func (l *lan) onLinks() []netip.Prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.links
}

// localFor returns our address on the network that ip is on; not valid when ip is
// on none.
func (l *lan) localFor(ip netip.Addr) netip.Addr {
	for _, link := range l.onLinks() {
		if link.Masked().Contains(ip) {
			return link.Addr()
		}
	}
	return netip.Addr{}
}

// introduce begins a message that tells how to reach us at local; false when we
// do not listen there.
func (l *lan) introduce(t lanType, local netip.Addr, token [lanToken]byte) (lanMessage, bool) {
	rec, err := l.h.lanRecord(local)
	if err != nil {
		l.h.log.Debug().Err(err).Stringer("local", local).Msg("not announced on this network")
		return lanMessage{}, false
	}
	m := l.message(t, token)
	m.Records = [][]byte{rec}
	return m, true
}

func (l *lan) message(t lanType, token [lanToken]byte) lanMessage {
	return lanMessage{Type: t, Node: l.self, Network: l.network, Time: time.Now().UnixMilli(), Token: token}
}

func (l *lan) send(m lanMessage, to netip.AddrPort) {
	b := m.encode()
	verdict := "sent"
	if len(b) > lanMaxFrame {
		verdict = "too_long"
	} else if err := l.sockets.write(b, to); err != nil {
		verdict = "unsent"
		l.h.log.Debug().Err(err).Stringer("to", to).Msg("local discovery could not send")
	}
	l.count(m.Type, verdict)
}

func (l *lan) count(t lanType, verdict string) {
	l.h.metrics.lanFrames.WithLabelValues(t.String(), verdict).Inc()
}

// receive judges one datagram: cheap checks first, signatures last.
func (l *lan) receive(b []byte, from netip.AddrPort) {
	local := l.localFor(from.Addr())
	if !local.IsValid() || !privateIP(from.Addr()) {
		l.count(0, "off_link")
		return
	}
	if from.Port() == l.sockets.ownPort && from.Addr() == local {
		return // our own broadcast
	}
	if !l.allow(from) {
		l.count(0, "rate")
		return
	}
	m, err := decodeLAN(b)
	switch {
	case err != nil:
		l.count(0, "malformed")
	case m.Network != l.network:
		l.count(m.Type, "other_network")
	case m.Node == l.self:
		l.count(m.Type, "self")
	case time.Since(time.UnixMilli(m.Time)).Abs() > lanWindow:
		l.count(m.Type, "stale")
	case !l.handle(m, from, local):
		l.count(m.Type, "refused")
	default:
		l.count(m.Type, "accepted")
	}
}

// allow spends a token of the source, which is address and port as several nodes
// may stand behind one address, and one of the total.
func (l *lan) allow(from netip.AddrPort) bool {
	bucket, ok := l.sources.Get(from)
	if !ok {
		bucket = rate.NewLimiter(sourceRate, sourceBurst)
		l.sources.Add(from, bucket)
	}
	return bucket.Allow() && l.total.Allow()
}

// words returns what the node wants announced, cut to what may be.
func (l *lan) words() []string {
	var out []string
	for _, w := range l.h.cfg.Announce() {
		if validWord(w) && len(out) < MaxWords {
			out = append(out, w)
		}
	}
	return out
}

// present returns the neighbours heard of lately, and forgets the others.
func (l *lan) present() []*neighbour {
	var out []*neighbour
	for _, id := range l.neighbours.Keys() {
		n, ok := l.neighbours.Peek(id)
		switch {
		case !ok:
		case time.Since(n.seen) > lanForget:
			l.neighbours.Remove(id)
		default:
			out = append(out, n)
		}
	}
	return out
}

func (l *lan) peers() []Peer {
	var out []Peer
	for _, n := range l.present() {
		out = append(out, Peer{ID: nodeID(n.info.ID), Addr: n.info.Addrs[0].String(), Since: n.seen, Words: n.words})
	}
	return out
}
