package journal

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// segmentBytes is how big a file of the log gets, unless one entry is bigger.
const segmentBytes = 16 << 20

// logStore is raft's log and its term and vote on disk. It inspects the files
// before it opens them, counts what it writes, and after a failed write, a full
// disk for example, opens the log anew before the next one: raft-wal itself takes
// no entry any more after some of its failures.
type logStore struct {
	dir      string
	log      zerolog.Logger
	raftLog  hclog.Logger
	segBytes int
	meta     stable
	files    *metaFile // the same, of the log in files
	disk     Disk      // nil: files in dir

	writes  atomic.Uint64 // batches, each synced once
	entries atomic.Uint64
	bytes   atomic.Uint64
	wrote   func(entries, bytes int)

	writing sync.Mutex // one writer; before mu
	mu      sync.RWMutex
	wal     Log
	broken  bool
	last    error // of the last write; nil when it went well
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
)

func openLog(dir string, segBytes int, log zerolog.Logger) (*logStore, error) {
	s := &logStore{dir: filepath.Join(dir, logName), log: log, raftLog: newRaftLog(log), segBytes: segBytes, wrote: func(int, int) {}}
	meta, err := openMeta(s.dir)
	if err != nil {
		return nil, err
	}
	s.meta, s.files = meta, meta
	if err := s.open(); err != nil {
		s.meta.shut()
		return nil, err
	}
	return s, nil
}

// openLogOn opens the log of a Disk.
func openLogOn(disk Disk, log zerolog.Logger) (*logStore, error) {
	s := &logStore{dir: "a simulated disk", log: log, disk: disk, meta: diskStable{disk}, wrote: func(int, int) {}}
	return s, s.open()
}

func (s *logStore) open() (err error) {
	if s.disk != nil {
		if s.wal, err = s.disk.Log(); err == nil {
			s.broken = false
		}
		return err
	}
	if err := inspectLog(s.dir, s.files, s.log); err != nil {
		return err
	}
	w, err := wal.Open(s.dir, wal.WithMetaStore(s.files), wal.WithLogger(s.raftLog), wal.WithSegmentSize(s.segBytes))
	if err != nil {
		return core.Errorf(core.Corrupt, "journal", "opening the log in %s: %w", s.dir, err).WithHint(hintDamaged)
	}
	s.wal, s.broken = w, false
	return nil
}

// reopen makes the log usable again after a failed write.
func (s *logStore) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken {
		return nil
	}
	if err := s.wal.Close(); err != nil {
		return err
	}
	return s.open()
}

// done remembers how a write went.
func (s *logStore) done(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.last == nil {
		s.log.Warn().Err(err).Msg("writing the log failed; it is opened again before the next write")
	}
	s.broken, s.last = err != nil, err
	return err
}

// full reports whether the last write failed for want of space. Raft does not
// pass errors on whole.
func (s *logStore) full() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if errors.Is(s.last, syscall.ENOSPC) || errors.Is(s.last, syscall.EDQUOT) {
		return s.last
	}
	return nil
}

func (s *logStore) current() Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wal
}

// FirstIndex implements raft.LogStore.
func (s *logStore) FirstIndex() (uint64, error) { return s.current().FirstIndex() }

// LastIndex implements raft.LogStore.
func (s *logStore) LastIndex() (uint64, error) { return s.current().LastIndex() }

// GetLog implements raft.LogStore.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	err := s.current().GetLog(index, l)
	if err == wal.ErrNotFound {
		return raft.ErrLogNotFound
	}
	return err
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: one write and one fsync.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.store(logs)
	if err != nil { // a closed segment without a successor is mended by opening it anew
		_ = s.done(err)
		err = s.store(logs)
	}
	if s.done(err) != nil {
		return err
	}
	entries, n := 0, 0
	for _, l := range logs {
		entries += countEntries(l.Data)
		n += len(l.Data)
	}
	s.writes.Add(1)
	s.entries.Add(uint64(entries))
	s.bytes.Add(uint64(n))
	s.wrote(entries, n)
	return nil
}

// store writes what raft gives. An entry that a failed write left behind, and
// that raft was told is not there, gives way.
func (s *logStore) store(logs []*raft.Log) error {
	if err := s.reopen(); err != nil {
		return err
	}
	w := s.current()
	last, err := w.LastIndex()
	if err == nil && last >= logs[0].Index {
		err = w.DeleteRange(logs[0].Index, last)
	}
	if err != nil {
		return err
	}
	return w.StoreLogs(logs)
}

// DeleteRange implements raft.LogStore.
func (s *logStore) DeleteRange(low, high uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.reopen(); err != nil {
		return err
	}
	w := s.current()
	first, err := w.FirstIndex()
	if err == nil && low > first { // a suffix: with it goes what a failed write left behind it
		var last uint64
		last, err = w.LastIndex()
		high = max(high, last)
	}
	if err == nil {
		err = w.DeleteRange(low, high)
	}
	return s.done(err)
}

// IsMonotonic implements raft.MonotonicLogStore.
func (s *logStore) IsMonotonic() bool { return true }

// Set implements raft.StableStore.
func (s *logStore) Set(key, val []byte) error { return s.meta.SetStable(key, val) }

// Get implements raft.StableStore.
func (s *logStore) Get(key []byte) ([]byte, error) { return s.meta.GetStable(key) }

// SetUint64 implements raft.StableStore.
func (s *logStore) SetUint64(key []byte, val uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 implements raft.StableStore; what was never set is 0.
func (s *logStore) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil || len(b) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

func (s *logStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.wal.Close()
	if shut := s.meta.shut(); err == nil {
		err = shut
	}
	return err
}
