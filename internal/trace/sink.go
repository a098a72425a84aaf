package trace

import (
	"time"

	"github.com/tenzro/tenzro/core"
)

// Span is a span with its name in its trace.
type Span struct {
	Context         // its trace; Parent is the span above, zero for none
	ID      [8]byte // its own
	Task    core.TaskID
	core.Span
}

// Sink takes spans out of the node. Take must not block; what it has no room for
// is lost.
type Sink interface{ Take(Span) }

// Active is a span of this node that has begun and that no Ring knows. The zero
// value is none.
type Active struct {
	sink    Sink
	context Context // Parent is its own
	above   [8]byte
	begun   time.Time
}

// Start begins a span below an attempt that was offered with a traceparent; without
// a sink, or a traceparent that is to be exported, it begins nothing.
func Start(sink Sink, traceparent string, index, attempt int, now time.Time) Active {
	if sink == nil {
		return Active{}
	}
	above, ok := Parse(traceparent)
	if !ok || !above.Sampled() {
		return Active{}
	}
	above = above.Lease(index, attempt)
	a := Active{sink: sink, context: above, above: above.Parent, begun: now}
	a.context.Parent = newID()
	return a
}

// Context is what goes on from here: for offers to others.
func (a Active) Context() Context { return a.context }

// End exports the span; its start and length are filled in.
func (a Active) End(task core.TaskID, s core.Span, now time.Time) {
	if a.sink == nil {
		return
	}
	s.Start, s.TookUS = a.begun.UTC(), max(0, now.Sub(a.begun).Microseconds())
	own := Span{Context: a.context, ID: a.context.Parent, Task: task, Span: s}
	own.Context.Parent = a.above
	a.sink.Take(own)
}

// Lease exports how one attempt of it at a worker went (s has subtask and attempt).
func (a Active) Lease(task core.TaskID, s core.Span) {
	if a.sink != nil && s.Subtask != nil {
		a.sink.Take(Span{Context: a.context, ID: a.context.Lease(*s.Subtask, s.Attempt).Parent, Task: task, Span: s})
	}
}

// Within exports a span inside this one, whose start and length are known.
func (a Active) Within(task core.TaskID, s core.Span) {
	if a.sink != nil {
		a.sink.Take(Span{Context: a.context, ID: newID(), Task: task, Span: s})
	}
}

func newID() (id [8]byte) {
	fill(id[:])
	return id
}
