package node

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// coordinators runs two nodes that keep a region together.
func coordinators(t *testing.T) (leader, other *Node) {
	t.Helper()
	c := config(t, "regional")
	c.Region, c.Jobs.AdmitAny, c.P2P.Standalone = east, true, false
	leader, _ = run(t, c)
	c = config(t, "regional")
	c.Region, c.Jobs.AdmitAny, c.P2P.Standalone = east, true, false
	c.P2P.Bootstrap = []string{bootstrapAddr(leader.host.Addrs())}
	other, _ = run(t, c)
	for _, n := range []*Node{leader, other} {
		await(t, "the coordinators to be a group", func() error {
			if _, _, members := n.keeper.view(); len(members) != 2 {
				return fmt.Errorf("members %v", members)
			}
			return nil
		})
	}
	return leader, other
}

// TestReputationReachesTheRegion: a worker that one coordinator caught lying is
// out at the others of the region too, once for each lie, before any of them
// leads; what a stranger says of it is heard and not believed.
//
// spec 2.20 4.64
func TestReputationReachesTheRegion(t *testing.T) {
	t.Parallel()
	leader, other := coordinators(t)
	c := config(t, "global")
	c.P2P.Bootstrap = []string{bootstrapAddr(other.host.Addrs())}
	stranger, _ := run(t, c)
	hearsay, err := gossip.Join[*wire.ReputationUpdate](stranger.router, gossip.Reputation, east)
	if err != nil {
		t.Fatal(err)
	}
	const liar, victim core.NodeID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "12D3KooWDqXhUyZ1PSjd14yc1nn9Vy3DAQ6wg7ymvBJbu8CGXpuw"
	lies := 0
	await(t, "the other coordinator to hear of the liar", func() error {
		lies++ // gossip may miss what comes before its mesh stands
		leader.judge(liar, dispatch.Lied, core.Sum([]byte{byte(lies)}))
		slander := &wire.ReputationUpdate{NodeID: victim, Delta: -100, Cause: registry.CauseInvalidProof, Evidence: core.Sum([]byte{byte(lies)})}
		if err := hearsay.Publish(t.Context(), slander); err != nil {
			return err
		}
		<-time.After(2 * announceEvery)
		if !other.reputation.Cooling(liar, time.Now()) {
			return errors.New("it has not")
		}
		return nil
	})
	if at, most := other.reputation.Score(liar), registry.StartScore+registry.InvalidProof; at > most || at < leader.reputation.Score(liar) {
		t.Errorf("the liar has %d there and %d at the coordinator that caught it", at, leader.reputation.Score(liar))
	}
	if got := other.reputation.Score(victim); got != registry.StartScore {
		t.Errorf("a stranger's word cost %d points", registry.StartScore-got)
	}
}

// TestBelieve: an update counts only from a fellow coordinator, for what the cause
// costs here, and once.
//
// spec 2.20
func TestBelieve(t *testing.T) {
	t.Parallel()
	leader, other := coordinators(t)
	fellow, evidence := leader.ID(), core.Sum([]byte("proof"))
	const child core.NodeID = "child"
	for _, c := range []struct {
		name  string
		from  core.NodeID
		u     wire.ReputationUpdate
		score int
	}{
		{"of a stranger", "stranger", wire.ReputationUpdate{Delta: -10, Cause: registry.CauseInvalidProof, Evidence: evidence}, 50},
		{"its own", other.ID(), wire.ReputationUpdate{Delta: -10, Cause: registry.CauseInvalidProof, Evidence: evidence}, 50},
		{"of an unknown cause", fellow, wire.ReputationUpdate{Delta: -10, Cause: "slow", Evidence: evidence}, 50},
		{"praise", fellow, wire.ReputationUpdate{Delta: 10, Cause: "verified", Evidence: evidence}, 50},
		{"without evidence", fellow, wire.ReputationUpdate{Delta: -10, Cause: registry.CauseInvalidProof}, 50},
		{"more than it costs", fellow, wire.ReputationUpdate{Delta: -100, Cause: registry.CauseInvalidProof, Evidence: evidence}, 40},
		{"again", fellow, wire.ReputationUpdate{Delta: -10, Cause: registry.CauseInvalidProof, Evidence: evidence}, 40},
		{"a lost lease", fellow, wire.ReputationUpdate{Delta: -1, Cause: causeLeaseLost, Evidence: core.Sum([]byte("lease"))}, 39},
	} {
		c.u.NodeID = child
		other.believe(c.from, &c.u)
		if got := other.reputation.Score(child); got != c.score {
			t.Errorf("%s: the score is %d, want %d", c.name, got, c.score)
		}
	}
	if _, _, members := other.keeper.view(); !slices.Contains(members, fellow) {
		t.Errorf("members %v", members)
	}
}

// TestBlameAd: an ad whose signature is not valid costs its sender, up to a ban;
// one that is late or of another network, as of a wrong clock or setting, does not.
func TestBlameAd(t *testing.T) {
	t.Parallel()
	c := config(t, "regional")
	c.P2P.Standalone = true
	n, _ := run(t, c)
	for i, tc := range []struct {
		name   string
		bend   func(ad *wire.Ad)
		forge  bool
		banned bool
	}{
		{"late", func(ad *wire.Ad) { ad.Issued, ad.Expires = ad.Issued.Add(-time.Hour), ad.Issued.Add(-time.Minute) }, false, false},
		{"of another network", func(ad *wire.Ad) { ad.Network = "elsewhere" }, false, false},
		{"good", func(*wire.Ad) {}, false, false},
		{"forged", func(*wire.Ad) {}, true, true},
	} {
		id, ad := keys.FromSeed([32]byte{byte(i + 1)}), *n.ads.current()
		tc.bend(&ad)
		if err := wire.SignAd(id, &ad); err != nil {
			t.Fatal(err)
		}
		if tc.forge {
			ad.Signature = slices.Clone(ad.Signature)
			ad.Signature[0] ^= 1
		}
		for range 20 {
			watcher{n}.Advertised(id.ID(), &ad)
		}
		if tc.banned {
			await(t, "the ban", func() error {
				if len(n.host.Banned()) == 0 {
					return errors.New("nobody is banned")
				}
				return nil
			})
		}
		if banned := slices.ContainsFunc(n.host.Banned(), func(b p2p.Ban) bool { return b.ID == id.ID() }); banned != tc.banned {
			t.Errorf("%s: banned %t; want %t", tc.name, banned, tc.banned)
		}
	}
}

// TestOwnGroupIsNotBanned: a coordinator does not ban one that keeps its region with it,
// whatever it sends: they would have no majority. A stranger is banned.
func TestOwnGroupIsNotBanned(t *testing.T) {
	t.Parallel()
	leader, other := coordinators(t)
	const stranger core.NodeID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	leader.host.Offended(other.ID(), p2p.Malformed, 10)
	leader.host.Offended(stranger, p2p.Malformed, 10)
	await(t, "the stranger's ban", func() error {
		if b := leader.host.Banned(); len(b) != 1 || b[0].ID != stranger {
			return fmt.Errorf("banned: %+v", b)
		}
		return nil
	})
	if !leader.keeper.keepsWith(other.ID()) || leader.keeper.keepsWith(stranger) {
		t.Error("it is not known who keeps the region")
	}
}
