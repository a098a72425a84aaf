package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/core"
)

// programName is the first word of a command's arguments: a program is nobody's
// file.
const programName = "program"

// Engine says how guests are run.
type Engine uint8

// The engines. They give the same results and the same fuel.
const (
	EngineAuto        Engine = iota // compiled, where the platform can
	EngineInterpreter               // slower by a factor of some thirty; for comparison
)

// GuestConfig is what a Guest is told.
type GuestConfig struct {
	Engine Engine
	// CacheDir is where compiled code is kept, instead of CacheName in the directory
	// that the sandbox grants.
	CacheDir string
}

// CacheName is the part of the directory granted to children that a Cache tidies
// up.
const CacheName = "wasm"

// Guest is the handler that runs programs, in a process that may be killed at any
// moment. It keeps the last modules it compiled. One guest runs at a time.
type Guest struct {
	cfg GuestConfig

	mu      sync.Mutex
	modules []*compiled // the one used last is first
}

// NewGuest returns a handler.
func NewGuest(cfg GuestConfig) *Guest { return &Guest{cfg: cfg} }

// maxKept bounds the compiled modules kept in memory, and maxKeptBytes the code
// they were compiled from.
const (
	maxKept      = 16
	maxKeptBytes = 4 << 20
)

// Handle runs one request and shows what the program writes meanwhile. What the
// program does wrong is in the answer; an error is a bug or the machine's.
func (g *Guest) Handle(ctx context.Context, b []byte, show func(core.Stream, []byte)) ([]byte, error) {
	req, err := decodeRequest(b)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a, err := g.answer(ctx, &req, show)
	if err != nil {
		return nil, err
	}
	return a.encode()
}

// answer makes what the task itself caused part of the answer.
func (g *Guest) answer(ctx context.Context, req *request, show func(core.Stream, []byte)) (answer, error) {
	a, err := g.run(ctx, req, show)
	var failure *core.Failure
	var wrong *core.Error
	switch {
	case err == nil:
		return a, nil
	case errors.As(err, &failure):
		return answer{Failure: failure, Cached: a.Cached}, nil
	case errors.As(err, &wrong) && wrong.Kind == core.Invalid:
		return answer{Failure: &core.Failure{Reason: core.ReasonInvalidInput, Message: wrong.Error()}, Field: wrong.Op, Cached: a.Cached}, nil
	}
	return answer{}, err
}

// run takes a request from module to answer.
func (g *Guest) run(ctx context.Context, req *request, show func(core.Stream, []byte)) (answer, error) {
	m, cached, err := g.module(ctx, req)
	a := answer{Cached: cached}
	if err != nil {
		return a, err
	}
	if min := m.memoryPages(); min > uint64(req.MemoryMB)<<20/pageBytes {
		return a, failed(core.ReasonMemoryLimit, "the program begins with %d KiB of memory; limits.memoryMB allows %d MiB", min*pageBytes>>10, req.MemoryMB)
	}
	call, err := m.entry(req)
	if err != nil {
		return a, err
	}
	r, err := newRun(req)
	if err != nil {
		return a, err
	}
	r.live = newLive(r, show)
	err = m.run(ctx, r, req, call, &a)
	r.live.end(err != nil)
	return a, err
}

// call is what a request wants to be called.
type call struct {
	name  string
	typ   *convert.FuncType
	words []uint64
}

// entry finds the function of a request and turns its arguments into words.
func (m *compiled) entry(req *request) (call, error) {
	var names []string
	for _, ex := range m.info.Exports {
		if ex.Kind != convert.ExternFunc {
			continue
		}
		if ex.Name == req.Function {
			return entryOf(ex, req)
		}
		names = append(names, ex.Name)
	}
	slices.Sort(names)
	list := "it exports none"
	if len(names) > 0 {
		list = fmt.Sprintf("it exports %s", bounded(strings.Join(names, ", ")))
	}
	return call{}, invalid("data.function", "name one of them", "the module exports no function %.60q; %s", req.Function, list)
}

