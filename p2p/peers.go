package p2p

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"github.com/tenzro/tenzro/core"
)

// maxHints and maxHintAddrs bound the addresses kept beside libp2p's own book.
const (
	maxHints     = 4096
	maxHintAddrs = 8
)

// Peer is one node as seen from here.
type Peer struct {
	ID        core.NodeID   `json:"id"`
	Addr      string        `json:"addr"`      // of the connection, else one that was good
	Direction string        `json:"direction"` // "inbound", "outbound"; "" when not connected
	RTT       time.Duration `json:"rttNs"`     // smoothed; 0 = not measured
	Since     time.Time     `json:"since"`     // connected since, else last seen
	Agent     string        `json:"agent"`     // the peer's claim about its software
	Protocol  string        `json:"protocol"`  // the peer's claim about its network
	Connected bool          `json:"connected"`
	Words     []string      `json:"words,omitempty"` // capability words told on the local network
}

// Peers returns the connected peers of this network, ordered by id.
func (h *Host) Peers() []Peer {
	out := []Peer{}
	for _, p := range h.ourPeers() {
		if view, ok := h.view(p); ok {
			out = append(out, view)
		}
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Topology returns every node this one knows an address of: the connected ones,
// the saved good peers and those heard on the local network, ordered by id.
func (h *Host) Topology() []Peer {
	all := map[core.NodeID]Peer{}
	for _, p := range h.book.peers() {
		all[p.ID] = p
	}
	if h.lan != nil {
		for _, p := range h.lan.peers() {
			all[p.ID] = p
		}
	}
	for _, p := range h.Peers() {
		p.Words = all[p.ID].Words
		all[p.ID] = p
	}
	out := make([]Peer, 0, len(all))
	for _, p := range all {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Ready returns nil when the node is Standalone or connected to MinPeers peers of
// its network, else how many of how many there are.
func (h *Host) Ready() error {
	if h.cfg.Standalone {
		return nil
	}
	if n := len(h.ourPeers()); n < h.cfg.MinPeers {
		return core.Errorf(core.Unavailable, "peers", "connected to %d of the %d peers this node needs", n, h.cfg.MinPeers).
			WithHint("check the bootstrap addresses, or start alone with --standalone")
	}
	return nil
}

// OnPeer calls fn when the first connection to a peer of this network was
// identified and when the last one ended, in order, from one goroutine of Serve.
// fn must return quickly. The returned function ends the subscription.
func (h *Host) OnPeer(fn func(id core.NodeID, connected bool)) (cancel func()) {
	return h.watch.subscribe(fn)
}

// RTT measures one round trip to a peer, connecting first if needed.
func (h *Host) RTT(ctx context.Context, id core.NodeID) (time.Duration, error) {
	p, err := peerID(id)
	if err != nil {
		return 0, err
	}
	if err := h.connectPeer(ctx, p); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	res, ok := <-ping.Ping(ctx, h.host, p)
	if !ok || res.Error != nil {
		return 0, core.Errorf(core.Unavailable, "ping", "peer %s did not answer a ping: %w", id, cmp.Or(res.Error, ctx.Err()))
	}
	return res.RTT, nil
}

// Connect connects to a multiaddr that ends in /p2p/<id>.
func (h *Host) Connect(ctx context.Context, addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return core.Errorf(core.Invalid, "address", "address %.120q is not a multiaddr with a peer id: %w", addr, err)
	}
	return h.connect(ctx, *info)
}

// ConnectPeer connects to a peer by its name alone: at the addresses known
// already, then at those the DHT knows.
func (h *Host) ConnectPeer(ctx context.Context, id core.NodeID) error {
	p, err := peerID(id)
	if err != nil {
		return err
	}
	return h.connectPeer(ctx, p)
}

func (h *Host) connectPeer(ctx context.Context, p peer.ID) error {
	if h.connected(p) {
		return nil
	}
	if err := h.gater.allowed(p); err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx, dialTimeout)
	defer cancel()
	var first error
	known := h.hint(p)
	if len(known.Addrs)+len(h.host.Peerstore().Addrs(p)) > 0 {
		if first = h.connect(ctx, known); first == nil {
			return nil
		}
	}
	info, err := h.dht.router.FindPeer(ctx, p)
	if err == nil {
		return h.connect(ctx, info)
	}
	if first != nil { // what is wrong with the addresses that are known says more
		err = first
	}
	return core.Errorf(core.Unavailable, "connect", "no reachable address of peer %s: %w", p, err)
}

func (h *Host) connect(ctx context.Context, info peer.AddrInfo) error {
	if info.ID == h.cfg.self {
		return core.Errorf(core.Invalid, "address", "that is this node's own address")
	}
	if err := h.gater.allowed(info.ID); err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx, dialTimeout)
	defer cancel()
	h.forgetBackoff(info.ID)
	if h.host.Network().Connectedness(info.ID) == network.Limited {
		h.straighten(ctx, info)
		return nil
	}
	if err := h.host.Connect(ctx, info); err != nil {
		return core.Errorf(core.Unavailable, "connect", "connecting to %s: %w", info.ID, err)
	}
	h.learn(info)
	return nil
}

// straightenTimeout bounds the search for a direct way to a peer that a relay
// connects already. Where there is none, hole punching may still make one.
const straightenTimeout = 2 * time.Second

// straighten looks for a direct way to a peer that is connected over a relay only:
// libp2p itself is content with that one, which carries no work and is slower.
func (h *Host) straighten(ctx context.Context, info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "a relay carries no work"), straightenTimeout)
	defer cancel()
	if err := h.host.Connect(ctx, info); err != nil {
		h.log.Debug().Err(err).Stringer("peer", info.ID).Msg("no direct way to a peer behind a relay")
		return
	}
	h.learn(info)
}

