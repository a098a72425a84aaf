package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// TestHostileChild has one child do something that it may not do, while it and an
// honest one hold a unit each. The honest one's unit must end with its result,
// and the hostile one's with that of the honest one or not at all, once each.
//
// spec 4.55
func TestHostileChild(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(bad *raw, mine, theirs *wire.JobOffer)
		lied bool
	}{
		"result for a foreign lease": {func(bad *raw, mine, theirs *wire.JobOffer) { bad.send(bad.result(1, theirs)) }, false},
		"accept of a foreign lease":  {func(bad *raw, mine, theirs *wire.JobOffer) { bad.send(&wire.JobAccept{Lease: theirs.Lease}) }, false},
		"reject of a foreign lease": {func(bad *raw, mine, theirs *wire.JobOffer) {
			bad.send(&wire.JobReject{Lease: theirs.Lease, Reason: wire.RefusedUnable})
		}, false},
		"renewal of a foreign lease": {func(bad *raw, mine, theirs *wire.JobOffer) { bad.send(&wire.LeaseRenew{Lease: theirs.Lease}) }, false},
		"everything for unknown leases": {func(bad *raw, mine, theirs *wire.JobOffer) {
			unknown := *mine
			unknown.Lease = 1 << 60
			bad.send(&wire.JobAccept{Lease: 1 << 60}, &wire.JobReject{Lease: 1 << 60, Reason: wire.RefusedBusy, RetryAfterMS: 3_600_000}, &wire.LeaseRenew{Lease: 1 << 60}, bad.result(1, &unknown))
		}, false},
		"own lease, another unit": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, theirs)
			m.Lease = mine.Lease
			bad.send(m)
		}, true},
		"own lease, another task": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.TaskID = "other"
			bad.send(m)
		}, true},
		"wrong output": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Output.Inline = json.RawMessage("56")
			bad.send(m)
		}, true},
		"proof for another input": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Proofs = []core.Proof{proof(1, theirs.InputHash, m.Output.Inline)}
			bad.send(m)
		}, true},
		"proof signed by another": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Proofs = []core.Proof{proof(2, mine.InputHash, m.Output.Inline)}
			bad.send(m)
		}, true},
		"forged signature": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Proofs[0].Signature[0] ^= 1
			bad.send(m)
		}, true},
		"no proof": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Proofs = nil
			bad.send(m)
		}, true},
		"an output that it does not serve": {func(bad *raw, mine, theirs *wire.JobOffer) {
			m := bad.result(1, mine)
			m.Output = wire.Payload{Blob: &wire.BlobRef{Digest: core.Digest{7}, Size: core.MaxTaskBytes}}
			bad.send(m)
		}, false},
		"messages of the other side": {func(bad *raw, mine, theirs *wire.JobOffer) {
			bad.send(mine, &wire.LeaseRevoke{Lease: theirs.Lease, Reason: core.ReasonCancelled}, &wire.JobVerify{TaskID: "t1", Accepted: true},
				&wire.JobQuery{ID: 1, TaskID: "t1", Op: wire.QueryCancel})
		}, false},
		"hangs up": {func(bad *raw, mine, theirs *wire.JobOffer) { _ = bad.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				bad, good := r.raw(1), r.raw(2)
				bad.pull(1)
				r.submit(unit(0))
				mine := next[*wire.JobOffer](bad)
				good.pull(1)
				r.submit(unit(1))
				theirs := next[*wire.JobOffer](good)
				bad.send(&wire.JobAccept{Lease: mine.Lease})
				good.send(&wire.JobAccept{Lease: theirs.Lease})
				synctest.Wait()
				c.act(bad, mine, theirs)
				synctest.Wait()
				good.send(good.result(2, theirs), &wire.Pull{Class: wire.ClassSubtask, Credits: 1})
				again := next[*wire.JobOffer](good) // now, or when the other's lease expires
				if again.Index != 0 || again.Attempt != 2 {
					t.Fatalf("offered to the other: %+v", again)
				}
				good.send(good.result(2, again))
				log := r.owner.wait(t, 2)
				time.Sleep(time.Minute)
				if len(r.owner.over) != 0 {
					t.Error("a unit ended twice")
				}
				honest := good.id.Short()
				if !slices.Contains(log, "done 0 by "+honest) || !slices.Contains(log, "done 1 by "+honest) {
					t.Errorf("the owner heard %q", log)
				}
				if got := slices.Contains(r.verdicts(), fmt.Sprintf("%s %d", bad.id.Short(), Lied)); got != c.lied {
					t.Errorf("blamed: %t; conduct %q", got, r.verdicts())
				}
				if slices.Contains(r.verdicts(), fmt.Sprintf("%s %d", honest, Lied)) {
					t.Errorf("the honest one is blamed: %q", r.verdicts())
				}
				r.empty()
			})
		})
	}
}

