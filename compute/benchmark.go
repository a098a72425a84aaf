package compute

import (
	"context"
	"crypto/sha256"
	"math"
	"time"
)

// The yardstick: one core of a 2020 server (2nd generation EPYC at 3.3 GHz)
// hashes 1.6 GB/s of SHA-256 and runs 400 million steps of the float loop per
// second.
const (
	refHashBytes  = 1.6e9
	refFloatSteps = 400e6
	benchmarkTime = 50 * time.Millisecond // for each of the two
	hashBlock     = 256 << 10
	floatBlock    = 100_000
)

// benchmark returns the speed of one core, 1.0 being the yardstick: the
// geometric mean of hashing and floating point, so that neither a hashing
// instruction nor a high clock alone decides. It takes about 0.1 s.
func benchmark(ctx context.Context) float64 {
	buf := make([]byte, hashBlock)
	hash := rate(ctx, func() float64 {
		sum := sha256.Sum256(buf)
		copy(buf, sum[:]) // the next block depends on this one
		return hashBlock
	})
	x := 0.5
	float := rate(ctx, func() float64 {
		for range floatBlock {
			x = float64(3.7*x) * (1 - x) // the logistic map: never settles, never leaves 0..1
		}
		return floatBlock
	})
	if x < 0 {
		return 0 // unreachable; keeps the loop from being optimised away
	}
	return math.Sqrt(hash / refHashBytes * float / refFloatSteps)
}

// rate repeats work for benchmarkTime and returns what it did per second.
func rate(ctx context.Context, work func() float64) float64 {
	done, start := 0.0, time.Now()
	for ctx.Err() == nil {
		done += work()
		if time.Since(start) >= benchmarkTime {
			break
		}
	}
	return done / max(time.Since(start).Seconds(), 1e-9)
}
