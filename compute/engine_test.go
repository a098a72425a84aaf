package compute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

type executorFunc func(ctx context.Context, data json.RawMessage, report Report) (Output, error)

func (f executorFunc) Run(ctx context.Context, data json.RawMessage, report Report) (Output, error) {
	return f(ctx, data, report)
}

func newEngine(t *testing.T, x executorFunc, log *bytes.Buffer) (*Engine, *Capacity) {
	t.Helper()
	c := NewCapacity(core.Resources{MemoryMB: 1000}, 2)
	e, err := NewEngine(map[core.TaskType]Executor{"compute": x}, c, nil, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// TestEngineOutcome: whatever an executor does, the caller sees a result or one
// of the closed set of reasons.
//
// spec 0.27
func TestEngineOutcome(t *testing.T) {
	good := Output{Result: json.RawMessage("55"), Metric: 1}
	for _, c := range []struct {
		name string
		x    executorFunc
		want core.Reason // "" = good
		log  string
	}{
		{"good", func(context.Context, json.RawMessage, Report) (Output, error) { return good, nil }, "", ""},
		{"failure", func(context.Context, json.RawMessage, Report) (Output, error) {
			return good, &core.Failure{Reason: core.ReasonOverflow, Message: "x"}
		}, core.ReasonOverflow, ""},
		{"invalid", func(context.Context, json.RawMessage, Report) (Output, error) {
			return good, core.Errorf(core.Invalid, "data", "x")
		}, core.ReasonInvalidInput, ""},
		{"bug", func(context.Context, json.RawMessage, Report) (Output, error) { return good, errors.New("boom") }, core.ReasonInternal, "boom"},
		{"panic", func(context.Context, json.RawMessage, Report) (Output, error) { panic("boom") }, core.ReasonInternal, "engine_test.go"},
		{"waits for its deadline", func(ctx context.Context, _ json.RawMessage, _ Report) (Output, error) {
			<-ctx.Done()
			return good, ctx.Err()
		}, core.ReasonDeadline, ""},
		{"hides its deadline", func(ctx context.Context, _ json.RawMessage, _ Report) (Output, error) {
			<-ctx.Done()
			return good, errors.New("stopped")
		}, core.ReasonDeadline, ""},
		{"no result", func(context.Context, json.RawMessage, Report) (Output, error) { return Output{}, nil }, core.ReasonInternal, "empty"},
		{"wild metric", func(context.Context, json.RawMessage, Report) (Output, error) {
			return Output{Result: good.Result, Metric: math.NaN()}, nil
		}, core.ReasonInternal, "metric"},
		{"huge result", func(context.Context, json.RawMessage, Report) (Output, error) {
			return Output{Result: make([]byte, core.MaxTaskBytes+1)}, nil
		}, core.ReasonExecutionFailed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				e, capacity := newEngine(t, c.x, &log)
				res, err := capacity.Reserve(core.Requirements{})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				out, err := e.Run(ctx, core.TaskSpec{Type: "compute"}, res, Report{})
				var f *core.Failure
				switch {
				case c.want == "" && (err != nil || string(out.Result) != "55"):
					t.Fatalf("%+v, %v", out, err)
				case c.want != "" && (!errors.As(err, &f) || f.Reason != c.want || out.Result != nil):
					t.Fatalf("%+v, %v", out, err)
				case !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0:
					t.Fatalf("log: %s", log.String())
				}
				if capacity.Active() != 1 {
					t.Error("the engine released a reservation that is not its own")
				}
			})
		})
	}
}

