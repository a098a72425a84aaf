package wasm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/hostiletest"
	"github.com/tenzro/tenzro/core"
)

// pool is a real sandbox, served until the test ends; its children may use dir.
func pool(tb testing.TB, dir string) *sandbox.Pool {
	tb.Helper()
	return serve(tb, sandbox.Config{Warm: 1, Dir: dir})
}

// serve has a sandbox served until the test ends.
func serve(tb testing.TB, cfg sandbox.Config) *sandbox.Pool {
	tb.Helper()
	p, err := sandbox.New(cfg, nil, zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			tb.Errorf("Serve = %v", err)
		}
	})
	return p
}

func newProcessRig(tb testing.TB, dir string) rig {
	tb.Helper()
	var cache *wasm.Cache
	if dir != "" {
		var err error
		if cache, err = wasm.NewCache(filepath.Join(dir, wasm.CacheName), 0); err != nil {
			tb.Fatal(err)
		}
	}
	return rig{Executor: wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: 1024}, pool(tb, dir), zerolog.Nop())}
}

// TestHostileInProcess runs the corpus in real children: each program ends for its
// reason, and the last one is served like the first.
func TestHostileInProcess(t *testing.T) {
	r := newProcessRig(t, t.TempDir())
	for _, c := range hostiletest.Corpus(t) {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			out, err := r.Run(ctx, c.Data, compute.Report{})
			if got := reason(err); got != c.Reason && !(got == "" && c.Reason == hostiletest.OK) {
				t.Errorf("%q: %s %v, want %s", got, out.Result, err, c.Reason)
			}
		})
	}
	if got, err := r.do(t, program(t, hello)); err != nil || string(got.Stdout) != "hello\n" || got.ExitCode != 7 {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

// TestCancelled ends a program that would run for years.
func TestCancelled(t *testing.T) {
	r := newProcessRig(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	data := program(t, `(module (func (export "_start") (loop (br 0))))`).with("limits", map[string]int64{"fuel": wasm.MaxFuel}).data(t)
	done := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, data, compute.Report{})
		done <- err
	}()
	cancel()
	if err := <-done; reason(err) != core.ReasonCancelled {
		t.Error(err)
	}
}

// TestCacheOfProcesses has a new pool, as after a restart, find what the children
// of the old one compiled.
func TestCacheOfProcesses(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if got, err := newProcessRig(t, dir).do(t, program(t, hello)); err != nil || got.ExitCode != 7 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, wasm.CacheName))
	if err != nil || len(entries) > 1 {
		t.Errorf("%d modules are kept: %v", len(entries), err)
	}
}

// TestUsedOfProcesses has a new pool use an entry that was not used for long: it is
// the newest then, although children may change no times, also when the machine
// code was missing.
func TestUsedOfProcesses(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, wasm.CacheName)
	for what, prepare := range map[string]func(entry string){"whole": func(string) {}, "without machine code": func(entry string) { removeCode(t, entry) }} {
		t.Run(what, func(t *testing.T) {
			if got, err := newProcessRig(t, dir).do(t, program(t, hello)); err != nil || got.ExitCode != 7 {
				t.Fatalf("%+v, %v", got, err)
			}
			entries, err := os.ReadDir(kept)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				t.Skip("this machine cannot confine children to a directory")
			}
			entry, old := filepath.Join(kept, entries[0].Name()), time.Now().Add(-24*time.Hour)
			prepare(entry)
			if err := os.Chtimes(entry, old, old); err != nil {
				t.Fatal(err)
			}
			if got, err := newProcessRig(t, dir).do(t, program(t, hello)); err != nil || got.ExitCode != 7 {
				t.Fatalf("%+v, %v", got, err)
			}
			if info, err := os.Stat(entry); err != nil || info.ModTime().Before(old.Add(time.Hour)) {
				t.Errorf("used last %v, %v", info.ModTime(), err)
			}
		})
	}
}

// removeCode removes what lies below an entry's own files.
func removeCode(t *testing.T, entry string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(entry, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}
