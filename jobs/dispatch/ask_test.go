package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

func state(q *wire.JobQuery, output json.RawMessage) *wire.JobState {
	return &wire.JobState{Status: &core.TaskStatus{TaskID: q.TaskID, Status: core.TaskRunning}, Output: wire.Payload{Inline: output}}
}

// TestAsk: many questions at once each get their own answer, however big.
func TestAsk(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		w.answer = func(q *wire.JobQuery) *wire.JobState {
			if q.TaskID == "big" {
				return state(q, big(100_000))
			}
			time.Sleep(time.Duration(len(q.TaskID)) * time.Second) // answers overtake each other
			return state(q, nil)
		}
		r.worker(w, 1)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				id := core.TaskID(fmt.Sprintf("%0*d", 9-i, i))
				got, err := r.d.Ask(t.Context(), w.id.ID(), wire.JobQuery{TaskID: id, Op: wire.QueryStatus})
				if err != nil || got.Status.TaskID != id {
					t.Errorf("asked for %s: %+v, %v", id, got, err)
				}
			})
		}
		wg.Wait()
		got, err := r.d.Ask(t.Context(), w.id.ID(), wire.JobQuery{TaskID: "big", Op: wire.QueryResult})
		if err != nil || len(got.Output.Inline) != 100_000 || got.Output.Blob != nil {
			t.Errorf("the big answer: %+v, %v", got, err)
		}
		time.Sleep(resultKept)
	})
}

// TestAskFails: every question ends, with the reason, and leaves nothing behind.
func TestAskFails(t *testing.T) {
	q := wire.JobQuery{TaskID: "t1", Op: wire.QueryStatus}
	for name, c := range map[string]struct {
		act  func(r *rig, w *raw)
		ctx  time.Duration
		want core.Kind
		took time.Duration
	}{
		"no answer":            {func(*rig, *raw) {}, time.Hour, core.Unavailable, askTimeout},
		"the asker gives up":   {func(*rig, *raw) {}, time.Second, core.Unavailable, time.Second},
		"the link is lost":     {func(_ *rig, w *raw) { _ = w.Close() }, time.Hour, core.Unavailable, 0},
		"an answer to nothing": {func(_ *rig, w *raw) { w.send(&wire.JobState{ID: 99, Fault: &wire.Fault{}}) }, time.Hour, core.Unavailable, askTimeout},
		"an output that nobody serves": {func(_ *rig, w *raw) {
			m := next[*wire.JobQuery](w)
			s := state(m, nil)
			s.ID, s.Output.Blob = m.ID, &wire.BlobRef{Size: 40_000}
			w.send(s)
		}, time.Hour, core.Unavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				w := r.raw(1)
				ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
				defer cancel()
				start := time.Now()
				over := make(chan error, 1)
				go func() {
					_, err := r.d.Ask(ctx, w.id, q)
					over <- err
				}()
				synctest.Wait()
				r.d.mu.Lock()
				link := r.d.children[w.id]
				r.d.mu.Unlock()
				c.act(r, w)
				if err := <-over; core.KindOf(err) != c.want || time.Since(start) != c.took {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
				if len(link.asks) != 0 {
					t.Errorf("%d questions are left behind", len(link.asks))
				}
			})
		})
	}
	overEachLink(t, func(t *testing.T, r *rig) {
		if _, err := r.d.Ask(t.Context(), "nobody", q); !errors.Is(err, core.Unavailable) {
			t.Errorf("asking a node that is not linked: %v", err)
		}
	})
}

