package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// coordinator is the other end of a puller's link, played by the test.
type coordinator struct {
	*raw
	key     byte
	metrics *Metrics
	lost    chan error
	granted int // credits granted and not used
	lease   wire.LeaseID
}

// pulls runs a puller of w with a window of n against a coordinator, over each
// kind of link.
func pulls(t *testing.T, w *worker, n int, test func(t *testing.T, c *coordinator)) {
	pullsAtRest(t, w, n, nil, test)
}

// pullsAtRest is pulls with a word on whether the worker rests.
func pullsAtRest(t *testing.T, w *worker, n int, rests func() string, test func(t *testing.T, c *coordinator)) {
	for name, link := range linkKinds() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := NewMetrics(nil)
				if err != nil {
					t.Fatal(err)
				}
				here, there := link(identity(100).ID(), w.id.ID())
				c := &coordinator{raw: &raw{t: t, Link: here, id: w.id.ID()}, key: 100, metrics: m, lost: make(chan error, 1)}
				net := &fakeNet{}
				window := Window{Size: func(class wire.Class) int {
					if class == wire.ClassSubtask {
						return n
					}
					return 0
				}, Free: func() (int, int64) { return 50, 1000 }, Rests: rests}
				p := NewPuller(there, w, window, net.node(w.id.ID()), m, zerolog.Nop())
				ctx, cancel := context.WithCancel(t.Context())
				go func() { c.lost <- p.Serve(ctx) }()
				test(t, c)
				cancel()
				_ = here.Close()
				<-c.lost
				synctest.Wait()
			})
		})
	}
}

// offer makes the next offer; it uses a credit, if there is one.
func (c *coordinator) offer(data string) *wire.JobOffer {
	c.lease++
	c.granted = max(0, c.granted-1)
	return &wire.JobOffer{Lease: c.lease, TaskID: "t1", Index: int(c.lease), Attempt: 1, Class: wire.ClassSubtask, Task: wire.TaskHead{Type: "compute"},
		Data: wire.Payload{Inline: json.RawMessage(data)}, InputHash: core.Sum([]byte(data)), Deadline: time.Now().Add(time.Hour), TTLMS: 15_000}
}

// credits reads what the puller granted within d and returns the sum that is not
// used.
func (c *coordinator) credits(d time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for {
		bodies, err := c.Recv(ctx)
		if err != nil {
			break
		}
		c.seen = append(c.seen, bodies...)
	}
	rest := c.seen[:0]
	for _, b := range c.seen {
		if p, ok := b.(*wire.Pull); ok {
			c.granted += p.Credits
		} else {
			rest = append(rest, b)
		}
	}
	c.seen = rest
	return c.granted
}

// TestWindow: what a puller holds and what it asks for are never more than its
// window together, and it asks for all of it again when it is free, whatever the
// coordinator does.
//
// spec 4.23
func TestWindow(t *testing.T) {
	const n = 4
	for name, act := range map[string]func(c *coordinator){
		"nothing":                    func(*coordinator) {},
		"offers within the window":   func(c *coordinator) { c.send(c.offer("1"), c.offer("2"), c.offer("3")) },
		"an offer that is refused":   func(c *coordinator) { c.send(c.offer(`"no"`)) },
		"taken and refused together": func(c *coordinator) { c.send(c.offer("1"), c.offer(`"no"`), c.offer("2"), c.offer(`"no"`)) },
		"revoked at once": func(c *coordinator) {
			o := c.offer("1")
			c.send(o, &wire.LeaseRevoke{Lease: o.Lease, Reason: core.ReasonCancelled})
		},
		"twice the same lease": func(c *coordinator) { o := c.offer("1"); c.granted--; c.send(o, o) },
		"twice as many as asked for": func(c *coordinator) {
			c.send(c.offer("1"), c.offer("2"), c.offer("3"), c.offer("4"), c.offer("5"), c.offer("6"), c.offer("7"), c.offer("8"))
		},
		"revoked that was never held": func(c *coordinator) { c.send(&wire.LeaseRevoke{Lease: 77, Reason: core.ReasonCancelled}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(1)
			w.no = func(o *wire.JobOffer) *wire.JobReject {
				if string(o.Data.Inline) == `"no"` {
					return &wire.JobReject{Reason: wire.RefusedUnable, Message: strings.Repeat("ü", 5000)}
				}
				return nil
			}
			w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
				select {
				case <-ctx.Done():
				case <-time.After(9500 * time.Millisecond):
				}
				return w.output(data, data)
			}
			pulls(t, w, n, func(t *testing.T, c *coordinator) {
				if got := c.credits(time.Second); got != n {
					t.Fatalf("it starts with %d credits", got)
				}
				act(c)
				for range 12 {
					got := c.credits(time.Second)
					running := 0
					for id := wire.LeaseID(1); id <= c.lease; id++ {
						running++
						for _, b := range c.seen {
							r, done := b.(*wire.JobResult)
							no, refused := b.(*wire.JobReject)
							if done && r.Lease == id || refused && no.Lease == id {
								running--
							}
						}
					}
					if got > 0 && got+running > n {
						t.Fatalf("%d credits are open while %d offers run", got, running)
					}
				}
				if got := c.credits(time.Second); got != n {
					t.Errorf("at the end %d credits are open", got)
				}
			})
		})
	}
}

