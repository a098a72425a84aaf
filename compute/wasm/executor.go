package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/core"
)

// HandlerName is what Guest.Handle is registered as with the Runner.
const HandlerName = "wasm"

const (
	// childMB is what a child needs beside the memory of the guest, and codeMB what
	// compiling takes more for each MiB of the module, as measured.
	childMB = 192
	codeMB  = 96
	// guestCopies is how many times the guest's memory is held for a moment: while
	// it grows the old one is still there.
	guestCopies = 2
)

// ExecutorConfig is what an Executor is told.
type ExecutorConfig struct {
	// Cache keeps compiled code; nil compiles every time.
	Cache *Cache
	// MemoryMB is what the children of all running tasks may hold together, MiB. A
	// task waits until there is room for what its child may hold, which is more than
	// its program's memory; one that needs more than all of it runs alone. One whose
	// program alone may have more than all of it cannot run here.
	MemoryMB int64
}

// Executor runs tasks of this type in a Runner, and plans them. It is safe for
// concurrent use.
type Executor struct {
	Planner

	cfg    ExecutorConfig
	runner Runner
	memory *semaphore.Weighted
	log    zerolog.Logger
}

var (
	_ compute.Executor = (*Executor)(nil)
	_ compute.Planner  = (*Executor)(nil)
)

// NewExecutor returns an executor that runs guests with runner.
func NewExecutor(cfg ExecutorConfig, runner Runner, log zerolog.Logger) *Executor {
	return &Executor{cfg: cfg, runner: runner, memory: semaphore.NewWeighted(max(0, cfg.MemoryMB)), log: log}
}

// Run implements compute.Executor.
func (e *Executor) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	t, err := Decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	if t.Limits.MemoryMB > e.cfg.MemoryMB {
		return compute.Output{}, &core.Failure{Reason: core.ReasonInternal, // another node may have more
			Message: fmt.Sprintf("the task may use %d MiB; this node gives programs %d MiB at most", t.Limits.MemoryMB, e.cfg.MemoryMB)}
	}
	weight := min(childNeedsMB(&t), e.cfg.MemoryMB)
	if err := e.memory.Acquire(ctx, weight); err != nil {
		return compute.Output{}, err
	}
	defer e.memory.Release(weight)
	m := &mirror{report: report}
	a, err := e.run(ctx, &t, m)
	if err != nil {
		return compute.Output{}, err
	}
	raw, err := e.deliver(&t, a)
	if err == nil {
		err = m.rest(a.stdout, a.stderr)
	}
	if err != nil {
		return compute.Output{}, err
	}
	return compute.Output{Result: raw, Metric: 1}, nil
}

// run has the child run the task.
func (e *Executor) run(ctx context.Context, t *Task, m *mirror) (answer, error) {
	req, err := newRequest(t).encode()
	if err != nil {
		return answer{}, fmt.Errorf("encoding the request: %w", err)
	}
	job := sandbox.Job{Handler: HandlerName, Request: req, Limits: limitsOf(ctx, t)}
	if m.report.OnOutput != nil {
		job.Output = m.take
	}
	res, err := e.runner.Run(ctx, job)
	if err != nil {
		return answer{}, fmt.Errorf("running the program: %w", err)
	}
	if err := ended(ctx, res, t); err != nil {
		e.tidy(t) // a child that was killed does not tell what it kept
		return answer{}, err
	}
	a, err := decodeAnswer(res.Response)
	if err != nil {
		return answer{}, fmt.Errorf("reading the child's answer: %w", err)
	}
	if a.Cached {
		e.tidy(t)
	}
	return a, nil
}

func (e *Executor) tidy(t *Task) {
	if err := e.cfg.Cache.Used(t.Module); err != nil {
		e.log.Warn().Err(err).Msg("the cache of compiled modules cannot be tidied up; check the disk")
	}
}

// childNeedsMB is what the child of a task may hold, MiB.
func childNeedsMB(t *Task) int64 {
	return childMB + guestCopies*t.Limits.MemoryMB + codeMB*(1+int64(len(t.Module))>>20)
}

// limitsOf says what the child may use. The wall clock is that of the task: the
// context ends the child too, but cannot say that the task was late.
func limitsOf(ctx context.Context, t *Task) sandbox.Limits {
	wall := core.MaxTimeout
	if t.Limits.TimeoutMS > 0 {
		wall = t.Limits.timeout()
	}
	if until, ok := ctx.Deadline(); ok {
		wall = max(min(wall, time.Until(until)), time.Millisecond)
	}
	return sandbox.Limits{Memory: childNeedsMB(t) << 20, Wall: wall, Output: maxMessage}
}

// ended turns what was done to the child into the failure of the task.
func ended(ctx context.Context, res sandbox.Result, t *Task) error {
	switch res.Reason {
	case sandbox.OK:
		return nil
	case sandbox.Deadline, sandbox.CPULimit:
		return &core.Failure{Reason: core.ReasonDeadline, Message: "the program was still running when its time was over"}
	case sandbox.MemoryLimit:
		return &core.Failure{Reason: core.ReasonMemoryLimit,
			Message: fmt.Sprintf("compiling and running the program took more memory than a program with %d MiB may", t.Limits.MemoryMB)}
	case sandbox.OutputLimit:
		return &core.Failure{Reason: core.ReasonOutputLimit, Message: "the program wrote more than can be delivered"}
	case sandbox.Cancelled:
		if err := ctx.Err(); err != nil {
			return err
		}
		return context.Canceled
	}
	return &core.Failure{Reason: core.ReasonInternal, Message: "the process that ran the program ended without an answer: " + bounded(res.Message)}
}

// deliver judges the child's answer as whoever receives it would.
func (e *Executor) deliver(t *Task, a answer) (json.RawMessage, error) {
	if f := a.Failure; f != nil {
		if !f.Reason.Certain() {
			return nil, errors.New("the child answered with reason " + bounded(string(f.Reason)))
		}
		if f.Reason == core.ReasonInvalidInput && a.Field != "" {
			return nil, core.Errorf(core.Invalid, bounded(a.Field), "%s", bounded(f.Message))
		}
		return nil, &core.Failure{Reason: f.Reason, Message: bounded(f.Message)}
	}
	r := a.result()
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := r.possible(t); err != nil {
		return nil, err
	}
	return r.Encode()
}

// bounded makes a text of the child fit for logs and messages.
func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 400)], "?")
}
