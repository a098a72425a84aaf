package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

// Get implements storage.Store.
func (s *Store) Get(_ context.Context, id core.ObjectID) (storage.Info, []byte, error) {
	for {
		e, known := s.use(id)
		if !known {
			return storage.Info{}, nil, storage.NotFound(id)
		}
		data, err := s.read(path(id, e.copy), e.size)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.vanished(id) // and then it is not known, or has another file
			continue
		case err != nil:
			return storage.Info{}, nil, broken("reading the object", err)
		case core.ObjectOf(data) != id:
			return storage.Info{}, nil, s.damaged(id)
		}
		return s.info(id, e), data, nil
	}
}

// read returns a file whole. One that has grown is read far enough to be another.
func (s *Store) read(name string, size int64) ([]byte, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size = min(size, storage.MaxObjectBytes)
	data := make([]byte, size+1) // one more, to see the end
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		err = nil
	}
	return data[:n:n], err
}

// vanished forgets an object whose file somebody else has removed.
func (s *Store) vanished(id core.ObjectID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.objects[id]; known {
		if _, err := s.root.Lstat(path(id, e.copy)); errors.Is(err, fs.ErrNotExist) {
			s.forget(id)
		}
	}
}

// damaged moves a file aside whose bytes are not those of its name, unless it has
// been replaced meanwhile; of a copy there is an original.
func (s *Store) damaged(id core.ObjectID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.objects[id]; known {
		if data, err := s.read(path(id, e.copy), e.size); err == nil && core.ObjectOf(data) != id {
			s.metrics.damaged.Inc()
			s.log.Error().Str("object", id.String()).Bool("copy", e.copy).
				Msg("the file of an object is damaged and is not served any more; check the disk")
			s.setAside(id, e)
		}
	}
	return core.Errorf(core.Corrupt, "object", "object %s is damaged on this node's disk", id).
		WithHint("upload it again: tenzro object put FILE")
}

// wasDamaged reports whether an object that was put here lies aside: when it comes back
// from another node it is as good as before.
func (s *Store) wasDamaged(id core.ObjectID) bool {
	_, err := s.root.Lstat(damagedDir + "/" + id.String())
	return err == nil
}

// setAside takes a damaged file out of the way. The caller holds mu.
func (s *Store) setAside(id core.ObjectID, e entry) {
	var err error
	if e.copy {
		err = s.root.Remove(path(id, true))
	} else {
		err = s.vol.Rename(path(id, false), damagedDir+"/"+id.String())
	}
	if err != nil {
		s.log.Error().Err(err).Str("object", id.String()).Msg("a damaged file cannot be moved away")
	}
	s.forget(id)
}
