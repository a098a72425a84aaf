package regional

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/wire"
)

// TestEveryJobEndsOnce: workers leave, freeze, come back, lie and fail at random
// while jobs arrive. Every accepted job ends exactly once, with the right value or
// a reason, nothing stays behind, and as long as enough workers are honest most
// jobs complete.
//
// spec 0.10
func TestEveryJobEndsOnce(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) { chaos(t, r, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, r *rig, rnd *rand.Rand) {
	const workers, jobCount = 6, 40
	all := make([]*worker, workers)
	for n := range all {
		all[n] = r.worker(n, 2, nil)
		moody(all[n], rand.New(rand.NewPCG(rnd.Uint64(), 0)))
	}
	specs, running := map[core.TaskID]core.TaskSpec{}, map[core.TaskID]*job{}
	for i := range jobCount {
		id := core.NewTaskID(east, fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", i))
		specs[id] = specOf(numbers(50+rnd.IntN(100)), `["square","sum"]`, rnd.IntN(6))
		running[id] = r.offer(id, specs[id])
		if rnd.IntN(3) == 0 {
			w := all[rnd.IntN(workers)]
			_ = w.link.Close()
			if rnd.IntN(4) > 0 {
				r.link(w, 2, nil)
			}
		}
		if rnd.IntN(10) == 0 {
			_ = r.v.Cancel(r.ctx, id)
		}
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
	}
	completed := 0
	for id, j := range running {
		got := j.end()
		switch {
		case got.Failure == nil:
			completed++
			if want := alone(t, specs[id]); string(got.Output.Inline) != want {
				t.Errorf("job %s gives %s, not %s", id, got.Output.Inline, want)
			}
		case got.Failure.Reason != core.ReasonCancelled && got.Failure.Reason != core.ReasonAttemptsExhausted && got.Failure.Reason != core.ReasonNoCapableWorker:
			t.Errorf("job %s ended with %v", id, got.Failure)
		}
		if kept, err := r.v.Result(id); err != nil || string(kept.Result) != string(got.Output.Inline) {
			t.Errorf("job %s is remembered as %+v, %v", id, kept, err)
		}
	}
	if completed < jobCount/2 {
		t.Errorf("%d of %d jobs completed", completed, jobCount)
	}
	r.idle()
	names := r.names()
	if ends := count(names, event.TaskAggregated) + count(names, event.TaskFailed); ends != jobCount || count(names, event.TaskReceived) != jobCount {
		t.Errorf("%d jobs, %d ends told", count(names, event.TaskReceived), ends)
	}
	if r.v.Metrics().Finished() != jobCount {
		t.Errorf("%d ends counted", r.v.Metrics().Finished())
	}
}

// moody makes a worker answer after a while, mostly well.
func moody(w *worker, rnd *rand.Rand) {
	w.run = func(ctx context.Context, data []byte) *wire.JobResult {
		w.mu.Lock()
		mood, pause := rnd.IntN(40), time.Duration(rnd.IntN(3000))*time.Millisecond
		w.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return failed(failureOf(context.Cause(ctx)))
		}
		switch mood {
		case 0:
			return w.answer(data, []byte("[1]"))
		case 1, 2:
			return failed(&core.Failure{Reason: core.ReasonInternal, Message: "a disk is full"})
		}
		return w.compute(data)
	}
}
