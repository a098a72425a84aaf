package testnet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	callLimit = 90 * time.Second
	// waitStep is how long one request for a result waits at the node.
	waitStep = 10 * time.Second
)

// API is a node's HTTP API as a client sees it.
type API struct {
	Base string // http://host:port

	t testing.TB
}

// Answer is what came back for one request.
type Answer struct {
	Request string
	Status  int
	Header  http.Header
	Body    []byte

	t testing.TB
}

// Do sends one request; a body is sent as JSON.
func (a API) Do(method, path string, body []byte) Answer {
	a.t.Helper()
	answer, err := a.Try(method, path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// Try is Do for goroutines beside the test's own: it returns the error.
func (a API) Try(method, path string, body []byte) (Answer, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections() // not DisableKeepAlives: a refused body would race with its refusal
	client := http.Client{Timeout: callLimit, Transport: transport}
	req, err := http.NewRequest(method, a.Base+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{Request: method + " " + path, Status: resp.StatusCode, Header: resp.Header, Body: text, t: a.t}, err
}

// Get asks for a path.
func (a API) Get(path string) Answer { a.t.Helper(); return a.Do(http.MethodGet, path, nil) }

// Post sends a body.
func (a API) Post(path, body string) Answer {
	a.t.Helper()
	return a.Do(http.MethodPost, path, []byte(body))
}

// Put replaces what is at path.
func (a API) Put(path, body string) Answer {
	a.t.Helper()
	return a.Do(http.MethodPut, path, []byte(body))
}

// Is fails the test unless the answer has this status.
func (a Answer) Is(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s answers %d, not %d: %.600s", a.Request, a.Status, status, a.Body)
	}
	return a
}

// Into decodes a good answer.
func (a Answer) Into(out any) {
	a.t.Helper()
	if err := a.Decode(out); err != nil {
		a.t.Fatal(err)
	}
}

// Decode is Into for goroutines beside the test's own: it returns the error.
func (a Answer) Decode(out any) error {
	if a.Status/100 != 2 {
		return fmt.Errorf("%s answers %d: %.600s", a.Request, a.Status, a.Body)
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("%s answers what does not decode: %w: %.600s", a.Request, err, a.Body)
	}
	return nil
}

// Equals fails the test unless a good answer is the same JSON as want.
func (a Answer) Equals(want string) {
	a.t.Helper()
	var got, expected any
	a.Into(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		a.t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) {
		a.t.Fatalf("%s answers %s, not %s", a.Request, a.Body, want)
	}
}

// Object decodes a good answer that must have exactly these fields, in any order.
func (a Answer) Object(fields ...string) map[string]any {
	a.t.Helper()
	var got map[string]any
	a.Into(&got)
	Fields(a.t, a.Request, got, fields...)
	return got
}

// Fields fails the test unless an object has exactly these fields.
func Fields(t testing.TB, what string, object any, fields ...string) map[string]any {
	t.Helper()
	m, ok := object.(map[string]any)
	if !ok {
		t.Fatalf("%s: %v is not an object", what, object)
	}
	for _, f := range fields {
		if _, ok := m[f]; !ok {
			t.Errorf("%s: field %q is missing in %v", what, f, m)
		}
	}
	if len(m) != len(fields) {
		t.Errorf("%s: the fields of %v are not %v", what, m, fields)
	}
	return m
}

// Submit hands in a task and returns its id.
func (a API) Submit(spec string) core.TaskID {
	a.t.Helper()
	var status core.TaskStatus
	a.Post("/api/v1/tasks", spec).Is(http.StatusAccepted).Into(&status)
	return status.TaskID
}

// Status returns where a task is.
func (a API) Status(id core.TaskID) core.TaskStatus {
	a.t.Helper()
	var status core.TaskStatus
	a.Get("/api/v1/tasks/" + string(id)).Into(&status)
	return status
}

// Result waits for a task's end.
func (a API) Result(id core.TaskID, within time.Duration) core.TaskResult {
	a.t.Helper()
	var result core.TaskResult
	Await(a.t, fmt.Sprintf("the end of task %s at %s", id, a.Base), within, func() error {
		answer := a.Get(fmt.Sprintf("/api/v1/tasks/%s/result?wait=%s", id, min(waitStep, within)))
		if answer.Status == http.StatusConflict {
			return fmt.Errorf("it has not ended: %+v", a.Status(id))
		}
		answer.Into(&result)
		return nil
	})
	return result
}

// Completed waits for a task's end and fails the test unless it is a result.
func (a API) Completed(id core.TaskID, within time.Duration) core.TaskResult {
	a.t.Helper()
	r := a.Result(id, within)
	if r.Status != core.TaskCompleted || r.Failure != nil {
		a.t.Fatalf("task %s is %s: %v", id, r.Status, r.Failure)
	}
	return r
}

// Tasks returns the newest tasks of the network, as this gateway sees it.
func (a API) Tasks() []core.TaskStatus {
	a.t.Helper()
	var list struct{ Tasks []core.TaskStatus }
	a.Get("/api/v1/tasks").Into(&list)
	return list.Tasks
}
