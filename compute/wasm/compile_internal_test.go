package wasm

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// TestOwnFault: a module that asks for what nobody is given is refused at its first
// build and leaves nothing behind; one whose machine code is damaged on disk is
// worth another.
func TestOwnFault(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		damage bool
		own    bool
	}{
		"foreign import": {`(module (import "env" "open" (func)) (func (export "_start")))`, false, true},
		"damaged code":   {`(module (func (export "_start")))`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := store{t.TempDir()}
			g := NewGuest(GuestConfig{CacheDir: s.dir})
			t.Cleanup(g.Close)
			req := &request{module: wasmtest.Module(t, c.text)}
			key := keyOf(req.module)
			conv, err := converted(req.module)
			if err != nil || !s.save(key, conv) {
				t.Fatalf("keeping the module: %v", err)
			}
			m, err := g.compile(t.Context(), key, conv, s)
			if c.damage {
				m.close(t.Context())
				damage(t, s.entryDir(key))
				_, err = g.compile(t.Context(), key, conv, s)
			}
			if err == nil || ownFault(err) != c.own {
				t.Fatalf("%v: own fault %v, want %v", err, ownFault(err), c.own)
			}
			a, err := g.answer(t.Context(), req, nil)
			kept, dirErr := os.ReadDir(s.dir)
			switch refused := a.Failure; {
			case err != nil || dirErr != nil:
				t.Fatal(err, dirErr)
			case c.own && (refused == nil || refused.Reason != core.ReasonInvalidModule || len(kept) > 0 || a.Cached):
				t.Errorf("%v, %d entries kept", refused, len(kept))
			case !c.own && len(kept) != 1:
				t.Errorf("%v, %d entries kept", refused, len(kept))
			}
		})
	}
}

// damage overwrites all machine code of an entry.
func damage(t *testing.T, entry string) {
	t.Helper()
	err := filepath.WalkDir(entry, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == entry {
			return err
		}
		return os.WriteFile(path, []byte("nonsense"), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
