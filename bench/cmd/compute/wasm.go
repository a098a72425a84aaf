package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// guests are what children of this program run.
func guests() map[string]sandbox.Handler {
	return map[string]sandbox.Handler{wasm.HandlerName: wasm.NewGuest(wasm.GuestConfig{}).Handle}
}

const (
	tightLoop = `(module (func (export "run") (param i64) (result i64) (local i64)
		(loop (local.set 1 (i64.add (local.get 1) (local.get 0))) (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
			(br_if 0 (i64.ne (local.get 0) (i64.const 0)))) (local.get 1)))`
	tinyProgram = `(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`
	goProgram   = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"
)

// runaways are programs that only killing ends.
func runaways() map[string]string {
	return map[string]string{
		"loop": `(module (func (export "_start") (loop (br 0))))`,
		"call tree": `(module (func $f (param i64) (if (i64.eqz (local.get 0)) (then (return))) (call $f (i64.sub (local.get 0) (i64.const 1)))
			(call $f (i64.sub (local.get 0) (i64.const 1)))) (func (export "_start") (call $f (i64.const 60))))`,
		"fill": `(module (memory 200 200) (func (export "_start") (loop (repeat 100 (memory.fill (i32.const 0) (i32.const 1) (i32.const 13000000))) (br 0))))`,
	}
}

func (b *bench) wasm(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "tenzro-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, step := range []func(context.Context, string) error{b.metering, b.again, b.overhead, b.runaway} {
		if err := step(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// times is how often something is measured.
func (b *bench) times(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

// metering holds a converted loop to the module as it came: the shortest run of
// each, since a processor that others use too only ever makes one longer.
func (b *bench) metering(ctx context.Context, _ string) error {
	module, err := wasmtest.Assemble(tightLoop)
	if err != nil {
		return err
	}
	metered, err := convert.Convert(module, convert.Options{})
	if err != nil {
		return err
	}
	turns := uint64(b.times(10_000_000, 1_000_000))
	plain, err := newLoop(ctx, module, turns)
	if err != nil {
		return err
	}
	defer plain.rt.Close(ctx)
	counted, err := newLoop(ctx, metered.Code, turns)
	if err != nil {
		return err
	}
	defer counted.rt.Close(ctx)
	pairs, err := measure.Pairs(b.times(101, 3), func() (float64, error) { return plain.run(ctx) }, func() (float64, error) { return counted.run(ctx) })
	if err != nil {
		return err
	}
	best := slices.MinFunc(pairs, func(a, c measure.Pair) int { return cmp.Compare(a.Yardstick, c.Yardstick) }).Yardstick
	own := slices.MinFunc(pairs, func(a, c measure.Pair) int { return cmp.Compare(a.Subject, c.Subject) }).Subject
	perTurn := func(seconds float64) string { return fmt.Sprintf("%.2f ns a turn", seconds*1e9/float64(turns)) }
	b.report.Row(report.AtMost("wasm: a tight loop, metered against not", perTurn(own), perTurn(best), own/best, 2, "x"))
	return nil
}

// loop is an instance of the tight loop.
type loop struct {
	rt    wazero.Runtime
	mod   api.Module
	turns uint64
}

func newLoop(ctx context.Context, code []byte, turns uint64) (*loop, error) {
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	mod, err := rt.Instantiate(ctx, code)
	return &loop{rt, mod, turns}, err
}

// run returns the seconds of one run.
func (l *loop) run(ctx context.Context) (float64, error) {
	if fuel, ok := l.mod.ExportedGlobal(convert.FuelExport).(api.MutableGlobal); ok {
		fuel.Set(1 << 60)
	}
	began := time.Now()
	_, err := l.mod.ExportedFunction("run").Call(ctx, l.turns)
	return time.Since(began).Seconds(), err
}

// engine is an executor with a pool of its own, as after a start of the node.
type engine struct {
	*wasm.Executor
	stop func()
}

func newEngine(dir string) (*engine, error) {
	cache, err := wasm.NewCache(filepath.Join(dir, wasm.CacheName), 0)
	if err != nil {
		return nil, err
	}
	pool, err := sandbox.New(sandbox.Config{Warm: 1, Dir: dir}, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- pool.Serve(ctx) }()
	return &engine{wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: wasm.MaxMemoryMB}, pool, zerolog.Nop()),
		func() { cancel(); <-served }}, nil
}

// run runs a task to its end.
func (e *engine) run(ctx context.Context, data []byte) (wasm.Result, error) {
	out, err := e.Run(ctx, data, compute.Report{})
	if err != nil {
		return wasm.Result{}, err
	}
	return wasm.DecodeResult(out.Result)
}

// again runs a module of a usual toolchain twice, and once more after a restart.
func (b *bench) again(ctx context.Context, dir string) error {
	module, err := buildProgram(ctx, dir)
	if err != nil {
		return err
	}
	n := b.times(5, 1)
	var first, second, restarted []time.Duration
	var fuel int64
	for i := range n {
		cache := filepath.Join(dir, fmt.Sprint("cache", i))
		if err := os.Mkdir(cache, 0o700); err != nil {
			return err
		}
		took, used, err := runTwice(ctx, cache, taskOf(module))
		if err != nil {
			return err
		}
		later, _, err := runTwice(ctx, cache, taskOf(module))
		if err != nil {
			return err
		}
		first, second, restarted, fuel = append(first, took[0]), append(second, took[1]), append(restarted, later[0]), used
	}
	base := measure.NewSample(first).Percentile(50)
	for name, s := range map[string][]time.Duration{"wasm: second run of a Go program": second, "wasm: the same, first run after a restart": restarted} {
		p50 := measure.NewSample(s).Percentile(50)
		b.report.Row(report.AtMost(name, p50.String(), base.String()+" the first time", p50.Seconds()/base.Seconds(), 0.1, "x"))
	}
	b.report.Table("A Go program that prints a line", "bytes of the module", "fuel").Add(len(module), fuel)
	return nil
}

// runTwice runs a task twice in the children of one new pool.
func runTwice(ctx context.Context, cache string, data []byte) (took [2]time.Duration, fuel int64, err error) {
	e, err := newEngine(cache)
	if err != nil {
		return took, 0, err
	}
	defer e.stop()
	if _, err := e.run(ctx, taskOf(nil)); !errors.Is(err, core.Invalid) { // refused before it gets to a child
		return took, 0, fmt.Errorf("a task without a module: %v", err)
	}
	for i := range took {
		began := time.Now()
		r, err := e.run(ctx, data)
		if err != nil {
			return took, 0, err
		}
		took[i], fuel = time.Since(began), r.Fuel
	}
	return took, fuel, nil
}

func buildProgram(ctx context.Context, dir string) ([]byte, error) {
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "main.wasm")
	if err := os.WriteFile(source, []byte(goProgram), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, source)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building a program: %w\n%s", err, text)
	}
	return os.ReadFile(out)
}

