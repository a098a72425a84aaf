package regional

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestThousandWorkers: a thousand workers of one region compute at the same time:
// no part of the job ends before each of them has one.
//
// spec 2.46
func TestThousandWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const many = 1000
		at, all := atomic.Int64{}, make(chan struct{})
		for n := range many {
			w := r.worker(2000+n, 1, nil)
			w.run = func(ctx context.Context, data []byte) *wire.JobResult {
				if at.Add(1) == many {
					close(all)
				}
				select {
				case <-all:
					return w.compute(data)
				case <-ctx.Done():
					return failed(failureOf(context.Cause(ctx)))
				}
			}
		}
		spec := specOf(numbers(2*many), `["square","sum"]`, many)
		if got, want := r.offer(jobID, spec).completed(), alone(t, spec); got != want {
			t.Errorf("the job gives %s, want %s", got, want)
		}
		if n := at.Load(); n != many {
			t.Errorf("%d parts were computed, want %d", n, many)
		}
		r.idle()
	})
}

// TestHundredJobsASecond: a hundred jobs a second for ten seconds, each of which
// computes for a second, all complete, the last as soon as it is computed. Time is
// virtual: what is shown is that no job waits for another or for a clock while
// workers are free, not how many a given machine can do.
//
// spec 2.44
func TestHundredJobsASecond(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const rate, seconds, work = 100, 10, time.Second
		for n := range 25 { // 200 slots, of which 100 are needed
			w := r.worker(n, 8, nil)
			w.run = func(ctx context.Context, data []byte) *wire.JobResult {
				select {
				case <-time.After(work):
					return w.compute(data)
				case <-ctx.Done():
					return failed(failureOf(context.Cause(ctx)))
				}
			}
		}
		start := time.Now()
		offered := make([]*job, rate*seconds)
		for i := range offered {
			id := core.TaskID(fmt.Sprintf("us-east-01890a5d-ac96-774b-bcce-%012x", i))
			offered[i] = r.offer(id, specOf(fmt.Sprintf("[%d,1]", i), `["sum"]`, 1))
			time.Sleep(time.Second / rate)
		}
		for i, j := range offered {
			if got, want := j.completed(), fmt.Sprint(i+1); got != want {
				t.Fatalf("job %d gives %s, want %s", i, got, want)
			}
		}
		if took := time.Since(start); took > seconds*time.Second+work {
			t.Errorf("%d jobs in %d s took %s", len(offered), seconds, took)
		}
		r.idle()
	})
}
