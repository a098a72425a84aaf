package wire

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// Bounds of the job protocol.
const (
	// MaxInline is the largest payload that rides inside a message; bigger ones
	// move on the blob protocol by digest.
	MaxInline = 32 << 10
	// MaxAttempt is the highest number that an attempt is told by; later ones share it.
	MaxAttempt = 100
	// MaxCredits bounds one grant.
	MaxCredits = 4096
	// MaxRewards bounds the entries of one JobReward.
	MaxRewards = 256
	// MaxWorkersShown bounds the workers that a result names; a job on more names
	// the first ones.
	MaxWorkersShown = 256
	maxMessage      = 1024
	// MaxRests bounds the reason of a Pull.
	MaxRests   = 128
	maxName    = 32
	maxRegions = 64
)

// LeaseID is the coordinator's number for one lease of one unit. In a region
// with epochs it is never given twice, so a lease can move to the next leader;
// elsewhere (epoch 0) it is only meaningful on the link it was offered on.
type LeaseID uint64

// Class says how big the work of an offer is: a whole job that the receiver
// plans itself, or one subtask of a job to be run as it is.
type Class string

// The classes.
const (
	ClassJob     Class = "job"
	ClassSubtask Class = "subtask"
)

func validClass(c Class) error {
	if c != ClassJob && c != ClassSubtask {
		return invalid("class", "%.20q is neither job nor subtask", c)
	}
	return nil
}

// Hello opens a link in both directions. Ad is the sender's signed capability
// description and is required from the side that executes.
type Hello struct {
	Version int            `json:"version"` // 1
	Network core.NetworkID `json:"network"`
	Region  core.RegionID  `json:"region,omitempty"`
	Roles   []string       `json:"roles"`
	Epoch   uint64         `json:"epoch,string"` // of the region's leader, as far as the sender knows
	Ad      *Ad            `json:"ad,omitempty"`
	// Leader is the coordinator that runs the region's jobs now, empty while there is
	// none; Members are all that keep its journal. Sent by coordinators.
	Leader  core.NodeID   `json:"leader,omitempty"`
	Members []core.NodeID `json:"members,omitempty"` // at most MaxMembers
	// Help is set by a coordinator whose region has more subtasks than workers: the
	// receiver's region is to pull them as another region would, in epochs.
	Help bool `json:"help,omitempty"`
}

// MaxMembers bounds the coordinators of one region.
const MaxMembers = 16

func validIndex(field string, i int) error {
	if i < 0 || i >= core.MaxParallelism {
		return invalid(field, "is %d; it must be 0 to %d", i, core.MaxParallelism-1)
	}
	return nil
}

// Type implements Body.
func (*Hello) Type() Type { return TypeHello }

// Validate implements Body.
func (m *Hello) Validate() error {
	if m.Version < 1 || m.Version > 1<<16 {
		return invalid("version", "is %d", m.Version)
	}
	if _, err := core.ParseNetworkID(string(m.Network)); err != nil {
		return err
	}
	if err := firstError(validRegion("region", m.Region), validNames("roles", m.Roles, 16), validText("leader", string(m.Leader), 64),
		validNodes("members", m.Members, MaxMembers)); err != nil || m.Ad == nil {
		return err
	}
	return within("ad", m.Ad.Validate())
}

// Pull grants credits: the sender can take that many more offers of Class. With
// zero credits it is the heartbeat (30 s). The free figures are those of now.
type Pull struct {
	Class        Class       `json:"class"`
	Credits      int         `json:"credits"`
	FreeCPU      int         `json:"freeCpu"` // percent
	FreeMemoryMB int64       `json:"freeMemoryMB"`
	Active       int         `json:"active"`             // offers being worked on
	AskPrice     core.Amount `json:"askPrice,omitempty"` // base units per million operations; 0 = none
	Rests        string      `json:"rests,omitempty"`    // why the sender takes nothing until that changes, for people; empty = it takes work
}

// Type implements Body.
func (*Pull) Type() Type { return TypePull }

// Validate implements Body.
func (m *Pull) Validate() error {
	if m.Credits < 0 || m.Credits > MaxCredits {
		return invalid("credits", "is %d; it must be 0 to %d", m.Credits, MaxCredits)
	}
	if m.FreeCPU < 0 || m.FreeCPU > 100 || m.FreeMemoryMB < 0 || m.FreeMemoryMB > core.MaxMemoryMB || m.Active < 0 {
		return invalid("freeCpu", "or freeMemoryMB or active is out of range")
	}
	if m.AskPrice > core.MaxAmount {
		return invalid("askPrice", "is %d; at most %d", m.AskPrice, core.MaxAmount)
	}
	return firstError(validClass(m.Class), validText("rests", m.Rests, MaxRests))
}

