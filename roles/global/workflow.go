package global

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

// Workflow returns a workflow with its steps, wherever it was submitted.
func (c *Coordinator) Workflow(ctx context.Context, id core.TaskID) (workflow.Status, error) {
	state, err := c.ask(ctx, id, wire.QueryWorkflow)
	if err != nil {
		return workflow.Status{}, err
	}
	out := workflow.Status{TaskStatus: *state.Status, Steps: []workflow.StepStatus{}}
	if err := json.Unmarshal(state.Output.Inline, &out.Steps); err != nil || len(out.Steps) > workflow.MaxSteps {
		return workflow.Status{}, core.Errorf(core.Corrupt, "steps", "region %s answered with something that is no list of steps", state.Status.Region)
	}
	return out, nil
}

// needs is what the home of a task must be able to give: a workflow's is that of
// its steps together, with the type of the first.
func (c *Coordinator) needs(spec core.TaskSpec) (core.Requirements, core.TaskType) {
	if spec.Type != workflow.Type {
		need := spec.Requirements
		need.Runtime = cmp.Or(compute.NeedsOf(c.deps.Planners[spec.Type], spec.Data), need.Runtime)
		return need, spec.Type
	}
	plan, err := workflow.Parse(spec.Data, nil)
	if err != nil { // it was checked before
		return spec.Requirements, spec.Type
	}
	need, types := plan.Needs()
	return need, types[0]
}
