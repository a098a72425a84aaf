package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

func renewal(i int) *wire.LeaseRenew { return &wire.LeaseRenew{Lease: wire.LeaseID(i)} }

// linked runs a test over each kind of link, inside a bubble.
func linked(t *testing.T, test func(t *testing.T, a, b Link)) {
	for name, link := range linkKinds() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := link("node-a", "node-b")
				defer b.Close()
				defer a.Close()
				test(t, a, b)
			})
		})
	}
}

// TestLinkOrder: messages arrive all, once, and in the order in which they were
// sent, lazy or not, however many there are.
func TestLinkOrder(t *testing.T) {
	linked(t, func(t *testing.T, a, b Link) {
		if a.Peer() != "node-b" || b.Peer() != "node-a" {
			t.Fatalf("the ends are of %s and %s", a.Peer(), b.Peer())
		}
		const n = 1000
		go func() {
			for i := range n {
				send := a.Send
				if i%3 == 0 {
					send = a.SendLazy
				}
				if err := send(renewal(i)); err != nil {
					t.Error(err)
				}
			}
		}()
		for want := 0; want < n; {
			bodies, err := b.Recv(t.Context())
			if err != nil || len(bodies) == 0 {
				t.Fatalf("%d messages, %v", len(bodies), err)
			}
			for _, m := range bodies {
				if got := int(m.(*wire.LeaseRenew).Lease); got != want {
					t.Fatalf("message %d came as number %d", got, want)
				}
				want++
			}
		}
	})
}

// TestBacklogLinger pins the waiting itself: whoever is blocked on a queue wakes
// for a lazy message after 5 ms, at once for another, with both.
func TestBacklogLinger(t *testing.T) {
	for name, c := range map[string]struct {
		eager time.Duration
		want  time.Duration
		count int
	}{"rides along": {2 * time.Millisecond, 2 * time.Millisecond, 2}, "leaves alone": {time.Hour, linger, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const blocked = time.Millisecond // time moves once take is blocked
				q, start := newBacklog(), time.Now().Add(blocked)
				time.AfterFunc(blocked, func() { q.put(true, []wire.Body{renewal(1)}) })
				timer := time.AfterFunc(blocked+c.eager, func() { q.put(false, []wire.Body{renewal(2)}) })
				defer timer.Stop()
				if got := q.take(t.Context()); len(got) != c.count || time.Since(start) != c.want {
					t.Errorf("%d messages after %s", len(got), time.Since(start))
				}
			})
		})
	}
}

// TestNetLinkLinger is the same seen from the network: one frame with everything.
func TestNetLinkLinger(t *testing.T) {
	for name, c := range map[string]struct {
		eager time.Duration // when a message that does not wait follows
		want  time.Duration
		count int
	}{"rides along": {2 * time.Millisecond, 2 * time.Millisecond, 3}, "leaves alone": {time.Hour, linger, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ta, tb := memTransports("a", "b", 8)
				a := NewLink(ta, nil)
				defer a.Close()
				synctest.Wait() // the writer waits
				start := time.Now()
				for i := range 2 {
					if err := a.SendLazy(renewal(i)); err != nil {
						t.Fatal(err)
					}
				}
				timer := time.AfterFunc(c.eager, func() { _ = a.Send(renewal(2)) })
				defer timer.Stop()
				frame, err := tb.Recv(t.Context())
				took := time.Since(start)
				batch, decodeErr := wire.DecodeBatch(frame)
				if err != nil || decodeErr != nil || len(batch.Bodies) != c.count || took != c.want {
					t.Errorf("%d messages after %s, %v, %v", len(batch.Bodies), took, err, decodeErr)
				}
			})
		})
	}
}

// TestLinkClose: closing either end ends both; what was sent before arrives.
func TestLinkClose(t *testing.T) {
	linked(t, func(t *testing.T, a, b Link) {
		if err := a.Send(renewal(1)); err != nil {
			t.Fatal(err)
		}
		if err := a.SendLazy(renewal(2)); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.Send(renewal(3)); !errors.Is(err, core.Unavailable) {
			t.Errorf("sending on a closed link: %v", err)
		}
		got := 0
		for {
			bodies, err := b.Recv(t.Context())
			if err != nil {
				break
			}
			got += len(bodies)
		}
		if got != 2 {
			t.Errorf("%d of the 2 messages sent before the close came", got)
		}
		if _, err := a.Recv(t.Context()); err == nil {
			t.Error("the closed end still receives")
		}
		if err := a.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	})
}

// TestLinkSlowPeer: a peer that does not drain its messages loses the link, for
// sending and receiving on both ends, and the sender never blocks.
func TestLinkSlowPeer(t *testing.T) {
	linked(t, func(t *testing.T, a, b Link) {
		start, sent := time.Now(), 0
		for ; sent < 10*maxBacklog; sent++ {
			if err := a.Send(renewal(sent)); err != nil {
				if !errors.Is(err, core.Unavailable) {
					t.Fatal(err)
				}
				break
			}
			if sent%64 == 0 {
				synctest.Wait() // the writer fills its transport, one frame each
			}
		}
		if took := time.Since(start); took != 0 || sent < maxBacklog || sent == 10*maxBacklog {
			t.Fatalf("gone after %d messages and %s", sent, took)
		}
		if _, err := a.Recv(t.Context()); err == nil {
			t.Error("the link still receives")
		}
		for got := 0; ; {
			bodies, err := b.Recv(t.Context())
			if got += len(bodies); err != nil {
				break
			} else if got > sent {
				t.Fatalf("%d messages of %d came", got, sent)
			}
		}
		if err := b.Send(renewal(1)); err == nil {
			synctest.Wait() // a network link learns it from its transport
			if err := b.Send(renewal(1)); err == nil {
				t.Error("the peer's end still sends")
			}
		}
	})
}

