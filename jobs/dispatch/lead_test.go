package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// TestLeaderDies: what runs and what finished unconfirmed under a dead leader is
// taken over by the next and not run again; what nobody holds is offered after
// the window for claims, and not before.
//
// spec 2.1 2.5
func TestLeaderDies(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		all := units(5)
		running, finished, queued, lost := all[:2], all[2], all[3], all[4]
		a, b := r.leader(101), r.leader(102)
		w, v := r.member(1, 2, running...), r.member(2, 1, lost)
		link := w.joins(a)
		w.joins(b)
		a.lead(1)
		a.submit(finished)
		a.owner.wait(t, 1)
		a.submit(running...)
		a.submit(queued)
		settle(100 * time.Millisecond)
		_ = link.Close() // first, so that no verdict leaves
		a.kill()
		settle(time.Second)

		v.joins(b)
		b.lead(2)
		start := time.Now()
		b.resume(running...)
		b.resume(finished, queued, lost)
		settle(399 * time.Millisecond)
		if log := b.owner.wait(t, 1); v.ran(queued)+v.ran(lost) > 0 || count(log, "done 2 by "+w.id.ID().Short()) != 1 ||
			count(log, fmt.Sprintf("started 0 by %s, attempt 1", w.id.ID().Short())) != 1 {
			t.Errorf("before the window is over: %q", log)
		}
		settle(2 * time.Millisecond)
		if v.ran(queued)+v.ran(lost) == 0 || w.ran(queued) != 0 {
			t.Errorf("%s after the change nobody has the unit that nobody claimed", time.Since(start))
		}
		for _, gate := range w.gate {
			close(gate)
		}
		close(v.gate[string(lost.Data)])
		b.owner.wait(t, 4)
		for i, u := range []jobs.Unit{running[0], running[1], finished} {
			if out, f := b.owner.endOf(u.Index); w.ran(u) != 1 || v.ran(u) != 0 || out != "55" || f != nil {
				t.Errorf("unit %d ran %d times and gives %q, %v", i, w.ran(u)+v.ran(u), out, f)
			}
		}
		if n := w.ran(queued) + v.ran(queued) + w.ran(lost) + v.ran(lost); n != 2 {
			t.Errorf("the others ran %d times", n)
		}
		settle(2 * time.Second)
		w.idle()
		if len(w.h.kept.byUnit) != 0 || w.h.kept.bytes != 0 {
			t.Errorf("%d results are kept although all were confirmed", len(w.h.kept.byUnit))
		}
	})
}

// TestCoordinatorRestarts: a worker goes on while its only coordinator is away,
// for as long as its leases live, and is adopted by what starts in its place.
//
// spec 2.5
func TestCoordinatorRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		away    time.Duration
		adopted bool
	}{"within the lease": {14 * time.Second, true}, "longer": {16 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				u := unit(0)
				w := r.member(1, 1, u)
				a := r.leader(101)
				w.joins(a)
				a.lead(1)
				a.submit(u)
				settle(time.Second)
				a.kill()
				settle(c.away)
				if err := w.cause(u); errors.Is(err, errLinkLost) == c.adopted {
					t.Errorf("after %s the work ended with %v", c.away, err)
				}
				b := r.leader(101)
				b.lead(2)
				w.joins(b)
				b.resume(u)
				settle(time.Second)
				close(w.gate[string(u.Data)])
				b.owner.wait(t, 1)
				if out, f := b.owner.endOf(0); out != "55" || f != nil || (w.ran(u) == 1) != c.adopted {
					t.Errorf("ran %d times, gives %q, %v", w.ran(u), out, f)
				}
				w.idle()
			})
		})
	}
}

