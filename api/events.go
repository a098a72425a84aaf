package api

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

const (
	tagWatch     = "watch"
	socketPath   = "/ws"
	eventBuffer  = 256              // events that may wait for one slow client
	keepAlive    = 15 * time.Second // proxies close streams that are silent for longer
	streamWrites = 10 * time.Second // how long one write to a stream may take
	reconnectMS  = 2000
)

// slots bounds how many streams of a kind are open.
type slots struct {
	taken atomic.Int64
	most  int64
}

// take reserves a slot and returns how to give it back.
func (s *slots) take(what string) (func(), error) {
	if s.taken.Add(1) > s.most {
		s.taken.Add(-1)
		return nil, core.Errorf(core.Exhausted, what, "this node serves %d %s already", s.most, what).
			WithHint("close one, or ask another node")
	}
	return func() { s.taken.Add(-1) }, nil
}

func (s *Server) watchRoutes() []*route {
	return []*route{
		{method: http.MethodGet, path: "/api/v1/events", tag: tagWatch, serve: s.events, stream: true, media: []string{"text/event-stream"},
			summary: "Events as they happen (server-sent events)", out: map[int][]any{http.StatusOK: {""}},
			params: []param{{inQuery, "names", "only these events, separated by commas"},
				{inQuery, "lastEventId", "as the header Last-Event-ID, for clients that cannot set it"},
				{inHeader, "Last-Event-ID", "resume after this event"}}},
		{method: http.MethodGet, path: socketPath, tag: tagWatch, serve: s.socket, stream: true,
			summary: "Signaling and events over WebSocket", out: map[int][]any{http.StatusSwitchingProtocols: nil}},
	}
}

// filter is a set of event names; nil lets every event through.
type filter map[event.Name]bool

func (f filter) wants(n event.Name) bool { return f == nil || f[n] }

func newFilter(field string, names []string) (filter, error) {
	f := filter{}
	for _, n := range names {
		if !slices.Contains(event.Names(), event.Name(n)) {
			return nil, core.Errorf(core.Invalid, field, "event %.40q is unknown", n).WithHint("docs/api.md lists the events")
		}
		f[event.Name(n)] = true
	}
	return f, nil
}

// resumeAfter reads where the client was; a client that says nothing wants only
// what happens from now on.
func resumeAfter(x *exchange) (uint64, error) {
	field, v := "Last-Event-ID", x.r.Header.Get("Last-Event-ID")
	if v == "" {
		field, v = "lastEventId", x.query.Get("lastEventId")
	}
	if v == "" {
		return event.Live, nil
	}
	id, err := strconv.ParseUint(v, 10, 64)
	if err != nil || id == math.MaxUint64 {
		return 0, core.Errorf(core.Invalid, field, "%s %.40q is not an event's id", field, v)
	}
	return id, nil
}

// streaming takes a place for one more stream of events, which done gives back.
func (s *Server) streaming() (done func(), err error) {
	release, err := s.sse.take("event streams")
	if err != nil {
		return nil, err
	}
	open := s.metrics.streams.WithLabelValues("sse")
	open.Inc()
	return func() { open.Dec(); release() }, nil
}

// events streams until the client or the server goes.
func (s *Server) events(x *exchange) error {
	var names filter
	if v := x.query.Get("names"); v != "" {
		var err error
		if names, err = newFilter("names", strings.Split(v, ",")); err != nil {
			return err
		}
	}
	after, err := resumeAfter(x)
	if err != nil {
		return err
	}
	done, err := s.streaming()
	if err != nil {
		return err
	}
	defer done()
	sub := s.deps.Events.Subscribe(after, eventBuffer)
	defer sub.Close()
	x.Header().Set("Content-Type", "text/event-stream")
	x.Header().Set("Cache-Control", "no-store")
	x.WriteHeader(http.StatusOK)
	st := &stream{x: x, sub: sub, names: names, lost: s.metrics.drops.Add}
	s.pump(st)
	return nil
}

// pump is the stream's loop. An error means that the client is gone.
func (s *Server) pump(st *stream) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	err := st.write(fmt.Sprintf("retry: %d\n\n", reconnectMS))
	for err == nil {
		select {
		case <-st.x.r.Context().Done():
			return
		case <-s.draining.Done():
			_ = st.write("event: shutdown\ndata: {}\n\n")
			return
		case <-tick.C:
			err = st.write(": keep-alive\n\n")
		case e := <-st.sub.C():
			err = st.send(e)
		}
	}
}

// stream writes events to one client.
type stream struct {
	x     *exchange
	sub   *event.Subscription
	names filter
	lost  func(float64)
	told  uint64 // drops the client was told of
}

// send writes e and everything that waits behind it in one go, and how many
// were lost.
func (st *stream) send(e event.Event) error {
	var b strings.Builder
	st.format(&b, e)
	for n := len(st.sub.C()); n > 0 && b.Len() < 64<<10; n-- {
		st.format(&b, <-st.sub.C())
	}
	if d := st.sub.Dropped(); d > st.told {
		fmt.Fprintf(&b, "event: lost\ndata: {\"lost\":%d}\n\n", d-st.told)
		st.lost(float64(d - st.told))
		st.told = d
	}
	if b.Len() == 0 {
		return nil
	}
	return st.write(b.String())
}

func (st *stream) format(b *strings.Builder, e event.Event) {
	if !st.names.wants(e.Name) {
		return
	}
	fmt.Fprintf(b, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Name, eventJSON(e))
}

// eventJSON never fails: an event whose data does not encode is shown without.
func eventJSON(e event.Event) json.RawMessage {
	raw, err := json.Marshal(e)
	if err != nil {
		e.Data = nil
		raw, _ = json.Marshal(e) // only fixed types are left
	}
	return raw
}

func (st *stream) write(text string) error {
	st.x.extend(streamWrites)
	if _, err := io.WriteString(st.x, text); err != nil {
		return err
	}
	return http.NewResponseController(st.x.ResponseWriter).Flush()
}
