package wire

import (
	"math"

	"github.com/tenzro/tenzro/core"
)

// QueryOp is what a JobQuery asks.
type QueryOp string

// The queries.
const (
	QueryStatus QueryOp = "status"
	QueryResult QueryOp = "result"
	QueryCancel QueryOp = "cancel"
	// QueryWorkflow asks for the steps of a workflow: the answer's Output.
	QueryWorkflow QueryOp = "workflow"
)

// JobQuery asks the home of a task about it; the answer is a JobState with the
// same ID.
type JobQuery struct {
	ID     uint64           `json:"id,string"`
	TaskID core.TaskID      `json:"taskId"` // empty with QueryList
	Op     QueryOp          `json:"op"`
	After  uint64           `json:"after,omitempty,string"` // with QueryEvents: those behind this one
	List   *core.TaskFilter `json:"list,omitempty"`         // with QueryList, and only then
	Output *core.OutputFrom `json:"output,omitempty"`       // with QueryOutput: of one subtask
}

// Type implements Body.
func (*JobQuery) Type() Type { return TypeJobQuery }

// Validate implements Body.
func (m *JobQuery) Validate() error {
	if err := m.validOutput(); err != nil {
		return err
	}
	switch m.Op {
	case QueryStatus, QueryResult, QueryCancel, QueryWorkflow, QueryEvents, QueryWhy, QueryTrace, QueryOutput:
		if m.List != nil {
			return invalid("list", "belongs to op list")
		}
		return validTask("taskId", m.TaskID)
	case QueryList:
		return m.validList()
	}
	return invalid("op", "%.20q is unknown", m.Op)
}

// Fault is an error that crosses the wire.
type Fault struct {
	Kind    core.Kind `json:"kind"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`
}

// JobState answers a JobQuery: a status, and with QueryResult the final result
// whose value is in Output; with the other questions what Output holds; or a
// Fault.
type JobState struct {
	ID     uint64           `json:"id,string"`
	Status *core.TaskStatus `json:"status,omitempty"`
	Result *core.TaskResult `json:"result,omitempty"` // Result.Result empty: the value is Output
	Output Payload          `json:"output"`
	Fault  *Fault           `json:"fault,omitempty"`
	// SpecHash is the one the task was offered with.
	SpecHash core.Digest `json:"specHash,omitzero"`
}

// Type implements Body.
func (*JobState) Type() Type { return TypeJobState }

// Validate implements Body.
func (m *JobState) Validate() error {
	if m.Status == nil && m.Fault == nil && m.Output.empty() {
		return invalid("status", "and output and fault are all missing")
	}
	return firstError(m.Output.validate("output", false), validStatus(m.Status), validResult(m.Result), m.Fault.validate("fault"))
}

func validStatus(s *core.TaskStatus) error {
	if s == nil {
		return nil
	}
	if len(s.Attempts) > core.MaxAttemptsShown {
		return invalid("status.attempts", "has %d entries; at most %d", len(s.Attempts), core.MaxAttemptsShown)
	}
	for _, a := range s.Attempts {
		if err := firstError(validText("status.attempts.worker", string(a.Worker), 64), validText("status.attempts.outcome", a.Outcome, 40)); err != nil {
			return err
		}
	}
	if math.IsNaN(s.Progress) || s.Progress < 0 || s.Progress > 1 {
		return invalid("status.progress", "is %v; it must be 0 to 1", s.Progress)
	}
	return firstError(validTask("status.taskId", s.TaskID), validFailure("status.failure", s.Failure),
		validText("status.status", string(s.Status), maxName), validText("status.type", string(s.Type), maxName),
		validRegion("status.region", s.Region), validText("status.gateway", string(s.Gateway), 64))
}

func validResult(r *core.TaskResult) error {
	if r == nil {
		return nil
	}
	if len(r.Result) != 0 {
		return invalid("result.result", "must be empty; the value is in output")
	}
	return firstError(validTask("result.taskId", r.TaskID), validFailure("result.failure", r.Failure),
		validText("result.status", string(r.Status), maxName), validProofs("result.proofs", r.Proofs),
		validNodes("result.workers", r.Workers, MaxWorkersShown), validRegions("result.regions", r.Regions))
}