// Ban disconnects a peer and keeps it out until a time. Bans live as long as the
// process; the longest-lasting ten thousand are kept.
func (h *Host) Ban(id core.NodeID, until time.Time, reason string) error {
	p, err := peerID(id)
	if err != nil {
		return err
	}
	h.gater.ban(p, Ban{ID: id, Until: until, Reason: reason})
	h.sessions.dropPeer(p)
	if err := h.host.Network().ClosePeer(p); err != nil {
		return core.Errorf(core.Internal, "ban", "disconnecting %s: %w", id, err)
	}
	return nil
}

// Banned returns the bans in force, the first to end first.
func (h *Host) Banned() []Ban { return h.gater.list() }

// ourPeers are the connected peers that identified themselves as of our network.
func (h *Host) ourPeers() []peer.ID {
	return slices.DeleteFunc(h.host.Network().Peers(), func(p peer.ID) bool { return !h.ours(p) })
}

func (h *Host) ours(p peer.ID) bool {
	return h.connected(p) && h.property(p, "ProtocolVersion") == networkVersion(h.cfg.Network)
}

// property returns a text that identify stored about p.
func (h *Host) property(p peer.ID, name string) string {
	v, err := h.host.Peerstore().Get(p, name)
	if err != nil {
		return ""
	}
	text, _ := v.(string)
	return text
}

// view describes the oldest connection to p.
func (h *Host) view(p peer.ID) (Peer, bool) {
	conns := h.host.Network().ConnsToPeer(p)
	if len(conns) == 0 {
		return Peer{}, false
	}
	c := slices.MinFunc(conns, func(a, b network.Conn) int { return a.Stat().Opened.Compare(b.Stat().Opened) })
	direction := "outbound"
	if c.Stat().Direction == network.DirInbound {
		direction = "inbound"
	}
	return Peer{
		ID: nodeID(p), Addr: c.RemoteMultiaddr().String(), Direction: direction,
		RTT: h.host.Peerstore().LatencyEWMA(p), Since: c.Stat().Opened, Connected: true,
		Agent: h.property(p, "AgentVersion"), Protocol: h.property(p, "ProtocolVersion"),
	}, true
}

// learn keeps addresses that led to a peer, or should, as hints. libp2p's own
// book alone is not enough: a peer that has just started identifies itself with
// fewer addresses than it has, which withdraws those we used.
func (h *Host) learn(info peer.AddrInfo) {
	if len(info.Addrs) == 0 {
		return
	}
	h.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.AddressTTL)
	h.hints.Add(info.ID, info.Addrs[:min(len(info.Addrs), maxHintAddrs)])
}

// hint returns what was learned of a peer.
func (h *Host) hint(p peer.ID) peer.AddrInfo {
	addrs, _ := h.hints.Get(p)
	return peer.AddrInfo{ID: p, Addrs: addrs}
}