// TestGarbageFrame: a child whose frame does not decode loses its link, and what
// it held goes elsewhere at once.
func TestGarbageFrame(t *testing.T) {
	for name, frame := range map[string][]byte{"no JSON": []byte("\x00\x01"), "too long": make([]byte, wire.MaxFrame+1), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Pipe, jobs.Limits{})
				defer r.stop()
				id := identity(1).ID()
				here, there := memTransports(r.id.ID(), id, 64)
				ended := make(chan error, 1)
				r.wg.Go(func() { ended <- r.d.Attach(r.ctx, NewLink(here, nil), jobs.ChildInfo{ID: id}, nil) })
				w := &raw{t: t, Link: NewLink(there, nil), id: id}
				defer w.Close()
				w.pull(1)
				r.submit(unit(0))
				next[*wire.JobOffer](w)
				start := time.Now()
				if err := there.Send(t.Context(), frame); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; core.KindOf(err) != core.Invalid {
					t.Errorf("the link ended with %v", err)
				}
				r.worker(newWorker(2), 1)
				r.owner.wait(t, 1)
				if took := time.Since(start); took > 10*time.Millisecond {
					t.Errorf("the unit was done %s later", took)
				}
			})
		})
	}
}

// TestFrozenChild: a child that takes offers and never answers costs a unit one
// attempt, not all of them, and gets nothing more until it speaks.
func TestFrozenChild(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		frozen := r.raw(1)
		frozen.pull(100)
		r.submit(unit(0))
		start := time.Now()
		time.AfterFunc(40*time.Second, func() { r.worker(newWorker(2), 1) })
		log := r.owner.wait(t, 1)
		short := identity(2).ID().Short()
		if !slices.Equal(log, []string{"started 0 by " + short + ", attempt 2", "verify 0 of " + short, "done 0 by " + short}) || time.Since(start) > 41*time.Second {
			t.Errorf("after %s: %q", time.Since(start), log)
		}
	})
}

// TestRewardBatches: receipts leave 64 at a time, or 200 ms after the first, or
// when the link ends in order; each is signed for its child.
func TestRewardBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := Pipe("coordinator", "child")
		w := &raw{t: t, Link: there, id: "child"}
		rw := newRewards(identity(100), here)
		entries := func(m *wire.JobReward) int {
			if err := wire.VerifyReward(m); err != nil || m.Worker != "child" || m.Coordinator != identity(100).ID() {
				t.Errorf("the reward is %+v, %v", m, err)
			}
			return len(m.Entries)
		}
		start := time.Now()
		for i := range 70 {
			rw.add(&wire.JobVerify{TaskID: "t1", Accepted: true}, wire.Reward{TaskID: "t1", Index: i, Units: 1})
		}
		if n := entries(next[*wire.JobReward](w)); n != 64 || time.Since(start) > linger {
			t.Errorf("%d entries after %s", n, time.Since(start))
		}
		if n := entries(next[*wire.JobReward](w)); n != 6 || time.Since(start) < RewardDelay || time.Since(start) > RewardDelay+linger {
			t.Errorf("%d entries after %s", n, time.Since(start))
		}
		rw.add(&wire.JobVerify{TaskID: "t1", Accepted: true}, wire.Reward{TaskID: "t1", Units: 1})
		rw.close()
		if n := entries(next[*wire.JobReward](w)); n != 1 {
			t.Errorf("%d entries at the end", n)
		}
		rw.add(&wire.JobVerify{TaskID: "t1", Accepted: true}, wire.Reward{TaskID: "t1", Units: 1})
		rw.close()
		silent[*wire.JobReward](w, time.Second)
	})
}

// TestRewardsBeforeTheEnd: a coordinator that stops sends the receipts that wait.
func TestRewardsBeforeTheEnd(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := r.raw(1)
		w.pull(1)
		r.submit(unit(0))
		o := next[*wire.JobOffer](w)
		w.send(w.result(1, o))
		r.owner.wait(t, 1)
		r.stop()
		if m := next[*wire.JobReward](w); len(m.Entries) != 1 {
			t.Errorf("got %+v", m)
		}
	})
}

// TestLieBehindAnOldProof: a child that sends a wrong result with a proof which has
// counted before is blamed for it, and each time: the rig refuses evidence that is not
// new.
func TestLieBehindAnOldProof(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		bad := r.raw(1)
		var old []core.Proof
		for i := range 4 {
			bad.pull(1)
			u := unit(i)
			u.Task = core.TaskID(fmt.Sprint("t", i))
			r.submit(u)
			m := bad.result(1, next[*wire.JobOffer](bad))
			if i == 0 {
				old = m.Proofs
			}
			m.Proofs = old
			bad.send(m)
			synctest.Wait()
			time.Sleep(6 * time.Minute) // until it gets work again
		}
		name := bad.id.Short()
		want := []string{fmt.Sprintf("%s %d", name, Delivered), fmt.Sprintf("%s %d", name, Lied), fmt.Sprintf("%s %d", name, Lied), fmt.Sprintf("%s %d", name, Lied)}
		if got := r.verdicts(); !slices.Equal(got, want) {
			t.Errorf("conduct %q, want %q", got, want)
		}
	})
}
