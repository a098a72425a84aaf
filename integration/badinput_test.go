package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// problem is the body of every error.
type problem struct {
	Type, Title, Detail, Code, Field, Hint, RequestID string
	Status                                            int
}

// refusal decodes a 4xx answer, which must be a whole problem.
func refusal(t *testing.T, a testnet.Answer) problem {
	t.Helper()
	var p problem
	if a.Status/100 != 4 || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s answers %d (%s): %.300s", a.Request, a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	if err := json.Unmarshal(a.Body, &p); err != nil {
		t.Fatalf("%s: %v in %.300s", a.Request, err, a.Body)
	}
	if p.Status != a.Status || p.Title == "" || p.Detail == "" || p.Code == "" || p.RequestID == "" {
		t.Errorf("%s: something is missing in %s", a.Request, a.Body)
	}
	return p
}

// Bad input is answered with a problem that names the field, and starts nothing:
// at the documented path and at the newer one, of a whole network.
//
// spec 0.23 0.58
func TestBadInput(t *testing.T) {
	n := testnet.Three(t, 1)
	compute := func(data string) string { return `{"type":"compute","data":` + data + `}` }
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, tc := range []struct {
		name, body, field string
		status            int // 0 = 400
	}{
		{"unknown operation", compute(`{"input":[1],"operations":["sqare"]}`), "data.operations[0]", 0},
		{"unknown operation in an object", compute(`{"input":[1],"operations":["sum",{"op":"nothing"}]}`), "data.operations[1].op", 0},
		{"unknown parameter", compute(`{"input":[1],"operations":[{"op":"clamp","min":0,"max":1,"mid":0}]}`), "data.operations[0]", 0},
		{"missing parameter", compute(`{"input":[1],"operations":[{"op":"clamp","min":0}]}`), "data.operations[0].max", 0},
		{"a string among the numbers", compute(`{"input":[1,"2"],"operations":["sum"]}`), "data.input[1]", 0},
		{"input is a number", compute(`{"input":1,"operations":["sum"]}`), "data.input", 0},
		{"operations is a string", compute(`{"input":[1],"operations":"sum"}`), "data.operations", 0},
		{"not a number", compute(`{"input":[NaN],"operations":["sum"]}`), "data.input[0]", 0},
		{"infinity", compute(`{"input":[1,1e999],"operations":["sum"]}`), "data.input[1]", 0},
		{"empty input of a reduce that needs one", compute(`{"input":[],"operations":["mean"]}`), "data.input", 0},
		{"integer beyond int64", compute(`{"input":[9223372036854775808],"operations":["sum"]}`), "data.input[0]", 0},
		{"integers that overflow", compute(`{"input":[2,9223372036854775807],"operations":["square","sum"]}`), "data.input[1]", 0},
		{"a sum that overflows", compute(`{"input":[9223372036854775807,1],"operations":["sum"]}`), "data.input", 0},
		{"depth bomb", compute(deep), "data" + strings.Repeat("[0]", 32), 0},
		{"depth bomb in the input", compute(`{"input":` + deep + `,"operations":["sum"]}`), "data.input" + strings.Repeat("[0]", 31), 0},
		{"a key twice", `{"type":"compute","type":"compute","data":{"input":[1],"operations":["sum"]}}`, "type", 0},
		{"a key twice in the data", compute(`{"input":[1],"input":[2],"operations":["sum"]}`), "data.input", 0},
		{"a key in another case", `{"Type":"compute","data":{"input":[1],"operations":["sum"]}}`, "Type", 0},
		{"unknown field", `{"type":"compute","colour":1,"data":{"input":[1],"operations":["sum"]}}`, "colour", 0},
		{"unknown field of the data", compute(`{"input":[1],"operations":["sum"],"colour":1}`), "data", 0},
		{"unknown task type", `{"type":"magic","data":{"input":[1],"operations":["sum"]}}`, "type", 0},
		{"no data", `{"type":"compute"}`, "data", 0},
		{"unknown tier", `{"type":"compute","requirements":{"minTier":"king"},"data":{"input":[1],"operations":["sum"]}}`, "requirements.minTier", 0},
		{"more than one CPU", `{"type":"compute","requirements":{"cpu":101},"data":{"input":[1],"operations":["sum"]}}`, "requirements.cpu", 0},
		{"a string for a number", `{"type":"compute","requirements":{"cpu":"80"},"data":{"input":[1],"operations":["sum"]}}`, "requirements.cpu", 0},
		{"negative time", `{"type":"compute","timeoutMs":-1,"data":{"input":[1],"operations":["sum"]}}`, "timeoutMs", 0},
		{"a deadline in the past", `{"type":"compute","deadline":"2026-01-01T00:00:00Z","data":{"input":[1],"operations":["sum"]}}`, "deadline", 0},
		{"not JSON", `{"type":`, "type", 0},
		{"two values", documentedTask + documentedTask, "body", 0},
		{"an array", `[]`, "body", 0},
		{"nothing", ``, "body", 0},
		{"more than 10 MiB", compute(`{"input":[` + strings.Repeat("1,", 6<<20) + `1],"operations":["sum"]}`), "body", http.StatusRequestEntityTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			global := n.Global.In(t)
			for _, path := range []string{"/tasks", "/api/v1/tasks", "/api/tasks"} {
				p := refusal(t, global.Post(path, tc.body))
				if want := max(tc.status, http.StatusBadRequest); p.Status != want || p.Field != tc.field {
					t.Errorf("%s: status %d, field %q, %q; want %d, %q", path, p.Status, p.Field, p.Detail, want, tc.field)
				}
			}
		})
	}
	t.Run("workflows", func(t *testing.T) {
		global := n.Global.In(t)
		million := strings.TrimSuffix(strings.Repeat("1,", 1_000_000), ",")
		for body, field := range map[string]string{
			`{"steps":[{"id":"a","after":["b"],"task":` + documentedTask + `},{"id":"b","after":["a"],"task":` + documentedTask + `}]}`:    "steps[0]",
			`{"steps":[{"id":"a","after":["nobody"],"task":` + documentedTask + `}]}`:                                                      "steps[0].after[0]",
			`{"steps":[{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["sum"]},"deadline":"2020-01-01T00:00:00Z"}}]}`: "steps[0].task.deadline",
			`{"steps":[{"id":"a","map":{"over":[` + million + `]},"task":` + documentedTask + `}]}`:                                        "steps[0].map.over",
		} {
			if p := refusal(t, global.Post("/api/v1/workflows", body)); p.Field != field {
				t.Errorf("%.60s: field %q, %q; want %q", body, p.Field, p.Detail, field)
			}
		}
	})
	t.Run("ids that are none", func(t *testing.T) {
		global := n.Global.In(t)
		for _, id := range []string{"a%2Fb", "..%2F..%2Fetc%2Fpasswd", "a%00b", "%20", strings.Repeat("a", 200), "a.b"} {
			for _, path := range []string{"/tasks/" + id, "/tasks/" + id + "/result", "/api/v1/tasks/" + id} {
				if p := refusal(t, global.Get(path)); p.Field != "taskId" {
					t.Errorf("%s: field %q, %q", path, p.Field, p.Detail)
				}
			}
		}
		body := `{"taskId":"a/b","type":"compute","data":{"input":[1],"operations":["sum"]}}`
		for _, node := range []*testnet.Node{n.Regional.In(t), n.Locals[0].In(t)} {
			if p := refusal(t, node.Post("/tasks", body)); p.Field != "taskId" {
				t.Errorf("%s: field %q, %q", node.Name, p.Field, p.Detail)
			}
			late := `{"taskId":"late","type":"compute","deadline":"2026-01-01T00:00:00Z","data":{"input":[1],"operations":["sum"]}}`
			if p := refusal(t, node.Post("/tasks", late)); p.Field != "deadline" {
				t.Errorf("%s: field %q, %q", node.Name, p.Field, p.Detail)
			}
		}
	})
	if tasks := n.Global.Tasks(); len(tasks) != 0 {
		t.Errorf("%d tasks were started: %+v", len(tasks), tasks)
	}
	for _, node := range []*testnet.Node{n.Regional, n.Locals[0]} {
		if tasks := node.Tasks(); len(tasks) != 0 {
			t.Errorf("%s has %d tasks", node.Name, len(tasks))
		}
	}
	var state core.RegionalState
	n.Regional.Get("/network/state").Into(&state)
	if state.TotalTasksInProgress != 0 || state.AverageTaskDuration != 0 {
		t.Errorf("the region has worked: %+v", state)
	}
}

// A task that nobody can run waits for its queue timeout and fails with a reason
// that names what is missing.
//
// spec 0.26 0.64
func TestNobodyCanRun(t *testing.T) {
	n := testnet.Three(t, 1, "--tier", "aggregator")
	for _, tc := range []struct{ name, requirements, missing string }{
		{"tier", `{"minTier":"trainer"}`, "trainer"},
		{"memory", `{"memoryMB":16000000}`, "16000000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			global := n.Global.In(t)
			start := time.Now()
			id := global.Submit(`{"type":"compute","queueTimeoutMs":300,"requirements":` + tc.requirements + `,"data":{"input":[1],"operations":["sum"]}}`)
			r := global.Result(id, patience)
			if r.Status != core.TaskFailed || r.Failure == nil || r.Failure.Reason != core.ReasonNoCapableWorker || !strings.Contains(r.Failure.Message, tc.missing) {
				t.Errorf("the task is %s: %v", r.Status, r.Failure)
			}
			if took := time.Since(start); took < 300*time.Millisecond || took > 20*time.Second {
				t.Errorf("it failed after %s; its queue timeout is 300ms", took)
			}
		})
	}
}