// TestDuplicateOffer: a lease that is held already is not run a second time.
func TestDuplicateOffer(t *testing.T) {
	w := newWorker(1)
	w.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
		time.Sleep(time.Second)
		return w.output(data, data)
	}
	pulls(t, w, 4, func(t *testing.T, c *coordinator) {
		w.taken = 0
		o := c.offer("1")
		c.send(o, o)
		next[*wire.JobResult](c.raw)
		silent[*wire.JobResult](c.raw, time.Minute)
		if n := testutil.ToFloat64(c.metrics.drops.WithLabelValues("duplicate")); w.taken != 1 || n != 1 {
			t.Errorf("taken %d times, %v counted", w.taken, n)
		}
	})
}

// TestRevokeBehindOffer: a revocation in the same frame as its offer ends the
// work, with the reason as the cause.
func TestRevokeBehindOffer(t *testing.T) {
	w := newWorker(1)
	var cause chan error // of the bubble
	w.run = func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return w.output(data, data)
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		cause = make(chan error, 1)
		o := c.offer("1")
		start := time.Now()
		c.send(o, &wire.LeaseRevoke{Lease: o.Lease, Reason: core.ReasonDeadline})
		var f *core.Failure
		if err := <-cause; !errors.As(err, &f) || f.Reason != core.ReasonDeadline || time.Since(start) > time.Second {
			t.Errorf("after %s it ended with %v", time.Since(start), err)
		}
	})
}

// TestWrongInput: an input that does not match its digest, or cannot be fetched,
// is never run; its place is given back and the coordinator learns why.
func TestWrongInput(t *testing.T) {
	w := newWorker(1)
	run := w.run
	w.run = func(ctx context.Context, data []byte, p func(float64)) *wire.JobResult {
		t.Error("it was run")
		return run(ctx, data, p)
	}
	for name, bend := range map[string]func(*wire.JobOffer){
		"another digest":   func(o *wire.JobOffer) { o.InputHash[0] ^= 1 },
		"nobody serves it": func(o *wire.JobOffer) { o.Data = wire.Payload{Blob: &wire.BlobRef{Digest: o.InputHash, Size: 40_000}} },
	} {
		t.Run(name, func(t *testing.T) {
			pulls(t, w, 1, func(t *testing.T, c *coordinator) {
				w.cancelled = 0
				o := c.offer("1")
				bend(o)
				c.send(o)
				r := next[*wire.JobResult](c.raw)
				if r.Lease != o.Lease || r.Failure == nil || r.Failure.Reason != core.ReasonInternal || len(r.Proofs) != 0 {
					t.Errorf("the result is %+v", r)
				}
				if w.cancelled != 1 {
					t.Errorf("the place was given back %d times", w.cancelled)
				}
			})
		})
	}
}

// TestUnsendable: whatever an engine returns, the coordinator gets an answer.
func TestUnsendable(t *testing.T) {
	for name, c := range map[string]struct {
		result wire.JobResult
		want   core.Reason
	}{
		"nothing":            {wire.JobResult{}, core.ReasonInternal},
		"too much":           {wire.JobResult{Output: wire.Payload{Inline: big(core.MaxTaskBytes + 1)}}, core.ReasonExecutionFailed},
		"output and failure": {wire.JobResult{Output: wire.Payload{Inline: []byte("1")}, Failure: &core.Failure{Reason: core.ReasonOverflow}}, core.ReasonOverflow},
		"a long story":       {wire.JobResult{Failure: &core.Failure{Reason: core.ReasonOverflow, Message: "x" + strings.Repeat("ü", 5000)}}, core.ReasonOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(1)
			w.run = func(context.Context, []byte, func(float64)) *wire.JobResult { r := c.result; return &r }
			pulls(t, w, 1, func(t *testing.T, co *coordinator) {
				co.send(co.offer("1"))
				r := next[*wire.JobResult](co.raw)
				if r.Failure == nil || r.Failure.Reason != c.want || r.Validate() != nil {
					t.Errorf("got %+v, %v", r.Failure, r.Validate())
				}
			})
		})
	}
}