// TestRelink: a worker that lost its link and links again at once goes on with
// what it held; the attempt was not lost.
func TestRelink(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		w, v := r.member(1, 1, u), r.member(2, 1)
		a := r.leader(101)
		a.lead(1)
		link := w.joins(a)
		a.submit(u)
		settle(time.Second)
		v.joins(a)
		for i := range 6 { // more often than a unit has attempts
			_ = link.Close()
			settle(100 * time.Millisecond)
			if link = w.joins(a); w.ran(u)+v.ran(u) != 1 {
				t.Fatalf("after %d new links it ran %d times", i+1, w.ran(u)+v.ran(u))
			}
			settle(time.Second)
		}
		link = w.joins(a) // before the old one is found dead
		settle(time.Second)
		close(w.gate[string(u.Data)])
		a.owner.wait(t, 1)
		if out, _ := a.owner.endOf(0); out != "55" || w.ran(u) != 1 || v.ran(u) != 0 {
			t.Errorf("it gives %q; ran %d times here, %d there", out, w.ran(u), v.ran(u))
		}
		_ = link.Close()
	})
}

// TestGoneForGood: the units of a worker that does not come back go to others
// after the window.
func TestGoneForGood(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		w, v := r.member(1, 1, u), r.member(2, 1)
		a := r.leader(101)
		a.lead(1)
		a.d.Resumed(nil)
		link := w.joins(a)
		a.submit(u)
		settle(time.Second)
		v.joins(a)
		_ = link.Close()
		settle(399 * time.Millisecond)
		if v.ran(u) != 0 {
			t.Error("its place was taken at once")
		}
		a.owner.wait(t, 1)
		if v.ran(u) != 1 {
			t.Errorf("it ran %d times elsewhere", v.ran(u))
		}
		w.joins(a) // too late: it is told to stop
		settle(time.Second)
		var f *core.Failure
		if err := w.cause(u); !errors.As(err, &f) || f.Reason != jobs.HandedOver {
			t.Errorf("the late worker stops for %v", err)
		}
		w.idle()
	})
}

// TestRetire: a leader that stops tells nobody: no revocation, no call to an
// owner, nothing left of the units; what workers hold goes on, and the same
// dispatcher may lead again and adopt it.
//
// spec 2.5
func TestRetire(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		if err := a.d.Submit(unit(0), a.owner); !errors.Is(err, core.Unavailable) {
			t.Errorf("before it leads: %v", err)
		}
		a.lead(1)
		w := a.raw(1)
		if m := next[*wire.Adopt](w); m.Epoch != 1 || m.Region != east {
			t.Errorf("asked %+v", m)
		}
		w.send(&wire.Claim{Epoch: 1})
		w.pull(2)
		leased, offered, queued := unit(0), unitOf(1, big(100_000)), unit(2)
		a.submit(leased, offered, queued)
		first, second := next[*wire.JobOffer](w), next[*wire.JobOffer](w)
		if first.Epoch != 1 || first.Lease>>32 != 1 || second.Lease == first.Lease {
			t.Errorf("offers of epoch %d with leases %x, %x", first.Epoch, first.Lease, second.Lease)
		}
		w.send(&wire.JobAccept{Lease: first.Lease})
		settle(10 * time.Millisecond)
		before := a.owner.events()
		a.d.Retire()
		w.send(&wire.LeaseRenew{Lease: first.Lease, Progress: 0.5}, &wire.JobAccept{Lease: second.Lease}, w.result(1, second))
		settle(time.Minute)
		if got := w.revokes(t); len(got) != 0 {
			t.Errorf("leases %d were revoked", got)
		}
		if log := a.owner.events(); !slices.Equal(log, before) {
			t.Errorf("the owner heard %q", log[len(before):])
		}
		if units, _, children := a.d.Load(); units != 0 || children != 1 || len(a.d.owners)+len(a.d.cfg.Blobs.blobs) != 0 {
			t.Errorf("%d units, %d children, %d owners, %d blobs are left", units, children, len(a.d.owners), len(a.d.cfg.Blobs.blobs))
		}
		for name, put := range map[string]func(jobs.Unit, Owner) error{"submit": a.d.Submit, "resume": a.d.Resume} {
			if err := put(unit(5), a.owner); !errors.Is(err, core.Unavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := a.d.Lead(east, 1); !errors.Is(err, core.Conflict) {
			t.Errorf("the same epoch again: %v", err)
		}
		a.lead(3)
		a.resume(leased)
		if m := next[*wire.Adopt](w); m.Epoch != 3 {
			t.Errorf("asked %+v", m)
		}
		w.send(&wire.LeaseRenew{Lease: first.Lease, Progress: 0.5}) // sent before it knew
		w.send(&wire.Claim{Epoch: 3, Leases: []wire.ClaimedLease{claimOfOffer(first)}}, w.result(1, first))
		a.owner.wait(t, 1)
		if got := w.revokes(t); len(got) != 0 {
			t.Errorf("leases %d were revoked", got)
		}
	})
}

