package disk

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

const (
	// DefaultBytes is how much the directory holds unless configured.
	DefaultBytes = 1 << 30
	// DefaultKeep is how long an object is kept after its last use.
	DefaultKeep = 30 * 24 * time.Hour
	// blockBytes is what an object counts at least: a file takes a block on disk and
	// some memory here, however small it is. It bounds how many there can be.
	blockBytes = 4096
	// touchEvery is how much later a use has to be to be noted.
	touchEvery = time.Hour
)

// Config is where a store is and what it may hold. Zero fields take their default.
type Config struct {
	Dir      string
	MaxBytes int64         // of all files together; DefaultBytes
	KeepFor  time.Duration // after the last use; DefaultKeep
}

// Store is a storage.Store in a directory.
type Store struct {
	root     *os.Root
	max      int64
	keep     time.Duration
	touch    time.Duration // by how much a use must be later to be noted
	vol      volume
	metrics  *metrics
	log      zerolog.Logger
	mu       sync.Mutex
	objects  map[core.ObjectID]entry
	order    []stamp // of objects, by last use, oldest first
	bytes    int64   // of objects, each at least blockBytes
	copies   int64   // of those bytes, the copies'
	incoming int64   // of what is being written
}

var _ storage.Store = (*Store)(nil)

// entry is an object that is there.
type entry struct {
	size int64
	used time.Time
	copy bool
}

// charge is what an object of n bytes takes of the directory's bound.
func charge(n int64) int64 { return max(n, blockBytes) }

// stamp is the place of an object in the order of use.
type stamp struct {
	used int64 // Unix nanoseconds
	id   core.ObjectID
}

func (a stamp) compare(b stamp) int {
	return cmp.Or(cmp.Compare(a.used, b.used), slices.Compare(a.id[:], b.id[:]))
}

// Open makes the directory if it is missing and learns what is in it; no object is
// read. A nil reg means no metrics.
func Open(cfg Config, reg prometheus.Registerer, log zerolog.Logger) (*Store, error) {
	s := &Store{max: cmp.Or(cfg.MaxBytes, DefaultBytes), keep: cmp.Or(cfg.KeepFor, DefaultKeep), log: log,
		objects: map[core.ObjectID]entry{}}
	s.touch = min(touchEvery, s.keep/16)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, broken("making the directory of objects", err)
	}
	var err error
	if s.root, err = os.OpenRoot(cfg.Dir); err != nil {
		return nil, broken("opening the directory of objects", err)
	}
	s.vol = files{s.root}
	if err = s.load(); err == nil {
		s.metrics, err = newMetrics(s, reg)
	}
	if err != nil {
		return nil, errors.Join(err, s.root.Close())
	}
	return s, nil
}

// Close ends the use of the directory; nothing waits to be written.
func (s *Store) Close() error { return s.root.Close() }

// broken is an error of the file system. A full one is the operator's to mend.
func broken(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return core.Errorf(core.Full, "object", "%s: the disk is full: %w", doing, err).
			WithHint("make room on the node's disk; what is stored can still be read")
	}
	return core.Errorf(core.Unavailable, "object", "%s: %w", doing, err).
		WithHint("check the directory objects in the node's home")
}

// info is what is told of an entry.
func (s *Store) info(id core.ObjectID, e entry) storage.Info {
	return storage.Info{ID: id, Size: e.size, Used: e.used.UTC(), Expires: e.used.Add(s.keep).UTC(), Copy: e.copy}
}

// Delete implements storage.Store.
func (s *Store) Delete(_ context.Context, id core.ObjectID) error {
	s.mu.Lock()
	e, known := s.objects[id]
	var err error
	if known {
		err = s.remove(id, e)
	}
	s.mu.Unlock()
	switch {
	case !known:
		return storage.NotFound(id)
	case err != nil:
		return err
	}
	if err := s.vol.Sync(shelf(id)); err != nil {
		return broken("removing an object", err)
	}
	return nil
}

// List implements storage.Store.
func (s *Store) List(_ context.Context, after string, limit int) (storage.Page, error) {
	if err := storage.CheckPage(limit); err != nil {
		return storage.Page{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := len(s.order)
	if after != "" {
		at, err := storage.ParseCursor(after)
		if err != nil {
			return storage.Page{}, err
		}
		from, _ = s.place(stamp{at.Used.UnixNano(), at.ID})
	}
	page := storage.Page{Objects: []storage.Info{}}
	for i := from - 1; i >= 0; i-- {
		if len(page.Objects) == limit {
			last := page.Objects[limit-1]
			page.Next = storage.Cursor{Used: last.Used, ID: last.ID}.String()
			break
		}
		id := s.order[i].id
		page.Objects = append(page.Objects, s.info(id, s.objects[id]))
	}
	return page, nil
}

// Expire removes what nobody has used for the retention.
func (s *Store) Expire(context.Context) error {
	now := time.Now()
	var failed []error
	for { // one at a time: nobody waits for all of them
		s.mu.Lock()
		i := len(failed) // those that cannot be removed stay in front
		done := i >= len(s.order) || s.order[i].used > now.Add(-s.keep).UnixNano()
		if !done {
			id := s.order[i].id
			if err := s.remove(id, s.objects[id]); err != nil {
				failed = append(failed, err)
			}
		}
		s.mu.Unlock()
		if done {
			return errors.Join(append(failed, s.forgetDamaged(now))...)
		}
	}
}

// forgetDamaged removes files that were moved aside once the objects would have
// expired.
func (s *Store) forgetDamaged(now time.Time) error {
	entries, err := s.list(damagedDir)
	for _, e := range entries {
		info, statErr := e.Info()
		if statErr == nil && info.ModTime().Before(now.Add(-s.keep)) {
			err = errors.Join(err, s.root.Remove(damagedDir+"/"+e.Name()))
		}
	}
	return err
}