// TestProgressIsTame: an engine's progress is reported as 0..1 whatever it says.
func TestProgressIsTame(t *testing.T) {
	w := newWorker(1)
	var says chan float64 // of the bubble
	w.run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		for {
			select {
			case f := <-says:
				progress(f)
			case <-ctx.Done():
				return w.output(data, data)
			}
		}
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		says = make(chan float64, 1)
		c.send(c.offer("1"))
		last := 0.
		for _, f := range []float64{0.25, math.NaN(), 7, -1, math.Inf(1), math.Inf(-1)} {
			says <- f
			if f > 0 {
				last = min(1, f)
			}
			if m := next[*wire.LeaseRenew](c.raw); m.Progress != last || m.Lease != 1 {
				t.Errorf("%v is reported as %v", f, m.Progress)
			}
		}
	})
}

// TestHeartbeat: an idle puller says that it is there every 30 s.
func TestHeartbeat(t *testing.T) {
	pulls(t, newWorker(1), 2, func(t *testing.T, c *coordinator) {
		if m := next[*wire.Pull](c.raw); m.Credits != 2 || m.FreeCPU != 50 || m.FreeMemoryMB != 1000 || m.Active != 0 {
			t.Errorf("it begins with %+v", m)
		}
		start := time.Now()
		for i := range 3 {
			if m := next[*wire.Pull](c.raw); m.Credits != 0 || time.Since(start) != time.Duration(i+1)*Heartbeat {
				t.Errorf("after %s: %+v", time.Since(start), m)
			}
		}
	})
}

// TestRewardsAreChecked: only rewards that this coordinator signed count.
func TestRewardsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		signer byte
		bend   func(*wire.JobReward)
		want   int
	}{
		"good":                {100, func(*wire.JobReward) {}, 1},
		"of another":          {99, func(*wire.JobReward) {}, 0},
		"in another's name":   {99, func(m *wire.JobReward) { m.Coordinator = identity(100).ID() }, 0},
		"worth more":          {100, func(m *wire.JobReward) { m.Entries[0].Units++ }, 0},
		"without a signature": {100, func(m *wire.JobReward) { m.Signature = nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(1)
			pulls(t, w, 1, func(t *testing.T, co *coordinator) {
				w.rewards = nil
				m := &wire.JobReward{Worker: w.id.ID(), At: time.Now().UTC(), Entries: []wire.Reward{{TaskID: "t1", Units: 5}}}
				if err := wire.SignReward(identity(c.signer), m); err != nil {
					t.Fatal(err)
				}
				c.bend(m)
				co.send(m)
				time.Sleep(time.Second)
				synctest.Wait()
				if len(w.rewards) != c.want || testutil.ToFloat64(co.metrics.drops.WithLabelValues("forged")) != float64(1-c.want) {
					t.Errorf("%d rewards counted", len(w.rewards))
				}
			})
		})
	}
}

// TestUnexpectedMessages: what a coordinator has no business sending is dropped
// and counted, and the puller goes on.
func TestUnexpectedMessages(t *testing.T) {
	w := newWorker(1)
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		c.send(&wire.Pull{Class: wire.ClassJob, Credits: 5}, &wire.JobAccept{Lease: 1}, &wire.LeaseRenew{Lease: 1})
		c.send(c.offer("1"))
		if r := next[*wire.JobResult](c.raw); r.Failure != nil {
			t.Errorf("got %+v", r.Failure)
		}
		if n := testutil.ToFloat64(c.metrics.drops.WithLabelValues("unexpected")); n != 3 {
			t.Errorf("%v messages counted", n)
		}
	})
}

// TestRestIsTold: a coordinator hears within a second that a node rests, why, and
// that it works again, though no credit changes hands; a long reason is cut.
func TestRestIsTold(t *testing.T) {
	var rests atomic.Pointer[string]
	says := func(why string) { rests.Store(&why) }
	said := func() string { return *rests.Load() }
	says("")
	pullsAtRest(t, newWorker(1), 0, said, func(t *testing.T, c *coordinator) {
		for _, step := range []struct{ why, told string }{
			{"", ""}, {"on battery", "on battery"}, {"", ""}, {strings.Repeat("é", 100), strings.Repeat("é", 64)},
		} {
			says(step.why)
			if got := c.rest(time.Second); got != step.told {
				t.Errorf("the coordinator was told %q, want %q", got, step.told)
			}
		}
		says("")
		c.rest(time.Second)
		if got := c.rest(5 * time.Second); got != "nothing" {
			t.Errorf("told %q once more", got)
		}
	})
}

// rest reads for d and returns what the last Pull said of a rest.
func (c *coordinator) rest(d time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	last := "nothing"
	for {
		bodies, err := c.Recv(ctx)
		if err != nil {
			return last
		}
		for _, b := range bodies {
			if p, ok := b.(*wire.Pull); ok {
				last = p.Rests
			}
		}
	}
}
