package compute

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/core"
)

// Executor runs tasks of one type. Implementations are safe for concurrent use
// and return promptly, a few milliseconds, after ctx is done.
//
// What the task itself caused is a *core.Failure (invalid_input, overflow,
// execution_failed) or an error of kind core.Invalid; ctx.Err() may be returned
// as it is. Everything else counts as a bug of the node.
type Executor interface {
	// Run computes data and tells report how it goes, as often as it likes. Nothing
	// is told after it has returned.
	Run(ctx context.Context, data json.RawMessage, report Report) (Output, error)
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
	// Judge is how many units Validate takes besides reading data and result: whoever
	// judges many results adds it up. It is 0 where nothing is computed again, and for
	// a small task may be all of Units.
	Judge float64
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
	// shape, length and bounds, and what else can be checked at the cost that
	// Check estimated as Cost.Judge. Of a large task that is a small part of running
	// it; a small one may be run again whole. The error is core.Corrupt.
	Validate(data, result json.RawMessage) error
}

// Meter is what a planner has besides when the results of its tasks differ in
// quality: the metric that a worker signs is held against it.
type Meter interface {
	// Metric returns the quality of a result that Validate accepted, 0..1.
	Metric(data, result json.RawMessage) (float64, error)
}

// Program is what a planner has besides when its tasks are programs: code that many
// tasks may share, and an output of bytes.
type Program interface {
	// Outline returns data, which may have holes, with the code replaced by the least
	// there can be. What Check and Validate say of tasks that differ elsewhere only
	// they say of the outlines too, once Check has accepted one of them whole.
	Outline(data json.RawMessage) json.RawMessage
	// Output returns what the program of a result that Validate accepted wrote to its
	// standard output. One that ended badly is a *core.Failure.
	Output(result json.RawMessage) ([]byte, error)
}

// Needer is what a planner has besides when not every worker that announces its type can
// run every task of it.
type Needer interface {
	// Needs returns what else a worker has to announce for data, which may be wrong or
	// have holes; "" for nothing.
	Needs(data json.RawMessage) core.TaskType
}

// NeedsOf returns what a worker has to announce, besides the task's type, to run data.
func NeedsOf(p Planner, data json.RawMessage) core.TaskType {
	if n, ok := p.(Needer); ok {
		return n.Needs(data)
	}
	return ""
}

// Writer is what a planner has besides when some of its tasks write output while
// they run, and are not all programs.
type Writer interface {
	// Writes reports whether a task that Check accepted does.
	Writes(data json.RawMessage) bool
}

// MayWrite reports whether an executor or planner is of a type whose tasks may write
// output while they run.
func MayWrite(e any) bool {
	switch e.(type) {
	case Writer, Program:
		return true
	}
	return false
}

// Writes reports whether a task, which p's Check accepted, writes output while it
// runs.
func Writes(p Planner, data json.RawMessage) bool {
	if w, ok := p.(Writer); ok {
		return w.Writes(data)
	}
	return MayWrite(p)
}

// MetricOf returns the quality of a result that p's Validate accepted: 1 where
// results are exact.
func MetricOf(p Planner, data, result json.RawMessage) (float64, error) {
	if m, ok := p.(Meter); ok {
		return m.Metric(data, result)
	}
	return 1, nil
}

// Judge reports, as core.Corrupt, why result cannot be the result of running data
// or is not of the quality that its worker signed.
func Judge(p Planner, data, result json.RawMessage, metric float64) error {
	if err := p.Validate(data, result); err != nil {
		return err
	}
	own, err := MetricOf(p, data, result)
	if err != nil {
		return err
	}
	if metric != own {
		return core.Errorf(core.Corrupt, "proof.result_metric", "the proof claims a metric of %v; the result's is %v", metric, own)
	}
	return nil
}
