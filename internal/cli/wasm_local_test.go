package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/node"
)

// TestLocalCache: a program run here leaves the node's cache as large as the node's
// configuration allows, which may be more or less than the default.
func TestLocalCache(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		kept   bool // an entry of 2 MiB that was not used for long
	}{
		"default":         {"", true},
		"room for it":     {"compute: {cacheMB: 3}\n", true},
		"not enough room": {"compute: {cacheMB: 1}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			kept := filepath.Join(home, node.CacheDir, wasm.CacheName)
			entry, old := filepath.Join(kept, "old"), time.Now().Add(-time.Hour)
			program := filepath.Join(home, "program.wasm")
			for path, content := range map[string][]byte{filepath.Join(home, "config.yaml"): []byte(c.config),
				filepath.Join(entry, "code"): make([]byte, 2<<20), program: wasmtest.Module(t, `(module (func (export "_start")))`)} {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chtimes(entry, old, old); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			s := &shell{Process{Dir: home, Out: &out, Err: &errs, Environ: []string{"HOME=" + home},
				Args: []string{programName, "wasm", "run", "--local", "--memory", "16", "--home", home, program}}}
			if err := s.run(t.Context()); err != nil {
				t.Fatalf("%v, %s", err, errs.String())
			}
			entries, err := os.ReadDir(kept)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(entry); len(entries) == 1 && err == nil {
				t.Skip("this machine cannot confine children to a directory")
			}
			if _, err := os.Stat(entry); (err == nil) != c.kept {
				t.Errorf("%d entries, the old one: %v; want it kept: %v", len(entries), err, c.kept)
			}
		})
	}
}
