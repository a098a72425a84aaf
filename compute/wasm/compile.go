package wasm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/core"
)

// compiled is a module that can be instantiated.
type compiled struct {
	key    moduleKey
	info   convert.Info
	size   int // bytes of converted code
	rt     wazero.Runtime
	cache  wazero.CompilationCache // nil without a directory
	module wazero.CompiledModule
}

func (m *compiled) close(ctx context.Context) {
	_ = m.rt.Close(ctx)
	if m.cache != nil {
		_ = m.cache.Close(ctx)
	}
}

// memoryPages returns how many pages the module begins with.
func (m *compiled) memoryPages() uint64 {
	if m.info.Memory == nil {
		return 0
	}
	return uint64(m.info.Memory.Min)
}

func withMemory(ctx context.Context, r *run) context.Context {
	return experimental.WithMemoryAllocator(ctx, &r.memory)
}

// module returns the compiled module of a request, and whether what is kept of it
// on disk was read or written.
func (g *Guest) module(ctx context.Context, req *request) (m *compiled, cached bool, err error) {
	key := keyOf(req.module)
	if i := slices.IndexFunc(g.modules, func(m *compiled) bool { return m.key == key }); i >= 0 {
		m := g.modules[i]
		g.modules = slices.Insert(slices.Delete(g.modules, i, i+1), 0, m)
		return m, false, nil
	}
	err = sandbox.Churn(ctx, func() error {
		m, cached, err = g.load(ctx, key, req)
		return err
	})
	return m, cached, err
}

// load compiles a module, from what is kept of it if there is something.
func (g *Guest) load(ctx context.Context, key moduleKey, req *request) (m *compiled, cached bool, err error) {
	s := store{g.cacheDir(ctx)}
	c, found := s.load(key)
	if !found {
		if c, err = converted(req.module); err != nil {
			return nil, false, err
		}
		if !s.save(key, c) {
			s.dir = ""
		}
	}
	m, err = g.compile(ctx, key, c, s)
	switch {
	case ownFault(err):
		s.drop(key)
	case err != nil && s.dir != "":
		m, err = g.again(ctx, key, c, s)
	}
	if err != nil {
		return nil, false, err
	}
	g.keep(ctx, m)
	return m, m.cache != nil, nil
}

// uncompiled is a failure of the engine to compile a module: the module's fault, or
// that of what is kept of it.
type uncompiled struct{ error }

// Unwrap gives the failure.
func (e uncompiled) Unwrap() error { return e.error }

// ownFault reports whether a module is refused for what it is: it would be again.
func ownFault(err error) bool {
	var refused *core.Failure
	var doubtful uncompiled
	return errors.As(err, &refused) && !errors.As(err, &doubtful)
}

// again compiles once more without what was kept, which may be damaged, and
// without keeping anything if that is what fails.
func (g *Guest) again(ctx context.Context, key moduleKey, c convert.Converted, s store) (*compiled, error) {
	s.drop(key)
	if s.save(key, c) {
		if m, err := g.compile(ctx, key, c, s); err == nil {
			return m, nil
		}
		s.drop(key)
	}
	return g.compile(ctx, key, c, store{})
}

// cacheDir is where compiled code is kept, empty for nowhere.
func (g *Guest) cacheDir(ctx context.Context) string {
	if g.cfg.CacheDir != "" {
		return g.cfg.CacheDir
	}
	if granted := sandbox.Granted(ctx); granted != "" {
		return filepath.Join(granted, CacheName)
	}
	return ""
}

// converted converts with room for any limit of memory: the allocator enforces the
// task's own, so that one compiled module serves all of them.
func converted(module []byte) (convert.Converted, error) {
	c, err := convert.Convert(module, convert.Options{MaxPages: convert.MaxPages})
	if err != nil {
		return c, failed(core.ReasonInvalidModule, "%s", bounded(err.Error()))
	}
	return c, nil
}

// compile makes a runtime for one module, with its own part of the cache.
func (g *Guest) compile(ctx context.Context, key moduleKey, c convert.Converted, s store) (*compiled, error) {
	m := &compiled{key: key, info: c.Info, size: len(c.Code)}
	cfg := g.config()
	if dir := s.entryDir(key); dir != "" {
		var err error
		if m.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return nil, fmt.Errorf("opening the cache of compiled code: %w", err)
		}
		cfg = cfg.WithCompilationCache(m.cache)
	}
	m.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
	if err := m.load(ctx, c); err != nil {
		m.close(ctx)
		return nil, err
	}
	return m, nil
}

// load makes the host's functions and compiles the module.
func (m *compiled) load(ctx context.Context, c convert.Converted) error {
	if _, err := instantiateHost(ctx, m.rt); err != nil {
		return fmt.Errorf("making the host's functions: %w", err)
	}
	if err := checkImports(c.Info, m.rt.Module(hostModule)); err != nil {
		return err
	}
	var err error
	if m.module, err = m.rt.CompileModule(ctx, c.Code); err != nil {
		return uncompiled{failed(core.ReasonInvalidModule, "the module cannot be compiled: %s", firstLine(err))}
	}
	return nil
}

// config never asks the engine to watch the context: that makes loops many times
// slower and does not stop every guest. The process is killed instead.
func (g *Guest) config() wazero.RuntimeConfig {
	cfg := wazero.NewRuntimeConfig()
	if g.cfg.Engine == EngineInterpreter {
		cfg = wazero.NewRuntimeConfigInterpreter()
	}
	return cfg.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
}

// keep puts a module in front of those kept and lets go of what is too much.
func (g *Guest) keep(ctx context.Context, m *compiled) {
	g.modules = slices.Insert(g.modules, 0, m)
	total := 0
	for i, other := range g.modules {
		if total += other.size; i > 0 && (i >= maxKept || total > maxKeptBytes) {
			for _, old := range g.modules[i:] {
				old.close(ctx)
			}
			g.modules = g.modules[:i:i]
			return
		}
	}
}

// Close lets go of everything that is kept.
func (g *Guest) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.modules {
		m.close(context.Background())
	}
	g.modules = nil
}
