package wasm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// DefaultCacheBytes is how much compiled code is kept on disk.
const DefaultCacheBytes = 1 << 30

// entryBytes is what an entry counts at least: its directories and the time to
// look at it are paid for as well, so a stranger's many small modules must not
// make it a directory of a million entries.
const entryBytes = 64 << 10

// Cache is the directory where children keep what they made of modules, one
// directory for each. The node only tidies it up: what was not used for longest
// goes first. A nil *Cache keeps nothing. It is safe for concurrent use.
type Cache struct {
	dir string
	max int64

	mu    sync.Mutex       // one that tidies up at a time
	sizes map[string]int64 // of the entries, by path, as they were last seen; nil before the first look
	total int64            // of sizes
}

// NewCache makes the directory if it is missing. max is in bytes; 0 means
// DefaultCacheBytes.
func NewCache(dir string, max int64) (*Cache, error) {
	if max <= 0 {
		max = DefaultCacheBytes
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Errorf(core.Internal, "cache", "making the directory of compiled modules: %w", err).
			WithHint("check that the home directory can be written")
	}
	return &Cache{dir: dir, max: max}, nil
}

// Dir returns the directory, empty for a nil Cache.
func (c *Cache) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// entry is what is kept of one module.
type entry struct {
	path string
	size int64
	used time.Time
}

// Used notes that a child took what is kept of a module, or may have kept more of
// it, and tidies up when that is too much: children may change no times. What it
// costs does not depend on how much is kept, but for one look at everything each
// time an eighth of it is new.
func (c *Cache) Used(module []byte) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	path := store{c.dir}.entryDir(keyOf(module))
	if err := touch(path); err != nil {
		return err
	}
	if c.sizes == nil {
		return c.tidy()
	}
	e, found, err := look(path)
	if err != nil {
		return err
	}
	c.total -= c.sizes[path]
	delete(c.sizes, path)
	if found {
		c.total += e.size
		c.sizes[path] = e.size
	}
	if c.total <= c.max {
		return nil
	}
	return c.tidy()
}

// touch makes an entry, if it is there, the one that was used last.
func touch(path string) error {
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() {
		now := time.Now()
		err = os.Chtimes(path, now, now)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tidy looks at everything and, when it is more than fits, removes what was not
// used for longest, an eighth more than it must. The caller holds mu.
func (c *Cache) tidy() error {
	c.sizes, c.total = nil, 0
	entries, err := c.entries()
	if err != nil {
		return err
	}
	sizes, total := map[string]int64{}, int64(0)
	for _, e := range entries {
		sizes[e.path] = e.size
		total += e.size
	}
	room := c.max
	if total > c.max {
		room -= c.max / 8
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= room {
			break
		}
		if err := os.RemoveAll(e.path); err != nil {
			return err
		}
		delete(sizes, e.path)
		total -= e.size
	}
	c.sizes, c.total = sizes, total
	return nil
}

func (c *Cache) entries() (all []entry, err error) {
	dirs, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		e, found, err := look(filepath.Join(c.dir, d.Name()))
		if err != nil {
			return nil, err
		}
		if found {
			all = append(all, e)
		}
	}
	return all, nil
}

// look measures an entry, which may be gone or change meanwhile.
func look(path string) (e entry, found bool, err error) {
	e.path = path
	info, err := os.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return e, false, err
	}
	e.used = info.ModTime()
	err = filepath.WalkDir(path, func(_ string, f fs.DirEntry, err error) error {
		if err == nil {
			if info, infoErr := f.Info(); infoErr == nil {
				e.size += info.Size()
			}
		}
		return nil // gone meanwhile: a child has written it anew
	})
	e.size = max(e.size, entryBytes)
	return e, true, err
}
