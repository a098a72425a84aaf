package journaltest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
)

// Disk is a journal.Disk in memory. Writes take time, can be made to fail, and
// are lost with a crash unless they were acknowledged; one that a crash
// interrupts is there as a prefix, or not. It is safe for concurrent use.
type Disk struct {
	latency func() time.Duration // of a synced write
	lies    bool

	mu     sync.Mutex
	rnd    *rand.Rand
	dead   bool  // crashed: writes go nowhere
	fault  error // of every write but those of term and vote
	first  uint64
	log    []*raft.Log // from first on, without gaps
	coming []*raft.Log // being written
	stable map[string][]byte
	snap   *memSnapshot
	files  *vfs.MemFS
}

var _ journal.Disk = (*Disk)(nil)

// NewDisk returns an empty disk. Its chances are those of rnd, which nobody else
// may use, and each synced write takes as long as latency says.
func NewDisk(rnd *rand.Rand, latency func() time.Duration) *Disk {
	return &Disk{rnd: rnd, latency: latency, first: 1, stable: map[string][]byte{}, files: vfs.NewCrashableMem()}
}

// Lie makes the disk acknowledge what it has not written: a crash then loses the
// newest entries of the log. For showing that somebody would notice.
func (d *Disk) Lie() { d.lies = true }

// Fail makes writes of the log and of snapshots fail with err from now on; nil
// ends that.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = err
}

// Crash returns the disk as the next process finds it. What the one that uses
// this disk still writes goes nowhere.
func (d *Disk) Crash() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	next := &Disk{latency: d.latency, lies: d.lies, rnd: d.rnd, first: d.first, log: slices.Clone(d.log), snap: d.snap,
		stable: map[string][]byte{}, files: d.files.CrashClone(vfs.CrashCloneCfg{})}
	for k, v := range d.stable {
		next.stable[k] = v
	}
	if n := len(d.coming); n > 0 {
		next.log = append(next.log, d.coming[:d.rnd.IntN(n+1)]...)
	}
	if d.lies { // what was written last never left its cache
		next.log = next.log[:max(0, len(next.log)-1-d.rnd.IntN(8))]
	}
	return next
}

func (d *Disk) end() uint64 { return d.first + uint64(len(d.log)) }

// Log implements journal.Disk.
func (d *Disk) Log() (journal.Log, error) { return memLog{d}, nil }

// SetStable implements journal.Disk. It never fails: the file has its size.
func (d *Disk) SetStable(key, val []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stable[string(key)] = slices.Clone(val)
	return nil
}

// GetStable implements journal.Disk.
func (d *Disk) GetStable(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stable[string(key)], nil
}

// Snapshots implements journal.Disk.
func (d *Disk) Snapshots() (raft.SnapshotStore, error) { return memSnapshots{d}, nil }

// Files implements journal.Disk.
func (d *Disk) Files() vfs.FS { return d.files }

func (d *Disk) broken() error {
	if d.dead {
		return core.Errorf(core.Unavailable, "disk", "the node has crashed")
	}
	return d.fault
}

// memLog is the log of a Disk.
type memLog struct{ d *Disk }

var _ raft.MonotonicLogStore = memLog{}

// FirstIndex implements raft.LogStore.
func (l memLog) FirstIndex() (uint64, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if len(l.d.log) == 0 {
		return 0, nil
	}
	return l.d.first, nil
}

// LastIndex implements raft.LogStore.
func (l memLog) LastIndex() (uint64, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if len(l.d.log) == 0 {
		return 0, nil
	}
	return l.d.end() - 1, nil
}

// GetLog implements raft.LogStore.
func (l memLog) GetLog(index uint64, out *raft.Log) error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if index < l.d.first || index >= l.d.end() {
		return raft.ErrLogNotFound
	}
	*out = *l.d.log[index-l.d.first]
	return nil
}

