package wasm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
)

func values(texts ...string) (all []json.RawMessage) {
	for _, text := range texts {
		all = append(all, json.RawMessage(text))
	}
	return all
}

// TestCache runs a module with the memory of a new process: the code comes from
// the directory, and a damaged entry is made anew.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	cache, err := wasm.NewCache(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if got, err := newRig(t, wasm.EngineAuto, cache).do(t, program(t, hello)); err != nil || got.ExitCode != 7 || string(got.Stdout) != "hello\n" {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
	}
	check("first")
	kept := contents(t, dir)
	if len(kept) != 3 {
		t.Errorf("kept: %v", kept)
	}
	check("second")
	if again := contents(t, dir); fmt.Sprint(again) != fmt.Sprint(kept) {
		t.Errorf("the second run changed what is kept:\n%v\n%v", kept, again)
	}
	for path, size := range kept {
		whole, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		for how, content := range map[string][]byte{"empty": nil, "cut off": whole[:size/2], "nonsense": []byte(strings.Repeat("nonsense", 100))} {
			if err := os.WriteFile(filepath.Join(dir, path), content, 0o600); err != nil {
				t.Fatal(err)
			}
			check(path + " " + how)
		}
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	check("cannot be written")
}

// contents returns the files below dir with their sizes.
func contents(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		rel, _ := filepath.Rel(dir, path)
		all[rel] = info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTrim removes what was not used for longest, and no more than it must.
func TestTrim(t *testing.T) {
	dir := t.TempDir()
	cache, err := wasm.NewCache(dir, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, age := range []time.Duration{time.Hour, 3 * time.Hour, 2 * time.Hour, 0} {
		entry := filepath.Join(dir, fmt.Sprint(i), "wazero")
		if err := os.MkdirAll(entry, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(entry, "code"), make([]byte, 60_000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Dir(entry), now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cache.Used(nil); err != nil { // the first look
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) == 0 || len(left) == 4 {
		t.Fatalf("%v, %v", left, err)
	}
	for _, e := range left {
		if e.Name() == "1" || len(left) < 3 && e.Name() == "2" {
			t.Errorf("%s was not used for longest and is left: %v", e.Name(), left)
		}
	}
	if err := (*wasm.Cache)(nil).Used(nil); err != nil || (*wasm.Cache)(nil).Dir() != "" {
		t.Error("no cache cannot be tidied up")
	}
}

// TestManyModules sends more modules than the cache has room for, each once: it
// never holds more than fit, also when the children that made them are killed and
// tell nothing, and the last one is always there.
func TestManyModules(t *testing.T) {
	for name, reason := range map[string]sandbox.Reason{"answered": sandbox.OK, "killed": sandbox.Deadline} {
		t.Run(name, func(t *testing.T) {
			const most = 10
			cache, err := wasm.NewCache(t.TempDir(), most*wasm.EntryBytes)
			if err != nil {
				t.Fatal(err)
			}
			guest := wasm.NewGuest(wasm.GuestConfig{CacheDir: cache.Dir()})
			t.Cleanup(guest.Close)
			x := wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: 1024}, late{double{wasm.HandlerName: guest.Handle}, reason}, zerolog.Nop())
			for i := range 4 * most {
				data := program(t, fmt.Sprintf(`(module (func (export "_start") (drop (i32.const %d))))`, i)).data(t)
				_, _ = x.Run(t.Context(), data, compute.Report{})
				if kept, err := os.ReadDir(cache.Dir()); err != nil || len(kept) > most || len(kept) < min(i+1, most/2) {
					t.Fatalf("%d modules are kept of %d, %v; there is room for %d", len(kept), i+1, err, most)
				}
			}
		})
	}
}

// late is a Runner that ends every job with a reason, after it has run.
type late struct {
	double
	reason sandbox.Reason
}

func (l late) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	res, err := l.double.Run(ctx, job)
	res.Reason = l.reason
	return res, err
}