func entryOf(ex convert.Export, req *request) (call, error) {
	c := call{name: ex.Name, typ: ex.Func}
	if req.command() {
		if len(ex.Func.Params)+len(ex.Func.Results) > 0 {
			return c, failed(core.ReasonInvalidModule, "the export %s takes or returns values, which a program's start does not", StartFunction)
		}
		return c, nil
	}
	if err := callable(ex.Func); err != nil {
		return c, err
	}
	var err error
	c.words, err = parameters(ex.Func, req.Args)
	return c, err
}

// run instantiates the module, runs what must run first and the call, and fills in
// the answer.
func (m *compiled) run(ctx context.Context, r *run, req *request, c call, a *answer) error {
	ctx = r.context(ctx)
	mod, err := m.instantiate(ctx, r, req)
	if err != nil {
		return err
	}
	defer mod.Close(ctx)
	if err := r.attach(mod, req.Fuel); err != nil {
		return err
	}
	words, err := m.calls(ctx, mod, c, req)
	exit, err := r.ended(err)
	switch {
	case err != nil:
		return err
	case exit != nil:
		a.ExitCode = exit.ExitCode()
	case !req.command():
		a.Values = values(c.typ, words)
	}
	return r.deliver(req, a)
}

// calls calls the module's start function, a reactor's initialisation, and the
// function asked for.
func (m *compiled) calls(ctx context.Context, mod api.Module, c call, req *request) ([]uint64, error) {
	first := []string{}
	if m.info.Start {
		first = append(first, convert.StartExport)
	}
	if f := mod.ExportedFunction(initializeFunction); f != nil && !req.command() && c.name != initializeFunction &&
		len(f.Definition().ParamTypes())+len(f.Definition().ResultTypes()) == 0 {
		first = append(first, initializeFunction)
	}
	for _, name := range first {
		if _, err := mod.ExportedFunction(name).Call(ctx); err != nil {
			return nil, err
		}
	}
	return mod.ExportedFunction(c.name).Call(ctx, c.words...)
}

// initializeFunction is what a WASI reactor wants to be called before any other
// export.
const initializeFunction = "_initialize"

// deliver takes what the guest left behind.
func (r *run) deliver(req *request, a *answer) error {
	a.Fuel = min(req.Fuel, max(0, req.Fuel-int64(r.fuel.Get())))
	a.stdout, a.stderr = r.stdout.buf, r.stderr.buf
	files, total := r.fs.made()
	switch {
	case len(files) > program.MaxFiles:
		return failed(core.ReasonOutputLimit, "the program left %d files; at most %d can be delivered", len(files), program.MaxFiles)
	case r.written+total > MaxOutput:
		return failed(core.ReasonOutputLimit, "the program left %d bytes of output and files; at most %d can be delivered", r.written+total, int64(MaxOutput))
	}
	a.files = files
	return nil
}

// instantiate makes an instance with what the request grants, and no more.
func (m *compiled) instantiate(ctx context.Context, r *run, req *request) (api.Module, error) {
	cfg := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithStdin(r.stdin).WithStdout(&r.stdout).WithStderr(&r.stderr).WithRandSource(r)
	if files, ok := wazero.NewFSConfig().(sysfs.FSConfig); ok {
		cfg = cfg.WithFSConfig(files.WithSysFSMount(r.fs, "/"))
	}
	cfg = cfg.WithArgs(r.args...)
	for _, name := range slices.Sorted(maps.Keys(req.Env)) {
		cfg = cfg.WithEnv(name, req.Env[name])
	}
	mod, err := m.rt.InstantiateModule(withMemory(ctx, r), m.module, cfg)
	if err != nil {
		return nil, failed(core.ReasonTrap, "the module cannot be started: %s", firstLine(err))
	}
	return mod, nil
}

// keyOf names a module.
func keyOf(module []byte) moduleKey { return sha256.Sum256(module) }
