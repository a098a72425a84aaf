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

// Cache is the directory where children keep what they made of modules, one
// directory for each. The node only tidies it up: what was not used for longest
// goes first. A nil *Cache keeps nothing. It is safe for concurrent use.
type Cache struct {
	dir string
	max int64

	mu sync.Mutex // one that tidies up at a time
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

// Trim removes what was not used for longest until the rest fits.
func (c *Cache) Trim() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := c.entries()
	if err != nil {
		return err
	}
	total := int64(0)
	for _, e := range entries {
		total += e.size
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= c.max {
			break
		}
		if err := os.RemoveAll(e.path); err != nil {
			return err
		}
		total -= e.size
	}
	return nil
}

func (c *Cache) entries() (all []entry, err error) {
	dirs, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		e := entry{path: filepath.Join(c.dir, d.Name())}
		if info, err := d.Info(); err == nil {
			e.used = info.ModTime()
		}
		err := filepath.WalkDir(e.path, func(_ string, f fs.DirEntry, err error) error {
			if err == nil {
				if info, infoErr := f.Info(); infoErr == nil {
					e.size += info.Size()
				}
			}
			return nil // gone meanwhile: a child has written it anew
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
