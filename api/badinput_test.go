package api_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

// TestBadInput: a body that is wrong is refused with a 4xx that names the
// field, and nothing is started.
//
// spec 0.64
func TestBadInput(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	tests := []struct {
		name, path, body string
		status           int
		field            string
	}{
		{"no body", "/tasks", "", 400, "body"},
		{"not JSON", "/tasks", "type=compute", 400, "body"},
		{"half of JSON", "/tasks", sample[:50], 400, "requirements.minTier"},
		{"two values", "/tasks", sample + sample, 400, "body"},
		{"a list", "/tasks", "[1]", 400, "body"},
		{"null", "/tasks", "null", 400, "body"},
		{"unknown field", "/tasks", `{"type":"compute","data":{},"prioritie":1}`, 400, "prioritie"},
		{"unknown field inside", "/tasks", `{"type":"compute","data":{},"requirements":{"gpu":1}}`, 400, "requirements.gpu"},
		{"field in another case", "/tasks", `{"Type":"compute","data":{}}`, 400, "Type"},
		{"duplicate field", "/tasks", `{"type":"compute","type":"x","data":{}}`, 400, "type"},
		{"duplicate field in the data", "/tasks", `{"type":"compute","data":{"a":1,"a":2}}`, 400, "data.a"},
		{"depth bomb", "/tasks", `{"type":"compute","data":{"input":` + deep + `}}`, 400, "data.input" + strings.Repeat("[0]", 31)},
		{"number bomb", "/tasks", `{"type":"compute","data":{"input":[1` + strings.Repeat("0", 100) + `]}}`, 400, "data.input[0]"},
		{"not a number", "/tasks", `{"type":"compute","data":{"input":[NaN]}}`, 400, "data.input[0]"},
		{"invalid UTF-8", "/tasks", "{\"type\":\"comp\xffute\",\"data\":{}}", 400, "type"},
		{"wrong type", "/tasks", `{"type":5,"data":{}}`, 400, "type"},
		{"wrong type inside", "/tasks", `{"type":"compute","data":{},"requirements":{"cpu":"80"}}`, 400, "requirements.cpu"},
		{"cpu above 100", "/tasks", `{"type":"compute","data":{},"requirements":{"cpu":101}}`, 400, "requirements.cpu"},
		{"memory below zero", "/tasks", `{"type":"compute","data":{},"requirements":{"memoryMB":-1}}`, 400, "requirements.memoryMB"},
		{"fraction", "/tasks", `{"type":"compute","data":{},"parallelism":1.5}`, 400, "parallelism"},
		{"unknown tier", "/tasks", `{"type":"compute","data":{},"requirements":{"minTier":"best"}}`, 400, "requirements.minTier"},
		{"no type", "/tasks", `{"data":{}}`, 400, "type"},
		{"type with a slash", "/tasks", `{"type":"a/b","data":{}}`, 400, "type"},
		{"no data", "/tasks", `{"type":"compute"}`, 400, "data"},
		{"timeout of a year", "/tasks", `{"type":"compute","data":{},"timeoutMs":31536000000}`, 400, "timeoutMs"},
		{"assignment without id", "/regional/tasks", sample, 400, "taskId"},
		{"assignment with a slash in its id", "/local/tasks", `{"taskId":"a/b","type":"compute","data":{}}`, 400, "taskId"},
		{"global takes no id", "/global/tasks", `{"taskId":"a","type":"compute","data":{}}`, 400, "taskId"},
		{"result without node", "/results", `{"taskId":"a","result":1}`, 400, "nodeId"},
		{"result without result", "/results", `{"taskId":"a","nodeId":"b"}`, 400, "result"},
		{"aggregate without tier", "/aggregate", `{"timeout":5}`, 400, "targetTier"},
		{"aggregate to an unknown tier", "/aggregate", `{"targetTier":"x","timeout":5}`, 400, "targetTier"},
		{"aggregate without timeout", "/aggregate", `{"targetTier":"trainer"}`, 400, "timeout"},
		{"aggregate for ever", "/aggregate", `{"targetTier":"trainer","timeout":99999999999}`, 400, "timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork()
			w := send(newServer(t, n, nil), "POST", tt.path, tt.body)
			p := problem(t, w)
			if w.Code != tt.status || p.Field != tt.field {
				t.Errorf("status %d, field %q, want %d and %q: %s", w.Code, p.Field, tt.status, tt.field, p.Detail)
			}
			if n.calls != 0 {
				t.Error("the network was asked to do something")
			}
		})
	}
}

