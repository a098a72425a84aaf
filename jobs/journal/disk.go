package journal

import (
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Disk is where a Group keeps what must outlive it, in place of the files of its
// directory: for tests and simulations, which crash it and let it fail. What a
// call acknowledged is there after a crash.
type Disk interface {
	// Log opens raft's log; after a failed write it is closed and opened again.
	Log() (Log, error)
	// SetStable and GetStable keep raft's term and vote; what was never set is nil.
	SetStable(key, val []byte) error
	GetStable(key []byte) ([]byte, error)
	// Snapshots returns the store of snapshots.
	Snapshots() (raft.SnapshotStore, error)
	// Files returns the file system of the finished jobs.
	Files() vfs.FS
}

// Log is raft's log. A batch is there as a whole or as a prefix after a crash.
type Log interface {
	raft.LogStore
	io.Closer
}

// stable is what keeps raft's term and vote.
type stable interface {
	SetStable(key, val []byte) error
	GetStable(key []byte) ([]byte, error)
	shut() error
}

var _ stable = (*metaFile)(nil)

// diskStable is the stable store of a Disk.
type diskStable struct{ Disk }

func (diskStable) shut() error { return nil }

// claim makes the journal ours: the directory, unless a Disk takes its place.
func (g *Group) claim() (err error) {
	if g.cfg.Disk == nil {
		g.lock, err = claimDir(g.cfg.Dir, owner{g.cfg.Network, g.cfg.Region, g.cfg.Self})
	}
	return err
}

// openParts opens the log, the finished jobs and the snapshots.
func (g *Group) openParts() (err error) {
	disk := g.cfg.Disk
	if disk == nil {
		g.store, err = openLog(g.cfg.Dir, g.cfg.segmentBytes, g.log)
	} else {
		g.store, err = openLogOn(disk, g.log)
	}
	if err != nil {
		return err
	}
	var files vfs.FS // nil: the operating system's
	if disk != nil {
		files = disk.Files()
	}
	if g.hist, err = openHistory(files, filepath.Join(g.cfg.Dir, historyName), g.log); err != nil {
		return err
	}
	if disk == nil {
		g.snaps, err = openSnapshots(g.cfg.Dir, g.hist, g.log)
		return err
	}
	store, err := disk.Snapshots()
	g.snaps = &snapshots{SnapshotStore: store, hist: g.hist}
	return err
}

func unlock(lock *os.File) error {
	if lock == nil {
		return nil
	}
	return lock.Close()
}
