package node

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/registry"
)

// jobResume is how long a broken job link may take to come back before its work
// is given to others.
const jobResume = 5 * time.Second

// minPeersPublic is the gate of decision 13: with fewer authenticated peers a
// node on the open internet may be surrounded by one attacker.
const minPeersPublic = 3

// buildNetwork opens the host and what rides directly on it.
func (n *Node) buildNetwork() error {
	c := n.cfg.P2P
	var err error
	n.hinted = n.knowsOthers()
	n.host, err = p2p.New(p2p.Config{
		Identity: n.identity, Network: n.cfg.Network, Class: limitsClass(n.roleSet()), Agent: agentPrefix + n.cfg.Version,
		Port: c.Port, WSPort: c.WSPort, ListenIPs: c.ListenIPs, Reachability: p2p.Reachability(c.Reachability),
		Bootstrap: c.Bootstrap, PeersFile: n.path(PeersFile), MinPeers: c.MinPeers, Standalone: c.Standalone,
		LANPort: c.LANPort, MDNS: c.MDNS, Announce: func() []string { return n.announced().Names() },
		ResumeWindow: jobResume, Admit: n.admit,
	}, n.registerer, n.log)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, n.host.Close)
	n.router, err = gossip.New(gossip.Config{Host: n.host.LibP2P(), Signer: n.identity, Network: n.cfg.Network, Small: true,
		Reputation: n.reputation.Score, PrivateRanges: true}, n.registerer, n.log)
	if err != nil {
		return err
	}
	n.blobs = dispatch.NewBlobs(n.host, n.cfg.Network)
	n.host.HandleStream(dispatch.BlobProtocol(n.cfg.Network), n.blobs.ServeStream)
	n.host.OnPeer(func(id core.NodeID, connected bool) {
		name := event.PeerDisconnected
		if connected {
			name = event.PeerConnected
		}
		n.events.Publish(event.Event{Name: name, Data: id})
	})
	return nil
}

// limitsClass is the type whose connection limits the node gets: a region holds
// more workers than a gateway has peers.
func limitsClass(set core.RoleSet) core.NodeType {
	if set.Is(core.Regional) {
		return core.Regional
	}
	return set.Highest()
}

// admit keeps nodes out whose reputation excludes them.
func (n *Node) admit(id core.NodeID) error {
	if n.reputation.Score(id) >= registry.ExcludeBelow {
		return nil
	}
	return core.Errorf(core.Denied, "reputation", "node %s has lost its reputation here", id.Short())
}

// gate remembers for a moment whether the node is ready: it is asked with every
// offer.
type gate struct {
	mu    sync.Mutex
	until time.Time
	err   error
}

// gateFresh is how long an answer of the gate is good.
const gateFresh = time.Second

// Ready returns nil when outside work is taken: while the node is not about to
// stop and is connected.
func (n *Node) Ready() error {
	if err := n.open(); err != nil {
		return err
	}
	return n.connected()
}

// connected returns nil when there are enough authenticated peers (ADR 3),
// or for a network of one by choice. Among peers on loopback or private addresses
// one is enough: nobody there is a stranger from the internet.
func (n *Node) connected() error {
	if n.cfg.P2P.Standalone {
		return nil
	}
	n.gate.mu.Lock()
	defer n.gate.mu.Unlock()
	if now := time.Now(); !now.Before(n.gate.until) {
		n.gate.err, n.gate.until = n.enoughPeers(), now.Add(gateFresh)
	}
	return n.gate.err
}

func (n *Node) enoughPeers() error {
	peers := n.host.Peers()
	need := neededPeers(n.cfg.P2P.MinPeers, peers)
	if len(peers) >= need {
		return nil
	}
	return core.Errorf(core.Unavailable, "peers", "%d of %d peers are connected; no outside work is taken yet", len(peers), need).
		WithHint("check --bootstrap, or run alone with --standalone")
}

// neededPeers is what was configured or, for 0, depends on who is there.
func neededPeers(configured int, peers []p2p.Peer) int {
	switch {
	case configured > 0:
		return configured
	case slices.ContainsFunc(peers, func(p p2p.Peer) bool { return p2p.Public(p.Addr) }):
		return minPeersPublic
	}
	return 1
}

// addressOf reads the ip4 or ip6 part a multiaddr starts with.
func addressOf(multiaddr string) (netip.Addr, bool) {
	parts := strings.Split(multiaddr, "/")
	if len(parts) < 3 || parts[0] != "" || parts[1] != "ip4" && parts[1] != "ip6" {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(parts[2])
	return ip, err == nil
}
