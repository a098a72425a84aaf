package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNoVolumes says that this machine or user cannot mount small volumes: what
// needs them is skipped.
var ErrNoVolumes = errors.New("no volumes can be mounted here")

const (
	ballast = "ballast" // the file that fills a volume
	chunk   = 1 << 20
)

// CanMount returns ErrNoVolumes with the reason when disks cannot be made small.
func CanMount() error {
	dir, err := os.MkdirTemp("", "tenzro-chaos-volume-")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoVolumes, err)
	}
	defer os.Remove(dir)
	if err := mount(dir, 1); err != nil {
		return fmt.Errorf("%w: %w", ErrNoVolumes, err)
	}
	return unmount(dir)
}

// mount makes dir a volume of its own, in memory, of so many MiB.
func mount(dir string, mib int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return tool(context.Background(), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0700", mib), "tmpfs", dir)
}

func unmount(dir string) error { return tool(context.Background(), "umount", "--lazy", dir) }

// free is what is left of the node's volume in bytes.
func (n *Node) free() (int64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(n.home, &s)
	return int64(s.Bavail) * int64(s.Bsize), err
}

// fill leaves no more than so many bytes of the node's volume.
func (n *Node) fill(leave int64) error {
	f, err := os.OpenFile(filepath.Join(n.home, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	zeros := make([]byte, chunk)
	for {
		left, err := n.free()
		if err != nil || left <= leave {
			return err
		}
		if _, err := f.Write(zeros[:min(left-leave, chunk)]); errors.Is(err, syscall.ENOSPC) {
			return nil // the node took the rest meanwhile
		} else if err != nil {
			return err
		}
	}
}

// relieve gives the node its space back.
func (n *Node) relieve() error { return os.Remove(filepath.Join(n.home, ballast)) }
