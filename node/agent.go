package node

import (
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
)

// agentPrefix begins what nodes of this software tell others they are; their
// version follows.
const agentPrefix = "tenzro/"

// maxVersion bounds the version that is believed.
const maxVersion = 64

// versionOf returns the version a peer claims, "" when it is other software or no
// plain text: nobody should see what a stranger likes to put on a screen.
func versionOf(agent string) string {
	version, ours := strings.CutPrefix(agent, agentPrefix)
	if !ours || len(version) > maxVersion {
		return ""
	}
	for i := range len(version) {
		if c := version[i]; c <= ' ' || c > '~' {
			return ""
		}
	}
	return version
}

// clockSkew is what the messages of connected peers tell of this node's clock, nil
// when they tell nothing. Nodes that are not connected have no say: their number
// costs a stranger nothing.
func (n *Node) clockSkew(peers []p2p.Peer) (ms *int64, heard int) {
	ids := make([]core.NodeID, len(peers))
	for i, p := range peers {
		ids[i] = p.ID
	}
	skew, heard := n.router.ClockSkew(ids)
	if heard == 0 {
		return nil, 0
	}
	whole := skew.Milliseconds()
	return &whole, heard
}
