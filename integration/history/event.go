package history

import (
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Kind says what happened.
type Kind string

// The kinds of events, with the fields they use beside Kind and At.
const (
	// Sent: a client set out to submit the job Key, which should give Want, has
	// Timeout from its acknowledgement, and Parts subtasks that are worth Units
	// together. At is when it was due, not when there was time for it.
	Sent Kind = "sent"
	// Acked: Node took the job Key as Task.
	Acked Kind = "acked"
	// Doubtful: an attempt to submit Key at Node got no answer that says whether it
	// was taken; Note says what it got. The client tries again with the same key.
	Doubtful Kind = "doubtful"
	// Refused: the client gave Key up without an acknowledgement; Note says why.
	Refused Kind = "refused"
	// Ended: Node says that Task, the job Key, ended as State for Reason with
	// Result. At is when it ended.
	Ended Kind = "ended"
	// Unknown: Node does not say how Task, the job Key, ended, which it should know;
	// Note is what it says.
	Unknown Kind = "unknown"
	// Tried: Node shows the Attempts of Task, the job Key.
	Tried Kind = "tried"
	// Counted: Node has completed Count subtasks and was credited Units since its
	// process was started the Life-th time.
	Counted Kind = "counted"
	// Hit: a fault began at Node; Note names it.
	Hit Kind = "hit"
	// Healed: it was over.
	Healed Kind = "healed"
)

// Event is one thing that happened; which fields count depends on Kind.
type Event struct {
	Kind Kind
	At   time.Duration // since the run began
	Key  string        // the idempotency key, which names the job
	Task core.TaskID
	Node string
	Note string

	Want    string
	Timeout time.Duration
	Parts   int
	Units   uint64

	State    core.TaskState
	Reason   core.Reason
	Result   string
	Attempts []core.Attempt

	Life  int
	Count uint64
}

// Log is an append-only list of events, safe for concurrent use.
type Log struct {
	start time.Time

	mu     sync.Mutex
	events []Event
}

// NewLog returns an empty log of a run that begins at start.
func NewLog(start time.Time) *Log { return &Log{start: start} }

// Since returns the time of an event that happened at t.
func (l *Log) Since(t time.Time) time.Duration { return t.Sub(l.start) }

// Add appends what happened now, or at e.At where that is set.
func (l *Log) Add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.At == 0 {
		e.At = time.Since(l.start)
	}
	l.events = append(l.events, e)
}

// Events returns a copy of all events so far.
func (l *Log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}
