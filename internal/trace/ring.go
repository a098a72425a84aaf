package trace

import (
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// DefaultTraces is how many tasks a Ring remembers.
	DefaultTraces = 1024
	// MaxSpans bounds the spans of one task; later ones are dropped.
	MaxSpans = 128
	// usual is how many spans a task's place is made for.
	usual = 8
)

// Ring remembers the spans of the last tasks. It is safe for concurrent use; a nil
// Ring remembers nothing.
type Ring struct {
	sink Sink // may be nil

	mu    sync.Mutex
	tasks map[core.TaskID]*entry
	order []core.TaskID // of tasks, a ring
	next  int           // in order
}

type entry struct {
	context Context // Parent is this node's own span of the task
	above   [8]byte // the span that one is part of
	ended   bool
	spans   []core.Span
}

// NewRing returns a Ring for the last n tasks; 0 means DefaultTraces. What is
// recorded also goes to sink, unless that is nil.
func NewRing(n int, sink Sink) *Ring {
	if n <= 0 {
		n = DefaultTraces
	}
	return &Ring{sink: sink, tasks: make(map[core.TaskID]*entry, n), order: make([]core.TaskID, n)}
}

// Begin makes a task known under a context and begins this node's own span of it;
// a known one keeps its own.
func (r *Ring) Begin(id core.TaskID, c Context) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tasks[id] != nil {
		return
	}
	e := r.room()
	r.order[r.next] = id
	r.next = (r.next + 1) % len(r.order)
	e.context, e.above, e.ended, r.tasks[id] = c, c.Parent, false, e
	fill(e.context.Parent[:])
}

// room forgets the oldest task and returns its place, so that a busy node
// allocates nothing.
func (r *Ring) room() *entry {
	old := r.order[r.next]
	e := r.tasks[old]
	delete(r.tasks, old)
	if e == nil || cap(e.spans) > usual {
		return &entry{spans: make([]core.Span, 0, usual)}
	}
	e.spans = e.spans[:0]
	return e
}

// Add records a span from begun until now, part of this node's own, unless the
// task is not known (any more) or has MaxSpans.
func (r *Ring) Add(id core.TaskID, s core.Span, now time.Time) {
	if r == nil {
		return
	}
	s.TookUS = max(0, now.Sub(s.Start).Microseconds())
	if c := r.remember(id, s); c != (Context{}) {
		r.tell(Span{Context: c, ID: newID(), Task: id, Span: s})
	}
}

// Remember is Add for what another node tells of itself: it is not exported.
func (r *Ring) Remember(id core.TaskID, s core.Span, now time.Time) {
	if r == nil {
		return
	}
	s.TookUS = max(0, now.Sub(s.Start).Microseconds())
	r.remember(id, s)
}

// remember returns the task's context if there was room.
func (r *Ring) remember(id core.TaskID, s core.Span) Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.tasks[id]; e != nil && len(e.spans) < MaxSpans {
		e.spans = append(e.spans, s)
		return e.context
	}
	return Context{}
}

// Lease exports how one attempt went (s has subtask and attempt); the ring does not
// remember it, the job's record does.
func (r *Ring) Lease(id core.TaskID, s core.Span) {
	if r == nil || r.sink == nil || s.Subtask == nil {
		return
	}
	if c := r.Context(id); c != (Context{}) {
		r.tell(Span{Context: c, ID: c.Lease(*s.Subtask, s.Attempt).Parent, Task: id, Span: s})
	}
}

// End exports this node's own span of a task, once.
func (r *Ring) End(id core.TaskID, s core.Span) {
	if r == nil {
		return
	}
	r.mu.Lock()
	e := r.tasks[id]
	if e == nil || e.ended {
		r.mu.Unlock()
		return
	}
	e.ended = true
	own := Span{Context: e.context, ID: e.context.Parent, Task: id, Span: s}
	own.Context.Parent = e.above
	r.mu.Unlock()
	r.tell(own)
}

// Sink returns where spans are exported to, nil for nowhere.
func (r *Ring) Sink() Sink {
	if r == nil {
		return nil
	}
	return r.sink
}

func (r *Ring) tell(s Span) {
	if r.sink != nil && s.Sampled() {
		r.sink.Take(s)
	}
}

// Context returns the name under which a task is traced, its parent this node's own
// span, for those who go on with it; none when it is unknown.
func (r *Ring) Context(id core.TaskID) Context {
	if r == nil {
		return Context{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.tasks[id]; e != nil {
		return e.context
	}
	return Context{}
}

// Spans returns what was recorded of a task.
func (r *Ring) Spans(id core.TaskID) []core.Span {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.tasks[id]; e != nil {
		return slices.Clone(e.spans)
	}
	return nil
}
