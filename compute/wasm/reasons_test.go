package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// scripted is a Runner that says what it is told to, and remembers what it was
// asked.
type scripted struct {
	result sandbox.Result
	err    error
	asked  sandbox.Job
}

func (s *scripted) Run(_ context.Context, job sandbox.Job) (sandbox.Result, error) {
	s.asked = job
	return s.result, s.err
}

// TestReasons has every way a child can end, and what the submitter sees of it.
func TestReasons(t *testing.T) {
	for name, c := range map[string]struct {
		result sandbox.Result
		err    error
		want   core.Reason
	}{
		"deadline":  {sandbox.Result{Reason: sandbox.Deadline}, nil, core.ReasonDeadline},
		"cpu":       {sandbox.Result{Reason: sandbox.CPULimit}, nil, core.ReasonDeadline},
		"memory":    {sandbox.Result{Reason: sandbox.MemoryLimit}, nil, core.ReasonMemoryLimit},
		"output":    {sandbox.Result{Reason: sandbox.OutputLimit}, nil, core.ReasonOutputLimit},
		"cancelled": {sandbox.Result{Reason: sandbox.Cancelled}, nil, core.ReasonCancelled},
		"crash":     {sandbox.Result{Reason: sandbox.Crash, Message: "SIGSEGV"}, nil, core.ReasonInternal},
		"no child":  {sandbox.Result{}, errors.New("no child"), core.ReasonInternal},
		"nonsense":  {sandbox.Result{Response: []byte("nonsense")}, nil, core.ReasonInternal},
		"nothing":   {sandbox.Result{}, nil, core.ReasonInternal},
	} {
		t.Run(name, func(t *testing.T) {
			x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 512}, &scripted{result: c.result, err: c.err}, zerolog.Nop())
			_, err := x.Run(t.Context(), program(t, hello).data(t), compute.Report{})
			if got := reason(err); got != c.want {
				t.Errorf("%s: %v, want %s", got, err, c.want)
			}
		})
	}
}

// TestLyingChild has answers that a guest which has taken over its child may give:
// none becomes a result, and none makes the node lie about it.
func TestLyingChild(t *testing.T) {
	for name, c := range map[string]struct {
		answer wasm.Answer
		want   core.Reason
	}{
		"more fuel than there was": {wasm.Answer{Fuel: wasm.DefaultFuel + 1}, core.ReasonInternal},
		"values of a command":      {wasm.Answer{Values: values(`1`)}, core.ReasonInternal},
		"no value":                 {wasm.Answer{Values: values(`{}`)}, core.ReasonInternal},
		"a node's own reason":      {wasm.Answer{Failure: &core.Failure{Reason: core.ReasonNoCapableWorker}}, core.ReasonInternal},
		"the submitter's reason":   {wasm.Answer{Failure: &core.Failure{Reason: core.ReasonCancelled}}, core.ReasonInternal},
		"a reason of its own":      {wasm.Answer{Failure: &core.Failure{Reason: "because"}}, core.ReasonInternal},
		"long message":             {wasm.Answer{Failure: &core.Failure{Reason: core.ReasonTrap, Message: strings.Repeat("x", 1<<20)}}, core.ReasonTrap},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := c.answer.Text()
			if err != nil {
				t.Fatal(err)
			}
			x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 512}, &scripted{result: sandbox.Result{Response: text}}, zerolog.Nop())
			_, err = x.Run(t.Context(), program(t, hello).data(t), compute.Report{})
			if got := reason(err); got != c.want || len(err.Error()) > 600 {
				t.Errorf("%s with %d bytes of message, want %s", got, len(err.Error()), c.want)
			}
		})
	}
}

// TestLimitsOfTheChild has what a task's limits make of the child's.
func TestLimitsOfTheChild(t *testing.T) {
	ask := func(ctx context.Context, limits map[string]int64) sandbox.Limits {
		s := &scripted{}
		x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 4096}, s, zerolog.Nop())
		_, _ = x.Run(ctx, program(t, hello).with("limits", limits).data(t), compute.Report{})
		return s.asked.Limits
	}
	if got := ask(t.Context(), nil); got.Wall != core.MaxTimeout || got.Memory < 256<<20 {
		t.Errorf("no limits: %+v", got)
	}
	if got := ask(t.Context(), map[string]int64{"timeoutMs": 1500, "memoryMB": 1024}); got.Wall != 1500*time.Millisecond || got.Memory < 1024<<20 {
		t.Errorf("own limits: %+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := ask(ctx, map[string]int64{"timeoutMs": 86_400_000}); got.Wall > time.Minute || got.Wall < time.Second {
		t.Errorf("the task ends first: %+v", got)
	}
}