// taskOf is the data of a task that runs a module, with more fields in pairs.
func taskOf(module []byte, more ...any) []byte {
	all := map[string]any{"module": base64.StdEncoding.EncodeToString(module)}
	for i := 0; i+1 < len(more); i += 2 {
		all[fmt.Sprint(more[i])] = more[i+1]
	}
	data, _ := json.Marshal(all) // maps of strings and numbers always are JSON
	return data
}

// overhead holds a tiny function in a warm child to the same in this process.
func (b *bench) overhead(ctx context.Context, dir string) error {
	module, err := wasmtest.Assemble(tinyProgram)
	if err != nil {
		return err
	}
	data := taskOf(module, "function", "add", "args", []int{20, 22})
	e, err := newEngine(dir)
	if err != nil {
		return err
	}
	defer e.stop()
	guest := wasm.NewGuest(wasm.GuestConfig{})
	defer guest.Close()
	here := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: wasm.MaxMemoryMB}, direct{guest}, zerolog.Nop())
	p50 := func(x *wasm.Executor) (float64, error) {
		s, err := measure.Run(ctx, 1, b.times(2000, 50), 0, func(ctx context.Context) error {
			_, err := x.Run(ctx, data, compute.Report{})
			return err
		})
		return s.Percentile(50).Seconds(), err
	}
	if _, err := p50(e.Executor); err != nil { // warms up
		return err
	}
	pairs, err := measure.Pairs(b.times(7, 2), func() (float64, error) { return p50(here) }, func() (float64, error) { return p50(e.Executor) })
	if err != nil {
		return err
	}
	us := func(s float64) string { return fmt.Sprintf("%.0f us", s*1e6) }
	extra := measure.Subject(pairs) - measure.Yardstick(pairs)
	b.report.Row(report.AtMost("wasm: a warm child added to a tiny function, p50", us(measure.Subject(pairs)), us(measure.Yardstick(pairs))+" in one process", extra*1e3, 1, " ms"))
	return nil
}

// direct runs the guest in this process.
type direct struct{ guest *wasm.Guest }

func (d direct) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	response, err := d.guest.Handle(ctx, job.Request, job.Output)
	return sandbox.Result{Response: response}, err
}

// runaway measures how long after its deadline, which is a moment as that of a
// task is, a program that never ends is dead. The pool is warm, as a node's is; a
// wait for a child lies before the deadline and is in no row.
func (b *bench) runaway(ctx context.Context, dir string) error {
	const deadline = 200 * time.Millisecond
	e, err := newEngine(dir)
	if err != nil {
		return err
	}
	defer e.stop()
	tiny, err := wasmtest.Assemble(tinyProgram)
	if err != nil {
		return err
	}
	if _, err := e.run(ctx, taskOf(tiny, "function", "add", "args", []int{20, 22})); err != nil {
		return err
	}
	for shape, text := range runaways() {
		module, err := wasmtest.Assemble(text)
		if err != nil {
			return err
		}
		data := taskOf(module, "limits", map[string]int64{"fuel": wasm.MaxFuel})
		var late []time.Duration
		for range b.times(20, 1) {
			until := time.Now().Add(deadline)
			bounded, cancel := context.WithDeadline(ctx, until)
			_, err := e.run(bounded, data)
			cancel()
			var f *core.Failure
			if !errors.As(err, &f) || f.Reason != core.ReasonDeadline {
				return fmt.Errorf("%s: %v, want it to be late", shape, err)
			}
			late = append(late, time.Since(until))
		}
		sample := measure.NewSample(late)
		worst := sample.Percentile(100)
		b.report.Row(report.AtMost("wasm: "+shape+" without end, gone after its deadline, worst", worst.Round(100*time.Microsecond).String(), "p50 "+sample.Percentile(50).Round(100*time.Microsecond).String(),
			float64(worst.Milliseconds()), 100, " ms"))
	}
	return nil
}
