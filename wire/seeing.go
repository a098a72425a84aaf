package wire

import (
	"encoding/json"
	"math"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// The questions about what a region knows of its tasks. Their answers are JSON in
// JobState.Output.
const (
	QueryList   QueryOp = "list"   // the tasks that List chooses: a TaskList
	QueryEvents QueryOp = "events" // what happened to a task behind After: a core.TaskEvents
	QueryWhy    QueryOp = "why"    // why a task is where it is: a core.TaskWhy
	QueryTrace  QueryOp = "trace"  // where its time went: a core.Trace
)

// Bounds of the answers.
const (
	maxEvents  = 4 * core.MaxAttemptsShown // a history has about three events for an attempt
	maxSpans   = trace.MaxSpans + 2*core.MaxAttemptsShown + 2
	maxHelps   = 16
	maxBecause = 4 << 10 // bytes of one text
)

func (m *JobQuery) validList() error {
	if m.List == nil {
		return invalid("list", "is missing")
	}
	if m.TaskID != "" {
		return invalid("taskId", "does not belong to op list")
	}
	return within("list", m.listFilter().Validate())
}

// listFilter is the filter with the one more task that tells whether there are
// more.
func (m *JobQuery) listFilter() core.TaskFilter {
	f := *m.List
	if f.Limit == core.MaxTaskList+1 {
		f.Limit--
	}
	return f
}

// TaskList is a region's answer to QueryList, newest first and then by id,
// without attempts.
type TaskList struct {
	Tasks []core.TaskStatus `json:"tasks"`
}

// DecodeTaskList reads what a region listed; at most most tasks.
func DecodeTaskList(b json.RawMessage, most int) ([]core.TaskStatus, error) {
	var list TaskList
	if err := DecodeStrict(b, &list); err != nil {
		return nil, err
	}
	if len(list.Tasks) > most {
		return nil, invalid("tasks", "has %d entries; at most %d", len(list.Tasks), most)
	}
	for i := range list.Tasks {
		if err := validStatus(&list.Tasks[i]); err != nil {
			return nil, err
		}
	}
	return list.Tasks, nil
}

// DecodeTaskEvents reads the events that a region told of a task behind number
// after: in order, all of this task.
func DecodeTaskEvents(b json.RawMessage, id core.TaskID, after uint64) (core.TaskEvents, error) {
	var told core.TaskEvents
	if err := DecodeStrict(b, &told); err != nil {
		return told, err
	}
	if len(told.Events) > maxEvents {
		return told, invalid("events", "has %d entries; at most %d", len(told.Events), maxEvents)
	}
	for i := range told.Events {
		e := &told.Events[i]
		if e.TaskID != id || e.ID <= after || e.ID == math.MaxUint64 {
			return told, invalid("events", "has event %d of task %.64s out of order", e.ID, e.TaskID)
		}
		after = e.ID
		if err := validEvent(e); err != nil {
			return told, err
		}
	}
	return told, nil
}

func validEvent(e *core.TaskEvent) error {
	if a := e.Attempt; a != nil {
		if err := firstError(validText("events.attempt.worker", string(a.Worker), 64), validText("events.attempt.outcome", a.Outcome, 40)); err != nil {
			return err
		}
	}
	return firstError(validText("events.event", string(e.Event), maxName), validFailure("events.failure", e.Failure))
}

// DecodeTaskWhy reads what a region said about a task.
func DecodeTaskWhy(b json.RawMessage, id core.TaskID) (core.TaskWhy, error) {
	var why core.TaskWhy
	if err := DecodeStrict(b, &why); err != nil {
		return why, err
	}
	if why.TaskID != id {
		return why, invalid("taskId", "is %.64s, not %s", why.TaskID, id)
	}
	if len(why.Helps) > maxHelps {
		return why, invalid("helps", "has %d entries; at most %d", len(why.Helps), maxHelps)
	}
	for _, h := range why.Helps {
		if err := validText("helps", h, maxBecause); err != nil {
			return why, err
		}
	}
	return why, firstError(validText("because", why.Because, maxBecause), validText("status", string(why.Status), maxName))
}

// DecodeTrace reads where a region says that a task's time went.
func DecodeTrace(b json.RawMessage, id core.TaskID) (core.Trace, error) {
	var told core.Trace
	if err := DecodeStrict(b, &told); err != nil {
		return told, err
	}
	if told.TaskID != id {
		return told, invalid("taskId", "is %.64s, not %s", told.TaskID, id)
	}
	if len(told.Spans) > maxSpans {
		return told, invalid("spans", "has %d entries; at most %d", len(told.Spans), maxSpans)
	}
	for _, s := range told.Spans {
		err := firstError(validText("spans.name", s.Name, maxName), validText("spans.at", s.At, maxName),
			validText("spans.node", string(s.Node), 64), validText("spans.note", s.Note, maxMessage))
		if err != nil {
			return told, err
		}
		if s.TookUS < 0 {
			return told, invalid("spans.tookUs", "is %d", s.TookUS)
		}
	}
	return told, validText("traceId", told.TraceID, 2*16)
}
