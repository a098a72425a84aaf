package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/jetstream"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

// workers and slots are those that whole jobs run on, on either side.
const (
	workers = 10
	slots   = 8
)

// whole holds jobs that come over HTTP, are computed by workers, verified and
// recorded twice on the way against the same jobs over a JetStream work queue. What
// a single message costs stands beside them.
func (b *bench) whole(ctx context.Context) (err error) {
	theirs, err := jetstream.StartQueue(ctx, filepath.Join(b.home, "jetstream-whole"), workers, slots, json.RawMessage(tiny.Data), tiny.Result)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	ours, err := cluster.Start(ctx, cluster.Config{Home: filepath.Join(b.home, "whole"), Slots: slots, Durable: true,
		Data: json.RawMessage(tiny.Data), Want: tiny.Result})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	if err := ours.Grow(ctx, workers); err != nil {
		return err
	}
	for _, warm := range []measure.Op{theirs.Job, ours.Job} {
		if _, err := measure.Run(ctx, flight, b.plan.whole/10, 0, warm); err != nil {
			return err
		}
	}
	pairs, err := measure.Pairs(b.plan.pairs, perSecond(ctx, b.plan.whole, theirs.Job), perSecond(ctx, b.plan.whole, ours.Job))
	if err != nil {
		return err
	}
	b.report.Row(report.AtLeast(fmt.Sprintf("whole jobs per second, %d in flight", flight), fmt.Sprintf("%.0f/s", measure.Subject(pairs)),
		fmt.Sprintf("JetStream work queue %.0f/s", measure.Yardstick(pairs)), measure.Ratio(pairs), 1, "x"))
	return b.wholes(ctx, theirs, ours)
}

// wholes is a table of what whole jobs and a single message take.
func (b *bench) wholes(ctx context.Context, theirs *jetstream.Queue, ours *cluster.Cluster) error {
	t := b.report.Table(fmt.Sprintf("Whole jobs on %d workers, %d in flight", workers, flight), "what", "p50", "p95", "p99", "per second", "CPU")
	for _, subject := range []struct {
		name string
		op   measure.Op
	}{
		{"job over HTTP and a durable region", ours.Job},
		{"job over a JetStream work queue", theirs.Job},
		{"one JetStream message", theirs.Publish},
	} {
		s, err := measure.Run(ctx, flight, b.plan.whole, 0, subject.op)
		if err != nil {
			return err
		}
		t.Add(subject.name, report.Took(s.Percentile(50)), report.Took(s.Percentile(95)), report.Took(s.Percentile(99)),
			fmt.Sprintf("%.0f", s.PerSecond()), report.Took(s.CPU()))
	}
	return nil
}