// TestAskBounds: questions wait in bounded number on both sides.
func TestAskBounds(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := r.raw(1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range maxAsks {
			wg.Go(func() { _, _ = r.d.Ask(ctx, w.id, wire.JobQuery{TaskID: "t1", Op: wire.QueryStatus}) })
		}
		synctest.Wait()
		if _, err := r.d.Ask(ctx, w.id, wire.JobQuery{TaskID: "t1", Op: wire.QueryStatus}); !errors.Is(err, core.Exhausted) {
			t.Errorf("one more: %v", err)
		}
		cancel()
		wg.Wait()
	})
	w := newWorker(1)
	var proceed chan struct{} // of the bubble
	w.answer = func(q *wire.JobQuery) *wire.JobState {
		<-proceed
		return state(q, nil)
	}
	pulls(t, w, 1, func(t *testing.T, c *coordinator) {
		proceed = make(chan struct{})
		for i := range maxAsks + 1 {
			c.send(&wire.JobQuery{ID: uint64(i + 1), TaskID: "t1", Op: wire.QueryStatus})
		}
		if m := next[*wire.JobState](c.raw); m.ID != maxAsks+1 || m.Fault == nil || m.Fault.Kind != core.Exhausted {
			t.Errorf("the first answer is %+v", m)
		}
		close(proceed)
		seen := map[uint64]bool{}
		for range maxAsks {
			if m := next[*wire.JobState](c.raw); m.Fault != nil || seen[m.ID] || m.ID > maxAsks {
				t.Fatalf("an answer is %+v", m)
			} else {
				seen[m.ID] = true
			}
		}
	})
}

// TestLargestMessages: a result and an answer that name as much as they may fit
// into a frame with their output, and come back the same.
func TestLargestMessages(t *testing.T) {
	id := identity(1).ID()
	var proofs []core.Proof
	var attempts []core.Attempt
	workers := make([]core.NodeID, wire.MaxWorkersShown)
	regions := make([]core.RegionID, 64)
	for i := range core.MaxProofsShown {
		proofs = append(proofs, proof(1, core.Digest{byte(i)}, nil))
		attempts = append(attempts, core.Attempt{Index: 4000, Attempt: 4, Worker: id, Started: time.Unix(1e9, 123456789).UTC(), Finished: time.Unix(1e9, 987654321).UTC(), Outcome: string(core.ReasonAttemptsExhausted)})
	}
	for i := range workers {
		workers[i] = id
	}
	for i := range regions {
		regions[i] = "a-region-with-a-longish-id"
	}
	task := core.NewTaskID("a-region-with-a-longish-id", "0190b5a4-7e3c-7cc0-8000-000000000001")
	for _, size := range []int{10, inlineBeside, inlineBeside + 1, wire.MaxInline} {
		w := newWorker(1)
		w.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
			return &wire.JobResult{Output: wire.Payload{Inline: big(size)}, Proofs: proofs, Workers: workers, Regions: regions, Subtasks: 4096}
		}
		w.answer = func(q *wire.JobQuery) *wire.JobState {
			return &wire.JobState{Output: wire.Payload{Inline: big(size)},
				Result: &core.TaskResult{TaskID: task, Status: core.TaskCompleted, Proofs: proofs, Workers: workers, Regions: regions},
				Status: &core.TaskStatus{TaskID: task, Status: core.TaskCompleted, Type: "compute", Region: regions[0], Gateway: id, Subtasks: 4096, Attempts: attempts, Created: time.Unix(1e9, 1).UTC(), Updated: time.Unix(1e9, 1).UTC()}}
		}
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			pulls(t, w, 1, func(t *testing.T, c *coordinator) {
				c.send(c.offer("1"), &wire.JobQuery{ID: 1, TaskID: task, Op: wire.QueryResult})
				if m := next[*wire.JobResult](c.raw); len(m.Proofs) != core.MaxProofsShown || len(m.Workers) != wire.MaxWorkersShown {
					t.Errorf("the result is %+v", m)
				}
				if m := next[*wire.JobState](c.raw); m.Fault != nil || len(m.Status.Attempts) != core.MaxAttemptsShown {
					t.Errorf("the answer is %+v", m.Fault)
				}
				time.Sleep(resultKept)
			})
		})
	}
}
