package core

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Stream is one of the two outputs that a program writes while it runs.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Valid reports whether s is one of the two.
func (s Stream) Valid() bool { return s == Stdout || s == Stderr }

// OutputPiece is some bytes of one stream of one subtask.
type OutputPiece struct {
	Stream Stream `json:"stream"`
	Offset int64  `json:"offset,string"` // of the first byte in the stream
	Data   []byte `json:"data"`
}

// OutputFrom says which subtask's output is asked for, and what of it is known
// already.
type OutputFrom struct {
	Subtask int `json:"subtask"`
	// Run is the run whose output is known, 0 for none: of every other it is told from
	// its beginning.
	Run    uint64 `json:"run,string"`
	Stdout int64  `json:"stdout,string"` // bytes known of each stream
	Stderr int64  `json:"stderr,string"`
	Now    bool   `json:"now,omitempty"` // answer at once, also with nothing
}

// Known returns how many bytes of a stream are known.
func (f *OutputFrom) Known(s Stream) *int64 {
	if s == Stderr {
		return &f.Stderr
	}
	return &f.Stdout
}

// OutputPart is a part of what a run of a subtask has written.
type OutputPart struct {
	Run     uint64        `json:"run,string"` // whoever runs it gives it a number; never 0
	Attempt int           `json:"attempt"`    // as its coordinator counts
	Pieces  []OutputPiece `json:"pieces"`     // each stream in order; what is missing between two is not kept any more
	Over    bool          `json:"over"`       // nothing can follow in this run
}

// OutputState says which subtasks of a task may be writing.
type OutputState struct {
	TaskID   TaskID    `json:"taskId"`
	Type     TaskType  `json:"type"`
	Status   TaskState `json:"status"`
	Subtasks int       `json:"subtasks"` // 0 while it is not cut
	Running  []int     `json:"running"`  // the first MaxWritersShown of those that run, in order
	Writes   bool      `json:"writes"`   // whether tasks like this one write output at all
}

// MaxWritersShown bounds the subtasks that an OutputState names.
const MaxWritersShown = 64

// OutputQuery chooses what a listener wants to hear of a task.
type OutputQuery struct {
	Subtask *int         // only this one; nil = all
	Stream  Stream       // only this one; empty = both
	Follow  bool         // until the task has ended; otherwise what is there now
	After   OutputCursor // what is known already
}

// OutputEventName is what a listener hears.
type OutputEventName string

// The events. task comes first, and again when the task's state or number of subtasks
// has changed; end, which needs Follow, is the last.
const (
	OutputTask    OutputEventName = "task"
	OutputData    OutputEventName = "output"
	OutputRestart OutputEventName = "restart" // another attempt begins; its output begins at 0
	OutputEnd     OutputEventName = "end"
)

// OutputEvent is one thing that a listener hears. Which fields count follows from the
// event.
type OutputEvent struct {
	Event    OutputEventName `json:"-"`
	Cursor   OutputCursor    `json:"-"` // what is known after this event; valid until the next
	TaskID   TaskID          `json:"taskId,omitempty"`
	Status   TaskState       `json:"status,omitempty"`   // of task and end
	Subtasks int             `json:"subtasks,omitempty"` // of task and end
	Subtask  *int            `json:"subtask,omitempty"`  // of output and restart, as what follows
	Attempt  int             `json:"attempt,omitempty"`
	Stream   Stream          `json:"stream,omitempty"`
	Offset   *int64          `json:"offset,omitempty"` // beyond what came before: bytes between are lost
	Data     []byte          `json:"data,omitempty"`
	Note     string          `json:"note,omitempty"`
}

// OutputCursor is what a listener knows, by subtask.
type OutputCursor map[int]OutputFrom

// maxCursor bounds the subtasks that a cursor names as text.
const maxCursor = 64

// String returns the cursor as text; of many subtasks the last ones.
func (c OutputCursor) String() string {
	subtasks := slices.Sorted(maps.Keys(c))
	var b strings.Builder
	for i, n := range subtasks[max(0, len(subtasks)-maxCursor):] {
		if i > 0 {
			b.WriteByte(',')
		}
		f := c[n]
		fmt.Fprintf(&b, "%d:%x:%d:%d", n, f.Run, f.Stdout, f.Stderr)
	}
	return b.String()
}

// ParseOutputCursor reads what String wrote.
func ParseOutputCursor(s string) (OutputCursor, error) {
	c := OutputCursor{}
	if s == "" {
		return c, nil
	}
	parts := strings.SplitN(s, ",", maxCursor+1)
	for _, part := range parts {
		f, ok := parseFrom(part)
		if _, twice := c[f.Subtask]; !ok || twice || len(parts) > maxCursor {
			return nil, Errorf(Invalid, "Last-Event-ID", "%.60q is not where an output stream was", s)
		}
		c[f.Subtask] = f
	}
	return c, nil
}

func parseFrom(s string) (f OutputFrom, ok bool) {
	words := strings.Split(s, ":")
	if len(words) != 4 {
		return f, false
	}
	var errs [4]error
	f.Subtask, errs[0] = strconv.Atoi(words[0])
	f.Run, errs[1] = strconv.ParseUint(words[1], 16, 64)
	f.Stdout, errs[2] = strconv.ParseInt(words[2], 10, 64)
	f.Stderr, errs[3] = strconv.ParseInt(words[3], 10, 64)
	return f, errs == [4]error{} && f.Subtask >= 0 && f.Subtask < MaxParallelism && f.Stdout >= 0 && f.Stderr >= 0
}
