package benchmark

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/workload"
	"github.com/tenzro/tenzro/core"
)

// Type is the task type this engine runs.
const Type core.TaskType = "benchmark"

// Config is what a node gives its engine.
type Config struct {
	// Dir is where the disk is measured, with one file of a megabyte that is removed
	// again; empty: this node refuses to measure its disk.
	Dir string
	// Program runs the function "run" of a WebAssembly module on a number, in a sandbox;
	// nil: this node runs no programs.
	Program func(ctx context.Context, module []byte, seed uint64) (uint64, error)
	// Secret decides which segment of a result is computed again. It should be random
	// and is told nobody.
	Secret []byte
}

// Benchmark is the engine and its planner. It is safe for concurrent use.
type Benchmark struct {
	Config
	kinds []workload.Kind
}

var (
	_ compute.Executor = (*Benchmark)(nil)
	_ compute.Planner  = (*Benchmark)(nil)
)

// New returns the engine.
func New(c Config) *Benchmark {
	return &Benchmark{Config: c, kinds: workload.Kinds()}
}

// Workloads returns the names of what can be asked for.
func (b *Benchmark) Workloads() []string {
	names := make([]string, len(b.kinds))
	for i, k := range b.kinds {
		names[i] = k.Name
	}
	return names
}

// Run implements compute.Executor.
func (b *Benchmark) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	t, err := b.decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	do, done, err := b.segment(ctx, t.kind)
	if err != nil {
		return compute.Output{}, err
	}
	digests, elapsed, err := t.measure(ctx, do, report.Progress)
	if end := done(); err == nil {
		err = end
	}
	if err != nil {
		return compute.Output{}, err
	}
	text, err := json.Marshal(t.result(digests, elapsed))
	return compute.Output{Result: text, Metric: 1}, err
}

// measure does all segments, one after the other on one core. The first, which
// warms memory and caches, is done once more than it counts.
func (t *task) measure(ctx context.Context, do work, progress func(float64)) ([]byte, time.Duration, error) {
	var scratch workload.Scratch
	if _, err := do(&scratch, t.segmentSeed(0)); err != nil {
		return nil, 0, err
	}
	digests := make([]byte, 0, 8*t.segments)
	start := time.Now()
	for i := range t.segments {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		sum, err := do(&scratch, t.segmentSeed(i))
		if err != nil {
			return nil, 0, err
		}
		digests = binary.BigEndian.AppendUint64(digests, sum)
		progress(float64(i+1) / float64(t.segments))
	}
	return digests, time.Since(start), nil
}

// Check implements compute.Planner. A benchmark is never cut: it measures one
// machine.
func (b *Benchmark) Check(data json.RawMessage) (compute.Cost, error) {
	t, err := b.decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: t.segments, Units: t.units(), MaxShards: 1, Judge: t.kind.Units}, nil
}

// Split implements compute.Planner.
func (b *Benchmark) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	if err := compute.CheckShards(shards, 1); err != nil {
		return nil, err
	}
	if _, err := b.decode(data); err != nil {
		return nil, err
	}
	return []json.RawMessage{data}, nil
}

// Merge implements compute.Planner.
func (b *Benchmark) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	if err := compute.CheckPartials(len(partials), 1); err != nil {
		return nil, err
	}
	if err := b.Validate(data, partials[0]); err != nil {
		return nil, err
	}
	return partials[0], nil
}

// Validate implements compute.Planner: at the cost of one segment.
func (b *Benchmark) Validate(data, result json.RawMessage) error {
	t, err := b.decode(data)
	if err != nil {
		return err
	}
	r, err := t.read(result)
	if err != nil {
		return err
	}
	return t.look(r, b.Secret)
}
