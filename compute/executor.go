package compute

import (
	"context"
	"encoding/json"
)

// Executor runs tasks of one type. Implementations are safe for concurrent use
// and return promptly, a few milliseconds, after ctx is done.
//
// What the task itself caused is a *core.Failure (invalid_input, overflow,
// execution_failed) or an error of kind core.Invalid; ctx.Err() may be returned
// as it is. Everything else counts as a bug of the node.
type Executor interface {
	// Run computes data. progress takes the finished share, 0..1, and is never
	// nil; it may be called often but only from the calling goroutine.
	Run(ctx context.Context, data json.RawMessage, progress func(float64)) (Output, error)
}

// Output is the result of one task or subtask.
type Output struct {
	Result json.RawMessage // compact JSON, at most core.MaxTaskBytes
	Metric float64         // engine-defined quality, 0..1; 1 for exact results
}

// Cost is what a planner expects a task to take, before anything runs.
type Cost struct {
	Elements  int     // how many input elements there are
	Units     float64 // estimated elementary operations, about a nanosecond each
	MaxShards int     // most subtasks the input can be cut into; 1 = not shardable
}

// Planner is the splitting side of an engine. All methods are pure functions of
// their arguments and treat them as hostile. Data made by Split is itself valid
// data for Run, Check, Split, Merge and Validate, so a region can split again
// what a gateway has split.
type Planner interface {
	// Check validates data completely and estimates its cost. Its errors are
	// core.Invalid, with the JSON path of the wrong field as Op.
	Check(data json.RawMessage) (Cost, error)
	// Split cuts data into exactly shards parts, in order; 1 <= shards <=
	// Cost.MaxShards.
	Split(data json.RawMessage, shards int) ([]json.RawMessage, error)
	// Merge combines the results of the parts, in shard order, into the bytes
	// that running data in one piece gives. A partial that cannot be the result
	// of its part is core.Corrupt with "shard[i]" as Op; what the values
	// themselves cause (an overflow) is a *core.Failure.
	Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error)
	// Validate reports whether result can be the result of running data: its
	// shape, length and bounds, without computing it again. The error is
	// core.Corrupt.
	Validate(data, result json.RawMessage) error
}
