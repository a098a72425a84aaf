package sandbox

import (
	"context"
	"slices"
	"testing"
	"time"
)

// BenchmarkWarm is what a child that is ready adds to a tiny job.
func BenchmarkWarm(b *testing.B) {
	benchmarkRun(b, Config{Warm: 1, Jobs: 1 << 30}, Job{Handler: "echo", Request: make([]byte, 100)})
}

// BenchmarkReplaced is the same with children replaced as they are by default.
func BenchmarkReplaced(b *testing.B) {
	benchmarkRun(b, Config{Warm: 1}, Job{Handler: "echo", Request: make([]byte, 100)})
}

// BenchmarkCold starts a child for every job. The children are this test's
// binary; those of the whole program start as long as it does.
func BenchmarkCold(b *testing.B) {
	benchmarkRun(b, Config{Warm: -1, Jobs: 1}, Job{Handler: "echo", Request: make([]byte, 100)})
}

// BenchmarkMiB sends a mebibyte there and back.
func BenchmarkMiB(b *testing.B) {
	b.SetBytes(2 << 20)
	benchmarkRun(b, Config{Warm: 1, Jobs: 1 << 30}, Job{Handler: "echo", Request: make([]byte, 1<<20)})
}

// BenchmarkDeadline tells how long after its deadline a spinning guest is dead
// and reaped: late-p50 and late-p99.
func BenchmarkDeadline(b *testing.B) {
	p := serve(b, Config{})
	const wall = 20 * time.Millisecond
	var late []time.Duration
	for b.Loop() {
		res := run(b, p, Job{Handler: "spin", Limits: Limits{Wall: wall}})
		if res.Reason != Deadline {
			b.Fatalf("%q %s", res.Reason, res.Message)
		}
		late = append(late, res.Wall-wall)
	}
	report(b, "late", late)
}

func benchmarkRun(b *testing.B, cfg Config, job Job) {
	p := serve(b, cfg)
	run(b, p, job)
	ctx := context.Background()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if res, err := p.Run(ctx, job); err != nil || res.Reason != OK {
			b.Fatalf("%v, %q %s", err, res.Reason, res.Message)
		}
		took = append(took, time.Since(start))
	}
	report(b, "run", took)
}

func report(b *testing.B, what string, took []time.Duration) {
	slices.Sort(took)
	at := func(q int) float64 { return float64(took[len(took)*q/100].Microseconds()) }
	b.ReportMetric(at(50), what+"-p50-us")
	b.ReportMetric(at(99), what+"-p99-us")
}
