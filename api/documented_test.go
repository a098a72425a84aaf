package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// golden reads one example of the documents' API reference, "" for none.
func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "documented", name))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return b.String()
}

// TestDocumentedExamples plays every example of the documents' API reference
// against a node of that type, at the root and under the type's name, and wants
// the example's bytes but for white space. The sample's result is 55: the
// documents' 45 is a slip of the pen.
//
// spec 0.58 0.59 0.60 0.61 0.63 0.64 0.65 0.66 0.67 0.68 0.69 0.70 2.66
func TestDocumentedExamples(t *testing.T) {
	tests := []struct {
		example      string // files <example>.request.json and .response.json
		as           core.NodeType
		method, path string
		status       int
		change       func(*network)
	}{
		{"global_submit", core.Global, "POST", "/tasks", 202, nil},
		{"global_status", core.Global, "GET", "/tasks/abc123", 200, func(n *network) { n.task.Status, n.task.Progress = core.TaskRunning, 0.5 }},
		{"global_result", core.Global, "GET", "/tasks/abc123/result", 200, nil},
		{"global_state", core.Global, "GET", "/network/state", 200, nil},
		{"regional_submit", core.Regional, "POST", "/tasks", 202, nil},
		{"regional_result", core.Regional, "POST", "/results", 202, nil},
		{"regional_state", core.Regional, "GET", "/network/state", 200, nil},
		{"local_submit", core.Local, "POST", "/tasks", 202, nil},
		{"local_status", core.Local, "GET", "/status", 200, nil},
		{"local_aggregate", core.Local, "POST", "/aggregate", 202, nil},
	}
	for _, tt := range tests {
		for _, prefix := range []string{"", "/" + tt.as.String()} {
			t.Run(tt.example+prefix, func(t *testing.T) {
				n := newNetwork().as(tt.as)
				if tt.change != nil {
					tt.change(n)
				}
				w := send(newServer(t, n, nil), tt.method, prefix+tt.path, golden(t, tt.example+".request.json"), "Content-Type: application/json")
				if w.Code != tt.status || w.Header().Get("Content-Type") != "application/json" {
					t.Errorf("status %d, content type %q", w.Code, w.Header().Get("Content-Type"))
				}
				if got, want := strings.TrimSpace(w.Body.String()), compact(t, golden(t, tt.example+".response.json")); got != want {
					t.Errorf("body\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestSubmitPassesTheTaskOn: what the documented body says reaches the network
// unchanged.
//
// spec 0.58 0.64
func TestSubmitPassesTheTaskOn(t *testing.T) {
	n := newNetwork()
	send(newServer(t, n, nil), "POST", "/tasks", sample, "Idempotency-Key: k1")
	want := core.Requirements{MinTier: core.TierAggregator, CPU: 80, MemoryMB: 1024}
	if len(n.specs) != 1 || n.specs[0].Type != "compute" || n.specs[0].Requirements != want ||
		string(n.specs[0].Data) != `{"input":[1,2,3,4,5],"operations":["square","sum"]}` || n.keys[0] != "k1" {
		t.Errorf("the network was given %+v under keys %q", n.specs, n.keys)
	}
}

// TestRootContract: at the root the highest active type that knows a path
// answers, under a prefix only that type, and a node that does not play the
// type says who does.
func TestRootContract(t *testing.T) {
	assigned := golden(t, "regional_submit.request.json")
	only := func(types ...core.NodeType) map[core.NodeType]bool {
		m := map[core.NodeType]bool{}
		for _, t := range types {
			m[t] = true
		}
		return m
	}
	tests := []struct {
		name         string
		top          core.NodeType
		active       map[core.NodeType]bool
		method, path string
		body         string
		status       int
		has          string
	}{
		{"all types submit as global", core.Global, only(1, 2, 3), "POST", "/tasks", sample, 202, `"pending"`},
		{"alias follows the root", core.Regional, only(1, 2), "POST", "/api/tasks", assigned, 202, `"distributing"`},
		{"alias of status", core.Local, only(1), "GET", "/api/tasks/abc123", "", 200, `"abc123"`},
		{"alias of result", core.Local, only(1), "GET", "/api/tasks/abc123/result", "", 200, `55`},
		{"any node is a gateway for reading", core.Local, only(1), "GET", "/tasks/abc123", "", 200, `"progress"`},
		{"a lower type answers what the highest does not know", core.Global, only(1, 3), "GET", "/status", "", 200, `"aggregatedWith"`},
		{"a lower type accepts results", core.Global, only(2, 3), "POST", "/results", golden(t, "regional_result.request.json"), 202, `"aggregating"`},
		{"regional and local: state is regional", core.Regional, only(1, 2), "GET", "/network/state", "", 200, `"averageTaskDuration"`},
		{"the highest is on its way down", core.Global, only(1), "POST", "/tasks", sample, 404, "PUT /api/v1/roles"},
		{"a local node has no network state", core.Local, only(1), "GET", "/network/state", "", 404, "global or regional node"},
		{"a global node alone has no status", core.Global, only(3), "GET", "/status", "", 404, "local node"},
		{"no roles at all", 0, only(), "POST", "/tasks", sample, 404, "global or regional or local"},
		{"prefix of an inactive type", core.Global, only(3), "POST", "/local/tasks", assigned, 404, "local node"},
		{"global prefix guards reading too", core.Local, only(1), "GET", "/global/tasks/abc123", "", 404, "global node"},
		{"a type knows only its own paths", core.Global, only(1, 2, 3), "GET", "/regional/status", "", 404, "no endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork()
			n.top, n.active = tt.top, tt.active
			w := send(newServer(t, n, nil), tt.method, tt.path, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.has) {
				t.Errorf("status %d, want %d with %s: %s", w.Code, tt.status, tt.has, w.Body)
			}
			if tt.status == http.StatusNotFound {
				problem(t, w)
			}
		})
	}
}

// TestRolesChangeWhileServing: the next request sees the new roles.
func TestRolesChangeWhileServing(t *testing.T) {
	n := newNetwork().as(core.Local)
	s := newServer(t, n, nil)
	if w := send(s, "GET", "/network/state", ""); w.Code != 404 {
		t.Fatalf("local node answers the network's state: %d", w.Code)
	}
	n.top, n.active = core.Regional, map[core.NodeType]bool{core.Local: true, core.Regional: true}
	if w := send(s, "GET", "/network/state", ""); w.Code != 200 {
		t.Errorf("after taking the regional role: %d %s", w.Code, w.Body)
	}
}

// TestResultOfATask: how a task ended, and how to wait for it.
//
// spec 0.61
func TestResultOfATask(t *testing.T) {
	tests := []struct {
		name   string
		change func(*network)
		status int
		body   string
	}{
		{"completed", nil, 200, `{"taskId":"abc123","status":"completed","result":55}`},
		{"text is not escaped", func(n *network) { n.result.Result = json.RawMessage(`"<a&b>"`) }, 200,
			`{"taskId":"abc123","status":"completed","result":"<a&b>"}`},
		{"failed", func(n *network) {
			n.result = core.TaskResult{TaskID: "abc123", Status: core.TaskFailed,
				Failure: &core.Failure{Reason: core.ReasonNoCapableWorker, Message: "no worker has tier trainer"}}
		}, 200, `{"taskId":"abc123","status":"failed","failure":{"reason":"no_capable_worker","message":"no worker has tier trainer"}}`},
		{"not finished", func(n *network) { n.err = core.Errorf(core.Conflict, "task", "task abc123 is running") }, 409, "?wait=30s"},
		{"unknown", func(n *network) { n.err = core.Errorf(core.NotFound, "task", "task abc123 is unknown") }, 404, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork()
			if tt.change != nil {
				tt.change(n)
			}
			w := send(newServer(t, n, nil), "GET", "/tasks/abc123/result", "")
			got := strings.TrimSpace(w.Body.String())
			if w.Code != tt.status || (tt.status == 200) != (got == tt.body) || !strings.Contains(got, tt.body) {
				t.Errorf("status %d, body %s", w.Code, got)
			}
		})
	}
}
