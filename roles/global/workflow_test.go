package global

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

// withWorkflows lets the rig's gateway take workflows, as the node does.
func withWorkflows(r *rig) {
	r.c.deps.Planners[workflow.Type] = workflow.Planner{Tasks: r.c.deps.Planners}
}

func flow(graph string) core.TaskSpec {
	return core.TaskSpec{Type: workflow.Type, Data: json.RawMessage(graph)}
}

const goodGraph = `{"steps":[{"id":"a","task":{"type":"compute","requirements":{"minTier":"aggregator","cpu":50},"data":{"input":[1],"operations":["sum"]}}}]}`

// TestSubmitWorkflow: a workflow is handed to its home as one job; the same key
// with another graph is refused, and so is a graph that is wrong, before any
// region hears of it.
func TestSubmitWorkflow(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		withWorkflows(r)
		for graph, field := range map[string]string{
			`{"steps":[]}`: "data.steps",
			`{"steps":[{"id":"a","after":["a"],"task":{"type":"compute","data":1}}]}`:                                                      "data.steps[0].after[0]",
			`{"steps":[{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["sum"]},"deadline":"2020-01-01T00:00:00Z"}}]}`: "data.steps[0].task.deadline",
			`{"steps":[{"id":"a","task":{"type":"workflow","data":1}}]}`:                                                                   "data.steps[0].task.type",
			`{"steps":[{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["cube"]}}}]}`:                                  "data.steps[0].task.data.operations[0]",
			`{"steps":[{"id":"a","map":{"over":[` + strings.Repeat("1,", 10_000) + `1]},"task":{"type":"compute","data":1}}]}`:             "data.steps[0].map.over",
		} {
			_, err := r.c.Submit(t.Context(), flow(graph), "")
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != field {
				t.Errorf("%.60s: %v", graph, err)
			}
		}
		id, o := r.accepted(g, flow(goodGraph), "key")
		if o.Class != wire.ClassJob || o.Task.Type != workflow.Type || string(o.Data.Inline) != goodGraph {
			t.Errorf("offered %+v", o)
		}
		if again, err := r.c.Submit(t.Context(), flow(goodGraph), "key"); err != nil || again.TaskID != id {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		if _, err := r.c.Submit(t.Context(), flow(strings.Replace(goodGraph, "[1]", "[2]", 1)), "key"); !errors.Is(err, core.Exists) {
			t.Errorf("the same key for another graph: %v", err)
		}
	})
}

// TestWorkflowNeeds: the home of a workflow is one that can run its steps.
func TestWorkflowNeeds(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if need, kind := r.c.needs(flow(goodGraph)); kind != vector.Type || need.MinTier != core.TierAggregator || need.CPU != 50 {
			t.Errorf("a workflow needs %+v of type %s", need, kind)
		}
		if need, kind := r.c.needs(sample()); kind != vector.Type || need != sample().Requirements {
			t.Errorf("a task needs %+v of type %s", need, kind)
		}
	})
}

// TestAskForWorkflow: any gateway asks the home for the steps; what is no list of
// steps is not passed on.
func TestAskForWorkflow(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		fault  error
		steps  int
		kind   core.Kind
	}{
		"steps":          {output: `[{"id":"a","state":"done"},{"id":"b","state":"running"}]`, steps: 2},
		"none yet":       {output: `[]`},
		"not a list":     {output: `{"id":"a"}`, kind: core.Corrupt},
		"too many":       {output: `[` + strings.Repeat(`{},`, workflow.MaxSteps) + `{}]`, kind: core.Corrupt},
		"not a workflow": {fault: core.Errorf(core.NotFound, "taskId", "no workflow"), kind: core.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				g.answers(func(q *wire.JobQuery) *wire.JobState {
					if q.Op != wire.QueryWorkflow {
						return &wire.JobState{Fault: wire.FaultOf(fmt.Errorf("asked for %s", q.Op))}
					}
					if c.fault != nil {
						return &wire.JobState{Fault: wire.FaultOf(c.fault)}
					}
					return &wire.JobState{Status: &core.TaskStatus{TaskID: foreign, Status: core.TaskRunning, Updated: time.Now()}, Output: wire.Payload{Inline: json.RawMessage(c.output)}}
				})
				got, err := r.c.Workflow(t.Context(), foreign)
				if c.kind != 0 {
					if !errors.Is(err, c.kind) {
						t.Errorf("got %+v, %v", got, err)
					}
					return
				}
				if err != nil || got.TaskID != foreign || got.Steps == nil || len(got.Steps) != c.steps {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		})
	}
}
