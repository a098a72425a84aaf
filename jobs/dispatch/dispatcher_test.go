package dispatch

import (
	"context"
	"encoding/json"
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

// TestUnitEndToEnd follows one unit: a pull, an offer, an accept, a result, its
// verification, the verdict and a signed reward.
//
// spec 4.22 4.23 2.32
func TestUnitEndToEnd(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		r.worker(w, 2)
		r.submit(unit(0))
		log := r.owner.wait(t, 1)
		short := w.id.ID().Short()
		want := []string{"started 0 by " + short + ", attempt 1", "verify 0 of " + short, "done 0 by " + short}
		if !slices.Equal(log, want) {
			t.Errorf("the owner heard %q, want %q", log, want)
		}
		if out, failure := r.owner.endOf(0); out != "55" || failure != nil {
			t.Errorf("the output is %q, %v", out, failure)
		}
		time.Sleep(RewardDelay + linger)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.verdicts) != 1 || !w.verdicts[0].Accepted || w.verdicts[0].TaskID != "t1" {
			t.Errorf("the worker heard verdicts %+v", w.verdicts)
		}
		if len(w.rewards) != 1 || len(w.rewards[0].Entries) != 1 {
			t.Fatalf("the worker got rewards %+v", w.rewards)
		}
		e := w.rewards[0].Entries[0]
		if e.TaskID != "t1" || e.Units != 10 || e.OutputHash != core.Sum([]byte("55")) || w.rewards[0].Worker != w.id.ID() {
			t.Errorf("the reward is %+v", e)
		}
		units, queued, children := r.d.Load()
		if credits := r.d.Credits(wire.ClassSubtask); units != 0 || queued != 0 || children != 1 || credits != 2 {
			t.Errorf("afterwards %d units, %d queued, %d children, %d credits", units, queued, children, credits)
		}
		if got := r.verdicts(); !slices.Equal(got, []string{fmt.Sprintf("%s %d", short, Delivered)}) {
			t.Errorf("its conduct: %q", got)
		}
	})
}

// TestManyUnits has workers with small windows do many units: each ends once,
// with its own output, and nothing is left.
func TestManyUnits(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		const n = 300
		for i := range 3 {
			w := newWorker(byte(i + 1))
			w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
				time.Sleep(time.Duration(len(data)) * time.Millisecond)
				return w.output(data, data)
			}
			r.worker(w, 4)
		}
		for i := range n {
			r.submit(unit(i))
		}
		r.owner.wait(t, n)
		for i := range n {
			if out, failure := r.owner.endOf(i); out != fmt.Sprintf(`{"input":[%d]}`, i) || failure != nil {
				t.Fatalf("unit %d ended with %q, %v", i, out, failure)
			}
		}
		if len(r.owner.over) != 0 {
			t.Error("a unit ended twice")
		}
		r.empty()
	})
}

// empty fails when the dispatcher still holds something.
func (r *rig) empty() {
	r.t.Helper()
	if units, queued, _ := r.d.Load(); units != 0 || queued != 0 || len(r.d.owners) != 0 || len(r.blobs.blobs) != 0 {
		r.t.Errorf("left: %d units, %d queued, %d owners, %d blobs", units, queued, len(r.d.owners), len(r.blobs.blobs))
	}
}

// TestBigPayloads: inputs and outputs over the inline limit move by digest and
// are released when the unit has ended.
func TestBigPayloads(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		out := big(200_000)
		w.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
			if len(data) != 100_000 {
				t.Errorf("the worker got %d bytes", len(data))
			}
			return w.output(data, out)
		}
		r.worker(w, 1)
		r.submit(unitOf(0, big(100_000)))
		r.owner.wait(t, 1)
		if got, failure := r.owner.endOf(0); got != string(out) || failure != nil {
			t.Errorf("the output has %d bytes, %v", len(got), failure)
		}
		r.empty()
		theirs := r.blobs.streams.(*fakeStreams).net.node(w.id.ID())
		time.Sleep(resultKept)
		synctest.Wait()
		if len(theirs.blobs) != 0 {
			t.Error("the worker still holds the output")
		}
	})
}

