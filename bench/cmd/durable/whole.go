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

// workers and slots are those of the node that whole jobs run on.
const (
	workers = 10
	slots   = 8
)

// whole holds jobs that come over HTTP, are computed by workers, verified and
// recorded twice on the way against the yardstick's messages.
func (b *bench) whole(ctx context.Context) (err error) {
	theirs, err := jetstream.Start(ctx, filepath.Join(b.home, "jetstream-whole"))
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
	if _, err := measure.Run(ctx, flight, b.plan.whole/10, 0, ours.Job); err != nil { // warm
		return err
	}
	pairs, err := measure.Pairs(b.plan.pairs, perSecond(ctx, b.plan.messages, theirs.Publish), perSecond(ctx, b.plan.whole, ours.Job))
	if err != nil {
		return err
	}
	b.report.Row(report.AtLeast(fmt.Sprintf("whole jobs per second over HTTP, %d in flight", flight), fmt.Sprintf("%.0f/s", measure.Subject(pairs)),
		fmt.Sprintf("JetStream %.0f messages/s", measure.Yardstick(pairs)), measure.Ratio(pairs), 1, "x"))
	return nil
}
