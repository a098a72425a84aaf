package p2p

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/core"
)

// maxBans bounds the ban list; beyond it the ban that ends first gives way.
const maxBans = 10_000

// Ban keeps one peer out until a time.
type Ban struct {
	ID     core.NodeID `json:"id"`
	Until  time.Time   `json:"until"`
	Reason string      `json:"reason"`
}

// gater decides which connections may be. It refuses banned peers, peers that
// Admit refuses, and identities that are not Ed25519 keys.
type gater struct {
	admit func(core.NodeID) error

	mu   sync.Mutex
	bans map[peer.ID]Ban
}

var _ connmgr.ConnectionGater = (*gater)(nil)

func newGater(admit func(core.NodeID) error) *gater {
	return &gater{admit: admit, bans: map[peer.ID]Ban{}}
}

// allowed returns why p may not be connected, nil if it may.
func (g *gater) allowed(p peer.ID) error {
	if key, err := p.ExtractPublicKey(); err != nil || key.Type() != crypto.Ed25519 {
		return core.Errorf(core.Denied, "connect", "peer %s has no Ed25519 identity", p)
	}
	if ban, ok := g.banOf(p); ok {
		return core.Errorf(core.Denied, "connect", "peer %s is banned until %s: %s", p, ban.Until.UTC().Format(time.RFC3339), ban.Reason)
	}
	if g.admit == nil {
		return nil
	}
	return g.admit(nodeID(p))
}

func (g *gater) banOf(p peer.ID) (Ban, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ban, ok := g.bans[p]
	if ok && !time.Now().Before(ban.Until) {
		delete(g.bans, p)
		return Ban{}, false
	}
	return ban, ok
}

func (g *gater) ban(p peer.ID, ban Ban) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.bans[p]; !known && len(g.bans) >= maxBans {
		g.dropFirstToEnd()
	}
	g.bans[p] = ban
}

func (g *gater) dropFirstToEnd() {
	var first peer.ID
	for p, b := range g.bans {
		if first == "" || b.Until.Before(g.bans[first].Until) {
			first = p
		}
	}
	delete(g.bans, first)
}

// list returns the bans in force, the first to end first.
func (g *gater) list() []Ban {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	out := []Ban{}
	for p, b := range g.bans {
		if !now.Before(b.Until) {
			delete(g.bans, p)
			continue
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Ban) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.allowed(p) == nil }

// InterceptAddrDial implements connmgr.ConnectionGater; the peer was asked about
// already, and any address may lead to it.
func (g *gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater; who it is is not known yet,
// and the resource manager bounds how many.
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.allowed(p) == nil
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