// BlobRef names a payload that the sender of the message serves on the blob
// protocol until the lease ends.
type BlobRef struct {
	Digest core.Digest `json:"digest"`
	Size   int64       `json:"size"` // bytes, 1..core.MaxTaskBytes
}

// Payload is bytes either inline or by reference, never both.
type Payload struct {
	Inline json.RawMessage `json:"inline,omitempty"`
	Blob   *BlobRef        `json:"blob,omitempty"`
}

func (p Payload) empty() bool { return len(p.Inline) == 0 && p.Blob == nil }

func (p Payload) validate(field string, required bool) error {
	switch {
	case len(p.Inline) > 0 && p.Blob != nil:
		return invalid(field, "is both inline and by reference")
	case len(p.Inline) > MaxInline:
		return invalid(field, "has %d inline bytes; at most %d", len(p.Inline), MaxInline)
	case p.Blob != nil && (p.Blob.Size < 1 || p.Blob.Size > core.MaxTaskBytes):
		return invalid(field, "size is %d; it must be 1 to %d", p.Blob.Size, core.MaxTaskBytes)
	case required && p.empty():
		return invalid(field, "is missing")
	}
	return nil
}

// JobOffer offers one unit of work. Task is the spec without its data; Data
// carries that, and InputHash is the digest of its exact bytes.
type JobOffer struct {
	Lease     LeaseID         `json:"lease,string"`
	TaskID    core.TaskID     `json:"taskId"`
	Index     int             `json:"index"`   // subtask number, 0 for a whole job
	Attempt   int             `json:"attempt"` // from 1
	Epoch     uint64          `json:"epoch,string"`
	Class     Class           `json:"class"`
	Task      TaskHead        `json:"task"`
	Data      Payload         `json:"data"`
	InputHash core.Digest     `json:"inputHash"`
	Deadline  time.Time       `json:"deadline"`
	TTLMS     int64           `json:"ttlMs"` // the lease ends this long after the last renewal
	Gateway   core.NodeID     `json:"gateway,omitempty"`
	Regions   []core.RegionID `json:"regions,omitempty"` // class job: where it may be spread, best first
	Trace     string          `json:"trace,omitempty"`   // traceparent of W3C Trace Context; a wrong one is ignored
	// SpecHash tells tasks under one id apart; the id of a task that was submitted
	// with an idempotency key is made of the key. Zero without one.
	SpecHash core.Digest `json:"specHash,omitzero"`
}

// TaskHead is a core.TaskSpec without its data.
type TaskHead struct {
	Type           core.TaskType     `json:"type"`
	Requirements   core.Requirements `json:"requirements"`
	Parallelism    int               `json:"parallelism,omitempty"`
	QueueTimeoutMS int64             `json:"queueTimeoutMs,omitempty"`
	TimeoutMS      int64             `json:"timeoutMs,omitempty"`
	Priority       int               `json:"priority,omitempty"`
	Deadline       time.Time         `json:"deadline,omitzero"`
	Submitter      string            `json:"submitter,omitempty"` // whose turn it is: a token's name at the gateway
}

// Head returns the part of s that travels beside the data.
func Head(s core.TaskSpec) TaskHead {
	return TaskHead{s.Type, s.Requirements, s.Parallelism, s.QueueTimeoutMS, s.TimeoutMS, s.Priority, s.Deadline, s.Submitter}
}

// Spec joins the head with its data again.
func (h TaskHead) Spec(data json.RawMessage) core.TaskSpec {
	return core.TaskSpec{Type: h.Type, Requirements: h.Requirements, Data: data, Parallelism: h.Parallelism,
		QueueTimeoutMS: h.QueueTimeoutMS, TimeoutMS: h.TimeoutMS, Priority: h.Priority, Deadline: h.Deadline, Submitter: h.Submitter}
}

// Type implements Body.
func (*JobOffer) Type() Type { return TypeJobOffer }

// Validate implements Body.
func (m *JobOffer) Validate() error {
	if m.Index < 0 || m.Index >= core.MaxParallelism || m.Attempt < 1 || m.Attempt > MaxAttempt {
		return invalid("index", "%d or attempt %d is out of range", m.Index, m.Attempt)
	}
	if m.TTLMS < 1 || m.TTLMS > core.MaxTimeout.Milliseconds() {
		return invalid("ttlMs", "is %d", m.TTLMS)
	}
	return firstError(validTask("taskId", m.TaskID), validClass(m.Class), m.Data.validate("data", true),
		within("task", m.Task.Spec(json.RawMessage("{}")).Validate()), validText("gateway", string(m.Gateway), 64),
		validRegions("regions", m.Regions), validText("trace", m.Trace, trace.Len))
}
