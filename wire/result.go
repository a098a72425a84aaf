package wire

import (
	"time"

	"github.com/tenzro/tenzro/core"
)

// JobResult ends a lease from the executing side. Exactly one of Output and
// Failure is set. Proofs has one entry for a subtask; for a job, those of its
// subtasks in order, at most core.MaxProofsShown places.
type JobResult struct {
	Lease    LeaseID         `json:"lease,string"`
	TaskID   core.TaskID     `json:"taskId"`
	Index    int             `json:"index"`
	Attempt  int             `json:"attempt"`
	Epoch    uint64          `json:"epoch,string"`
	Output   Payload         `json:"output"`
	Failure  *core.Failure   `json:"failure,omitempty"`
	Proofs   []core.Proof    `json:"proofs,omitempty"`
	Workers  []core.NodeID   `json:"workers,omitempty"`
	Regions  []core.RegionID `json:"regions,omitempty"`
	Subtasks int             `json:"subtasks,omitempty"`
	TookUS   int64           `json:"tookUs"`          // from the accept to this result, microseconds
	RunUS    int64           `json:"runUs,omitempty"` // of them inside the engine
}

// Type implements Body.
func (*JobResult) Type() Type { return TypeJobResult }

// Validate implements Body.
func (m *JobResult) Validate() error {
	if m.Index < 0 || m.Index >= core.MaxParallelism || m.Attempt < 1 || m.Attempt > MaxAttempt || m.TookUS < 0 || m.RunUS < 0 {
		return invalid("index", "or attempt or tookUs is out of range")
	}
	if m.Subtasks < 0 || m.Subtasks > core.MaxParallelism {
		return invalid("subtasks", "is %d; it must be 0 to %d", m.Subtasks, core.MaxParallelism)
	}
	if m.Failure != nil && !m.Output.empty() {
		return invalid("output", "and failure are both there")
	}
	return firstError(validTask("taskId", m.TaskID), m.Output.validate("output", m.Failure == nil), validFailure("failure", m.Failure),
		validProofs("proofs", m.Proofs), validNodes("workers", m.Workers, MaxWorkersShown), validRegions("regions", m.Regions))
}

// JobVerify tells the executing side what the coordinator thinks of its result.
type JobVerify struct {
	TaskID   core.TaskID `json:"taskId"`
	Index    int         `json:"index"`
	Accepted bool        `json:"accepted"`
	Message  string      `json:"message,omitempty"` // why not
}

// Type implements Body.
func (*JobVerify) Type() Type { return TypeJobVerify }

// Validate implements Body.
func (m *JobVerify) Validate() error {
	return firstError(validTask("taskId", m.TaskID), validIndex("index", m.Index), validText("message", m.Message, maxMessage))
}

// JobReward credits verified work, many entries under one signature of the
// coordinator (SignReward): the worker's receipt.
type JobReward struct {
	Coordinator core.NodeID `json:"coordinator"`
	Worker      core.NodeID `json:"worker"`
	At          time.Time   `json:"at"`
	Entries     []Reward    `json:"entries"`
	Signature   []byte      `json:"signature"`
}

// Reward is one verified unit of work. Units are the task's estimated elementary
// operations, never less than 1.
type Reward struct {
	TaskID     core.TaskID `json:"taskId"`
	Index      int         `json:"index"`
	Units      int64       `json:"units,string"`
	OutputHash core.Digest `json:"outputHash"`
}

// Type implements Body.
func (*JobReward) Type() Type { return TypeJobReward }

// Validate implements Body.
func (m *JobReward) Validate() error {
	if len(m.Entries) == 0 || len(m.Entries) > MaxRewards {
		return invalid("entries", "has %d rewards; it must have 1 to %d", len(m.Entries), MaxRewards)
	}
	for _, e := range m.Entries {
		if e.Units < 1 {
			return invalid("entries.units", "is %d; it must be at least 1", e.Units)
		}
		if err := firstError(validTask("entries.taskId", e.TaskID), validIndex("entries.index", e.Index)); err != nil {
			return err
		}
	}
	return firstError(validNode("coordinator", m.Coordinator), validNode("worker", m.Worker), validSignature(m.Signature))
}
