package disk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

// chunk is how much of an object is in memory while it is written.
const chunk = 64 << 10

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, r io.Reader) (storage.Info, bool, error) {
	return s.write(ctx, r, nil)
}

// Keep keeps a copy of an object that another node has. It must be the one that id
// names, else core.Corrupt. It goes before what was Put here.
func (s *Store) Keep(ctx context.Context, id core.ObjectID, data []byte) error {
	_, _, err := s.write(ctx, bytes.NewReader(data), &id)
	return err
}

// write takes an object in: into a file in tmp, which is then put in its place. want
// names a copy.
func (s *Store) write(ctx context.Context, r io.Reader, want *core.ObjectID) (info storage.Info, created bool, err error) {
	name := tmpDir + "/" + rand.Text()
	w := &incoming{s: s, sum: sha256.New()}
	defer func() {
		s.mu.Lock()
		w.giveBack()
		s.mu.Unlock()
		if err != nil {
			_ = s.root.Remove(name) // else at the next start
		}
	}()
	now := time.Now()
	if err := w.fill(ctx, name, r, now); err != nil {
		return storage.Info{}, false, err
	}
	id := core.ObjectID(w.sum.Sum(nil))
	if want != nil && id != *want {
		return storage.Info{}, false, core.Errorf(core.Corrupt, "object", "these are not the bytes of object %s", *want)
	}
	e, known, err := w.settle(name, id, entry{size: w.size, used: now, copy: want != nil})
	if err != nil {
		return storage.Info{}, false, broken("storing the object", err)
	}
	return s.info(id, e), !known, nil
}

// incoming is an object that is being written.
type incoming struct {
	s     *Store
	sum   hash.Hash
	size  int64
	taken int64 // of the store's room
}

// fill writes r into a new file until it is on the disk, with its time of use.
func (w *incoming) fill(ctx context.Context, name string, r io.Reader, now time.Time) error {
	if err := w.s.space(); err != nil {
		return err
	}
	f, err := w.s.vol.Create(name)
	if err != nil {
		return broken("making a file for the object", err)
	}
	if err := w.copy(ctx, f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := w.s.root.Chtimes(name, now, now); err != nil {
		return errors.Join(broken("noting the time of the object", err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return broken("writing the object", err)
	}
	return nil
}

// space refuses objects on a disk that is nearly full.
func (s *Store) space() error {
	free, err := s.vol.Free()
	if err != nil || free >= freeReserve { // one that does not say it says so when it is full
		return nil
	}
	return core.Errorf(core.Full, "object", "%d MiB of the disk are free, and objects leave %d of it to the node", free>>20, freeReserve>>20).
		WithHint("make room on the node's disk; what is stored can still be read")
}

// copy takes room for each piece before it is written.
func (w *incoming) copy(ctx context.Context, f file, r io.Reader) error {
	if err := w.room(0); err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for {
		n, readErr := r.Read(buf)
		if err := w.room(int64(n)); err != nil {
			return err
		}
		w.sum.Write(buf[:n])
		if _, err := f.Write(buf[:n]); err != nil {
			return broken("writing the object", err)
		}
		switch {
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// room makes the object n bytes larger.
func (w *incoming) room(n int64) error {
	if w.size += n; w.size > storage.MaxObjectBytes {
		return storage.TooLarge()
	}
	more := charge(w.size) - w.taken
	if more <= 0 {
		return nil
	}
	if err := w.s.take(more); err != nil {
		return err
	}
	w.taken += more
	return nil
}

// giveBack ends what the object took while it was written. The caller holds mu of the
// store.
func (w *incoming) giveBack() {
	w.s.incoming -= w.taken
	w.taken = 0
}

// settle puts a written file in its object's place, whatever is there: it may have
// rotted since. What was put here does not become a copy again.
func (w *incoming) settle(name string, id core.ObjectID, e entry) (_ entry, known bool, err error) {
	s := w.s
	if err := s.vol.Mkdir(shelf(id)); err != nil {
		return e, false, err
	}
	s.mu.Lock()
	old, known := s.objects[id]
	e.copy = e.copy && (!known || old.copy) && !s.wasDamaged(id)
	if err = s.vol.Rename(name, path(id, e.copy)); err == nil {
		if known && old.copy != e.copy {
			_ = s.root.Remove(path(id, old.copy)) // else at the next start
		}
		w.giveBack()
		s.add(id, e)
	}
	s.mu.Unlock()
	if err == nil {
		err = s.vol.Sync(shelf(id))
	}
	return e, known, err
}
