package benchmark

import (
	"context"

	"github.com/tenzro/tenzro/compute/workload"
	"github.com/tenzro/tenzro/core"
)

// work does one segment and returns its digest.
type work = func(s *workload.Scratch, seed uint64) (uint64, error)

// segment returns what does one segment of a workload, and what ends it.
func (b *Benchmark) segment(ctx context.Context, k workload.Kind) (do work, done func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case k.Durable:
		return b.onDisk()
	case k.Guest && b.Program == nil:
		return nil, nil, refused("this node runs no programs")
	case k.Guest:
		module := workload.Program()
		return func(_ *workload.Scratch, seed uint64) (uint64, error) { return b.Program(ctx, module, seed) }, nothing, nil
	}
	return k.Work, nothing, nil
}

func refused(why string) error {
	return &core.Failure{Reason: core.ReasonExecutionFailed, Message: why}
}
