package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

const outputPath = "/api/v1/tasks/abc123/output"

func wrote(subtask int, stream core.Stream, offset int64, text string) core.OutputEvent {
	return core.OutputEvent{Event: core.OutputData, Subtask: &subtask, Attempt: 1, Stream: stream, Offset: &offset, Data: []byte(text),
		Cursor: core.OutputCursor{subtask: {Subtask: subtask, Run: 255, Stdout: offset + int64(len(text))}}}
}

// TestOutputStream: what a task writes reaches whoever listens, each event with where
// the stream is; a quiet one is kept alive; it ends with the task.
func TestOutputStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.output = make(chan core.OutputEvent)
		s, w := newServer(t, n, nil), &watcher{}
		defer watch(s, w, outputPath+"?subtask=3&stream=stdout", "Last-Event-ID: 3:ff:7:0")()
		if got := w.read(); got != "" {
			t.Errorf("before the first event %q", got)
		}
		if q := n.heard; *q.Subtask != 3 || q.Stream != core.Stdout || !q.Follow || q.After[3] != (core.OutputFrom{Subtask: 3, Run: 255, Stdout: 7}) {
			t.Errorf("asked for %+v", q)
		}
		n.output <- core.OutputEvent{Event: core.OutputTask, TaskID: "abc123", Status: core.TaskRunning, Subtasks: 4}
		want := "retry: 2000\n\nevent: task\ndata: {\"taskId\":\"abc123\",\"status\":\"running\",\"subtasks\":4}\n\n"
		if got := w.read(); got != want || w.status != 200 || w.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("status %d, got %q", w.status, got)
		}
		n.output <- wrote(3, core.Stdout, 7, "hi\n")
		want = "id: 3:ff:10:0\nevent: output\ndata: {\"subtask\":3,\"attempt\":1,\"stream\":\"stdout\",\"offset\":7,\"data\":\"aGkK\"}\n\n"
		if got := w.read(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		time.Sleep(20 * time.Second)
		if got := w.read(); got != ": keep-alive\n\n" {
			t.Errorf("in silence %q", got)
		}
		n.output <- core.OutputEvent{Event: core.OutputEnd, TaskID: "abc123", Status: core.TaskCompleted, Subtasks: 4, Note: "over"}
		close(n.output)
		if got := w.read(); got != "id: end\nevent: end\ndata: {\"taskId\":\"abc123\",\"status\":\"completed\",\"subtasks\":4,\"note\":\"over\"}\n\n" {
			t.Errorf("at the end %q", got)
		}
		if again := send(s, "GET", outputPath, "", "Last-Event-ID: end"); again.Code != 204 {
			t.Errorf("come back after the end: %d", again.Code)
		}
	})
}

// TestRawOutput is the bytes alone.
func TestRawOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.output = make(chan core.OutputEvent, 4)
		n.output <- core.OutputEvent{Event: core.OutputTask}
		n.output <- wrote(0, core.Stdout, 0, "a\x00")
		n.output <- wrote(0, core.Stderr, 0, "\xff")
		close(n.output)
		got := send(newServer(t, n, nil), "GET", outputPath+"?format=raw&follow=false", "")
		if got.Code != 200 || got.Body.String() != "a\x00\xff" || got.Header().Get("Content-Type") != "application/octet-stream" || n.heard.Follow {
			t.Errorf("%d %q %v", got.Code, got.Body, got.Header())
		}
	})
}

// TestBrokenOutput: what breaks off cannot be taken for what has ended.
func TestBrokenOutput(t *testing.T) {
	for name, broken := range map[string]error{"ends": nil, "breaks off": core.Errorf(core.Unavailable, "region", "it is gone")} {
		for _, format := range []string{"raw", "events"} {
			t.Run(format+" "+name, func(t *testing.T) {
				n := newNetwork()
				n.output = make(chan core.OutputEvent)
				web := httptest.NewServer(newServer(t, n, nil))
				defer web.Close()
				go func() {
					n.output <- wrote(0, core.Stdout, 0, "half")
					n.mu.Lock()
					n.err = broken
					n.mu.Unlock()
					close(n.output)
				}()
				r, err := http.Get(web.URL + outputPath + "?format=" + format)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Body.Close()
				text, err := io.ReadAll(r.Body)
				if r.StatusCode != 200 || format == "raw" && string(text) != "half" || errors.Is(err, io.ErrUnexpectedEOF) != (broken != nil) {
					t.Errorf("status %d, %q, %v", r.StatusCode, text, err)
				}
			})
		}
	}
}

// TestOutputRefusals: bad parameters, and what cannot be heard, are problems with a
// status of their own; the number of streams is bounded.
func TestOutputRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.output = make(chan core.OutputEvent)
		s := newServer(t, n, func(c *api.Config, _ *api.Deps) { c.Limits.Streams = 1 })
		for query, field := range map[string]string{"subtask=-1": "subtask", "subtask=4096": "subtask", "subtask=x": "subtask", "stream=stdin": "stream",
			"follow=perhaps": "follow", "format=xml": "format", "lastEventId=1:2:3": "Last-Event-ID", "lines=5": "query"} {
			if p := problem(t, send(s, "GET", outputPath+"?"+query, "")); p.Status != 400 || p.Field != field {
				t.Errorf("%s: %+v", query, p)
			}
		}
		w := &watcher{}
		stop := watch(s, w, outputPath)
		synctest.Wait()
		if p := problem(t, send(s, "GET", outputPath, "")); p.Status != 429 {
			t.Errorf("one stream too many: %+v", p)
		}
		stop()
		n.err = core.Errorf(core.NotFound, "taskId", "tasks like it write no output")
		if p := problem(t, send(s, "GET", outputPath, "")); p.Status != 404 || !strings.Contains(p.Detail, "write no output") {
			t.Errorf("%+v", p)
		}
	})
}

// TestSlowReader: a client that does not read keeps its listener waiting, and nobody
// else; when it goes, all of it goes.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.output = make(chan core.OutputEvent, 100)
		for i := range int64(100) {
			n.output <- wrote(0, core.Stdout, i, "x")
		}
		w := &watcher{gate: make(chan struct{})}
		stop := watch(newServer(t, n, nil), w, outputPath)
		time.Sleep(time.Hour)
		if left := len(n.output); left != 99 {
			t.Errorf("%d of 100 events are left for a client that reads nothing", left)
		}
		close(w.gate)
		stop()
	})
}
