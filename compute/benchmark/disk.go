package benchmark

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tenzro/tenzro/compute/workload"
)

// onDisk writes the segments to one file, which done ends.
func (b *Benchmark) onDisk() (do work, done func() error, err error) {
	if b.Dir == "" {
		return nil, nil, refused("this node does not let its disk be measured")
	}
	f, err := os.CreateTemp(b.Dir, ".benchmark-*")
	if err != nil {
		return nil, nil, diskFailure(err)
	}
	if err := os.Remove(f.Name()); err != nil { // now, so that no crash leaves it behind
		return nil, nil, diskFailure(errors.Join(err, f.Close()))
	}
	return func(s *workload.Scratch, seed uint64) (uint64, error) {
		sum, err := durable(f, s, seed)
		if err != nil {
			return 0, diskFailure(err)
		}
		return sum, nil
	}, f.Close, nil
}

// durable writes one segment over the one before it, waits until it is on the
// disk, and reads it back.
func durable(f *os.File, s *workload.Scratch, seed uint64) (uint64, error) {
	b := workload.Content(s, seed)
	if _, err := f.WriteAt(b, 0); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	clear(b)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(b))), b); err != nil {
		return 0, err
	}
	return workload.Digest(b), nil
}

func diskFailure(err error) error { return refused(fmt.Sprintf("measuring the disk: %v", err)) }