// TestMemoryOfTheNode has a task that no node of this size runs, and two that do
// not fit at once.
func TestMemoryOfTheNode(t *testing.T) {
	block, begun := make(chan struct{}), make(chan struct{}, 2)
	x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 100}, runnerFunc(func(ctx context.Context) {
		begun <- struct{}{}
		<-block
	}), zerolog.Nop())
	sized := func(mb int64) []byte {
		return program(t, hello).with("limits", map[string]int64{"memoryMB": mb}).data(t)
	}
	if _, err := x.Run(t.Context(), sized(101), compute.Report{}); reason(err) != core.ReasonInternal || !strings.Contains(err.Error(), "100 MiB at most") {
		t.Errorf("a task that is too large: %v", err) // and so another node gets it
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = x.Run(context.Background(), sized(60), compute.Report{})
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Run(ctx, sized(60), compute.Report{}); !errors.Is(err, context.Canceled) || len(begun) > 0 {
		t.Errorf("the second runs beside the first: %v", err)
	}
	close(block)
	<-done
}

// TestMemoryOfChildren has small programs run beside each other as long as their
// children may hold no more than the node gives: 416 MiB each for 64.
func TestMemoryOfChildren(t *testing.T) {
	for given, want := range map[int64]int{64: 1, 416: 1, 831: 1, 832: 2, 1300: 3} {
		t.Run(fmt.Sprintf("%d MiB", given), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				block, running := make(chan struct{}), atomic.Int32{}
				x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: given}, runnerFunc(func(context.Context) {
					running.Add(1)
					<-block
				}), zerolog.Nop())
				data := program(t, hello).with("limits", map[string]int64{"memoryMB": 64}).data(t)
				var all sync.WaitGroup
				for range 5 {
					all.Go(func() { _, _ = x.Run(t.Context(), data, compute.Report{}) })
				}
				synctest.Wait()
				if got := int(running.Load()); got != want {
					t.Errorf("%d programs run at once, want %d", got, want)
				}
				close(block)
				all.Wait()
			})
		})
	}
}

type runnerFunc func(ctx context.Context)

func (f runnerFunc) Run(ctx context.Context, _ sandbox.Job) (sandbox.Result, error) {
	f(ctx)
	return sandbox.Result{}, nil
}

// TestRunnerContract holds the double of these tests to what the real pool does.
func TestRunnerContract(t *testing.T) {
	guest := wasm.NewGuest(wasm.GuestConfig{})
	t.Cleanup(guest.Close)
	tsk, err := wasm.Decode(program(t, hello).data(t))
	if err != nil {
		t.Fatal(err)
	}
	request, err := wasm.RequestOf(&tsk)
	if err != nil {
		t.Fatal(err)
	}
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, r := range map[string]wasm.Runner{"double": double{wasm.HandlerName: guest.Handle}, "pool": pool(t, "")} {
		for _, c := range []struct {
			what string
			ctx  context.Context
			job  sandbox.Job
			want sandbox.Reason
		}{
			{"answer", t.Context(), sandbox.Job{Request: request}, sandbox.OK},
			{"handler fails", t.Context(), sandbox.Job{Request: []byte("nonsense")}, sandbox.Crash},
			{"too much output", t.Context(), sandbox.Job{Request: request, Limits: sandbox.Limits{Output: 1}}, sandbox.OutputLimit},
			{"late", late, sandbox.Job{Request: request}, sandbox.Deadline},
			{"cancelled", gone, sandbox.Job{Request: request}, sandbox.Cancelled},
		} {
			if c.job.Limits.Output == 0 {
				c.job.Limits.Output = 1 << 20
			}
			c.job.Handler = wasm.HandlerName
			res, err := r.Run(c.ctx, c.job)
			if err != nil || res.Reason != c.want || (len(res.Response) > 0) != (c.want == sandbox.OK) {
				t.Errorf("%s, %s: %q (%s), %d bytes, %v", name, c.what, res.Reason, res.Message, len(res.Response), err)
			}
		}
		if _, err := r.Run(t.Context(), sandbox.Job{Handler: "unknown", Request: request}); err == nil {
			t.Errorf("%s: an unknown handler answers", name)
		}
	}
}
