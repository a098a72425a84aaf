package workflow

import (
	"encoding/json"

	"github.com/tenzro/tenzro/core"
)

// Type is the task type of a workflow: its data is a Graph.
const Type core.TaskType = "workflow"

// taskCompute is the task type that a reduce stands for.
const taskCompute core.TaskType = "compute"

// mapType is the type of tasks that have $item and $index of their own.
const mapType core.TaskType = "map"

// Bounds of a graph. Its text has at most core.MaxTaskBytes and nests no deeper
// than wire.MaxDepth, as that of any task.
const (
	// MaxSteps is how many steps a graph has at most.
	MaxSteps = 1000
	// MaxEdges bounds how often steps wait for steps, all together.
	MaxEdges = 10_000
	// MaxElements is how many elements a map takes at most: one job each.
	MaxElements = 10_000
	// MaxRetries is how often a failed job of a step is repeated at most.
	MaxRetries = 10
)

// StepID names a step in its graph: 1 to 64 characters of A-Z, a-z, 0-9, '_' and
// '-'.
type StepID string

// Graph is what a user submits. Wherever the data of a step's task has an object
// {"$from":"step"}, the step's result takes its place when the task starts.
type Graph struct {
	Steps []Step `json:"steps"`
	// Output names the step whose result is the workflow's; without it the result
	// is an object of the results of all steps that no other step waits for.
	Output StepID `json:"output,omitempty"`
}

// Step is one task of a graph, or one task for each element of a list. Exactly
// one of Task and Reduce is set.
type Step struct {
	ID     StepID         `json:"id"`
	After  []StepID       `json:"after,omitempty"` // steps that must have ended well before; references need not be named
	Task   *core.TaskSpec `json:"task,omitempty"`
	Map    *Map           `json:"map,omitempty"`
	Reduce *Reduce        `json:"reduce,omitempty"`
	// Retries is how often a failed job is tried again, 0 to MaxRetries.
	Retries int `json:"retries,omitempty"`
	// TimeoutMS is how long the step may take with all its jobs and retries; 0 =
	// as long as the workflow.
	TimeoutMS int64 `json:"timeoutMs,omitempty"`
}

// Map repeats a step's task for each element of a list, at most MaxElements. In
// the data {"$item":true} is the element and {"$index":true} its place, from 0.
// The step's result is the array of the results, in order.
type Map struct {
	// Over is an array, or {"from":"step","path":"/0"}: an array in a step's result.
	Over json.RawMessage `json:"over"`
}

// Reduce puts the array that a step gave through operations of the task type
// compute: short for a task {"input":{"$from":...},"operations":[...]}.
type Reduce struct {
	From       StepID          `json:"from"`
	Path       string          `json:"path,omitempty"` // JSON pointer into the result
	Operations json.RawMessage `json:"operations"`
}

// source is Map.Over as an object.
type source struct {
	From StepID `json:"from"`
	Path string `json:"path"`
}

// task returns what the step's jobs are made of.
func (s Step) task() (core.TaskSpec, error) {
	if s.Reduce == nil {
		return *s.Task, nil
	}
	input := struct {
		From StepID `json:"$from"`
		Path string `json:"path,omitempty"`
	}{s.Reduce.From, s.Reduce.Path}
	data, err := json.Marshal(struct {
		Input      any             `json:"input"`
		Operations json.RawMessage `json:"operations"`
	}{input, s.Reduce.Operations})
	return core.TaskSpec{Type: taskCompute, Data: data}, err
}
