package dispatch

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestOwed: finished work that a child claims and no unit waits for has its verdict
// and receipt if an earlier leader recorded it, whenever claim and result come, and is
// handed over if not. Only a claim lets a result be looked at, and only once.
func TestOwed(t *testing.T) {
	const units = 300
	u := unit(0)
	lease := wire.LeaseID(1<<32 + 1)
	claim := wire.ClaimedLease{Lease: lease, TaskID: u.Task, Attempt: 1, Epoch: 1, InputHash: u.InputHash, Finished: true}
	running := claim
	running.Finished = false
	for name, c := range map[string]struct {
		claims        []wire.ClaimedLease
		before, after int // results, before and after the leader has resumed its units
		early         bool
		debt          int64 // what the journal says
		nobody        bool  // keeps a journal
		asked, paid   int
		revoked       int
	}{
		"owed":                               {claims: []wire.ClaimedLease{claim}, after: 1, debt: units, asked: 1, paid: 1},
		"before the units are resumed":       {claims: []wire.ClaimedLease{claim}, early: true, before: 1, debt: units, asked: 1, paid: 1},
		"and its result after":               {claims: []wire.ClaimedLease{claim}, early: true, after: 1, debt: units, asked: 1, paid: 1},
		"claimed twice":                      {claims: []wire.ClaimedLease{claim, claim}, after: 2, debt: units, asked: 1, paid: 1},
		"shown twice":                        {claims: []wire.ClaimedLease{claim}, after: 2, debt: units, asked: 1, paid: 1},
		"not owed":                           {claims: []wire.ClaimedLease{claim}, after: 1, asked: 1, revoked: 1},
		"not owed, before they are resumed":  {claims: []wire.ClaimedLease{claim}, early: true, before: 1, asked: 1, revoked: 1},
		"not finished":                       {claims: []wire.ClaimedLease{running}, after: 1, debt: units, revoked: 1},
		"not claimed":                        {after: 1, debt: units},
		"without a journal":                  {claims: []wire.ClaimedLease{claim}, after: 1, debt: units, nobody: true, revoked: 1},
		"without one, before it is resumed":  {claims: []wire.ClaimedLease{claim}, early: true, before: 1, debt: units, nobody: true, revoked: 1},
		"nothing but the claim, which waits": {claims: []wire.ClaimedLease{claim}, debt: units},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				a := r.leader(101)
				a.lead(2)
				w := a.raw(1)
				next[*wire.Adopt](w)
				var mu sync.Mutex
				asked := 0
				owed := func(child core.NodeID, m *wire.JobResult) int64 {
					mu.Lock()
					defer mu.Unlock()
					if asked++; child != w.id || m.TaskID != u.Task || m.Lease != lease {
						t.Errorf("asked of %s about %+v", child, m)
					}
					return c.debt
				}
				if c.nobody {
					owed = nil
				}
				show := func(n int) {
					for range n {
						w.send(w.result(1, &wire.JobOffer{Lease: lease, TaskID: u.Task, Attempt: 1, InputHash: u.InputHash}))
					}
					settle(time.Millisecond)
				}
				if !c.early {
					a.d.Resumed(owed)
				}
				w.send(&wire.Claim{Epoch: 2, Leases: c.claims})
				show(c.before)
				if c.early {
					a.d.Resumed(owed)
				}
				show(c.after)
				settle(2 * RewardDelay)
				revoked := w.revokes(t)
				var paid []wire.Reward
				verdicts := 0
				for _, b := range w.seen {
					switch m := b.(type) {
					case *wire.JobReward:
						if err := wire.VerifyReward(m); err != nil || m.Worker != w.id || m.Coordinator != a.id.ID() {
							t.Errorf("receipt %+v, %v", m, err)
						}
						paid = append(paid, m.Entries...)
					case *wire.JobVerify:
						if verdicts++; !m.Accepted || m.TaskID != u.Task || m.Index != 0 {
							t.Errorf("verdict %+v", m)
						}
					}
				}
				want := slices.Repeat([]wire.Reward{{TaskID: u.Task, Units: units, OutputHash: core.Sum([]byte("55"))}}, c.paid)
				if !slices.Equal(paid, want) || verdicts != c.paid || len(revoked) != c.revoked || asked != c.asked {
					t.Errorf("asked %d times; receipts %+v, %d verdicts, %d revoked", asked, paid, verdicts, revoked)
				}
				if len(a.verdicts()) != 0 {
					t.Errorf("judged %v: what it did then has counted, or nobody can tell", a.verdicts())
				}
			})
		})
	}
}

// TestOwedByTheDeposed: who does not lead any more gives no receipt.
func TestOwedByTheDeposed(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		a.lead(2)
		w := a.raw(1)
		u := unit(0)
		looking, found := make(chan struct{}), make(chan struct{})
		a.d.Resumed(func(core.NodeID, *wire.JobResult) int64 {
			close(looking)
			<-found
			return 1
		})
		w.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{{Lease: 1<<32 + 1, TaskID: u.Task, Attempt: 1, Epoch: 1, InputHash: u.InputHash, Finished: true}}},
			w.result(1, &wire.JobOffer{Lease: 1<<32 + 1, TaskID: u.Task, Attempt: 1, InputHash: u.InputHash}))
		<-looking
		a.d.Retire()
		close(found)
		silent[*wire.JobReward](w, time.Minute)
		silent[*wire.LeaseRevoke](w, 0)
	})
}
