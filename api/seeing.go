package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// Insight tells what happened to a task and why it is where it is, wherever it
// was submitted. Its errors are those of Tasks.
type Insight interface {
	// Events returns what happened behind event number after, oldest first. When
	// that is nothing yet it waits up to wait and then returns none.
	Events(ctx context.Context, id core.TaskID, after uint64, wait time.Duration) (core.TaskEvents, error)
	// Why says in plain words why a task is where it is and what would help.
	Why(ctx context.Context, id core.TaskID) (core.TaskWhy, error)
	// Trace says where a task's time went, as far as it is remembered.
	Trace(ctx context.Context, id core.TaskID) (core.Trace, error)
	// Output calls fn with what a task writes, as q says, until the task has ended, ctx
	// does or fn fails. A task that writes no output is core.NotFound.
	Output(ctx context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error
}

func (s *Server) insightRoutes() []*route {
	const base = "/api/v1/tasks/{taskId}"
	ok := func(v any) map[int][]any { return map[int][]any{http.StatusOK: {v}} }
	return []*route{
		{method: http.MethodGet, path: base + "/events", tag: tagTasks, serve: s.taskEvents, stream: true, media: []string{"text/event-stream"},
			summary: "What happens to a task until it ends (server-sent events); 204 when there is nothing more to come",
			out:     map[int][]any{http.StatusOK: {""}, http.StatusNoContent: nil},
			params: []param{{inQuery, "lastEventId", "as the header Last-Event-ID, for clients that cannot set it"},
				{inHeader, "Last-Event-ID", "only what came after this event, which any gateway may have sent"}}},
		{method: http.MethodGet, path: base + "/why", tag: tagTasks, serve: s.why,
			summary: "Why a task waits, runs or failed, and what would help", out: ok(core.TaskWhy{})},
		{method: http.MethodGet, path: base + "/trace", tag: tagTasks, serve: s.trace,
			summary: "Where a task's time went, on gateway, region and workers", out: ok(core.Trace{})},
		s.outputRoute(),
	}
}

func (s *Server) why(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	why, err := s.deps.Insight.Why(x.r.Context(), id)
	if err != nil {
		return err
	}
	why.Helps = list(why.Helps)
	return x.json(http.StatusOK, why)
}

func (s *Server) trace(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	told, err := s.deps.Insight.Trace(x.r.Context(), id)
	if err != nil {
		return err
	}
	told.Spans = list(told.Spans)
	return x.json(http.StatusOK, told)
}

// traceContext is the request's context with the trace it belongs to, if it says.
func (x *exchange) traceContext() context.Context {
	names := x.r.Header.Values("Traceparent")
	if len(names) != 1 {
		return x.r.Context()
	}
	return trace.With(x.r.Context(), names[0])
}

// taskFilter reads which tasks a list is about.
func (x *exchange) taskFilter() (core.TaskFilter, error) {
	q := x.query
	f := core.TaskFilter{Status: core.TaskState(q.Get("status")), Type: core.TaskType(q.Get("type")),
		Region: core.RegionID(q.Get("region")), After: q.Get("after"), Limit: defaultLimit}
	if v := q.Get("limit"); v != "" {
		var err error
		if f.Limit, err = strconv.Atoi(v); err != nil {
			return f, core.Errorf(core.Invalid, "limit", "limit %.40q is not a number from 1 to %d", v, core.MaxTaskList)
		}
	}
	return f, f.Validate()
}

// lastTaskEvent reads which event of a task the client has seen last, 0 for none.
func lastTaskEvent(x *exchange) (uint64, error) {
	field, v := "Last-Event-ID", x.r.Header.Get("Last-Event-ID")
	if v == "" {
		field, v = "lastEventId", x.query.Get("lastEventId")
	}
	if v == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(v, 10, 64)
	if err != nil || id == math.MaxUint64 {
		return 0, core.Errorf(core.Invalid, field, "%s %.40q is not an event's id", field, v)
	}
	return id, nil
}

// taskEvents streams what happens to one task and ends with it.
func (s *Server) taskEvents(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	after, err := lastTaskEvent(x)
	if err != nil {
		return err
	}
	release, err := s.sse.take("event streams")
	if err != nil {
		return err
	}
	defer release()
	news, err := s.deps.Insight.Events(x.r.Context(), id, after, 0)
	if err != nil {
		return err
	}
	if len(news.Events) == 0 && news.Final { // tells an EventSource not to come back
		x.WriteHeader(http.StatusNoContent)
		return nil
	}
	open := s.metrics.streams.WithLabelValues("sse")
	open.Inc()
	defer open.Dec()
	x.Header().Set("Content-Type", "text/event-stream")
	x.Header().Set("Cache-Control", "no-store")
	x.WriteHeader(http.StatusOK)
	s.followTask(&stream{x: x}, id, after, news)
	return nil
}

// followTask writes news until the task, the client, the server or the way to the
// task's home ends.
func (s *Server) followTask(st *stream, id core.TaskID, after uint64, news core.TaskEvents) {
	ctx, cancel := context.WithCancel(st.x.r.Context())
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	text := fmt.Sprintf("retry: %d\n\n", reconnectMS)
	for {
		text += taskEventText(news.Events)
		if n := len(news.Events); n > 0 {
			after = news.Events[n-1].ID
		}
		if text == "" {
			text = ": keep-alive\n\n"
		}
		if st.write(text) != nil || news.Final {
			return
		}
		text = ""
		var err error
		if news, err = s.deps.Insight.Events(ctx, id, after, keepAlive); err != nil || ctx.Err() != nil {
			return // the client comes back with the last id it saw
		}
	}
}

func taskEventText(events []core.TaskEvent) string {
	var b strings.Builder
	for _, e := range events {
		raw, err := json.Marshal(e)
		if err != nil { // only fixed types: it cannot fail
			continue
		}
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Event, raw)
	}
	return b.String()
}
