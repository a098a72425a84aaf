package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/wire"
)

// played is a coordinator of a worker's region that the test plays by hand.
type played struct {
	*raw
	m *member
}

func (m *member) played(n byte) *played {
	here, there := m.rig.link(identity(n).ID(), m.id.ID())
	m.pulls(there)
	m.rig.t.Cleanup(func() { _ = here.Close() })
	return &played{&raw{t: m.rig.t, Link: here, id: identity(n).ID()}, m}
}

// offerIn is an offer of a unit in an epoch.
func offerIn(epoch uint64, u jobs.Unit) *wire.JobOffer {
	return &wire.JobOffer{Lease: wire.LeaseID(epoch<<32) + wire.LeaseID(u.Index) + 1, TaskID: u.Task, Index: u.Index, Attempt: 1, Epoch: epoch,
		Class: u.Class, Task: u.Head, Data: wire.Payload{Inline: u.Data}, InputHash: u.InputHash, Deadline: u.Deadline, TTLMS: 15_000}
}

// withMetrics gives a member metrics of its own.
func (m *member) withMetrics() *Metrics {
	metrics, err := NewMetrics(nil)
	if err != nil {
		m.rig.t.Fatal(err)
	}
	m.h.metrics = metrics
	return metrics
}

// TestStaleLeader: once a coordinator has adopted what a worker holds, what one of
// a lower epoch says about it counts for nothing, and is counted.
//
// spec 2.5
func TestStaleLeader(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		w := r.member(1, 4, u)
		metrics := w.withMetrics()
		old, leader := w.played(101), w.played(102)
		old.send(&wire.Adopt{Region: east, Epoch: 3}, offerIn(3, u))
		next[*wire.JobAccept](old.raw)
		synctest.Wait() // it has told how far it is
		leader.send(&wire.Adopt{Region: east, Epoch: 4})
		c := next[*wire.Claim](leader.raw)
		if want := claimed(offerIn(3, u), 0.25, false); c.Epoch != 4 || c.More || len(c.Leases) != 1 || c.Leases[0] != want {
			t.Errorf("claimed %+v, want %+v", c, want)
		}
		next[*wire.Claim](old.raw) // of its own adopt, of nothing
		old.send(&wire.LeaseRevoke{Lease: offerIn(3, u).Lease, Reason: jobs.LeaseExpired}, offerIn(3, unit(1)), &wire.Adopt{Region: east, Epoch: 3})
		if no := next[*wire.JobReject](old.raw); no.Reason != wire.RefusedBusy || no.RetryAfterMS == 0 {
			t.Errorf("the stale offer is answered %+v", no)
		}
		silent[*wire.Claim](old.raw, 12*time.Second)
		silent[*wire.LeaseRenew](old.raw, 0)
		if m := next[*wire.LeaseRenew](leader.raw); m.Lease != offerIn(3, u).Lease {
			t.Errorf("renewed %+v", m)
		}
		_ = old.Close()
		settle(time.Minute) // the link it was taken on does not matter any more
		if err := w.cause(u); err != nil || w.ran(unit(1)) != 0 {
			t.Errorf("the work ended with %v; the stale offer ran %d times", err, w.ran(unit(1)))
		}
		if n := testutil.ToFloat64(metrics.drops.WithLabelValues("stale")); n != 3 {
			t.Errorf("%v stale messages are counted", n)
		}
		if n := testutil.ToFloat64(metrics.claims.WithLabelValues("made")); n != 1 {
			t.Errorf("%v claims are counted", n)
		}
		close(w.gate[string(u.Data)])
		if res := next[*wire.JobResult](leader.raw); res.Lease != offerIn(3, u).Lease || res.Epoch != 3 || res.Failure != nil {
			t.Errorf("the result is %+v", res)
		}
		leader.send(&wire.LeaseRevoke{Lease: offerIn(3, u).Lease, Reason: jobs.HandedOver})
		settle(time.Second)
		if len(w.h.kept.byUnit) != 0 {
			t.Error("a result that nobody waits for is kept")
		}
	})
}

// TestForeignAdopt: who coordinates another region adopts nothing here, nor does
// one without an epoch offer anything in a region that has them.
func TestForeignAdopt(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		w := r.member(1, 4, u)
		ours, foreign := w.played(101), w.played(102)
		ours.send(&wire.Adopt{Region: east, Epoch: 1}, offerIn(1, u))
		next[*wire.JobAccept](ours.raw)
		foreign.send(&wire.Adopt{Region: "eu-west", Epoch: 9}, offerIn(0, unit(1)), offerIn(1, unit(2)))
		silent[*wire.Claim](foreign.raw, time.Second)
		for range 2 {
			next[*wire.JobReject](foreign.raw)
		}
		close(w.gate[string(u.Data)])
		next[*wire.JobResult](ours.raw)
	})
}

