package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// volume is what a disk can refuse while an object is written; tests have one that
// does.
type volume interface {
	// Create makes a new file for its owner alone.
	Create(name string) (file, error)
	// Rename puts a file in place of another, or of none.
	Rename(from, to string) error
	// Mkdir makes a directory unless it is there, for good.
	Mkdir(name string) error
	// Sync makes the names in a directory survive a crash.
	Sync(dir string) error
	// Free returns how many bytes can still be written.
	Free() (uint64, error)
}

type file interface {
	io.WriteCloser
	Sync() error
}

// freeReserve is what objects leave free of the disk: more than the journal of a region,
// which is on the same one, needs to go on.
const freeReserve = 256 << 20

// files is the volume of the operating system.
type files struct{ root *os.Root }

var _ volume = files{}

// Create implements volume.
func (v files) Create(name string) (file, error) {
	f, err := v.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err // and not a file that is nil
	}
	return f, nil
}

// Rename implements volume.
func (v files) Rename(from, to string) error { return v.root.Rename(from, to) }

// Mkdir implements volume.
func (v files) Mkdir(name string) error {
	err := v.root.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = v.Sync(".")
	}
	return err
}

// Sync implements volume.
func (v files) Sync(dir string) error {
	d, err := v.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Free implements volume.
func (v files) Free() (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(v.root.Name(), &fs); err != nil {
		return 0, err
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil
}
