package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

// watcher is a client of the event stream that can be told to stop reading.
type watcher struct {
	mu     sync.Mutex
	text   strings.Builder
	header http.Header
	status int
	gate   chan struct{} // when not nil, a write waits for it to close
}

func (w *watcher) Header() http.Header    { return w.header }
func (w *watcher) WriteHeader(status int) { w.status = status }
func (w *watcher) Flush()                 {}

func (w *watcher) Write(b []byte) (int, error) {
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

// read returns what has arrived since the last read.
func (w *watcher) read() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.text.Reset()
	return w.text.String()
}

// watch opens the stream; it ends with the returned function.
func watch(s http.Handler, w *watcher, target string, headers ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequestWithContext(ctx, "GET", target, nil)
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:4000"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w.header = http.Header{}
	done := make(chan struct{})
	go func() { defer close(done); s.ServeHTTP(w, r) }()
	return func() { cancel(); <-done }
}

// TestEventStream: what happens reaches a watcher with its id, name and data;
// a watcher that reconnects gets what it missed; a quiet stream is kept alive.
//
// spec 0.72 0.73 0.74
func TestEventStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := event.New(0)
		s := newServer(t, newNetwork(), func(_ *api.Config, d *api.Deps) { d.Events = bus })
		at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
		publish := func(n event.Name, id core.TaskID, data any) {
			bus.Publish(event.Event{Name: n, At: at, TaskID: id, Data: data})
		}
		publish(event.TaskReceived, "old", nil)
		w := &watcher{}
		stop := watch(s, w, "/api/v1/events")
		if got := w.read(); got != "retry: 2000\n\n" || w.header.Get("Content-Type") != "text/event-stream" || w.status != 200 {
			t.Errorf("begins with %q, status %d", got, w.status)
		}
		publish(event.TaskCompleted, "abc", map[string]int{"n": 1})
		want := "id: 2\nevent: task_completed\ndata: {\"id\":2,\"name\":\"task_completed\",\"at\":\"2026-11-20T09:00:00Z\",\"taskId\":\"abc\",\"data\":{\"n\":1}}\n\n"
		if got := w.read(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		publish(event.TaskFailed, "abc", func() {}) // does not encode
		if got := w.read(); got != "id: 3\nevent: task_failed\ndata: {\"id\":3,\"name\":\"task_failed\",\"at\":\"2026-11-20T09:00:00Z\",\"taskId\":\"abc\"}\n\n" {
			t.Errorf("an event without data: %q", got)
		}
		time.Sleep(31 * time.Second)
		if got := w.read(); got != ": keep-alive\n\n: keep-alive\n\n" {
			t.Errorf("31 quiet seconds: %q", got)
		}
		stop()
		for _, resume := range []struct{ target, header string }{{"/api/v1/events", "Last-Event-ID: 1"}, {"/api/v1/events?lastEventId=1", "X: y"}} {
			w = &watcher{}
			stop = watch(s, w, resume.target, resume.header)
			if got := w.read(); strings.Count(got, "id: ") != 2 || !strings.Contains(got, "id: 2\n") || !strings.Contains(got, "id: 3\n") {
				t.Errorf("resumed after 1 with %v: %q", resume, got)
			}
			stop()
		}
	})
}

// TestEveryEventIsSubscribable by its documented name, alone.
//
// spec 0.72 0.73 0.74
func TestEveryEventIsSubscribable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range event.Names() {
			bus := event.New(0)
			s := newServer(t, newNetwork(), func(_ *api.Config, d *api.Deps) { d.Events = bus })
			w := &watcher{}
			stop := watch(s, w, "/api/v1/events?names="+string(name))
			w.read()
			for _, n := range event.Names() {
				bus.Publish(event.Event{Name: n})
			}
			if got := w.read(); strings.Count(got, "event: ") != 1 || !strings.Contains(got, "event: "+string(name)+"\n") {
				t.Errorf("%s: %q", name, got)
			}
			stop()
		}
	})
}

// TestEventStreamRefusals: bad parameters are problems, and the number of
// streams is bounded and given back.
func TestEventStreamRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) { c.Limits.Streams = 1 })
		for target, field := range map[string]string{"?names=task_received,nonsense": "names", "?names=,": "names", "?lastEventId=x": "lastEventId", "?lastEventId=-1": "lastEventId"} {
			if p := problem(t, send(s, "GET", "/api/v1/events"+target, "")); p.Status != 400 || p.Field != field {
				t.Errorf("%s: %+v", target, p)
			}
		}
		if p := problem(t, send(s, "GET", "/api/v1/events", "", "Last-Event-ID: 18446744073709551615")); p.Field != "Last-Event-ID" {
			t.Errorf("largest id: %+v", p)
		}
		w := &watcher{}
		stop := watch(s, w, "/api/v1/events")
		w.read()
		if p := problem(t, send(s, "GET", "/api/v1/events", "")); p.Status != 429 || p.Code != "exhausted" {
			t.Errorf("second stream: %+v", p)
		}
		stop()
		w = &watcher{}
		stop = watch(s, w, "/api/v1/events")
		if w.read(); w.status != 200 {
			t.Errorf("after the first closed: status %d", w.status)
		}
		stop()
	})
}

// TestSlowWatcher holds nothing up and is told how much it lost.
func TestSlowWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := event.New(0)
		s := newServer(t, newNetwork(), func(_ *api.Config, d *api.Deps) { d.Events = bus })
		w := &watcher{gate: make(chan struct{})}
		stop := watch(s, w, "/api/v1/events")
		synctest.Wait() // the stream hangs in its first write
		const published = 1000
		for range published {
			bus.Publish(event.Event{Name: event.TaskCompleted})
		}
		close(w.gate)
		got := w.read()
		received, lost := strings.Count(got, "event: task_completed\n"), 0
		if _, tail, ok := strings.Cut(got, "event: lost\ndata: "); ok {
			if _, err := fmt.Sscanf(tail, `{"lost":%d}`, &lost); err != nil {
				t.Error(err)
			}
		}
		if lost == 0 || received+lost != published {
			t.Errorf("received %d, told of %d lost, published %d", received, lost, published)
		}
		stop()
	})
}