// TestClaimsComeInParts: who holds more than a message may name sends several,
// and a window never widens by it.
//
// spec 4.23
func TestClaimsComeInParts(t *testing.T) {
	const n = 2*wire.MaxClaims + 10
	overEachLink(t, func(t *testing.T, r *rig) {
		all := units(n)
		w := r.member(1, n, all[5:]...)
		old, leader := w.played(101), w.played(102)
		old.send(&wire.Adopt{Region: east, Epoch: 1})
		for _, u := range all {
			old.send(offerIn(1, u))
		}
		settle(time.Second)
		granted := 0
		for range len(leader.seen) + 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if bodies, err := leader.Recv(ctx); err == nil {
				leader.seen = append(leader.seen, bodies...)
			}
			cancel()
		}
		for _, b := range leader.seen {
			if p, ok := b.(*wire.Pull); ok {
				granted += p.Credits
			}
		}
		leader.seen = nil
		if granted != n {
			t.Fatalf("before anything was held it granted %d", granted)
		}
		leader.send(&wire.Adopt{Region: east, Epoch: 2})
		seen := map[wire.LeaseID]bool{}
		for i := range 3 {
			c := next[*wire.Claim](leader.raw)
			for _, l := range c.Leases {
				seen[l.Lease] = true
				if l.Finished != (l.Index < 5) {
					t.Errorf("claimed %+v", l)
				}
			}
			if c.More != (i < 2) || len(c.Leases) > wire.MaxClaims {
				t.Errorf("part %d has %d leases, more: %t", i, len(c.Leases), c.More)
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d leases are claimed", len(seen), n)
		}
		for range 5 {
			if res := next[*wire.JobResult](leader.raw); res.Index >= 5 || res.Failure != nil {
				t.Errorf("sent again: %+v", res)
			}
		}
		settle(2 * time.Second)
		silent[*wire.Pull](leader.raw, 0) // what runs took the credits that were open
		for _, gate := range w.gate {
			close(gate)
		}
		settle(time.Second)
		silent[*wire.Claim](leader.raw, time.Second)
	})
}

// TestHostileClaims: a child gets by a claim only what waits here, is the work
// that it names, and it may have; everything else it is told to drop.
func TestHostileClaims(t *testing.T) {
	u := unit(0)
	honest := wire.ClaimedLease{Lease: 1<<32 + 7, TaskID: u.Task, Attempt: 2, Epoch: 1, InputHash: u.InputHash, Progress: 0.5}
	claim := func(bend func(l *wire.ClaimedLease)) wire.Claim {
		l := honest
		bend(&l)
		return wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{l}}
	}
	for name, c := range map[string]struct {
		claims  []wire.Claim
		adopted bool
		revoked int
	}{
		"honest":              {[]wire.Claim{claim(func(*wire.ClaimedLease) {})}, true, 0},
		"twice in a message":  {[]wire.Claim{{Epoch: 2, Leases: []wire.ClaimedLease{honest, honest}}}, true, 0},
		"under two leases":    {[]wire.Claim{{Epoch: 2, Leases: []wire.ClaimedLease{honest, claim(func(l *wire.ClaimedLease) { l.Lease++ }).Leases[0]}}}, true, 1},
		"another index":       {[]wire.Claim{claim(func(l *wire.ClaimedLease) { l.Index = 3 })}, false, 1},
		"another task":        {[]wire.Claim{claim(func(l *wire.ClaimedLease) { l.TaskID = "t2" })}, false, 1},
		"another input":       {[]wire.Claim{claim(func(l *wire.ClaimedLease) { l.InputHash[0] ^= 1 })}, false, 1},
		"a lease to come":     {[]wire.Claim{claim(func(l *wire.ClaimedLease) { l.Lease = 2<<32 + 1 })}, false, 1},
		"an epoch to come":    {[]wire.Claim{claim(func(l *wire.ClaimedLease) { l.Lease = 1<<63 - 1 })}, false, 1},
		"of an earlier adopt": {[]wire.Claim{{Epoch: 1, Leases: []wire.ClaimedLease{honest}}}, false, 0},
		"after its last part": {[]wire.Claim{{Epoch: 2}, {Epoch: 2, Leases: []wire.ClaimedLease{honest}}}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				a := r.leader(101)
				a.lead(2)
				a.resume(unit(0))
				a.d.Resumed(nil)
				w := a.raw(1)
				for i := range c.claims {
					w.send(&c.claims[i])
				}
				got := w.revokes(t)
				holder, lease, ok := a.d.Holder(u.Key)
				if ok != c.adopted || ok && (holder != w.id || lease != honest.Lease) || len(got) != c.revoked {
					t.Errorf("held by %q with lease %d, %t; revoked %d", holder, lease, ok, got)
				}
				if log := a.owner.events(); c.adopted != slices.Equal(log, []string{fmt.Sprintf("started 0 by %s, attempt 2", w.id.Short())}) {
					t.Errorf("the owner heard %q", log)
				}
				a.d.Fail(u.Key, &core.Failure{Reason: core.ReasonCancelled})
			})
		})
	}
}

