package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
)

// workflowBody is the body of POST /api/v1/workflows: a graph and what a task may
// say beside its data.
type workflowBody struct {
	Steps          []workflow.Step `json:"steps"`
	Output         workflow.StepID `json:"output,omitempty"`
	QueueTimeoutMS int64           `json:"queueTimeoutMs,omitempty"`
	TimeoutMS      int64           `json:"timeoutMs,omitempty"`
	Priority       int             `json:"priority,omitempty"`
	Deadline       time.Time       `json:"deadline,omitzero"`
}

// Validate is left to the planner, who sees the graph again.
func (workflowBody) Validate() error { return nil }

// spec is the task that the workflow is.
func (b workflowBody) spec() (core.TaskSpec, error) {
	data, err := json.Marshal(workflow.Graph{Steps: b.Steps, Output: b.Output})
	if err != nil { // what was decoded encodes again
		return core.TaskSpec{}, core.Errorf(core.Internal, "workflow", "encoding the graph: %w", err)
	}
	spec := core.TaskSpec{Type: workflow.Type, Data: data, QueueTimeoutMS: b.QueueTimeoutMS, TimeoutMS: b.TimeoutMS,
		Priority: b.Priority, Deadline: b.Deadline}
	return spec, spec.Validate()
}

func (s *Server) workflowRoutes() []*route {
	const base = "/api/v1/workflows"
	one := func(v any) map[int][]any { return map[int][]any{http.StatusOK: {v}} }
	return []*route{
		{method: http.MethodPost, path: base, tag: tagTasks, serve: s.createWorkflow, bigBody: true, in: []any{workflowBody{}},
			summary: "Submit a graph of tasks", params: []param{idempotencyParam(), traceParam()},
			out: map[int][]any{http.StatusAccepted: {core.TaskStatus{}}}},
		{method: http.MethodGet, path: base, tag: tagTasks, serve: s.listWorkflows, summary: "The newest workflows", out: one(core.TaskPage{}),
			params: []param{{inQuery, "status", "only workflows in this state"}, {inQuery, "region", "only workflows of this region"},
				{inQuery, "limit", "1 to 1000, default 100"}, {inQuery, "after", "the cursor of the page before"}}},
		{method: http.MethodGet, path: base + "/{taskId}", tag: tagTasks, serve: s.getWorkflow, summary: "A workflow with its steps",
			out: one(workflow.Status{})},
		{method: http.MethodPost, path: base + "/{taskId}/cancel", tag: tagTasks, serve: s.cancelWorkflow,
			summary: "End a workflow and what runs of it", out: one(core.TaskStatus{})},
	}
}

func (s *Server) createWorkflow(x *exchange) error {
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	body, err := decode[workflowBody](s, x)
	if err != nil {
		return err
	}
	spec, err := body.spec()
	if err != nil {
		return err
	}
	spec.Submitter = x.submitter
	defer s.releaseMemory(x)
	if spec, err = s.resolved(x, spec); err != nil {
		return withoutData(err)
	}
	status, err := s.deps.Tasks.Submit(x.traceContext(), spec, key)
	if err != nil {
		return withoutData(err)
	}
	x.Header().Set("Location", "/api/v1/workflows/"+string(status.TaskID))
	return x.json(http.StatusAccepted, status)
}

// withoutData names the field as the body has it: what is a task's data to the
// planner is the body itself here.
func withoutData(err error) error {
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.Invalid {
		return err
	}
	return core.Errorf(e.Kind, strings.TrimPrefix(e.Op, "data."), "%w", err).WithHint(e.Hint)
}

// listWorkflows is the list of tasks that are workflows.
func (s *Server) listWorkflows(x *exchange) error {
	f, err := x.taskFilter()
	if err != nil {
		return err
	}
	f.Type = workflow.Type
	page, err := s.deps.Tasks.List(x.r.Context(), f)
	if err != nil {
		return err
	}
	page.Tasks = list(page.Tasks)
	return x.json(http.StatusOK, page)
}

func (s *Server) getWorkflow(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	status, err := s.deps.Workflows.Workflow(x.r.Context(), id)
	if err != nil {
		return err
	}
	status.Steps = list(status.Steps)
	return x.json(http.StatusOK, status)
}

// cancelWorkflow asks first whether the task is a workflow: the path says so.
func (s *Server) cancelWorkflow(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	if _, err := s.deps.Workflows.Workflow(x.r.Context(), id); err != nil {
		return err
	}
	status, err := s.deps.Tasks.Cancel(x.r.Context(), id)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, status)
}