// TestEngineCancel: a cancelled task is cancelled, and one that is cancelled
// before it starts never starts.
func TestEngineCancel(t *testing.T) {
	started := 0
	e, capacity := newEngine(t, func(ctx context.Context, _ json.RawMessage, _ Report) (Output, error) {
		started++
		return Output{}, ctx.Err()
	}, new(bytes.Buffer))
	res, err := capacity.Reserve(core.Requirements{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.Run(ctx, core.TaskSpec{Type: "compute"}, res, Report{})
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonCancelled || started != 0 {
		t.Fatalf("%v, started %d times", err, started)
	}
}

// TestEngineRefuses: nothing runs outside a reservation of its own size.
//
// spec 0.18 0.27
func TestEngineRefuses(t *testing.T) {
	e, capacity := newEngine(t, func(context.Context, json.RawMessage, Report) (Output, error) {
		t.Error("it ran")
		return Output{}, nil
	}, new(bytes.Buffer))
	reserve := func(c *Capacity, req core.Requirements) *Reservation {
		r, err := c.Reserve(req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	released := reserve(capacity, core.Requirements{})
	released.Release()
	small := reserve(capacity, core.Requirements{CPU: 1, MemoryMB: 1})
	foreign := reserve(NewCapacity(core.Resources{}, 1), core.Requirements{})
	for _, c := range []struct {
		name string
		spec core.TaskSpec
		res  *Reservation
		kind core.Kind
	}{
		{"unknown type", core.TaskSpec{Type: "other"}, small, core.Unsupported},
		{"no reservation", core.TaskSpec{Type: "compute"}, nil, core.Conflict},
		{"released", core.TaskSpec{Type: "compute"}, released, core.Conflict},
		{"of another node", core.TaskSpec{Type: "compute"}, foreign, core.Conflict},
		{"too little CPU", core.TaskSpec{Type: "compute", Requirements: core.Requirements{CPU: 2}}, small, core.Conflict},
		{"too little memory", core.TaskSpec{Type: "compute", Requirements: core.Requirements{MemoryMB: 2}}, small, core.Conflict},
	} {
		if _, err := e.Run(t.Context(), c.spec, c.res, Report{}); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if !slices.Equal(e.Types(), []core.TaskType{"compute"}) {
		t.Errorf("types %v", e.Types())
	}
}

// TestEngineProgress: the caller sees only rising values in 0..1.
func TestEngineProgress(t *testing.T) {
	e, capacity := newEngine(t, func(_ context.Context, _ json.RawMessage, report Report) (Output, error) {
		for _, p := range []float64{-1, 0.5, 0.4, math.NaN(), 0.5, 7} {
			report.Progress(p)
		}
		return Output{Result: json.RawMessage("1")}, nil
	}, new(bytes.Buffer))
	res, err := capacity.Reserve(core.Requirements{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []float64
	if _, err := e.Run(t.Context(), core.TaskSpec{Type: "compute"}, res, Report{OnProgress: func(p float64) { seen = append(seen, p) }}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []float64{0.5, 1}) {
		t.Errorf("progress %v", seen)
	}
}

// TestEngineMetrics: completed tasks by type, failures by reason, and a reason
// that an executor made up adds no series of its own.
//
// spec 4.42
func TestEngineMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := NewCapacity(core.Resources{}, 1)
	fail := core.Reason("")
	x := executorFunc(func(context.Context, json.RawMessage, Report) (Output, error) {
		if fail != "" {
			return Output{}, &core.Failure{Reason: fail}
		}
		return Output{Result: json.RawMessage("1")}, nil
	})
	e, err := NewEngine(map[core.TaskType]Executor{"compute": x}, c, reg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Reserve(core.Requirements{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fail = range []core.Reason{"", "", core.ReasonOverflow, "made up"} {
		e.Run(t.Context(), core.TaskSpec{Type: "compute"}, res, Report{})
	}
	want := `
# HELP tenzro_operation_failures_total Tasks and subtasks this node ran and did not complete.
# TYPE tenzro_operation_failures_total counter
tenzro_operation_failures_total{reason="other",type="compute"} 1
tenzro_operation_failures_total{reason="overflow",type="compute"} 1
# HELP tenzro_operations_total Tasks and subtasks this node completed, by type.
# TYPE tenzro_operations_total counter
tenzro_operations_total{type="compute"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tenzro_operations_total", "tenzro_operation_failures_total"); err != nil {
		t.Error(err)
	}
	if _, err := NewEngine(nil, c, reg, zerolog.Nop()); err == nil {
		t.Error("a second engine on one registry was accepted")
	}
}
