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
	mu    sync.Mutex
	tasks map[core.TaskID]*entry
	order []core.TaskID // of tasks, a ring
	next  int           // in order
}

type entry struct {
	context Context
	spans   []core.Span
}

// NewRing returns a Ring for the last n tasks; 0 means DefaultTraces.
func NewRing(n int) *Ring {
	if n <= 0 {
		n = DefaultTraces
	}
	return &Ring{tasks: make(map[core.TaskID]*entry, n), order: make([]core.TaskID, n)}
}

// Begin makes a task known under a context; a known one keeps its own.
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
	e.context, r.tasks[id] = c, e
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

// Add records a span from begun until now, unless the task is not known (any more)
// or has MaxSpans.
func (r *Ring) Add(id core.TaskID, s core.Span, now time.Time) {
	if r == nil {
		return
	}
	s.TookUS = max(0, now.Sub(s.Start).Microseconds())
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.tasks[id]; e != nil && len(e.spans) < MaxSpans {
		e.spans = append(e.spans, s)
	}
}

// Context returns the name under which a task is traced, none when it is unknown.
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
