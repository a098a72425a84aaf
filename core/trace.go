package core

import "time"

// Where a span was measured.
const (
	AtGateway = "gateway"
	AtRegion  = "region"
	AtWorker  = "worker" // as its region saw it: clocks of workers are not compared
)

// Span is a stretch of time of a task.
type Span struct {
	Name    string    `json:"name"`
	At      string    `json:"at"` // AtGateway, AtRegion or AtWorker
	Node    NodeID    `json:"node,omitempty"`
	Start   time.Time `json:"start"`
	TookUS  int64     `json:"tookUs"`            // microseconds
	Subtask *int      `json:"subtask,omitempty"` // nil for what is about the whole task
	Attempt int       `json:"attempt,omitempty"` // from 1; 0 = none
	Note    string    `json:"note,omitempty"`    // how it ended
}

// Trace is where the time of one task went, the earliest span first.
type Trace struct {
	TaskID  TaskID `json:"taskId"`
	TraceID string `json:"traceId"` // 32 hex digits (W3C Trace Context)
	Spans   []Span `json:"spans"`
	// Incomplete is set when the home did not tell its part.
	Incomplete bool `json:"incomplete,omitempty"`
}