// TestMisspeltField: the answer names the field that was meant.
func TestMisspeltField(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"compute","data":{},"queueTimeout":1}`:         "queueTimeoutMs",
		`{"type":"compute","data":{},"requirements":{"cqu":1}}`: "cpu",
	} {
		w := send(newServer(t, newNetwork(), nil), "POST", "/tasks", body)
		if p := problem(t, w); w.Code != 400 || !strings.Contains(p.Hint, want) {
			t.Errorf("%s: status %d, hint %q, want %s", body, w.Code, p.Hint, want)
		}
	}
}

// TestRoles: roles are read and changed while the node runs.
func TestRoles(t *testing.T) {
	n := newNetwork()
	s := newServer(t, n, nil)
	if w := send(s, "PUT", "/api/v1/roles", `{"roles":["local","regional"]}`); w.Code != 200 || w.Body.String() != `{"roles":["local","regional"]}`+"\n" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	bad := []string{`{"roles":[]}`, `{"roles":null}`, `{"roles":["a b"]}`, `{"roles":[""]}`, `{"roles":"local"}`, `{}`,
		`{"roles":[` + strings.Repeat(`"local",`, 16) + `"local"]}`, `{"roles":["` + strings.Repeat("x", 33) + `"]}`}
	for _, body := range bad {
		if w := send(s, "PUT", "/api/v1/roles", body); w.Code != 400 || problem(t, w).Field != "roles" {
			t.Errorf("%s: status %d, body %s", body, w.Code, w.Body)
		}
	}
	if len(n.roles) != 2 || n.calls != 1 {
		t.Errorf("roles are %v after %d changes", n.roles, n.calls)
	}
	n.err = core.Errorf(core.Invalid, "role", "role \"king\" is unknown").WithHint("use global, regional, local")
	if w := send(s, "PUT", "/api/v1/roles", `{"roles":["king"]}`); w.Code != 400 || problem(t, w).Hint == "" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

// TestMode: the mode is read and changed while the node runs.
//
// spec 2.41
func TestMode(t *testing.T) {
	n := newNetwork()
	s := newServer(t, n, nil)
	if w := send(s, "PUT", "/api/v1/mode", `{"mode":"p2p-primary"}`); w.Code != 200 || w.Body.String() != `{"mode":"p2p-primary"}`+"\n" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	for _, body := range []string{`{"mode":""}`, `{"mode":"p 2 p"}`, `{"mode":1}`, `{}`, `{"mode":"` + strings.Repeat("x", 33) + `"}`} {
		if w := send(s, "PUT", "/api/v1/mode", body); w.Code != 400 || problem(t, w).Field != "mode" {
			t.Errorf("%s: status %d, body %s", body, w.Code, w.Body)
		}
	}
	if n.mode != "p2p-primary" || n.calls != 1 {
		t.Errorf("the mode is %s after %d changes", n.mode, n.calls)
	}
	n.err = core.Errorf(core.Invalid, "mode", "mode \"solo\" does not exist").WithHint("use hybrid")
	if w := send(s, "PUT", "/api/v1/mode", `{"mode":"solo"}`); w.Code != 400 || problem(t, w).Hint == "" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

// TestBodyLimits: oversize bodies and other types of content are refused
// before they are read, announced or not.
func TestBodyLimits(t *testing.T) {
	small := func(c *api.Config, _ *api.Deps) {
		c.Limits = api.Limits{TaskBody: 4096, Body: 512, BodyMemory: 6000}
	}
	padded := func(n int) string {
		return `{"type":"compute","data":{"pad":"` + strings.Repeat("x", n) + `"}}`
	}
	tests := []struct {
		name, path, body string
		headers          []string
		status           int
	}{
		{"task within its limit", "/tasks", padded(3000), nil, 202},
		{"task beyond", "/tasks", padded(5000), nil, 413},
		{"other body within", "/aggregate", `{"targetTier":"trainer","timeout":1}` + strings.Repeat(" ", 400), nil, 202},
		{"other body beyond", "/aggregate", `{"targetTier":"trainer","timeout":1}` + strings.Repeat(" ", 600), nil, 413},
		{"form", "/tasks", sample, []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"text", "/tasks", sample, []string{"Content-Type: text/plain"}, 415},
		{"broken type", "/tasks", sample, []string{"Content-Type: application/json; charset"}, 415},
		{"with a charset", "/tasks", sample, []string{"Content-Type: application/json; charset=utf-8"}, 202},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := send(newServer(t, newNetwork(), small), "POST", tt.path, tt.body, tt.headers...)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == 413 && problem(t, w).Field != "body" {
				t.Errorf("field of %s", w.Body)
			}
		})
	}
}

// TestBodyMemory: large bodies that are handled at the same time share one
// bound, and the share is given back.
func TestBodyMemory(t *testing.T) {
	n := newNetwork()
	n.gate, n.began = make(chan struct{}), make(chan struct{})
	s := newServer(t, n, func(c *api.Config, _ *api.Deps) {
		c.Limits = api.Limits{TaskBody: 4096, Body: 512, BodyMemory: 5000}
	})
	big := `{"type":"compute","data":"` + strings.Repeat("x", 3000) + `"}`
	post := func(body string) chan int {
		answer := make(chan int, 1)
		go func() { answer <- send(s, "POST", "/tasks", body).Code }()
		<-n.began // it is being handled
		return answer
	}
	finish := func(name string, answers ...chan int) {
		t.Helper()
		for range answers {
			n.gate <- struct{}{}
		}
		for _, answer := range answers {
			if code := <-answer; code != 202 {
				t.Errorf("%s: status %d", name, code)
			}
		}
	}
	first := post(big)
	if w := send(s, "POST", "/tasks", big); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a second large body: status %d", w.Code)
	}
	finish("a small body beside a large one", first, post(sample))
	finish("a large body after the first was answered", post(big))
}

// TestUnmatched: wrong paths and methods are problems too, and 405 says what is
// allowed.
func TestUnmatched(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	tests := []struct {
		method, target string
		status         int
		allow          string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"GET", "/tasks/", 404, ""},
		{"GET", "//livez", 404, ""},
		{"GET", "/a/../livez", 404, ""},
		{"GET", "/api/v1", 404, ""},
		{"GET", "/tasks", 405, "POST"},
		{"DELETE", "/tasks/abc", 405, "GET, HEAD"},
		{"PATCH", "/api/v1/roles", 405, "GET, HEAD, PUT"},
		{"OPTIONS", "/tasks", 405, "POST"},
		{"TRACE", "/livez", 405, "GET, HEAD"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			w := send(s, tt.method, tt.target, "")
			problem(t, w)
			if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
				t.Errorf("status %s, allow %q", strconv.Itoa(w.Code), w.Header().Get("Allow"))
			}
		})
	}
}
