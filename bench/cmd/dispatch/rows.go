package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/echo"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
)

// What Bacalhau 1.9.3 took for a WASM job on a machine with two cores: published
// constants, not measured here.
const (
	bacalhauSerial = 19100 * time.Microsecond
	bacalhauBurst  = 85.0 // per second
)

// load runs jobs on a clean heap.
func load(ctx context.Context, inFlight, jobs int, op measure.Op) (measure.Sample, error) {
	runtime.GC()
	return measure.Run(ctx, inFlight, jobs, 0, op)
}

// p50 measures the median latency in microseconds.
func p50(ctx context.Context, jobs int, op measure.Op) func() (float64, error) {
	return func() (float64, error) {
		s, err := load(ctx, 1, jobs, op)
		return float64(s.Percentile(50).Nanoseconds()) / 1e3, err
	}
}

// rate measures jobs per second in a burst.
func rate(ctx context.Context, jobs int, op measure.Op) func() (float64, error) {
	return func() (float64, error) {
		s, err := load(ctx, burstFlight, jobs, op)
		return s.PerSecond(), err
	}
}

// memory holds the growth of the heap against the number of jobs that ended:
// while their results are kept, and once the oldest are forgotten.
func (b *bench) memory(ctx context.Context) error {
	n := b.plan.memory
	var heap [3]uint64
	heap[0] = measure.Heap()
	for i := range 2 {
		if _, err := measure.Run(ctx, 16, n, cluster.Settle, b.small.Job); err != nil {
			return err
		}
		heap[i+1] = measure.Heap()
	}
	growth := func(i int) float64 { return max(0, float64(heap[i+1])-float64(heap[i])) / float64(n) / 1000 }
	b.report.Row(
		report.AtMost(fmt.Sprintf("memory per finished job, first %d", n), fmt.Sprintf("%.2f KB", growth(0)), "-", growth(0), 10, " KB"),
		report.AtMost(fmt.Sprintf("memory per finished job, next %d", n), fmt.Sprintf("%.2f KB", growth(1)), "-", growth(1), 1, " KB"))
	return nil
}

// echo holds a session against the stream beneath it.
func (b *bench) echo(ctx context.Context) error {
	rig, err := echo.Start(ctx)
	if err != nil {
		return err
	}
	defer rig.Close()
	pairs, err := measure.Pairs(b.plan.pairs, p50(ctx, b.plan.echoes, rig.Raw), p50(ctx, b.plan.echoes, rig.Session))
	if err != nil {
		return err
	}
	b.report.Row(report.AtMost("node-to-node request, p50", micros(measure.Subject(pairs)), "raw stream "+micros(measure.Yardstick(pairs)),
		measure.Ratio(pairs), 1.5, "x"))
	return nil
}

// jobs holds the node against the floor, one job at a time and in bursts, and
// counts what crossed the network meanwhile.
func (b *bench) jobs(ctx context.Context) error {
	before, err := b.small.Counters(ctx)
	if err != nil {
		return err
	}
	serial, err := measure.Pairs(b.plan.pairs, p50(ctx, b.plan.serial, b.floor.Job), p50(ctx, b.plan.serial, b.small.Job))
	if err != nil {
		return err
	}
	alone, err := b.small.Counters(ctx)
	if err != nil {
		return err
	}
	burst, err := measure.Pairs(b.plan.pairs, rate(ctx, b.plan.burst, b.floor.Job), rate(ctx, b.plan.burst, b.small.Job))
	if err != nil {
		return err
	}
	after, err := b.small.Counters(ctx)
	if err != nil {
		return err
	}
	b.serialRows(serial)
	b.burstRows(burst)
	b.trafficRows(alone.Minus(before), after.Minus(before))
	return nil
}

func (b *bench) serialRows(pairs []measure.Pair) {
	took := measure.Subject(pairs)
	b.report.Row(
		report.AtMost("serial job, HTTP to verified result, p50", micros(took), "floor "+micros(measure.Yardstick(pairs)), measure.Ratio(pairs), 3, "x"),
		report.AtMost("serial job, p50", micros(took), "Bacalhau "+report.Took(bacalhauSerial), took*1e3/float64(bacalhauSerial), 0.2, "x"))
}

func (b *bench) burstRows(pairs []measure.Pair) {
	perSecond := measure.Subject(pairs)
	b.report.Row(
		report.AtLeast(fmt.Sprintf("jobs per second, %d in flight", burstFlight), fmt.Sprintf("%.0f/s", perSecond),
			fmt.Sprintf("floor %.0f/s", measure.Yardstick(pairs)), measure.Ratio(pairs), 0.4, "x"),
		report.AtLeast(fmt.Sprintf("jobs per second, %d in flight", burstFlight), fmt.Sprintf("%.0f/s", perSecond),
			fmt.Sprintf("Bacalhau %.0f/s", bacalhauBurst), perSecond/bacalhauBurst, 20, "x"))
}

// trafficRows judges what was counted over alone, the serial jobs, and over all.
func (b *bench) trafficRows(alone, all cluster.Counters) {
	serial := float64(b.plan.pairs * b.plan.serial)
	jobs := serial + float64(b.plan.pairs*b.plan.burst)
	count := func(n float64) string { return fmt.Sprintf("%.0f in %.0f jobs", n, jobs) }
	b.report.Row(
		report.AtMost("streams opened per job", count(all.Streams), "-", all.Streams/jobs, 0.05, ""),
		report.AtMost("dials per job", count(all.Connections), "-", all.Connections/jobs, 0, ""),
		report.AtMost(fmt.Sprintf("frames per job, one at a time, %d workers", b.plan.workers[0]), fmt.Sprintf("%.2f", alone.Frames/serial), "-", alone.Frames/serial, 6, ""),
		report.AtMost(fmt.Sprintf("messages per job, one at a time, %d workers", b.plan.workers[0]), fmt.Sprintf("%.2f", alone.Messages/serial), "-", alone.Messages/serial, 6, ""),
		report.AtMost("gossip messages per job, in a burst", count(all.Gossip-alone.Gossip), "-", round(per(all.Gossip-alone.Gossip, jobs-serial)), 0, ""))
}

// separate counts the frames of a gateway on a node of its own.
func (b *bench) separate(ctx context.Context) error {
	var err error
	if b.split, err = startCluster(ctx, cluster.Config{Home: filepath.Join(b.home, "split"), Split: true}, b.plan.workers[0]); err != nil {
		return err
	}
	before, err := b.split.Counters(ctx)
	if err != nil {
		return err
	}
	s, err := load(ctx, 1, b.plan.serial, b.split.Job)
	if err != nil {
		return err
	}
	after, err := b.split.Counters(ctx)
	if err != nil {
		return err
	}
	done := after.Minus(before)
	t := b.report.Table("The gateway on a node of its own, one job at a time", "p50", "p95", "frames/job", "messages/job")
	t.Add(report.Took(s.Percentile(50)), report.Took(s.Percentile(95)), fmt.Sprintf("%.2f", per(done.Frames, float64(s.Ops))),
		fmt.Sprintf("%.2f", per(done.Messages, float64(s.Ops))))
	err = b.split.Close()
	b.split = nil
	return err
}

func per(n, jobs float64) float64 { return n / jobs }

// round leaves out what is less than one message in a hundred jobs: the digests
// of results, at most one message a second however many jobs end.
func round(v float64) float64 { return float64(int(v*100)) / 100 }

func micros(us float64) string { return report.Took(time.Duration(us * 1e3)) }
