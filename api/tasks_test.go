package api_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestTasksV1: the endpoints that are not in the documents.
//
// spec 2.66
func TestTasksV1(t *testing.T) {
	conflict := core.Errorf(core.Conflict, "task", "task abc123 is completed")
	tests := []struct {
		name         string
		method, path string
		body         string
		headers      []string
		change       func(*network)
		status       int
		has          string // in the body
	}{
		{"submit", "POST", "/api/v1/tasks", sample, nil, nil, 202, `"status":"pending"`},
		{"submit and wait", "POST", "/api/v1/tasks?wait=1s", sample, nil, nil, 200, `"result":55`},
		{"same key, another body", "POST", "/api/v1/tasks", sample, []string{"Idempotency-Key: a"},
			func(n *network) { n.err = core.Errorf(core.Exists, "Idempotency-Key", "another task has this key") }, 422, `"code":"exists"`},
		{"empty key", "POST", "/api/v1/tasks", sample, []string{"Idempotency-Key: "}, nil, 400, `"field":"Idempotency-Key"`},
		{"key with a space", "POST", "/api/v1/tasks", sample, []string{"Idempotency-Key: a b"}, nil, 400, `"field":"Idempotency-Key"`},
		{"long key", "POST", "/tasks", sample, []string{"Idempotency-Key: " + strings.Repeat("k", 129)}, nil, 400, `"field":"Idempotency-Key"`},
		{"two keys", "POST", "/tasks", sample, []string{"Idempotency-Key: a", "Idempotency-Key: a"}, nil, 400, `"field":"Idempotency-Key"`},
		{"longest key", "POST", "/tasks", sample, []string{"Idempotency-Key: " + strings.Repeat("k", 128)}, nil, 202, ""},
		{"reuse", "POST", "/api/v1/tasks?reuse=true", sample, []string{"Idempotency-Key: a"}, nil, 202, `"status":"pending"`},
		{"reuse that is no word", "POST", "/api/v1/tasks?reuse=perhaps", sample, nil, nil, 400, `"field":"reuse"`},
		{"list", "GET", "/api/v1/tasks", "", nil, nil, 200, `{"tasks":[{"taskId":"abc123"`},
		{"list by state", "GET", "/api/v1/tasks?status=failed&limit=5", "", nil, nil, 200, `{"tasks":[]}`},
		{"list of an unknown state", "GET", "/api/v1/tasks?status=done", "", nil, nil, 400, `"field":"status"`},
		{"list of too many", "GET", "/api/v1/tasks?limit=1001", "", nil, nil, 400, `"field":"limit"`},
		{"list of none", "GET", "/api/v1/tasks?limit=0", "", nil, nil, 400, `"field":"limit"`},
		{"list with everything", "GET", "/api/v1/tasks?status=pending&type=compute&region=us-east&limit=5&after=MS4xLmE", "", nil,
			func(n *network) { n.next, n.silent = "MS4xLmI", []core.RegionID{"eu"} }, 200, `"next":"MS4xLmI","incomplete":["eu"]}`},
		{"list behind an unknown cursor", "GET", "/api/v1/tasks?after=MS4x", "", nil, nil, 400, `"field":"after"`},
		{"list of a bad region", "GET", "/api/v1/tasks?region=US", "", nil, nil, 400, `"field":"region"`},
		{"list of a bad type", "GET", "/api/v1/tasks?type=a%20b", "", nil, nil, 400, `"field":"type"`},
		{"why", "GET", "/api/v1/tasks/abc123/why", "", nil, nil, 200, `"because":"it waits","helps":["wait"]`},
		{"trace", "GET", "/api/v1/tasks/abc123/trace", "", nil, nil, 200, `"traceId":"4bf9","spans":[{"name":"task"`},
		{"a bad traceparent is ignored", "POST", "/api/v1/tasks", sample, []string{"Traceparent: nonsense"}, nil, 202, `"status":"pending"`},
		{"why of an unknown task", "GET", "/api/v1/tasks/abc123/why", "", nil,
			func(n *network) { n.err = core.Errorf(core.NotFound, "taskId", "unknown") }, 404, `"code":"not_found"`},
		{"events of an unknown task", "GET", "/api/v1/tasks/abc123/events", "", nil,
			func(n *network) { n.err = core.Errorf(core.NotFound, "taskId", "unknown") }, 404, `"code":"not_found"`},
		{"events after nonsense", "GET", "/api/v1/tasks/abc123/events", "", []string{"Last-Event-ID: -1"}, nil, 400, `"field":"Last-Event-ID"`},
		{"events after the end", "GET", "/api/v1/tasks/abc123/events?lastEventId=7", "", nil, func(n *network) { n.ended = true }, 204, ``},
		{"unknown parameter", "GET", "/api/v1/tasks?state=failed", "", nil, nil, 400, `\"state\" is unknown`},
		{"parameter twice", "GET", "/api/v1/tasks?limit=1&limit=2", "", nil, nil, 400, `"field":"limit"`},
		{"status", "GET", "/api/v1/tasks/abc123", "", nil, nil, 200, `"subtasks":0`},
		{"result", "GET", "/api/v1/tasks/abc123/result", "", nil, nil, 200, `"result":55`},
		{"wait of a minute and more", "GET", "/api/v1/tasks/abc123/result?wait=61s", "", nil, nil, 400, `"field":"wait"`},
		{"negative wait", "GET", "/tasks/abc123/result?wait=-1s", "", nil, nil, 400, `"field":"wait"`},
		{"wait without a unit", "GET", "/tasks/abc123/result?wait=5", "", nil, nil, 400, `?wait=10s`},
		{"cancel", "POST", "/api/v1/tasks/abc123/cancel", "", nil, nil, 200, `"taskId":"abc123"`},
		{"cancel what has ended", "POST", "/api/v1/tasks/abc123/cancel", "", nil, func(n *network) { n.err = conflict }, 409, `"code":"conflict"`},
		{"id with a slash", "GET", "/api/v1/tasks/a%2Fb", "", nil, nil, 400, `"field":"taskId"`},
		{"id that climbs", "GET", "/api/v1/tasks/%2e%2e", "", nil, nil, 400, `"field":"taskId"`},
		{"id too long", "GET", "/tasks/" + strings.Repeat("a", 65), "", nil, nil, 400, `"field":"taskId"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork()
			if tt.change != nil {
				tt.change(n)
			}
			w := send(newServer(t, n, nil), tt.method, tt.path, tt.body, tt.headers...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.has) {
				t.Errorf("status %d, want %d with %s: %s", w.Code, tt.status, tt.has, w.Body)
			}
			if tt.status == 400 && n.calls != 0 {
				t.Errorf("%d calls were made for a refused request", n.calls)
			}
		})
	}
}

// TestWaitThatIsTooShort: an accepted task is answered with its status, never
// with an error, because the client must learn its id.
func TestWaitThatIsTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.waits = true
		begun := time.Now()
		w := send(newServer(t, n, nil), "POST", "/api/v1/tasks?wait=10s", sample)
		var status core.TaskStatus
		if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || w.Code != 202 || status.TaskID != "abc123" {
			t.Errorf("status %d, body %s, error %v", w.Code, w.Body, err)
		}
		if w.Header().Get("Location") != "/api/v1/tasks/abc123" {
			t.Errorf("location %q", w.Header().Get("Location"))
		}
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("waited %s", took)
		}
	})
}

// TestKindsBecomeStatuses: one table, no kind forgotten, and an internal error
// tells the client nothing but where to look.
func TestKindsBecomeStatuses(t *testing.T) {
	want := map[core.Kind]int{core.Internal: 500, core.Invalid: 400, core.NotFound: 404, core.Exists: 422, core.Denied: 403,
		core.Conflict: 409, core.Exhausted: 429, core.Unavailable: 503, core.Timeout: 504, core.Corrupt: 502, core.Unsupported: 501, core.Full: 507}
	for k := core.Internal; k <= core.Full; k++ {
		t.Run(k.String(), func(t *testing.T) {
			n := newNetwork()
			n.err = core.Errorf(k, "data.input[3]", "secret detail").WithHint("do this")
			w := send(newServer(t, n, nil), "POST", "/tasks", sample, "X-Request-Id: my-id_1")
			p := problem(t, w)
			if w.Code != want[k] || p.Code != k.String() || p.RequestID != "my-id_1" {
				t.Errorf("status %d, problem %+v", w.Code, p)
			}
			if hidden := k == core.Internal; hidden == strings.Contains(p.Detail, "secret") || hidden == (p.Hint == "do this") {
				t.Errorf("detail %q, hint %q", p.Detail, p.Hint)
			}
			if (p.Field == "data.input[3]") != (k == core.Invalid) {
				t.Errorf("field %q", p.Field)
			}
			if again := w.Header().Get("Retry-After"); (again == "1") != (k == core.Exhausted || k == core.Unavailable) {
				t.Errorf("retry-after %q", again)
			}
		})
	}
	n := newNetwork()
	n.err = errors.New("a plain error is a bug")
	if w := send(newServer(t, n, nil), "GET", "/tasks/a", ""); w.Code != 500 || strings.Contains(w.Body.String(), "bug") {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

// TestRequestID: a client's id is used when it is harmless, else replaced.
func TestRequestID(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	for _, bad := range []string{"", "with space", "a/b", strings.Repeat("x", 65), "é"} {
		if got := send(s, "GET", "/livez", "", "X-Request-Id: "+bad).Header().Get("X-Request-Id"); got == bad || len(got) < 16 {
			t.Errorf("id %q became %q", bad, got)
		}
	}
}
