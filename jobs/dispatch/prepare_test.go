package dispatch

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// jobOffer is an offer of a whole job.
func (c *coordinator) jobOffer(data string) *wire.JobOffer {
	o := c.offer(data)
	o.Class = wire.ClassJob
	return o
}

// TestPrepareBeforeAccept: an offer that must be prepared is not accepted, and
// its lease not renewed, before Prepare has seen the data and returned.
//
// spec 2.1
func TestPrepareBeforeAccept(t *testing.T) {
	w := newWorker(1)
	var saw, proceed chan string // of the bubble
	w.prepare = func(_ context.Context, data []byte) *wire.JobReject {
		saw <- string(data)
		<-proceed
		return nil
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		saw, proceed = make(chan string, 1), make(chan string)
		o := c.jobOffer("[1]")
		c.send(o)
		if got := <-saw; got != "[1]" {
			t.Errorf("prepared with %q", got)
		}
		silent[*wire.JobAccept](c.raw, 9*time.Second)
		silent[*wire.LeaseRenew](c.raw, 0)
		close(proceed)
		if a := next[*wire.JobAccept](c.raw); a.Lease != o.Lease {
			t.Errorf("accepted lease %d", a.Lease)
		}
		if r := next[*wire.JobResult](c.raw); r.Failure != nil || r.Lease != o.Lease {
			t.Errorf("the result is %+v", r)
		}
	})
}

// TestPrepareRefused: whatever keeps an offer from being prepared is answered
// with a refusal, the place is given back, once, and Run is never called.
func TestPrepareRefused(t *testing.T) {
	full := func(context.Context, []byte) *wire.JobReject {
		return &wire.JobReject{Reason: wire.RefusedBusy, Message: strings.Repeat("ü", 5000), RetryAfterMS: 7}
	}
	never := func(context.Context, []byte) *wire.JobReject {
		t.Error("prepared without its data")
		return nil
	}
	for name, c := range map[string]struct {
		bend    func(o *wire.JobOffer)
		prepare func(context.Context, []byte) *wire.JobReject
		want    wire.JobReject
	}{
		"by the taker":     {func(*wire.JobOffer) {}, full, wire.JobReject{Reason: wire.RefusedBusy, RetryAfterMS: 7}},
		"another digest":   {func(o *wire.JobOffer) { o.InputHash[0] ^= 1 }, never, wire.JobReject{Reason: wire.RefusedInvalid}},
		"nobody serves it": {func(o *wire.JobOffer) { o.Data = wire.Payload{Blob: &wire.BlobRef{Digest: o.InputHash, Size: 40_000}} }, never, wire.JobReject{Reason: wire.RefusedBusy, RetryAfterMS: fetchRetryMS}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(1)
			w.prepare = c.prepare
			w.run = func(context.Context, []byte, func(float64)) *wire.JobResult {
				t.Error("it was run")
				return &wire.JobResult{}
			}
			pulls(t, w, 1, func(t *testing.T, co *coordinator) {
				w.cancelled = 0
				o := co.jobOffer("[1]")
				c.bend(o)
				co.send(o)
				no := next[*wire.JobReject](co.raw)
				if no.Lease != o.Lease || no.Reason != c.want.Reason || no.RetryAfterMS != c.want.RetryAfterMS || no.Validate() != nil {
					t.Errorf("got %+v, %v", no, no.Validate())
				}
				silent[*wire.JobAccept](co.raw, time.Second)
				if w.cancelled != 1 {
					t.Errorf("the place was given back %d times", w.cancelled)
				}
			})
		})
	}
}

// TestPreparesAreConcurrent: slow preparations wait neither for each other nor
// hold up the link.
func TestPreparesAreConcurrent(t *testing.T) {
	const n = 100
	w := newWorker(1)
	var waiting atomic.Int32
	var proceed chan struct{} // of the bubble
	w.prepare = func(context.Context, []byte) *wire.JobReject {
		waiting.Add(1)
		<-proceed
		return nil
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		waiting.Store(0)
		proceed = make(chan struct{})
		for range n {
			c.send(c.jobOffer("[1]"))
		}
		synctest.Wait()
		if got := waiting.Load(); got != n {
			t.Errorf("%d of %d are being prepared", got, n)
		}
		close(proceed)
		for range n {
			next[*wire.JobResult](c.raw)
		}
	})
}

// TestRevokedWhilePreparing: what was prepared is run, although nobody waits for
// it any more: a recorded job must not be left lying.
func TestRevokedWhilePreparing(t *testing.T) {
	w := newWorker(1)
	var entered, ran chan error // of the bubble
	w.prepare = func(ctx context.Context, _ []byte) *wire.JobReject {
		close(entered)
		<-ctx.Done()
		return nil
	}
	w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
		ran <- context.Cause(ctx)
		return w.output(data, data)
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		entered, ran = make(chan error), make(chan error, 1)
		o := c.jobOffer("[1]")
		c.send(o)
		<-entered
		c.send(&wire.LeaseRevoke{Lease: o.Lease, Reason: jobs.LeaseExpired})
		if err := <-ran; err == nil {
			t.Error("the work does not know that its lease is gone")
		}
	})
}

// TestSlowJobOffer: a job is not offered to another node while its region fetches
// and records it, a subtask is.
func TestSlowJobOffer(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := r.raw(1)
		w.send(&wire.Pull{Class: wire.ClassJob, Credits: 2})
		u := unitOf(0, json.RawMessage(`[0]`))
		u.Class = wire.ClassJob
		r.submit(u)
		o := next[*wire.JobOffer](w)
		silent[*wire.LeaseRevoke](w, 9*time.Second)
		w.send(&wire.JobAccept{Lease: o.Lease})
		silent[*wire.LeaseRevoke](w, 14*time.Second)
		if m := next[*wire.LeaseRevoke](w); m.Lease != o.Lease || m.Reason != jobs.LeaseExpired {
			t.Errorf("revoked %+v", m)
		}
		r.d.Fail(u.Key, &core.Failure{Reason: core.ReasonCancelled})
	})
}
