package core

import "time"

// EventName is what happened to a task.
type EventName string

// The events of a task, in the order they can come. The last four are final.
const (
	EventReceived       EventName = "received"        // decoded and checked
	EventCommitted      EventName = "committed"       // recorded by its home
	EventPlanned        EventName = "planned"         // cut into subtasks
	EventAttemptStarted EventName = "attempt_started" // a node took a subtask
	EventAttemptEnded   EventName = "attempt_ended"   // with an outcome
	EventSubtaskDone    EventName = "subtask_done"    // one more of them is accepted
	EventVerifying      EventName = "verifying"       // all are; they are being merged
	EventCompleted      EventName = "completed"
	EventFailed         EventName = "failed"
	EventCancelled      EventName = "cancelled"
	EventExpired        EventName = "expired"
)

// TaskEvent is one step of a task's life as its home recorded it. Its ID is made
// of the record alone, so that every gateway numbers the same events the same;
// later events have greater ids.
type TaskEvent struct {
	ID       uint64    `json:"id,string"`
	Event    EventName `json:"event"`
	TaskID   TaskID    `json:"taskId"`
	Time     time.Time `json:"time,omitzero"` // zero where the record does not say
	Subtasks int       `json:"subtasks,omitempty"`
	Done     int       `json:"done,omitempty"`    // of the subtasks, after this event
	Attempt  *Attempt  `json:"attempt,omitempty"` // of attempt_started and attempt_ended
	Failure  *Failure  `json:"failure,omitempty"`
}

// TaskEvents is what happened behind an event.
type TaskEvents struct {
	Events []TaskEvent `json:"events"`
	Final  bool        `json:"final"` // nothing can follow
}

// TaskWhy says in plain words why a task is where it is.
type TaskWhy struct {
	TaskID  TaskID    `json:"taskId"`
	Status  TaskState `json:"status"`
	Because string    `json:"because"`
	Helps   []string  `json:"helps"` // what would help, best first; empty when nothing is wrong
}
