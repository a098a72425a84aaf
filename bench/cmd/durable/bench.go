package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tenzro/tenzro/bench/internal/durable"
	"github.com/tenzro/tenzro/bench/internal/jetstream"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
)

// bench is one run.
type bench struct {
	plan   plan
	home   string
	report *report.Report
}

// rate holds the journal against the yardstick under load.
func (b *bench) rate(ctx context.Context) (err error) {
	theirs, err := jetstream.Start(ctx, filepath.Join(b.home, "jetstream"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	ours, err := durable.Open(ctx, filepath.Join(b.home, "rate"), "rate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	if err := b.memory(ctx, ours); err != nil {
		return err
	}
	_, before := ours.Written()
	pairs, err := measure.Pairs(b.plan.pairs, perSecond(ctx, b.plan.messages, theirs.Publish), perSecond(ctx, b.plan.jobs, ours.Job))
	if err != nil {
		return err
	}
	_, after := ours.Written()
	syncs, jobs := after-before, b.plan.pairs*b.plan.jobs
	b.report.Row(
		report.AtLeast(fmt.Sprintf("durable jobs per second, %d in flight", flight), fmt.Sprintf("%.0f/s", measure.Subject(pairs)),
			fmt.Sprintf("JetStream %.0f messages/s", measure.Yardstick(pairs)), measure.Ratio(pairs), 1, "x"),
		report.AtMost("log fsyncs per job", fmt.Sprintf("%d in %d jobs", syncs, jobs), "-", float64(syncs)/float64(jobs), 0.1, ""))
	return b.loads(ctx, theirs.Publish, ours)
}

// perSecond measures operations per second on a clean heap.
func perSecond(ctx context.Context, ops int, op measure.Op) func() (float64, error) {
	return func() (float64, error) {
		runtime.GC()
		s, err := measure.Run(ctx, flight, ops, 0, op)
		return s.PerSecond(), err
	}
}

// memory holds the growth of the heap against the number of jobs that ended.
func (b *bench) memory(ctx context.Context, r *durable.Rig) error {
	if _, err := measure.Run(ctx, flight, b.plan.memory/10, 0, r.Job); err != nil { // what is allocated once
		return err
	}
	before := measure.Heap()
	if _, err := measure.Run(ctx, flight, b.plan.memory, 0, r.Job); err != nil {
		return err
	}
	per := max(0, float64(measure.Heap())-float64(before)) / float64(b.plan.memory) / 1000
	b.report.Row(report.AtMost(fmt.Sprintf("memory per finished job, %d", b.plan.memory), fmt.Sprintf("%.2f KB", per), "-", per, 10, " KB"))
	return nil
}

// loads is a table of both, one at a time and many.
func (b *bench) loads(ctx context.Context, publish measure.Op, r *durable.Rig) error {
	t := b.report.Table("Records on disk", "what", "in flight", "p50", "p95", "p99", "per second", "CPU", "fsyncs")
	for _, inFlight := range []int{1, flight} {
		for _, subject := range []struct {
			name string
			ops  int
			op   measure.Op
		}{
			{fmt.Sprintf("JetStream message, %d B", jetstream.MessageBytes), b.plan.messages, publish},
			{"job, acceptance and end", b.plan.jobs, r.Job},
		} {
			ops := max(1, subject.ops*inFlight/flight)
			_, before := r.Written()
			s, err := measure.Run(ctx, inFlight, ops, 0, subject.op)
			if err != nil {
				return err
			}
			_, after := r.Written()
			syncs := "-" // the yardstick does not tell
			if after > before {
				syncs = fmt.Sprintf("%.3f", float64(after-before)/float64(ops))
			}
			t.Add(subject.name, inFlight, report.Took(s.Percentile(50)), report.Took(s.Percentile(95)), report.Took(s.Percentile(99)),
				fmt.Sprintf("%.0f", s.PerSecond()), report.Took(s.CPU()), syncs)
		}
	}
	return nil
}

// opening measures how long a journal takes until it takes jobs, in milliseconds.
func opening(ctx context.Context, dir string) (float64, error) {
	began := time.Now()
	r, err := durable.Open(ctx, dir, "")
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	return float64(took.Nanoseconds()) / 1e6, r.Close()
}