// TestNoVerdictOfTheRetired: a verdict that has not left when its leader retires
// never does: the next leader may not know the result, and the worker must keep
// it.
func TestNoVerdictOfTheRetired(t *testing.T) {
	for name, retire := range map[string]bool{"leads on": false, "retires": true} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				a := r.leader(101)
				a.lead(1)
				w := a.raw(1)
				w.pull(1)
				a.submit(unit(0))
				w.send(w.result(1, next[*wire.JobOffer](w)))
				a.owner.wait(t, 1)
				if synctest.Wait(); !retire {
					next[*wire.JobVerify](w)
					next[*wire.JobReward](w)
					return
				}
				a.d.Retire()
				silent[*wire.JobVerify](w, time.Minute)
				silent[*wire.JobReward](w, 0)
			})
		})
	}
}

// TestRetireWaits: no owner is called once Retire has returned. In real time: a
// bubble's clock stands still while somebody waits for a lock.
func TestRetireWaits(t *testing.T) {
	r := newRig(t, Pipe, jobs.Limits{})
	o := &slowOwner{r.owner, make(chan struct{}), make(chan struct{})}
	mine, theirs := Pipe(r.id.ID(), identity(1).ID())
	r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, jobs.ChildInfo{ID: identity(1).ID()}, nil) })
	w := &raw{t: t, Link: theirs, id: identity(1).ID()}
	w.pull(1)
	if err := r.d.Submit(unit(0), o); err != nil {
		t.Fatal(err)
	}
	offer := next[*wire.JobOffer](w)
	w.send(w.result(1, offer))
	<-o.entered // Verify
	retired := make(chan []string)
	go func() {
		r.d.Retire()
		retired <- o.events()
	}()
	select {
	case <-retired:
		t.Error("it did not wait for the call that was going on")
	case <-time.After(20 * time.Millisecond):
	}
	o.proceed <- struct{}{}
	log := <-retired
	r.stop()
	if after := o.events(); len(after) != len(log) {
		t.Errorf("after Retire the owner heard %q", after[len(log):])
	}
}

// TestEarlyClaims: a claim that comes before its unit is resumed waits for it,
// and so does its result; what is never resumed is handed over in the end.
func TestEarlyClaims(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		a.lead(2)
		w := a.raw(1)
		next[*wire.Adopt](w)
		claim := func(i int, finished bool) wire.ClaimedLease {
			u := unit(i)
			return wire.ClaimedLease{Lease: wire.LeaseID(1<<32 + i + 1), TaskID: u.Task, Index: i, Attempt: 2, Epoch: 1, InputHash: u.InputHash, Finished: finished}
		}
		running, finished, orphan, twin := claim(0, false), claim(1, true), claim(2, false), claim(0, false)
		twin.Lease = 1<<32 + 99
		w.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{running, finished}, More: true})
		w.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{orphan, twin, running}})
		result := w.result(1, &wire.JobOffer{Lease: finished.Lease, TaskID: "t1", Index: 1, Attempt: 2, InputHash: unit(1).InputHash})
		w.send(result, result, &wire.LeaseRenew{Lease: orphan.Lease, Progress: 0.5})
		settle(5 * time.Second)
		if got := w.revokes(t); !slices.Equal(got, []wire.LeaseID{twin.Lease, running.Lease}) {
			t.Errorf("leases %d were handed over; want the second of the same work and the second of the same lease", got)
		}
		a.resume(unit(1), unit(0))
		if log := a.owner.wait(t, 1); count(log, "done 1 by "+w.id.Short()) != 1 {
			t.Errorf("the owner heard %q", log)
		}
		if holder, lease, ok := a.d.Holder(unit(0).Key); !ok || holder != w.id || lease != running.Lease {
			t.Errorf("unit 0 is held by %s with lease %d, %t", holder, lease, ok)
		}
		silent[*wire.LeaseRevoke](w, 9*time.Second)
		if m := next[*wire.LeaseRevoke](w); m.Lease != orphan.Lease || m.Reason != jobs.HandedOver {
			t.Errorf("revoked %+v", m)
		}
		if len(a.d.lead.early) != 0 || a.d.lead.bytes != 0 {
			t.Errorf("%d early claims, %d bytes are left", len(a.d.lead.early), a.d.lead.bytes)
		}
	})
}

