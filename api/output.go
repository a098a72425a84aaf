package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tenzro/tenzro/core"
)

// outputEnded is the id of the last event of a stream of output.
const outputEnded = "end"

func (s *Server) outputRoute() *route {
	return &route{method: http.MethodGet, path: "/api/v1/tasks/{taskId}/output", tag: tagTasks, serve: s.output, stream: true,
		media:   []string{"text/event-stream", "application/octet-stream"},
		summary: "What a running task writes to its standard output and error, as it is written; 204 when there is nothing more to come",
		out:     map[int][]any{http.StatusOK: {""}, http.StatusNoContent: nil},
		params: []param{{inQuery, "subtask", "only this subtask"}, {inQuery, "stream", "only stdout or stderr"},
			{inQuery, "follow", "false for what is there now; true, the default, until the task has ended"},
			{inQuery, "format", "events, the default, or raw: the bytes alone"},
			{inQuery, "lastEventId", "as the header Last-Event-ID, for clients that cannot set it"},
			{inHeader, "Last-Event-ID", "only what was written after this event, which any gateway may have sent"}}}
}

// outputQuery reads what the client wants to hear.
func (x *exchange) outputQuery() (q core.OutputQuery, raw bool, err error) {
	q.Follow = true
	if v := x.query.Get("subtask"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n >= core.MaxParallelism {
			return q, false, core.Errorf(core.Invalid, "subtask", "subtask %.40q is not a number from 0 to %d", v, core.MaxParallelism-1)
		}
		q.Subtask = &n
	}
	if q.Stream = core.Stream(x.query.Get("stream")); q.Stream != "" && !q.Stream.Valid() {
		return q, false, core.Errorf(core.Invalid, "stream", "stream %.40q is neither stdout nor stderr", string(q.Stream))
	}
	if v := x.query.Get("follow"); v != "" {
		if q.Follow, err = strconv.ParseBool(v); err != nil {
			return q, false, core.Errorf(core.Invalid, "follow", "follow %.40q is neither true nor false", v)
		}
	}
	switch v := x.query.Get("format"); v {
	case "", "events":
	case "raw":
		raw = true
	default:
		return q, false, core.Errorf(core.Invalid, "format", "format %.40q is neither events nor raw", v)
	}
	q.After, err = core.ParseOutputCursor(x.lastID())
	return q, raw, err
}

// lastID is the id of the last event that the client has seen, empty for none and
// for the end of an output.
func (x *exchange) lastID() string {
	v := x.r.Header.Get("Last-Event-ID")
	if v == "" {
		v = x.query.Get("lastEventId")
	}
	return v
}

// output streams what one task writes.
func (s *Server) output(x *exchange) error {
	id, err := x.taskID()
	if err != nil {
		return err
	}
	if x.lastID() == outputEnded { // tells an EventSource not to come back
		x.WriteHeader(http.StatusNoContent)
		return nil
	}
	q, raw, err := x.outputQuery()
	if err != nil {
		return err
	}
	done, err := s.streaming()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	w := &outputStream{x: x, raw: raw, events: make(chan core.OutputEvent)}
	return w.serve(ctx, cancel, func(fn func(core.OutputEvent) error) error { return s.deps.Insight.Output(ctx, id, q, fn) })
}

// outputStream writes the output of one task to one client.
type outputStream struct {
	x      *exchange
	raw    bool
	begun  bool
	events chan core.OutputEvent
}

// serve writes what listen hears. The answer begins with the first event: until then
// an error has a status of its own, and from then on cuts the answer short.
func (w *outputStream) serve(ctx context.Context, cancel func(), listen func(func(core.OutputEvent) error) error) error {
	ended := make(chan error, 1)
	taken := make(chan error) // what became of an event: it is the listener's again
	go func() {
		ended <- listen(func(e core.OutputEvent) error {
			select {
			case w.events <- e:
				return <-taken
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	w.x.extend(keepAlive + streamWrites)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	gone := false
	for {
		select {
		case e := <-w.events:
			err := w.send(e)
			gone = gone || err != nil
			taken <- err
		case <-tick.C:
			if w.begun && w.write(": keep-alive\n\n", nil) != nil {
				cancel()
			}
		case err := <-ended:
			if gone { // nobody is left to tell
				return nil
			}
			return err
		}
	}
}

// send writes one event.
func (w *outputStream) send(e core.OutputEvent) error {
	if !w.begun {
		w.begin()
	}
	if w.raw {
		return w.write("", e.Data)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("event: %s\ndata: %s\n\n", e.Event, data)
	switch id := e.Cursor.String(); {
	case e.Event == core.OutputEnd:
		text = "id: " + outputEnded + "\n" + text
	case id != "":
		text = "id: " + id + "\n" + text
	}
	return w.write(text, nil)
}

func (w *outputStream) begin() {
	w.begun = true
	h := w.x.Header()
	h.Set("Content-Type", "text/event-stream")
	if w.raw {
		h.Set("Content-Type", "application/octet-stream")
	}
	h.Set("Cache-Control", "no-store")
	w.x.WriteHeader(http.StatusOK)
	_ = w.write(fmt.Sprintf("retry: %d\n\n", reconnectMS), nil) // the next write fails too
}

// write writes text to a stream of events, and data to a raw one.
func (w *outputStream) write(text string, data []byte) error {
	w.x.extend(streamWrites)
	if !w.raw {
		data = []byte(text)
	}
	if _, err := w.x.Write(data); err != nil {
		return err
	}
	return http.NewResponseController(w.x.ResponseWriter).Flush()
}
