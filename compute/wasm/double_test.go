package wasm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// handler is what a Runner runs.
type handler func(ctx context.Context, request []byte, output func([]byte)) ([]byte, error)

// double is a Runner without a process of its own: it enforces no limit, and a
// handler that never ends never ends. TestRunnerContract holds it and the real one
// to the same.
type double map[string]handler

var _ wasm.Runner = double{}

func (d double) Run(ctx context.Context, job wasm.Job) (wasm.Outcome, error) {
	h, ok := d[job.Handler]
	if !ok {
		return wasm.Outcome{}, fmt.Errorf("no handler %q", job.Handler)
	}
	if ctx.Err() != nil {
		return wasm.Outcome{Reason: wasm.EndedCancelled}, nil
	}
	response, err := h(ctx, job.Request, func([]byte) {})
	if err != nil {
		return wasm.Outcome{Reason: wasm.EndedCrash, Message: err.Error()}, nil
	}
	if int64(len(response)) > job.Limits.Output {
		return wasm.Outcome{Reason: wasm.EndedOutput}, nil
	}
	return wasm.Outcome{Response: response}, nil
}

// rig is an executor whose guests run in this process.
type rig struct {
	*wasm.Executor
	guest *wasm.Guest
}

func newRig(tb testing.TB, engine wasm.Engine, cache *wasm.Cache) rig {
	tb.Helper()
	guest := wasm.NewGuest(engine)
	tb.Cleanup(guest.Close)
	x := wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: 1024}, double{wasm.HandlerName: guest.Handle}, zerolog.Nop())
	return rig{x, guest}
}

// task is the data of a task in the making.
type task map[string]any

func program(tb testing.TB, text string) task {
	tb.Helper()
	return task{"module": base64.StdEncoding.EncodeToString(wasmtest.Module(tb, text))}
}

// with returns the task with one more field.
func (t task) with(field string, value any) task {
	next := task{field: value}
	for k, v := range t {
		if k != field {
			next[k] = v
		}
	}
	return next
}

func (t task) data(tb testing.TB) json.RawMessage {
	tb.Helper()
	data, err := json.Marshal(map[string]any(t))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// do runs a task and holds the result to what the planner says of it.
func (r rig) do(tb testing.TB, t task) (wasm.Result, error) {
	tb.Helper()
	data := t.data(tb)
	out, err := r.Run(context.Background(), data, func(float64) {})
	if err != nil {
		return wasm.Result{}, err
	}
	if err := (wasm.Planner{}).Validate(data, out.Result); err != nil || out.Metric != 1 {
		tb.Fatalf("metric %v, and the planner refuses the result: %v", out.Metric, err)
	}
	result, err := wasm.DecodeResult(out.Result)
	if err != nil {
		tb.Fatal(err)
	}
	return result, nil
}

// reason returns why a task failed, as its submitter sees it.
func reason(err error) core.Reason {
	var f *core.Failure
	switch {
	case err == nil:
		return ""
	case errors.As(err, &f):
		return f.Reason
	case errors.Is(err, core.Invalid):
		return core.ReasonInvalidInput
	case errors.Is(err, context.Canceled):
		return core.ReasonCancelled
	}
	return core.ReasonInternal
}
