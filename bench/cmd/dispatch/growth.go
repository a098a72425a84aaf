package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
)

// idleTime is how long a process is watched that does nothing.
const idleTime = 3 * time.Second

// crowd loads regions of every size, and one at the documented rate.
func (b *bench) crowd(ctx context.Context) error {
	b.loads = b.report.Table("Jobs over HTTP by size of the region", report.LoadHead()...)
	if err := b.line(ctx, b.small); err != nil {
		return err
	}
	var err error
	for i, n := range b.plan.workers[1:] {
		if b.big == nil {
			b.big, err = startCluster(ctx, cluster.Config{Home: filepath.Join(b.home, "big")}, n)
		} else {
			err = b.big.Grow(ctx, n)
		}
		if err != nil {
			return err
		}
		if err := b.line(ctx, b.big); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := errors.Join(b.starts(ctx), b.cancels(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// line adds a cluster to the load table.
func (b *bench) line(ctx context.Context, c *cluster.Cluster) error {
	for _, inFlight := range b.plan.inFlight {
		jobs := b.plan.table
		if inFlight == 1 {
			jobs /= 4
		}
		s, err := load(ctx, inFlight, jobs, c.Job)
		if err != nil {
			return err
		}
		report.AddLoad(b.loads, c.Workers(), inFlight, s)
		if inFlight == 1 && c.Workers() == b.plan.workers[len(b.plan.workers)-1] {
			took := float64(s.Percentile(50).Nanoseconds()) / 1e6
			b.report.Row(report.AtMost(fmt.Sprintf("serial job, p50, %d workers", c.Workers()), report.Took(s.Percentile(50)), "-", took, 100, " ms"))
		}
	}
	return nil
}

// starts measures how long a job waits to begin at the documented rate.
func (b *bench) starts(ctx context.Context) error {
	s, err := b.big.Starts(ctx, pacedRate, b.plan.paced)
	if err != nil {
		return err
	}
	p99 := s.Percentile(99)
	b.report.Row(report.AtMost(fmt.Sprintf("submit to start, p99, %d jobs/s, %d workers", pacedRate, b.big.Workers()),
		fmt.Sprintf("%s (p50 %s)", report.Took(p99), report.Took(s.Percentile(50))), "-", float64(p99.Nanoseconds())/1e6, 100, " ms"))
	return nil
}

// cancels measures how long work goes on that was cancelled.
func (b *bench) cancels(ctx context.Context) error {
	s, err := b.big.Cancels(ctx, b.plan.cancels)
	if err != nil {
		return err
	}
	p99 := s.Percentile(99)
	b.report.Row(report.AtMost(fmt.Sprintf("cancel to the end of the work, p99, %d workers", b.big.Workers()),
		fmt.Sprintf("%s (p50 %s)", report.Took(p99), report.Took(s.Percentile(50))), "-", float64(p99.Nanoseconds())/1e6, 1000, " ms"))
	return nil
}

// growth holds a big region against a small one in the same process, so that
// both bear what a thousand idle hosts in it cost; that is taken off both.
func (b *bench) growth(ctx context.Context) error {
	idle, err := b.idle(ctx)
	if err != nil {
		return err
	}
	cpu := func(c *cluster.Cluster) func() (float64, error) {
		return func() (float64, error) {
			s, err := measure.Run(ctx, burstFlight, b.plan.growth, cluster.Settle, c.Job)
			s.Cost = s.Cost.Without(idle)
			return float64(s.CPU().Nanoseconds()) / 1e3, err
		}
	}
	burst, err := measure.Pairs(b.plan.pairs, cpu(b.small), cpu(b.big))
	if err != nil {
		return err
	}
	small, big := b.small.Workers(), b.big.Workers()
	b.report.Row(report.AtMost(fmt.Sprintf("CPU per job, %d workers", big), micros(measure.Subject(burst)),
		fmt.Sprintf("%d workers %s", small, micros(measure.Yardstick(burst))), measure.Ratio(burst), 1.3, "x"))
	if err := b.crowded(ctx); err != nil {
		return err
	}
	return b.traffic(ctx)
}

// crowded submits many lasting jobs at once to a region with more workers. The
// client has its connections open by then.
func (b *bench) crowded(ctx context.Context) error {
	if _, err := load(ctx, b.plan.atOnce, b.plan.atOnce, b.big.Job); err != nil {
		return err
	}
	b.big.Lasting(time.Second)
	defer b.big.Lasting(0)
	s, err := measure.Run(ctx, b.plan.atOnce, b.plan.atOnce, 0, b.big.Job)
	if err != nil {
		return err
	}
	p50 := s.Percentile(50)
	b.report.Row(report.AtMost(fmt.Sprintf("%d jobs of 1 s at once, p50, %d workers", b.plan.atOnce, b.big.Workers()),
		fmt.Sprintf("%s (p99 %s)", report.Took(p50), report.Took(s.Percentile(99))), "-", p50.Seconds(), 1.1, " s"))
	return nil
}

// idle watches the process while it has nothing to do.
func (b *bench) idle(ctx context.Context) (measure.Cost, error) {
	before, err := b.big.Counters(ctx)
	if err != nil {
		return measure.Cost{}, err
	}
	began := time.Now()
	idle := measure.Idle(idleTime)
	after, err := b.big.Counters(ctx)
	if err != nil {
		return measure.Cost{}, err
	}
	passed, done := time.Since(began).Seconds(), after.Minus(before)
	second := func(n float64) string { return fmt.Sprintf("%.1f", n/passed) }
	t := b.report.Table("The process without jobs, per second", "workers", "CPU, share of a core", "frames", "gossip", "streams", "dials")
	t.Add(b.big.Workers()+b.small.Workers(), fmt.Sprintf("%.2f", idle.CPU.Seconds()/idle.Wall.Seconds()),
		second(done.Frames), second(done.Gossip), second(done.Streams), second(done.Connections))
	return idle, nil
}

// traffic compares what crosses the network for one job in regions of both sizes.
func (b *bench) traffic(ctx context.Context) error {
	t := b.report.Table("What crosses the network for one job", "workers", "in flight", "frames", "messages", "gossip", "streams", "dials")
	for _, c := range []*cluster.Cluster{b.small, b.big} {
		for _, inFlight := range []int{1, burstFlight} {
			done, jobs, err := b.count(ctx, c, inFlight)
			if err != nil {
				return err
			}
			cell := func(n float64) string { return fmt.Sprintf("%.3f", n/jobs) }
			t.Add(c.Workers(), inFlight, cell(done.Frames), cell(done.Messages), cell(done.Gossip), cell(done.Streams), cell(done.Connections))
			if c == b.big {
				of := fmt.Sprintf("per job, %d in flight, %d workers", inFlight, c.Workers())
				b.report.Row(report.AtMost("frames "+of, cell(done.Frames), "-", done.Frames/jobs, 6, ""),
					report.AtMost("messages "+of, cell(done.Messages), "-", done.Messages/jobs, 6, ""))
			}
		}
	}
	return nil
}

func (b *bench) count(ctx context.Context, c *cluster.Cluster, inFlight int) (cluster.Counters, float64, error) {
	before, err := c.Counters(ctx)
	if err != nil {
		return before, 0, err
	}
	jobs := b.plan.burst
	if inFlight == 1 {
		jobs = b.plan.serial
	}
	if _, err := load(ctx, inFlight, jobs, c.Job); err != nil {
		return before, 0, err
	}
	after, err := c.Counters(ctx)
	return after.Minus(before), float64(jobs), err
}
