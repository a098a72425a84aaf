package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
)

const sampleGraph = `{"steps":[{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}},{"id":"b","reduce":{"from":"a","operations":["sum"]}}],"output":"b","timeoutMs":5000,"queueTimeoutMs":100,"priority":-3}`

// TestWorkflows: the endpoints of workflows, and what they answer to bad input.
func TestWorkflows(t *testing.T) {
	const base = "/api/v1/workflows"
	conflict := core.Errorf(core.Conflict, "task", "task abc123 is completed")
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		err                      error
		status                   int
		has                      string
	}{
		{"submit", "POST", base, sampleGraph, nil, nil, 202, `"status":"pending"`},
		{"same key, another body", "POST", base, sampleGraph, []string{"Idempotency-Key: a"}, core.Errorf(core.Exists, "Idempotency-Key", "another"), 422, `"code":"exists"`},
		{"a bad key", "POST", base, sampleGraph, []string{"Idempotency-Key: a b"}, nil, 400, `"field":"Idempotency-Key"`},
		{"unknown field", "POST", base, `{"stps":[]}`, nil, nil, 400, `"field":"stps"`},
		{"unknown field in a step", "POST", base, `{"steps":[{"id":"a","task":{"tpye":"x"}}]}`, nil, nil, 400, `"field":"steps[0].task.tpye"`},
		{"a deadline", "POST", base, `{"steps":[],"deadline":"2126-01-01T00:00:00Z"}`, nil, nil, 202, `"status":"pending"`},
		{"two deadlines", "POST", base, `{"steps":[],"timeoutMs":1,"deadline":"2126-01-01T00:00:00Z"}`, nil, nil, 400, `"field":"deadline"`},
		{"no such priority", "POST", base, `{"steps":[],"priority":11}`, nil, nil, 400, `"field":"priority"`},
		{"repeated field", "POST", base, `{"steps":[],"steps":[]}`, nil, nil, 400, `"field":"steps"`},
		{"wrong type", "POST", base, `{"steps":7}`, nil, nil, 400, `"field":"steps"`},
		{"not JSON", "POST", base, `{`, nil, nil, 400, `"code":"invalid"`},
		{"empty", "POST", base, "", nil, nil, 400, `"code":"invalid"`},
		{"not said to be JSON", "POST", base, sampleGraph, []string{"Content-Type: text/plain"}, nil, 415, "unsupported_media_type"},
		{"the planner's word", "POST", base, sampleGraph, nil, core.Errorf(core.Invalid, "data.steps[1]", "a circle").WithHint("cut it"), 400, `"field":"steps[1]","hint":"cut it"`},
		{"no region", "POST", base, sampleGraph, nil, core.Errorf(core.Unavailable, "region", "nobody"), 503, `"code":"unavailable"`},
		{"list", "GET", base, "", nil, nil, 200, `{"tasks":[{"taskId":"abc123"`},
		{"list by state", "GET", base + "?status=failed&limit=5", "", nil, nil, 200, `{"tasks":[]}`},
		{"list of an unknown state", "GET", base + "?status=done", "", nil, nil, 400, `"field":"status"`},
		{"list of too many", "GET", base + "?limit=1001", "", nil, nil, 400, `"field":"limit"`},
		{"steps", "GET", base + "/abc123", "", nil, nil, 200, `"steps":[{"id":"a","state":"done"`},
		{"no workflow", "GET", base + "/abc123", "", nil, core.Errorf(core.NotFound, "taskId", "no workflow"), 404, `"code":"not_found"`},
		{"bad id", "GET", base + "/a%2Fb", "", nil, nil, 400, `"field":"taskId"`},
		{"cancel", "POST", base + "/abc123/cancel", "", nil, nil, 200, `"taskId":"abc123"`},
		{"cancel what has ended", "POST", base + "/abc123/cancel", "", nil, conflict, 409, `"code":"conflict"`},
		{"no such method", "DELETE", base + "/abc123", "", nil, nil, 405, "method_not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork()
			n.err, n.steps = tt.err, []workflow.StepStatus{{ID: "a", State: workflow.StepDone}}
			w := send(newServer(t, n, nil), tt.method, tt.path, tt.body, tt.headers...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.has) {
				t.Errorf("status %d, want %d with %s: %s", w.Code, tt.status, tt.has, w.Body)
			}
			if w.Code >= 400 {
				problem(t, w)
			}
		})
	}
}

// TestWorkflowIsATask: what is submitted is a task whose data is the graph, and the
// answer says where the workflow can be seen.
func TestWorkflowIsATask(t *testing.T) {
	n := newNetwork()
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	w := send(newServer(t, n, nil), "POST", "/api/v1/workflows", sampleGraph, "traceparent: 00-"+traceID+"-00f067aa0ba902b7-01")
	if got := w.Header().Get("Location"); got != "/api/v1/workflows/abc123" {
		t.Errorf("location %q", got)
	}
	spec := n.specs[0]
	if spec.Type != workflow.Type || spec.TimeoutMS != 5000 || spec.QueueTimeoutMS != 100 || spec.Priority != -3 || spec.Submitter != core.Anonymous || n.traces[0].ID() != traceID {
		t.Errorf("submitted as %+v", spec)
	}
	if plan, err := workflow.Parse(spec.Data, nil); err != nil || plan.Len() != 2 {
		t.Errorf("the data %s: %v", spec.Data, err)
	}
	var g workflow.Graph
	if err := json.Unmarshal(spec.Data, &g); err != nil || g.Output != "b" || fmt.Sprintf("%s", g.Steps[1].Reduce.Operations) != `["sum"]` {
		t.Errorf("the graph %+v, %v", g, err)
	}
}

// TestWorkflowWithoutSteps: a list that nobody knows is empty, never null.
func TestWorkflowWithoutSteps(t *testing.T) {
	if w := send(newServer(t, newNetwork(), nil), "GET", "/api/v1/workflows/abc123", ""); !strings.Contains(w.Body.String(), `"steps":[]`) {
		t.Errorf("answered %s", w.Body)
	}
}
