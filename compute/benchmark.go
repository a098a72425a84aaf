package compute

import (
	"context"
	"math"
	"time"

	"github.com/tenzro/tenzro/compute/workload"
)

// The yardstick: one core of a 2020 server (2nd generation EPYC at 3.3 GHz)
// hashes 1.6 GB/s of SHA-256 and runs 400 million steps of the float loop per
// second.
const (
	refHash       = 1600                  // MB/s
	refFloat      = 400                   // Mstep/s
	benchmarkTime = 50 * time.Millisecond // for each of the two
	sliceTime     = 5 * time.Millisecond
)

// benchmark returns the speed of one core, 1.0 being the yardstick: the
// geometric mean of hashing and floating point, so that neither a hashing
// instruction nor a high clock alone decides. It takes about 0.1 s.
func benchmark(ctx context.Context) float64 {
	score := 1.0
	for _, k := range workload.Kinds() {
		switch k.Name {
		case "hash":
			score *= rate(ctx, k) / refHash
		case "float":
			score *= rate(ctx, k) / refFloat
		}
	}
	return math.Sqrt(score)
}

// rate repeats a piece of work for benchmarkTime and returns what it did per second
// in the best slice of that time: what others run meanwhile is no property of the
// machine.
func rate(ctx context.Context, k workload.Kind) float64 {
	var scratch workload.Scratch
	best, start := 0.0, time.Now()
	for seed := uint64(0); ctx.Err() == nil && time.Since(start) < benchmarkTime; {
		done, began := 0.0, time.Now()
		for done == 0 || time.Since(began) < sliceTime {
			if _, err := k.Work(&scratch, seed); err != nil {
				return best
			}
			seed++
			done += k.Each
		}
		best = max(best, done/max(time.Since(began).Seconds(), 1e-9))
	}
	return best
}