// StoreLog implements raft.LogStore.
func (l memLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore. A write that fails may leave a prefix.
func (l memLog) StoreLogs(logs []*raft.Log) error {
	d := l.d
	d.mu.Lock()
	own := make([]*raft.Log, len(logs))
	for i, e := range logs {
		c := *e
		c.Data, c.Extensions = slices.Clone(e.Data), slices.Clone(e.Extensions)
		own[i] = &c
	}
	if len(d.log) == 0 {
		d.first = own[0].Index
	}
	if own[0].Index != d.end() {
		d.mu.Unlock()
		return core.Errorf(core.Corrupt, "disk", "entry %d does not follow %d", own[0].Index, d.end()-1)
	}
	d.coming = own
	d.mu.Unlock()
	if wait := d.latency(); wait > 0 {
		<-time.After(wait)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.coming = nil
	if err := d.broken(); err != nil {
		if !d.dead {
			d.log = append(d.log, own[:d.rnd.IntN(len(own)+1)]...)
		}
		return err
	}
	d.log = append(d.log, own...)
	return nil
}

// DeleteRange implements raft.LogStore: a prefix or a suffix.
func (l memLog) DeleteRange(low, high uint64) error {
	d := l.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.broken(); err != nil {
		return err
	}
	switch end := d.end(); {
	case len(d.log) == 0:
	case low <= d.first:
		n := min(high+1, end) - d.first
		d.log, d.first = slices.Clone(d.log[n:]), d.first+n
	case high+1 >= end:
		d.log = slices.Clone(d.log[:low-d.first])
	default:
		return core.Errorf(core.Invalid, "disk", "the middle of the log, %d to %d, cannot be deleted", low, high)
	}
	return nil
}

// IsMonotonic implements raft.MonotonicLogStore.
func (l memLog) IsMonotonic() bool { return true }

// Close implements io.Closer.
func (l memLog) Close() error { return nil }

// memSnapshot is one snapshot, which nobody changes.
type memSnapshot struct {
	meta raft.SnapshotMeta
	data []byte
}

// memSnapshots is the store of a Disk: the newest counts.
type memSnapshots struct{ d *Disk }

// memSink is a snapshot that is being written.
type memSink struct {
	d    *Disk
	meta raft.SnapshotMeta
	bytes.Buffer
	over bool
}

// Create implements raft.SnapshotStore.
func (s memSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, at uint64,
	_ raft.Transport) (raft.SnapshotSink, error) {
	id := time.Now().Format(time.RFC3339Nano)
	return &memSink{d: s.d, meta: raft.SnapshotMeta{Version: version, ID: id, Index: index, Term: term, Configuration: configuration, ConfigurationIndex: at}}, nil
}

// ID implements raft.SnapshotSink.
func (s *memSink) ID() string { return s.meta.ID }

// Cancel implements raft.SnapshotSink.
func (s *memSink) Cancel() error {
	s.over = true
	return nil
}

// Close implements raft.SnapshotSink: from now on the snapshot counts.
func (s *memSink) Close() error {
	if s.over {
		return nil
	}
	s.over = true
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if err := s.d.broken(); err != nil {
		return err
	}
	s.meta.Size = int64(s.Len())
	s.d.snap = &memSnapshot{meta: s.meta, data: s.Bytes()}
	return nil
}

// List implements raft.SnapshotStore.
func (s memSnapshots) List() ([]*raft.SnapshotMeta, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.snap == nil {
		return nil, nil
	}
	meta := s.d.snap.meta
	return []*raft.SnapshotMeta{&meta}, nil
}

// Open implements raft.SnapshotStore.
func (s memSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.snap == nil || s.d.snap.meta.ID != id {
		return nil, nil, core.Errorf(core.NotFound, "disk", "there is no snapshot %s any more", id)
	}
	meta := s.d.snap.meta
	return &meta, io.NopCloser(bytes.NewReader(s.d.snap.data)), nil
}
