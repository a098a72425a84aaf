package api

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
)

// The bodies of the documents' API reference (document 0). The order of fields
// is the documents'; golden tests hold every example against them.
type (
	// submitted answers POST /tasks on a global node.
	submitted struct {
		TaskID core.TaskID    `json:"taskId"`
		Status core.TaskState `json:"status"`
	}
	// progress answers GET /tasks/{taskId}.
	progress struct {
		TaskID   core.TaskID    `json:"taskId"`
		Status   core.TaskState `json:"status"`
		Progress float64        `json:"progress"`
		Failure  *core.Failure  `json:"failure,omitempty"`
	}
	// outcome answers GET /tasks/{taskId}/result.
	outcome struct {
		TaskID  core.TaskID     `json:"taskId"`
		Status  core.TaskState  `json:"status"`
		Result  json.RawMessage `json:"result,omitempty"`
		Failure *core.Failure   `json:"failure,omitempty"`
	}
	// assignment is a task on its way down: to a region or to a local node.
	assignment struct {
		TaskID core.TaskID `json:"taskId"`
		core.TaskSpec
	}
	// distributing answers POST /tasks on a regional node.
	distributing struct {
		Status        string `json:"status"`
		NodesAssigned int    `json:"nodesAssigned"`
	}
	// partialResult is the body of POST /results.
	partialResult struct {
		TaskID core.TaskID     `json:"taskId"`
		NodeID core.NodeID     `json:"nodeId"`
		Result json.RawMessage `json:"result"`
	}
	// accepted is an answer that says only a status.
	accepted struct {
		Status string `json:"status"`
	}
	// aggregate is the body of POST /aggregate. Timeout is in milliseconds.
	aggregate struct {
		TargetTier core.Tier `json:"targetTier"`
		Timeout    int64     `json:"timeout"`
	}
	// proposed answers POST /aggregate.
	proposed struct {
		ProposalID string `json:"proposalId"`
		Status     string `json:"status"`
	}
)

// maxAggregateTimeout bounds how long a proposal may stay open, in milliseconds.
const maxAggregateTimeout = int64(time.Hour / time.Millisecond)

// Validate checks the id and the task.
func (a assignment) Validate() error {
	if _, err := core.ParseTaskID(string(a.TaskID)); err != nil {
		return err
	}
	return a.TaskSpec.Validate()
}

// Validate checks the ids and that there is a result.
func (r partialResult) Validate() error {
	if _, err := core.ParseTaskID(string(r.TaskID)); err != nil {
		return err
	}
	if !validID(string(r.NodeID)) {
		return core.Errorf(core.Invalid, "nodeId", "node id %.40q must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'", r.NodeID)
	}
	if len(r.Result) == 0 {
		return core.Errorf(core.Invalid, "result", "result is missing")
	}
	return nil
}

// Validate checks the bounds.
func (a aggregate) Validate() error {
	if a.TargetTier == core.TierAny {
		return core.Errorf(core.Invalid, "targetTier", "targetTier is missing").WithHint("use inference, aggregator or trainer")
	}
	if a.Timeout < 1 || a.Timeout > maxAggregateTimeout {
		return core.Errorf(core.Invalid, "timeout", "timeout is %d; it must be 1 to %d milliseconds", a.Timeout, maxAggregateTimeout)
	}
	return nil
}
