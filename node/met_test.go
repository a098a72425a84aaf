package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// wantPeer waits until n lists a peer of us-east with these roles.
func wantPeer(t *testing.T, n *Node, id core.NodeID, roles ...string) {
	t.Helper()
	await(t, "the peer's roles", func() error {
		for _, p := range n.Peers() {
			if p.ID == id && p.Region == east && slices.Equal(p.Roles, roles) {
				return nil
			}
		}
		return fmt.Errorf("peers %+v, want %s with %v", n.Peers(), id.Short(), roles)
	})
}

// TestGatewayKnowsPeers: a gateway lists the coordinator of its region with roles
// and region.
func TestGatewayKnowsPeers(t *testing.T) {
	t.Parallel()
	region, gateway, _ := pair(t, []string{"regional", "local"}, []string{"global"})
	answers55(t, gateway)
	wantPeer(t, gateway, region.ID(), region.roleSet().Names()...)
}

// TestIntroductionOfBefore: what a node said on an earlier connection is not shown.
func TestIntroductionOfBefore(t *testing.T) {
	m := newMet()
	before := time.Now()
	m.note("node", east, []string{"local"})
	if said, known := m.since("node", before); !known || said.region != east {
		t.Errorf("got %+v, %v", said, known)
	}
	if said, known := m.since("node", time.Now().Add(time.Second)); known {
		t.Errorf("of an earlier connection: %+v", said)
	}
}
