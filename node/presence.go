package node

import (
	"github.com/tenzro/tenzro/registry/presence"
)

// buildPresence makes what tells others of this node and finds them.
func (n *Node) buildPresence() error {
	n.board = presence.NewBoard(n.router)
	n.finder = presence.NewFinder(n.host, n.regions)
	n.announcer = &announcer{n: n}
	n.ads = &ads{n: n}
	var err error
	n.ads.publisher, err = presence.New(presence.Config{Signer: n.identity, Network: n.cfg.Network, Board: n.board, Self: n,
		Attached: n.attached, Renewed: n.ads.renewed}, n.log)
	return err
}

// attached reports whether a coordinator hears this node's heartbeats.
func (n *Node) attached() bool { return n.links != nil && n.links.linked() > 0 }
