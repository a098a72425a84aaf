package node

import (
	"errors"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// causeLeaseLost is the cause of a fall because a lease ran out.
const causeLeaseLost = "lease_lost"

// fall is what a cause costs, and false for one that costs nothing here: how much
// is this node's to say and not that of whoever tells of it.
func fall(cause string, evidence core.Digest) (registry.Change, bool) {
	c := registry.Change{Cause: cause, Evidence: evidence}
	switch cause {
	case registry.CauseInvalidProof:
		c.Delta = registry.InvalidProof
	case causeLeaseLost:
		c.Delta = registry.LeaseLost
	}
	return c, c.Delta != 0
}

// judge moves a worker's reputation on what its region saw, and tells the
// others when it fell.
func (n *Node) judge(child core.NodeID, c dispatch.Conduct, evidence core.Digest) {
	cause := registry.CauseInvalidProof
	switch c {
	case dispatch.Delivered:
		_, _ = n.reputation.Apply(child, registry.Change{Delta: registry.Verified, Cause: "verified", Evidence: evidence}, time.Now())
		return
	case dispatch.LostLease:
		cause = causeLeaseLost
	}
	change, _ := fall(cause, evidence)
	score, err := n.reputation.Apply(child, change, time.Now())
	if err != nil {
		return
	}
	n.log.Warn().Str("node", string(child)).Str("cause", change.Cause).Int("reputation", score).Msg("reputation fell")
	n.announcer.reputation(&wire.ReputationUpdate{NodeID: child, Delta: change.Delta, Score: score, Cause: change.Cause, Evidence: evidence})
}

// blameAd charges a peer for an ad of its own that was refused because its
// signature is not valid. Every other reason, such as its age, has honest causes.
func (n *Node) blameAd(from core.NodeID, err error) {
	var why *core.Error
	if errors.As(err, &why) && why.Kind == core.Denied && why.Op == "signature" {
		n.host.Offended(from, p2p.Forged, 1)
	}
}

// believe takes over that a worker's reputation fell, from those who keep this
// region together with this node: whoever of them leads next must not begin with a
// liar again. Of anybody else it would be hearsay, by which nodes could be talked
// out of their work.
func (n *Node) believe(from core.NodeID, u *wire.ReputationUpdate) {
	_, _, members := n.keeper.view()
	change, costs := fall(u.Cause, u.Evidence)
	if from == n.identity.ID() || !costs || !slices.Contains(members, from) {
		return
	}
	before := n.reputation.Score(u.NodeID)
	score, err := n.reputation.Apply(u.NodeID, change, time.Now())
	if err != nil {
		n.log.Debug().Err(err).Str("coordinator", string(from)).Msg("reputation update not taken")
		return
	}
	if score != before {
		n.log.Info().Str("node", string(u.NodeID)).Str("cause", change.Cause).Int("reputation", score).Str("coordinator", string(from)).Msg("reputation fell at another coordinator")
	}
}