// TestEarlyClaimsLeaveWithTheirChild: nothing is kept of a child that is gone.
func TestEarlyClaimsLeaveWithTheirChild(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		a := r.leader(101)
		a.lead(2)
		w := a.raw(1)
		u := unit(0)
		claim := wire.ClaimedLease{Lease: 1<<32 + 1, TaskID: u.Task, Attempt: 1, Epoch: 1, InputHash: u.InputHash, Finished: true}
		w.send(&wire.Claim{Epoch: 2, Leases: []wire.ClaimedLease{claim}}, &wire.JobResult{Lease: claim.Lease, TaskID: "t1", Attempt: 1, Output: wire.Payload{Inline: big(1000)}})
		settle(time.Second)
		if len(a.d.lead.early) != 1 || a.d.lead.bytes == 0 {
			t.Fatalf("%d early claims, %d bytes", len(a.d.lead.early), a.d.lead.bytes)
		}
		_ = w.Close()
		settle(10 * time.Second)
		if len(a.d.lead.early) != 0 || a.d.lead.bytes != 0 {
			t.Errorf("%d early claims, %d bytes are left", len(a.d.lead.early), a.d.lead.bytes)
		}
	})
}

// TestLost tells an owner that wants to know how each attempt ended.
func TestLost(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		o := &mourner{recorder: r.owner}
		if err := r.d.Submit(unit(0), o); err != nil {
			t.Fatal(err)
		}
		left := r.raw(1)
		left.pull(1)
		left.send(&wire.JobAccept{Lease: next[*wire.JobOffer](left).Lease})
		settle(time.Millisecond)
		_ = left.Close()
		settle(time.Second)
		frozen := r.raw(2)
		frozen.pull(1)
		frozen.send(&wire.JobAccept{Lease: next[*wire.JobOffer](frozen).Lease})
		settle(20 * time.Second)
		liar := r.raw(3)
		liar.pull(1)
		offer := next[*wire.JobOffer](liar)
		lie := liar.result(3, offer)
		lie.Proofs = nil
		liar.send(&wire.JobAccept{Lease: offer.Lease}, lie)
		settle(10 * time.Second)
		r.worker(newWorker(4), 1)
		log := o.wait(t, 1)
		name := func(n byte) string { return identity(n).ID().Short() }
		for _, want := range []string{
			fmt.Sprintf("lost attempt 1 of 0 by %s: link_lost, node %s left", name(1), name(1)),
			fmt.Sprintf("lost attempt 2 of 0 by %s: lease_expired, node %s stopped renewing its lease", name(2), name(2)),
			fmt.Sprintf("lost attempt 3 of 0 by %s: result_refused, the result carries no proof", name(3)),
		} {
			if count(log, want) != 1 {
				t.Errorf("not told %q:\n%q", want, log)
			}
		}
	})
}

// mourner is an owner that wants to know of lost attempts.
type mourner struct{ *recorder }

func (m *mourner) Lost(l *jobs.Loss) {
	m.note("lost attempt %d of %d by %s: %s, %s", l.Attempt, l.Unit.Index, l.Child.Short(), l.Reason, l.Why)
}
