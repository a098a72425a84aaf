package compute

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// Engine runs tasks with the executor of their type. It is safe for concurrent
// use; how many run at once is for the reservations to say.
type Engine struct {
	executors map[core.TaskType]Executor
	capacity  *Capacity
	metrics   *metrics
	log       zerolog.Logger
}

// NewEngine returns an engine over a fixed set of executors. A nil reg means no
// metrics; the error is a metric that reg refused.
func NewEngine(executors map[core.TaskType]Executor, capacity *Capacity, reg prometheus.Registerer, log zerolog.Logger) (*Engine, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("registering compute metrics: %w", err)
	}
	own := make(map[core.TaskType]Executor, len(executors))
	for t, x := range executors {
		own[t] = x
		m.show(t)
	}
	return &Engine{executors: own, capacity: capacity, metrics: m, log: log}, nil
}

// Types returns the task types this engine runs, sorted.
func (e *Engine) Types() []core.TaskType {
	types := make([]core.TaskType, 0, len(e.executors))
	for t := range e.executors {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// MayWrite reports whether tasks of a type may write output while they run.
func (e *Engine) MayWrite(t core.TaskType) bool {
	return MayWrite(e.executors[t])
}

// Run computes spec.Data inside res and blocks until it is done. report hears of
// progress that never falls.
//
// A task that did not complete is a *core.Failure. A task that was not started
// is a *core.Error: Unsupported when no executor has its type, Conflict when res
// is released, foreign or smaller than the task's requirements. The caller keeps
// res and releases it.
func (e *Engine) Run(ctx context.Context, spec core.TaskSpec, res *Reservation, report Report) (Output, error) {
	x, ok := e.executors[spec.Type]
	if !ok {
		return Output{}, core.Errorf(core.Unsupported, "type", "this node runs no tasks of type %.32q", spec.Type)
	}
	if err := res.covers(e.capacity, spec.Requirements); err != nil {
		return Output{}, err
	}
	start := time.Now()
	out, err := e.guarded(ctx, x, spec, rising(report))
	if err == nil {
		err = checkOutput(out)
	}
	failure := e.failure(ctx, spec.Type, err)
	e.metrics.observe(spec.Type, failure, time.Since(start))
	if failure != nil {
		return Output{}, failure
	}
	return out, nil
}

// guarded runs the executor and turns its panic into an error, because one bad
// task must not take the other tasks of the node with it.
func (e *Engine) guarded(ctx context.Context, x Executor, spec core.TaskSpec, report Report) (out Output, err error) {
	if err := ctx.Err(); err != nil {
		return Output{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			e.log.Error().Str("task_type", string(spec.Type)).Str("panic", fmt.Sprintf("%.200q", fmt.Sprint(p))).
				Bytes("stack", debug.Stack()).Msg("executor panicked; the task failed")
			err = &core.Failure{Reason: core.ReasonInternal, Message: "the engine crashed on this task; the node's log has the stack"}
		}
	}()
	return x.Run(ctx, spec.Data, report)
}

// failure maps err to the closed set of reasons.
func (e *Engine) failure(ctx context.Context, t core.TaskType, err error) *core.Failure {
	var f *core.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &core.Failure{Reason: core.ReasonDeadline, Message: "the deadline passed while the task was running"}
	case errors.Is(err, context.Canceled) || ctx.Err() != nil:
		return &core.Failure{Reason: core.ReasonCancelled, Message: "the task was cancelled while it was running"}
	case errors.Is(err, core.Invalid):
		return &core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()}
	}
	e.log.Error().Str("task_type", string(t)).Err(err).Msg("executor returned an error that no task can cause")
	return &core.Failure{Reason: core.ReasonInternal, Message: "the engine failed; the node's log has the cause"}
}

func checkOutput(out Output) error {
	if len(out.Result) == 0 {
		return errors.New("executor returned an empty result")
	}
	if math.IsNaN(out.Metric) || out.Metric < 0 || out.Metric > 1 {
		return fmt.Errorf("executor returned metric %v, not in 0..1", out.Metric)
	}
	if len(out.Result) > core.MaxTaskBytes {
		return &core.Failure{Reason: core.ReasonExecutionFailed,
			Message: fmt.Sprintf("the result has %d bytes; at most %d can be delivered", len(out.Result), core.MaxTaskBytes)}
	}
	return nil
}

// rising makes a report that hears only of progress in 0..1 that is greater than the
// last.
func rising(r Report) Report {
	progress, last := r.OnProgress, 0.0
	if progress == nil {
		return r
	}
	r.OnProgress = func(p float64) {
		if p = min(p, 1); p > last {
			last = p
			progress(p)
		}
	}
	return r
}
