package measure

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Op does one operation to its end.
type Op func(ctx context.Context) error

// Sample is what a number of operations took.
type Sample struct {
	Ops  int
	Wall time.Duration   // until the last one ended
	Cost Cost            // until settle had passed after that
	took []time.Duration // sorted
}

// Run does ops operations, inFlight at a time, and waits for settle before it
// stops counting processor time, for work that follows an answer. The first
// error ends it.
func Run(ctx context.Context, inFlight, ops int, settle time.Duration, op Op) (Sample, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	took := make([]time.Duration, ops)
	var next atomic.Int64
	var running sync.WaitGroup
	m := Begin()
	for range inFlight {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(ops) && ctx.Err() == nil; i = next.Add(1) - 1 {
				began := time.Now()
				if err := op(ctx); err != nil {
					fail(err)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	running.Wait()
	wall := time.Since(m.began)
	time.Sleep(settle)
	cost := m.End()
	slices.Sort(took)
	return Sample{Ops: ops, Wall: wall, Cost: cost, took: took}, context.Cause(ctx)
}

// Paced starts ops operations evenly, perSecond of them, whether or not earlier
// ones have ended, and waits for all.
func Paced(ctx context.Context, perSecond float64, ops int, op Op) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	gap := time.Duration(float64(time.Second) / perSecond)
	tick := time.NewTicker(gap)
	defer tick.Stop()
	var running sync.WaitGroup
	for range ops {
		running.Go(func() {
			if err := op(ctx); err != nil {
				fail(err)
			}
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	running.Wait()
	return context.Cause(ctx)
}

// NewSample makes a sample of latencies alone; it takes the slice.
func NewSample(took []time.Duration) Sample {
	slices.Sort(took)
	return Sample{Ops: len(took), took: took}
}

// Percentile returns the latency that p percent of the operations did not exceed.
func (s Sample) Percentile(p float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(len(s.took)-1, int(float64(len(s.took))*p/100))]
}

// PerSecond returns how many operations ended per second.
func (s Sample) PerSecond() float64 { return float64(s.Ops) / s.Wall.Seconds() }

// CPU returns the processor time of one operation.
func (s Sample) CPU() time.Duration { return s.Cost.CPU / time.Duration(s.Ops) }

// Allocs returns the objects one operation allocated.
func (s Sample) Allocs() float64 { return float64(s.Cost.Allocs) / float64(s.Ops) }

// Bytes returns the bytes one operation allocated.
func (s Sample) Bytes() float64 { return float64(s.Cost.Bytes) / float64(s.Ops) }
