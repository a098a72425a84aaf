package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenzro/tenzro/bench/internal/durable"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/core"
)

// fill runs jobs until it is killed and writes the id of each one that was
// acknowledged to out, a line each.
func fill(ctx context.Context, dir string, out io.Writer) error {
	r, err := durable.Open(ctx, dir, "fill-")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	_, err = measure.Run(ctx, flight, 1<<30, 0, func(ctx context.Context) error {
		id, err := r.Run(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = fmt.Fprintln(out, id)
		return err
	})
	return errors.Join(err, r.Close())
}

// crash kills a process that fills a journal, looks for what it acknowledged, and
// measures how long opening the journal takes, now and later.
func (b *bench) crash(ctx context.Context) error {
	dir := filepath.Join(b.home, "crash")
	ids, err := b.kill(ctx, dir)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := durable.Open(ctx, dir, "")
	if err != nil {
		return err
	}
	first := time.Since(began)
	lost := 0
	for _, id := range ids {
		if j, err := r.Get(id); err != nil || j.State.Task() != core.TaskCompleted {
			lost++
		}
	}
	if err := r.Close(); err != nil {
		return err
	}
	b.report.Row(report.AtMost("acknowledged ends lost by kill -9", fmt.Sprintf("%d of %d", lost, len(ids)), "-", float64(lost), 0, ""))
	return b.restart(ctx, dir, first)
}

// kill lets a child fill the journal and kills it; it returns the jobs whose end
// the child was told of.
func (b *bench) kill(ctx context.Context, dir string) ([]core.TaskID, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.CommandContext(ctx, self, "-victim", dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	var ids []core.TaskID
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the end of the child; a line without its end counts as not told
		}
		if ids = append(ids, core.TaskID(line[:len(line)-1])); len(ids) == b.plan.finished {
			_ = child.Process.Kill() // it may have ended by itself: Wait tells
		}
	}
	err = child.Wait()
	if len(ids) < b.plan.finished {
		return nil, fmt.Errorf("the process that fills the journal ended after %d jobs: %w", len(ids), err)
	}
	return ids, nil
}

// restart holds a journal with finished jobs against an empty one.
func (b *bench) restart(ctx context.Context, dir string, first time.Duration) error {
	empty := filepath.Join(b.home, "empty")
	if _, err := opening(ctx, empty); err != nil { // it is made once
		return err
	}
	pairs, err := measure.Pairs(b.plan.pairs, func() (float64, error) { return opening(ctx, empty) }, func() (float64, error) { return opening(ctx, dir) })
	if err != nil {
		return err
	}
	took := func(ms float64) string { return report.Took(time.Duration(ms * 1e6)) }
	t := b.report.Table("Until a journal takes jobs", "journal", "time")
	t.Add("empty", took(measure.Yardstick(pairs)))
	t.Add(fmt.Sprintf("%d finished jobs", b.plan.finished), took(measure.Subject(pairs)))
	t.Add("the same, the first time after kill -9", report.Took(first))
	b.report.Row(report.AtMost(fmt.Sprintf("restart with %d finished jobs", b.plan.finished), took(measure.Subject(pairs)), "empty "+took(measure.Yardstick(pairs)),
		measure.Ratio(pairs), 1.5, "x"))
	return nil
}
