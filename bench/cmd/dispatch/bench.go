package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/floor"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

// bench is one run. The small cluster has as many workers as the plan's first
// figure all the time, the big one grows to its last.
type bench struct {
	plan plan
	// onlyJobs leaves out all but the rows that hold the node against the floor.
	onlyJobs bool
	home     string
	report   *report.Report
	loads    *report.Table
	floor    *floor.Rig
	small    *cluster.Cluster
	big      *cluster.Cluster
	split    *cluster.Cluster
}

// run measures in an order that lets memory be looked at while the cluster is
// fresh and small, and crowds come last.
func (b *bench) run(ctx context.Context) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	steps := []func(context.Context) error{b.memory, b.echo, b.jobs, b.separate, b.crowd, b.growth}
	if b.onlyJobs {
		steps = []func(context.Context) error{b.jobs}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) start(ctx context.Context) error {
	var err error
	if b.floor, err = floor.Start(ctx, json.RawMessage(tiny.Data), tiny.Result); err != nil {
		return err
	}
	b.small, err = startCluster(ctx, cluster.Config{Home: filepath.Join(b.home, "small")}, b.plan.workers[0])
	return err
}

// startCluster returns a warm cluster with n workers.
func startCluster(ctx context.Context, cfg cluster.Config, n int) (*cluster.Cluster, error) {
	cfg.Slots, cfg.Data, cfg.Want = slots, json.RawMessage(tiny.Data), tiny.Result
	c, err := cluster.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Grow(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("linking %d workers: %w", n, err), c.Close())
	}
	if _, err := load(ctx, 16, warm, c.Job); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (b *bench) close() error {
	var errs []error
	for _, c := range []*cluster.Cluster{b.big, b.split, b.small} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	if b.floor != nil {
		errs = append(errs, b.floor.Close())
	}
	return errors.Join(errs...)
}