// TestClaimWithoutEpoch: a dispatcher without epochs asks for no claims and takes
// none.
func TestClaimWithoutEpoch(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		r.submit(unit(0))
		w := r.raw(1)
		u := unit(0)
		w.send(&wire.Claim{Epoch: 1, Leases: []wire.ClaimedLease{{Lease: 1, TaskID: u.Task, Attempt: 1, Epoch: 1, InputHash: u.InputHash}}})
		silent[*wire.Adopt](w, time.Second)
		if _, _, held := r.d.Holder(u.Key); held {
			t.Error("the unit was taken by a claim")
		}
		r.d.Fail(u.Key, &core.Failure{Reason: core.ReasonCancelled})
	})
}

// TestTooManyClaims: a child that claims more than anybody may hold is refused
// what is too much.
func TestTooManyClaims(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		a.lead(2)
		w := a.raw(1)
		const parts = wire.MaxCredits/wire.MaxClaims + 2
		for i := range parts {
			m := &wire.Claim{Epoch: 2, More: true}
			for j := range wire.MaxClaims {
				m.Leases = append(m.Leases, wire.ClaimedLease{Lease: wire.LeaseID(1 + i*wire.MaxClaims + j), TaskID: core.TaskID(fmt.Sprint("t", i)), Index: j, Attempt: 1, Epoch: 1})
			}
			w.send(m)
			synctest.Wait()
		}
		if got := len(w.revokes(t)); got != 2*wire.MaxClaims || len(a.d.lead.early) != wire.MaxCredits {
			t.Errorf("%d are kept, %d refused", len(a.d.lead.early), got)
		}
	})
}

// TestSecondClaimer: of two that hold the same work the first to claim goes on.
func TestSecondClaimer(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		a.lead(2)
		a.resume(unit(0))
		first, second := a.raw(1), a.raw(2)
		u := unit(0)
		l := wire.ClaimedLease{Lease: 1<<32 + 1, TaskID: u.Task, Attempt: 1, Epoch: 1, InputHash: u.InputHash}
		first.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{l}})
		synctest.Wait()
		l.Lease++
		second.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{l}})
		if got := second.revokes(t); !slices.Equal(got, []wire.LeaseID{l.Lease}) {
			t.Errorf("the second is told to drop %d", got)
		}
		if holder, _, _ := a.d.Holder(u.Key); holder != first.id || len(first.revokes(t)) != 0 {
			t.Errorf("held by %s", holder)
		}
		first.send(first.result(1, &wire.JobOffer{Lease: 1<<32 + 1, TaskID: u.Task, Attempt: 1, InputHash: u.InputHash}))
		a.owner.wait(t, 1)
	})
}

// TestInputOfAdoptedWork: the data of work whose coordinator died before it was
// fetched comes from the one that adopted it.
func TestInputOfAdoptedWork(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		net := r.blobs.streams.(*fakeStreams).net
		u := unitOf(0, big(wire.MaxInline+1))
		w := r.member(1, 1)
		old, leader := w.played(101), w.played(102)
		die := make(chan struct{})
		net.node(old.id)
		net.serve[old.id] = func(s p2p.Stream) {
			<-die
			_ = s.Close()
		}
		payload, release, err := net.node(leader.id).Pack(u.Data, u.InputHash)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		o := offerIn(1, u)
		o.Data = payload
		old.send(&wire.Adopt{Region: east, Epoch: 1}, o)
		next[*wire.JobAccept](old.raw)
		leader.send(&wire.Adopt{Region: east, Epoch: 2})
		next[*wire.Claim](leader.raw)
		close(die)
		if res := next[*wire.JobResult](leader.raw); res.Failure != nil || w.ran(u) != 1 {
			t.Errorf("the result is %+v, it ran %d times", res, w.ran(u))
		}
	})
}

// TestWorkEndsWithItsLink: without epochs work ends with its link at once, with
// them when its lease does; with its node it ends either way.
func TestWorkEndsWithItsLink(t *testing.T) {
	for name, c := range map[string]struct {
		epoch uint64
		lives time.Duration
	}{"without epochs": {0, 0}, "with epochs": {1, 15 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				u, v := unit(0), unit(1)
				w := r.member(1, 4, u, v)
				a := w.played(101)
				if c.epoch > 0 {
					a.send(&wire.Adopt{Region: east, Epoch: c.epoch})
				}
				a.send(offerIn(c.epoch, u))
				settle(time.Second)
				_ = a.Close()
				start := time.Now()
				settle(0)
				for w.cause(u) == nil && time.Since(start) < time.Minute {
					settle(100 * time.Millisecond)
				}
				if took := time.Since(start); took < c.lives || took > c.lives+time.Second || !errors.Is(w.cause(u), errLinkLost) {
					t.Errorf("it ended after %s with %v", took, w.cause(u))
				}
				w.idle()
				b := w.played(102)
				b.send(offerIn(c.epoch, v))
				if c.epoch > 0 {
					next[*wire.JobReject](b.raw)
					b.send(&wire.Adopt{Region: east, Epoch: c.epoch}, offerIn(c.epoch, v))
				}
				settle(time.Second)
				_ = b.Close()
				r.cancel()
				settle(time.Millisecond)
				if w.cause(v) == nil {
					t.Error("the work outlives its node")
				}
			})
		})
	}
}
