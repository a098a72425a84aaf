package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
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
}

type file interface {
	io.WriteCloser
	Sync() error
}

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
