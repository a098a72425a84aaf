package wire

import (
	"math"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

// JobAccept takes an offer: from now on the sender renews the lease.
type JobAccept struct {
	Lease LeaseID `json:"lease,string"`
}

// Type implements Body.
func (*JobAccept) Type() Type { return TypeJobAccept }

// Validate implements Body.
func (*JobAccept) Validate() error { return nil }

// Refusal is why an offer was not taken.
type Refusal string

// The refusals.
const (
	RefusedBusy    Refusal = "busy"    // no room now; try again after RetryAfterMS
	RefusedFull    Refusal = "full"    // busy, and nobody of the region has room: the submitter is to come later
	RefusedDisk    Refusal = "disk"    // full because of its disk: the operator has to make room
	RefusedUnable  Refusal = "unable"  // never: requirements or task type
	RefusedPolicy  Refusal = "policy"  // the operator does not want it
	RefusedInvalid Refusal = "invalid" // the payload is broken
	RefusedUnknown Refusal = "unknown" // anything else; Message says
)

func refusals() []Refusal {
	return []Refusal{RefusedBusy, RefusedFull, RefusedDisk, RefusedUnable, RefusedPolicy, RefusedInvalid, RefusedUnknown}
}

// JobReject declines an offer.
type JobReject struct {
	Lease        LeaseID `json:"lease,string"`
	Reason       Refusal `json:"reason"`
	Message      string  `json:"message,omitempty"`
	RetryAfterMS int64   `json:"retryAfterMs,omitempty"`
}

// Type implements Body.
func (*JobReject) Type() Type { return TypeJobReject }

// Validate implements Body.
func (m *JobReject) Validate() error {
	if !slices.Contains(refusals(), m.Reason) {
		return invalid("reason", "%.20q is unknown", m.Reason)
	}
	if m.RetryAfterMS < 0 || m.RetryAfterMS > time.Hour.Milliseconds() {
		return invalid("retryAfterMs", "is %d", m.RetryAfterMS)
	}
	return validText("message", m.Message, maxMessage)
}

// LeaseRenew keeps a lease alive and tells how far the work is.
type LeaseRenew struct {
	Lease    LeaseID `json:"lease,string"`
	Progress float64 `json:"progress"` // 0..1
}

// Type implements Body.
func (*LeaseRenew) Type() Type { return TypeLeaseRenew }

// Validate implements Body.
func (m *LeaseRenew) Validate() error {
	if math.IsNaN(m.Progress) || m.Progress < 0 || m.Progress > 1 {
		return invalid("progress", "is %v; it must be 0 to 1", m.Progress)
	}
	return nil
}

// LeaseRevoke ends a lease from the coordinator's side: stop working on it.
type LeaseRevoke struct {
	Lease  LeaseID     `json:"lease,string"`
	Reason core.Reason `json:"reason"`
}

// Type implements Body.
func (*LeaseRevoke) Type() Type { return TypeLeaseRevoke }

// Validate implements Body.
func (m *LeaseRevoke) Validate() error { return validText("reason", string(m.Reason), 40) }