// TestLinkRecvContext: waiting for messages ends with the context.
func TestLinkRecvContext(t *testing.T) {
	linked(t, func(t *testing.T, a, b Link) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestNetLinkFrames: what waits shares a frame, at most 64 messages and 64 KiB; a
// message that is not valid is dropped and counted and holds up no other.
func TestNetLinkFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m, err := NewMetrics(reg)
		if err != nil {
			t.Fatal(err)
		}
		ta, tb := memTransports("a", "b", 64)
		a := NewLink(ta, m)
		defer a.Close()
		var bodies []wire.Body
		for i := range 100 {
			bodies = append(bodies, renewal(i))
		}
		bodies[10] = &wire.LeaseRenew{Progress: 7}
		for range 3 {
			bodies = append(bodies, &wire.JobOffer{TaskID: "t", Attempt: 1, TTLMS: 1, Class: wire.ClassSubtask, Task: wire.TaskHead{Type: "compute"}, Data: wire.Payload{Inline: big(wire.MaxInline)}})
		}
		if err := a.Send(bodies...); err != nil {
			t.Fatal(err)
		}
		var frames []int
		for got := 0; got < 102; {
			frame, err := tb.Recv(t.Context())
			if err != nil || len(frame) > wire.MaxFrame {
				t.Fatalf("a frame of %d bytes, %v", len(frame), err)
			}
			batch, err := wire.DecodeBatch(frame)
			if err != nil {
				t.Fatal(err)
			}
			got += len(batch.Bodies)
			frames = append(frames, len(batch.Bodies))
		}
		synctest.Wait()
		if n := testutil.ToFloat64(m.drops.WithLabelValues("encode")); n != 1 {
			t.Errorf("%v messages counted as not sent", n)
		}
		if n := testutil.ToFloat64(m.messages.WithLabelValues("out")); n != 102 {
			t.Errorf("%v messages counted as sent in %v", n, frames)
		}
		if n := testutil.ToFloat64(m.frames); int(n) != len(frames) || len(frames) > 6 {
			t.Errorf("%v frames counted, %v came", n, frames)
		}
	})
}

// TestNetLinkGarbage: a frame that does not decode ends the link with the reason;
// messages of unknown types are dropped and counted.
func TestNetLinkGarbage(t *testing.T) {
	renewed := `{"type":"lease_renew","body":{"lease":"1","progress":0}}`
	for name, c := range map[string]struct {
		frame string
		cause string
	}{
		"unknown type beside a known one": {`{"v":1,"items":[{"type":"teleport","body":{"x":1}},` + renewed + `]}`, "unknown_type"},
		"no JSON":                         {"hello", "malformed"},
		"empty":                           {"", "malformed"},
		"another version":                 {`{"v":2,"items":[]}`, "version"},
		"no items":                        {`{"v":1,"items":[]}`, "malformed"},
		"a body out of range":             {`{"v":1,"items":[{"type":"lease_renew","body":{"lease":"1","progress":2}}]}`, "invalid"},
		"a value of a newer version":      {`{"v":1,"items":[{"type":"job_reject","body":{"lease":"1","reason":"tired"}}]}`, "invalid"},
		"a body too large":                {`{"v":1,"items":[{"type":"lease_renew","body":{"lease":"1","progress":0,"x":"` + strings.Repeat("x", 1<<10) + `"}}]}`, "malformed"},
		"a duplicate key":                 {`{"v":1,"items":[{"type":"lease_renew","body":{"lease":"1","lease":"1","progress":0}}]}`, "malformed"},
		"too many items":                  {`{"v":1,"items":[` + strings.Repeat(renewed+",", wire.MaxItems) + renewed + `]}`, "malformed"},
		"too long":                        {`{"v":1,"items":[` + renewed + strings.Repeat(" ", wire.MaxFrame) + `]}`, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := NewMetrics(nil)
				if err != nil {
					t.Fatal(err)
				}
				ta, tb := memTransports("a", "b", 64)
				b := NewLink(tb, m)
				defer b.Close()
				if err := ta.Send(t.Context(), []byte(c.frame)); err != nil {
					t.Fatal(err)
				}
				bodies, err := b.Recv(t.Context())
				drops := func(cause string) float64 { return testutil.ToFloat64(m.drops.WithLabelValues(cause)) }
				if known := c.cause == "unknown_type"; known != (err == nil) || known != (len(bodies) == 1) || drops(c.cause) != 1 {
					t.Errorf("got %v, %v", bodies, err)
				}
			})
		})
	}
}

// TestNetLinkDeafPeer: closing a link whose peer takes nothing gives up after a
// second and ends the transport.
func TestNetLinkDeafPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ta, tb := memTransports("a", "b", 0)
		a := NewLink(ta, nil)
		if err := a.Send(renewal(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != closeGrace || !tb.ended() {
			t.Errorf("closed after %s", took)
		}
	})
}

// TestNetLinkTransportFails: when the transport cannot send any more, sending and
// receiving on the link end.
func TestNetLinkTransportFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ta, tb := memTransports("a", "b", 8)
		a := NewLink(ta, nil)
		defer a.Close()
		_ = tb.Close()
		_ = a.Send(renewal(1))
		synctest.Wait()
		if err := a.Send(renewal(2)); !errors.Is(err, core.Unavailable) {
			t.Errorf("sending: %v", err)
		}
		if _, err := a.Recv(t.Context()); err == nil {
			t.Error("it still receives")
		}
	})
}
