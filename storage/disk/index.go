package disk

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

const (
	tmpDir     = "tmp"
	damagedDir = "damaged"
	copySuffix = ".copy"
)

// shelf is the directory that an object's file is in.
func shelf(id core.ObjectID) string { return id.String()[:2] }

// path is where an object's file is.
func path(id core.ObjectID, copied bool) string {
	name := shelf(id) + "/" + id.String()
	if copied {
		name += copySuffix
	}
	return name
}

// named reads the name of an object's file.
func named(dir, name string) (id core.ObjectID, copied, ok bool) {
	text, copied := strings.CutSuffix(name, copySuffix)
	err := id.UnmarshalText([]byte(text))
	return id, copied, err == nil && shelf(id) == dir
}

// load learns what is in the directory and removes what a crash left half written.
func (s *Store) load() error {
	if err := s.root.RemoveAll(tmpDir); err != nil {
		return broken("removing what was half written", err)
	}
	for _, dir := range []string{tmpDir, damagedDir} {
		if err := s.vol.Mkdir(dir); err != nil {
			return broken("making a directory of objects", err)
		}
	}
	shelves, err := s.list(".")
	if err != nil {
		return broken("listing the objects", err)
	}
	for _, d := range shelves {
		if len(d.Name()) == 2 && d.IsDir() {
			if err := s.loadShelf(d.Name()); err != nil {
				return broken("listing the objects", err)
			}
		}
	}
	slices.SortFunc(s.order, stamp.compare)
	return nil
}

func (s *Store) loadShelf(dir string) error {
	entries, err := s.list(dir)
	for _, f := range entries {
		id, copied, ok := named(dir, f.Name())
		info, statErr := f.Info()
		if !ok || statErr != nil || !info.Mode().IsRegular() {
			s.log.Warn().Str("file", dir+"/"+f.Name()).Msg("a file among the objects is none of them and is left alone")
			continue
		}
		s.found(id, entry{size: info.Size(), used: info.ModTime(), copy: copied})
	}
	return err
}

// found adds an object at the start. Of one that is there twice, since a crash came
// between two steps, the file that is not a copy counts.
func (s *Store) found(id core.ObjectID, e entry) {
	if old, twice := s.objects[id]; twice {
		if e.copy {
			e, old = old, e
		}
		_ = s.root.Remove(path(id, old.copy)) // else at the next start
		s.order = slices.DeleteFunc(s.order, func(at stamp) bool { return at.id == id })
		s.count(s.objects[id], -1)
	}
	s.objects[id] = e
	s.order = append(s.order, stamp{e.used.UnixNano(), id})
	s.count(e, 1)
}

// count adds an object to what is counted, or takes it away.
func (s *Store) count(e entry, sign int64) {
	s.bytes += sign * charge(e.size)
	if e.copy {
		s.copies += sign * charge(e.size)
	}
}

// list returns the entries of a directory, none if it is missing.
func (s *Store) list(dir string) ([]fs.DirEntry, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

// place returns where a stamp is in the order, or would be.
func (s *Store) place(at stamp) (int, bool) {
	return slices.BinarySearchFunc(s.order, at, stamp.compare)
}

// add makes an object known, or known anew. The caller holds mu.
func (s *Store) add(id core.ObjectID, e entry) {
	s.forget(id)
	s.objects[id] = e
	at := stamp{e.used.UnixNano(), id}
	i, _ := s.place(at)
	s.order = slices.Insert(s.order, i, at)
	s.count(e, 1)
}

// forget makes an object unknown. The caller holds mu.
func (s *Store) forget(id core.ObjectID) {
	e, known := s.objects[id]
	if !known {
		return
	}
	delete(s.objects, id)
	if i, found := s.place(stamp{e.used.UnixNano(), id}); found {
		s.order = slices.Delete(s.order, i, i+1)
	}
	s.count(e, -1)
}

// remove deletes an object and its file. The caller holds mu.
func (s *Store) remove(id core.ObjectID, e entry) error {
	if err := s.root.Remove(path(id, e.copy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return broken("removing an object", err)
	}
	s.forget(id)
	return nil
}

// take sets room aside for n bytes that come, where there is none by removing copies,
// those used longest ago first.
func (s *Store) take(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+s.incoming+n > s.max {
		s.dropCopies(n)
	}
	if s.bytes+s.incoming+n > s.max {
		return core.Errorf(core.Full, "object", "the objects of this node have %d MiB, and it keeps at most %d", (s.bytes+s.incoming)>>20, s.max>>20).
			WithHint("remove some with `tenzro object rm`, or raise storage.objectsMB")
	}
	s.incoming += n
	return nil
}

// dropCopies makes room for n bytes, and for what may follow them, if copies are in the
// way. The caller holds mu.
func (s *Store) dropCopies(n int64) {
	n += storage.MaxObjectBytes
	for i := 0; i < len(s.order) && s.copies > 0 && s.bytes+s.incoming+n > s.max; {
		id := s.order[i].id
		e := s.objects[id]
		if !e.copy {
			i++
			continue
		}
		if err := s.remove(id, e); err != nil {
			s.log.Warn().Err(err).Msg("a copy of an object cannot be removed")
			i++
		}
	}
}

// use notes that an object is used now, and returns it.
func (s *Store) use(id core.ObjectID) (e entry, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known = s.objects[id]
	now := time.Now()
	if !known || now.Sub(e.used) < s.touch {
		return e, known
	}
	if err := s.root.Chtimes(path(id, e.copy), now, now); err != nil {
		s.log.Warn().Err(err).Str("object", id.String()).Msg("the use of an object cannot be noted")
		return e, known
	}
	e.used = now
	s.add(id, e)
	return e, known
}
