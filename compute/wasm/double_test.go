package wasm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// double is a Runner without a process of its own: it enforces no limit but that
// of the output, and a handler that never ends never ends. TestRunnerContract holds
// it and the real one to the same.
type double map[string]sandbox.Handler

var _ wasm.Runner = double{}

func (d double) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	h, ok := d[job.Handler]
	switch {
	case !ok:
		return sandbox.Result{}, core.Errorf(core.Internal, "sandbox", "no handler %q", job.Handler)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return sandbox.Result{Reason: sandbox.Deadline}, nil
	case ctx.Err() != nil:
		return sandbox.Result{Reason: sandbox.Cancelled}, nil
	}
	response, err := h(ctx, job.Request, job.Output)
	switch {
	case err != nil:
		return sandbox.Result{Reason: sandbox.Crash, Message: err.Error()}, nil
	case int64(len(response)) > job.Limits.Output:
		return sandbox.Result{Reason: sandbox.OutputLimit}, nil
	}
	return sandbox.Result{Response: response}, nil
}

// rig is an executor whose guests run in this process.
type rig struct {
	*wasm.Executor
	guest *wasm.Guest
}

func newRig(tb testing.TB, engine wasm.Engine, cache *wasm.Cache) rig {
	tb.Helper()
	guest := wasm.NewGuest(wasm.GuestConfig{Engine: engine, CacheDir: cache.Dir()})
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
	out, err := r.Run(context.Background(), data, compute.Report{})
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