// TestRefusedResult: a result that does not verify as the node's own costs it the
// unit and its reputation; the unit goes to another node.
func TestRefusedResult(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		liar, honest := newWorker(1), newWorker(2)
		liar.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
			m := liar.output(data, json.RawMessage("55"))
			m.Output.Inline = json.RawMessage("56") // not what it signed
			return m
		}
		r.worker(liar, 1)
		r.submit(unit(0))
		time.Sleep(time.Minute / 2)
		r.worker(honest, 1)
		log := r.owner.wait(t, 1)
		a, b := liar.id.ID().Short(), honest.id.ID().Short()
		want := []string{"started 0 by " + a + ", attempt 1", "verify 0 of " + a, "started 0 by " + b + ", attempt 2", "verify 0 of " + b, "done 0 by " + b}
		if !slices.Equal(log, want) {
			t.Errorf("the owner heard %q, want %q", log, want)
		}
		want = []string{fmt.Sprintf("%s %d", a, Lied), fmt.Sprintf("%s %d", b, Delivered)}
		if got := r.verdicts(); !slices.Equal(got, want) {
			t.Errorf("conduct %q, want %q", got, want)
		}
		liar.mu.Lock()
		defer liar.mu.Unlock()
		if len(liar.verdicts) != 1 || liar.verdicts[0].Accepted || liar.verdicts[0].Message == "" || len(liar.rewards) != 0 {
			t.Errorf("the liar heard %+v and was rewarded %+v", liar.verdicts, liar.rewards)
		}
	})
}

// TestFailures: a failure that is the task's own fault ends the unit; one that
// another node may not have is tried again there, and blames nobody.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		reason core.Reason
		again  bool
	}{
		"overflow":         {core.ReasonOverflow, false},
		"invalid input":    {core.ReasonInvalidInput, false},
		"execution failed": {core.ReasonExecutionFailed, false},
		"internal":         {core.ReasonInternal, true},
		"stopped":          {core.ReasonCancelled, true},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				w := newWorker(1)
				good, tries := w.run, 0
				w.run = func(ctx context.Context, data []byte, p func(float64)) *wire.JobResult {
					if tries++; tries == 1 {
						return &wire.JobResult{Failure: &core.Failure{Reason: c.reason, Message: string(big(2000))}}
					}
					return good(ctx, data, p)
				}
				r.worker(w, 1)
				r.submit(unit(0))
				r.owner.wait(t, 1)
				out, failure := r.owner.endOf(0)
				if c.again && (out != "55" || failure != nil || tries != 2) {
					t.Errorf("after %d tries %q, %v", tries, out, failure)
				}
				if !c.again && (failure == nil || failure.Reason != c.reason || tries != 1) {
					t.Errorf("after %d tries %q, %v", tries, out, failure)
				}
				if got := r.verdicts(); slices.Contains(got, fmt.Sprintf("%s %d", w.id.ID().Short(), Lied)) {
					t.Errorf("conduct %q", got)
				}
			})
		})
	}
}

// TestEndOfAJob: a region's word on a whole job is its end, but that another
// coordinator has the job now is none.
func TestEndOfAJob(t *testing.T) {
	for reason, ends := range map[core.Reason]bool{
		core.ReasonCancelled: true, core.ReasonInternal: true, core.ReasonAttemptsExhausted: true, core.ReasonDeadline: true, jobs.HandedOver: false,
	} {
		u := &jobs.Unit{Class: wire.ClassJob}
		if err := verdict(nil, u, "region", &wire.JobResult{Failure: &core.Failure{Reason: reason}}, nil); (err == nil) != ends || errors.Is(err, core.Corrupt) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestLostLink: what a node held when its link was lost is queued again at once;
// its own work ends with the cause.
//
// spec 2.49
func TestLostLink(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		cause := make(chan error, 2)
		w.run = func(ctx context.Context, _ []byte, _ func(float64)) *wire.JobResult {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return &wire.JobResult{Failure: &core.Failure{Reason: core.ReasonCancelled}}
		}
		link := r.worker(w, 2)
		r.submit(unit(0))
		r.submit(unit(1))
		synctest.Wait()
		if r.d.ActiveOf(w.id.ID()) != 2 || !r.d.Attached(w.id.ID()) {
			t.Fatalf("the worker holds %d units", r.d.ActiveOf(w.id.ID()))
		}
		start := time.Now()
		_ = link.Close()
		r.worker(newWorker(2), 2)
		r.owner.wait(t, 2)
		if took := time.Since(start); took > time.Second {
			t.Errorf("the units were done %s after the link was lost", took)
		}
		for range 2 {
			if err := <-cause; !errors.Is(err, errLinkLost) {
				t.Errorf("the work ended with %v", err)
			}
		}
		if r.d.Attached(w.id.ID()) || r.d.ActiveOf(w.id.ID()) != 0 {
			t.Error("the node is still there")
		}
	})
}

// TestSurvivingWork: work that survives goes on when the link is lost, until its
// own deadline.
func TestSurvivingWork(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		w.survives = true
		type ending struct {
			after time.Duration
			cause error
		}
		start, over := time.Now(), make(chan ending, 1)
		w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
			<-ctx.Done()
			over <- ending{time.Since(start), context.Cause(ctx)}
			return w.output(data, json.RawMessage("55"))
		}
		link := r.worker(w, 1)
		r.submit(unit(0))
		synctest.Wait()
		_ = link.Close()
		if e := <-over; e.after != 10*time.Minute || !errors.Is(e.cause, context.DeadlineExceeded) {
			t.Errorf("the work ended after %s with %v", e.after, e.cause)
		}
	})
}

