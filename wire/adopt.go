package wire

import (
	"math"

	"github.com/tenzro/tenzro/core"
)

const (
	// MaxEpoch is the last epoch of a region: lease numbers carry the epoch above
	// their lower 32 bits and stay below 2^63.
	MaxEpoch = 1<<31 - 1
	// MaxClaims bounds the leases of one Claim; who holds more sends several.
	MaxClaims = 128
)

func validEpoch(field string, epoch uint64) error {
	if epoch < 1 || epoch > MaxEpoch {
		return invalid(field, "is %d; it must be 1 to %d", epoch, MaxEpoch)
	}
	return nil
}

// Adopt tells that the sender leads its region's coordinators from now on: the
// receiver answers with a Claim of what it holds for that region.
type Adopt struct {
	Region core.RegionID `json:"region"`
	Epoch  uint64        `json:"epoch,string"` // 1..MaxEpoch, higher than any before in the region
}

// Type implements Body.
func (*Adopt) Type() Type { return TypeAdopt }

// Validate implements Body.
func (m *Adopt) Validate() error {
	if badRegion(m.Region) {
		return invalid("region", "%.40q is not a region", m.Region)
	}
	return validEpoch("epoch", m.Epoch)
}

// Coordinators names the nodes that keep the sender's region now: the receiver
// links those it does not know, so that whoever leads next has it among its
// workers.
type Coordinators struct {
	Region  core.RegionID `json:"region"`
	Members []core.NodeID `json:"members"` // 1..MaxMembers
}

// Type implements Body.
func (*Coordinators) Type() Type { return TypeCoordinators }

// Validate implements Body.
func (m *Coordinators) Validate() error {
	if badRegion(m.Region) {
		return invalid("region", "%.40q is not a region", m.Region)
	}
	if len(m.Members) == 0 {
		return invalid("members", "is empty; the sender is one at least")
	}
	return validNodes("members", m.Members, MaxMembers)
}

// Claim names the leases that the sender holds for the region of an Adopt,
// whoever offered them.
type Claim struct {
	Epoch  uint64         `json:"epoch,string"` // of the Adopt
	Leases []ClaimedLease `json:"leases"`       // at most MaxClaims
	More   bool           `json:"more"`         // another Claim follows
}

// ClaimedLease is one accepted offer: what it was for, as in its JobOffer, and
// how far it is.
type ClaimedLease struct {
	Lease     LeaseID     `json:"lease,string"`
	TaskID    core.TaskID `json:"taskId"`
	Index     int         `json:"index"`
	Attempt   int         `json:"attempt"`
	Epoch     uint64      `json:"epoch,string"`
	InputHash core.Digest `json:"inputHash"`
	Progress  float64     `json:"progress"` // 0..1
	Finished  bool        `json:"finished"` // its JobResult follows
}

// Type implements Body.
func (*Claim) Type() Type { return TypeClaim }

// Validate implements Body.
func (m *Claim) Validate() error {
	if len(m.Leases) > MaxClaims {
		return invalid("leases", "has %d entries; at most %d", len(m.Leases), MaxClaims)
	}
	for i := range m.Leases {
		if err := m.Leases[i].validate(); err != nil {
			return err
		}
	}
	return validEpoch("epoch", m.Epoch)
}

func (c *ClaimedLease) validate() error {
	if c.Lease < 1 || c.Lease > math.MaxInt64 {
		return invalid("leases.lease", "is %d; it must be 1 to %d", c.Lease, int64(math.MaxInt64))
	}
	if c.Attempt < 1 || c.Attempt > MaxAttempt {
		return invalid("leases.attempt", "is %d; it must be 1 to %d", c.Attempt, MaxAttempt)
	}
	if math.IsNaN(c.Progress) || c.Progress < 0 || c.Progress > 1 {
		return invalid("leases.progress", "is %v; it must be 0 to 1", c.Progress)
	}
	return firstError(validTask("leases.taskId", c.TaskID), validIndex("leases.index", c.Index), validEpoch("leases.epoch", c.Epoch))
}