// TestLeaseExpires: a node that took a unit and stops renewing loses it after
// 15 s; what it says later changes nothing.
//
// spec 4.55
func TestLeaseExpires(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := r.raw(1)
		w.pull(1)
		r.submit(unit(0))
		o := next[*wire.JobOffer](w)
		if o.TTLMS != 15_000 || o.Attempt != 1 {
			t.Fatalf("the offer is %+v", o)
		}
		start := time.Now()
		w.send(&wire.JobAccept{Lease: o.Lease})
		if m := next[*wire.LeaseRevoke](w); m.Lease != o.Lease || m.Reason != jobs.LeaseExpired || time.Since(start) != 15*time.Second {
			t.Fatalf("after %s: %+v", time.Since(start), m)
		}
		r.worker(newWorker(2), 1)
		r.owner.wait(t, 1)
		before := r.owner.events()
		w.send(w.result(1, o), &wire.JobAccept{Lease: o.Lease}, &wire.JobReject{Lease: o.Lease, Reason: wire.RefusedUnable})
		w.send(&wire.LeaseRenew{Lease: o.Lease})
		if m := next[*wire.LeaseRevoke](w); m.Lease != o.Lease {
			t.Errorf("a renewal of a lost lease is answered by %+v", m)
		}
		synctest.Wait()
		if after := r.owner.events(); !slices.Equal(before, after) {
			t.Errorf("the owner heard more: %q", after[len(before):])
		}
		if got := r.verdicts(); got[0] != fmt.Sprintf("%s %d", w.id.Short(), LostLease) {
			t.Errorf("conduct %q", got)
		}
	})
}

// TestRenewals: a puller keeps the lease of long work alive and reports progress.
func TestRenewals(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		good := w.run
		w.run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
			for i := range 6 {
				progress(float64(i) / 6)
				time.Sleep(15 * time.Second)
			}
			return good(ctx, data, progress)
		}
		r.worker(w, 1)
		r.submit(unit(0))
		time.Sleep(70 * time.Second)
		if p := r.d.Progress(jobs.Key{Task: "t1"}); p != 4./6 {
			t.Errorf("progress is %v", p)
		}
		if log := r.owner.wait(t, 1); len(log) != 3 {
			t.Errorf("the owner heard %q", log)
		}
	})
}

// TestFailRevokes: cancelling a unit ends the work on it, with the reason as the
// cause, and its owner hears of it once.
func TestFailRevokes(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w, cause := newWorker(1), make(chan error, 1)
		w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return w.output(data, json.RawMessage("55")) // too late
		}
		r.worker(w, 1)
		r.submit(unit(0))
		synctest.Wait()
		f := &core.Failure{Reason: core.ReasonCancelled, Message: "enough"}
		r.d.Fail(jobs.Key{Task: "t1"}, f)
		var got *core.Failure
		if err := <-cause; !errors.As(err, &got) || got.Reason != core.ReasonCancelled {
			t.Errorf("the work ended with %v", err)
		}
		r.owner.wait(t, 1)
		r.d.Fail(jobs.Key{Task: "t1"}, f)
		time.Sleep(time.Minute)
		if _, failure := r.owner.endOf(0); failure != f || len(r.owner.over) != 0 {
			t.Errorf("ended with %v, and %d times more", failure, len(r.owner.over))
		}
		r.empty()
	})
}

// TestDeadline: at its deadline a unit ends, and so does the work on it.
func TestDeadline(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w, cause := newWorker(1), make(chan error, 1)
		w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			time.Sleep(time.Second) // too late by then
			return w.output(data, json.RawMessage("55"))
		}
		r.worker(w, 1)
		u, start := unit(0), time.Now()
		u.Deadline = start.Add(20 * time.Second)
		r.submit(u)
		r.owner.wait(t, 1)
		if _, failure := r.owner.endOf(0); failure == nil || failure.Reason != core.ReasonDeadline || time.Since(start) != 20*time.Second {
			t.Errorf("after %s: %v", time.Since(start), failure)
		}
		var f *core.Failure
		if err := <-cause; !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &f) && f.Reason == core.ReasonDeadline) {
			t.Errorf("the work ended with %v", err)
		}
		time.Sleep(2 * time.Second)
		if len(r.owner.over) != 0 {
			t.Error("the late result counts")
		}
	})
}

// TestNobodyCapable: without any child a unit ends after its queue time.
func TestNobodyCapable(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		start := time.Now()
		r.submit(unit(0))
		r.owner.wait(t, 1)
		if _, f := r.owner.endOf(0); f.Reason != core.ReasonNoCapableWorker || f.Message != "nobody is there" || time.Since(start) != time.Minute {
			t.Errorf("after %s: %v", time.Since(start), f)
		}
	})
}
