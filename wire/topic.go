package wire

import (
	"math"
	"time"

	"github.com/tenzro/tenzro/core"
)

// MaxAdLife is the longest an ad may be valid.
const MaxAdLife = 30 * time.Minute

// Ad is a node's signed description of what it can do. The signature covers the
// compact JSON of the ad without the signature (SignAd) under keys.DomainAd.
// Highest sequence wins; replays are refused by package registry.
type Ad struct {
	NodeID       core.NodeID        `json:"nodeId"`
	Sequence     uint64             `json:"sequence,string"`
	Issued       time.Time          `json:"issued"`
	Expires      time.Time          `json:"expires"`
	Network      core.NetworkID     `json:"network"`
	Region       core.RegionID      `json:"region,omitempty"`
	Roles        []string           `json:"roles"`
	Can          core.Capability    `json:"can"`
	Tier         core.Tier          `json:"tier"`
	Arch         string             `json:"arch"`
	Resources    core.Resources     `json:"resources"`
	Accelerators []core.Accelerator `json:"accelerators,omitempty"`
	Runtimes     []core.TaskType    `json:"runtimes"` // task types it runs
	MaxSlots     int                `json:"maxSlots"` // offers it works on at once
	Signature    []byte             `json:"signature,omitempty"`
}

// Type implements Body.
func (*Ad) Type() Type { return TypeAd }

// Validate implements Body: bounds only, not the signature and not the clock.
func (m *Ad) Validate() error {
	switch {
	case m.Can&^core.CapabilityMask != 0:
		return invalid("can", "has unknown bits %#x", uint32(m.Can&^core.CapabilityMask))
	case !m.Expires.After(m.Issued) || m.Expires.Sub(m.Issued) > MaxAdLife:
		return invalid("expires", "must be after issued by at most %s", MaxAdLife)
	case m.MaxSlots < 0 || m.MaxSlots > MaxCredits:
		return invalid("maxSlots", "is %d; it must be 0 to %d", m.MaxSlots, MaxCredits)
	case !plausible(m.Resources):
		return invalid("resources", "is out of range")
	}
	return firstError(validNode("nodeId", m.NodeID), validText("network", string(m.Network), 32), validRegion("region", m.Region),
		validNames("roles", m.Roles, 16), validNames("runtimes", m.Runtimes, 64), validAccelerators(m.Accelerators),
		validText("arch", m.Arch, 16), validSignature(m.Signature))
}

func validAccelerators(all []core.Accelerator) error {
	if len(all) > 64 {
		return invalid("accelerators", "has %d entries; at most 64", len(all))
	}
	for _, a := range all {
		if len(a.Vendor) > maxName || len(a.Name) > 64 || a.MemoryMB < 0 || a.MemoryMB > core.MaxMemoryMB {
			return invalid("accelerators", "has an entry with a long vendor or name, or a memory out of range")
		}
	}
	return nil
}

func badRegion(r core.RegionID) bool {
	_, err := core.ParseRegionID(string(r))
	return err != nil
}

func plausible(r core.Resources) bool {
	return r.Cores >= 0 && r.Cores <= 1<<16 && r.FreeCPU >= 0 && r.FreeCPU <= 100 && !math.IsNaN(r.CPUScore) && r.CPUScore >= 0 &&
		r.MemoryMB >= 0 && r.MemoryMB <= core.MaxMemoryMB && r.FreeMemoryMB >= 0 && r.FreeMemoryMB <= core.MaxMemoryMB &&
		r.DiskMB >= 0 && r.FreeDiskMB >= 0
}

func validCapacity(field string, c core.Capacity) error {
	for _, v := range []float64{c.CPU, c.Memory, c.Storage} {
		if math.IsNaN(v) || v < 0 || v > 1 {
			return invalid(field, "is not in 0..1")
		}
	}
	return nil
}

// JobAnnouncement tells other regions that work waits here (overflow only).
type JobAnnouncement struct {
	TaskID       core.TaskID       `json:"taskId"`
	Task         core.TaskType     `json:"task"`
	Requirements core.Requirements `json:"requirements"`
	Region       core.RegionID     `json:"region"`
	Waiting      int               `json:"waiting"` // subtasks that nobody took yet
	Expires      time.Time         `json:"expires"`
}

// Type implements Body.
func (*JobAnnouncement) Type() Type { return TypeAnnouncement }

// Validate implements Body.
func (m *JobAnnouncement) Validate() error {
	if badRegion(m.Region) || m.Waiting < 1 || m.Waiting > 1<<20 {
		return invalid("region", "or waiting is out of range")
	}
	return firstError(validTask("taskId", m.TaskID), m.Requirements.Validate(), validText("task", string(m.Task), 32))
}

// WorkerCapabilities broadcasts ads where no coordinator indexes them.
type WorkerCapabilities struct {
	Ad Ad `json:"ad"`
}

// Type implements Body.
func (*WorkerCapabilities) Type() Type { return TypeCapabilities }

// Validate implements Body.
func (m *WorkerCapabilities) Validate() error { return within("ad", m.Ad.Validate()) }

// RegionSummary is what a coordinator tells the other regions and the gateways
// about its own, every 10 to 30 s.
type RegionSummary struct {
	Region      core.RegionID   `json:"region"`
	Coordinator core.NodeID     `json:"coordinator"`
	Sequence    uint64          `json:"sequence,string"`
	Workers     int             `json:"workers"`
	ByTier      map[string]int  `json:"byTier"` // live workers of exactly this tier, an aggregation as one of its own
	FreeSlots   int             `json:"freeSlots"`
	Queue       int             `json:"queue"`
	Capacity    core.Capacity   `json:"capacity"`
	Performance float64         `json:"performance"` // 0..1: finished in time and accepted, weighted to the recent
	Runtimes    []core.TaskType `json:"runtimes"`
}

// Type implements Body.
func (*RegionSummary) Type() Type { return TypeSummary }

// Validate implements Body.
func (m *RegionSummary) Validate() error {
	if badRegion(m.Region) || m.Workers < 0 || m.FreeSlots < 0 || m.Queue < 0 || len(m.ByTier) > 8 {
		return invalid("region", "or a count is out of range")
	}
	if math.IsNaN(m.Performance) || m.Performance < 0 || m.Performance > 1 {
		return invalid("performance", "is %v; it must be 0 to 1", m.Performance)
	}
	return firstError(validNode("coordinator", m.Coordinator), validNames("runtimes", m.Runtimes, 64), validCapacity("capacity", m.Capacity))
}

// ResultDigests tells which tasks ended how: digests only, batched.
type ResultDigests struct {
	Results []ResultDigest `json:"results"`
}

// ResultDigest is the end of one task.
type ResultDigest struct {
	TaskID     core.TaskID    `json:"taskId"`
	Status     core.TaskState `json:"status"`
	OutputHash core.Digest    `json:"outputHash"`
}

// Type implements Body.
func (*ResultDigests) Type() Type { return TypeDigests }

// Validate implements Body.
func (m *ResultDigests) Validate() error {
	if len(m.Results) == 0 || len(m.Results) > 128 {
		return invalid("results", "has %d entries; it must have 1 to 128", len(m.Results))
	}
	for _, r := range m.Results {
		if err := firstError(validTask("results.taskId", r.TaskID), validText("results.status", string(r.Status), maxName)); err != nil {
			return err
		}
	}
	return nil
}

// ReputationUpdate tells that a node's reputation moved, on evidence that others
// can check: the digest of a receipt or of a failed proof.
type ReputationUpdate struct {
	NodeID   core.NodeID `json:"nodeId"`
	Delta    int         `json:"delta"` // -100..100
	Score    int         `json:"score"` // after it, 0..100, in the author's table
	Cause    string      `json:"cause"`
	Evidence core.Digest `json:"evidence"`
}

// Type implements Body.
func (*ReputationUpdate) Type() Type { return TypeReputation }

// Validate implements Body.
func (m *ReputationUpdate) Validate() error {
	if m.Delta < -100 || m.Delta > 100 || m.Score < 0 || m.Score > 100 {
		return invalid("delta", "or score is out of range")
	}
	return firstError(validNode("nodeId", m.NodeID), validText("cause", m.Cause, 64))
}

// Health is a node's own word on its condition.
type Health struct {
	NodeID  core.NodeID    `json:"nodeId"`
	State   core.Lifecycle `json:"state"`
	Region  core.RegionID  `json:"region,omitempty"`
	Roles   []string       `json:"roles"`
	Version string         `json:"version"`
	Peers   int            `json:"peers"`
	UptimeS int64          `json:"uptimeS"`
}

// Type implements Body.
func (*Health) Type() Type { return TypeHealth }

// Validate implements Body.
func (m *Health) Validate() error {
	if m.Peers < 0 || m.UptimeS < 0 {
		return invalid("peers", "or uptimeS is out of range")
	}
	return firstError(validNode("nodeId", m.NodeID), validNames("roles", m.Roles, 16), validRegion("region", m.Region), validText("version", m.Version, 64), validText("state", string(m.State), 16))
}

// AggregationProposal asks nearby local nodes to act together as one of a
// higher tier.
type AggregationProposal struct {
	ID       string         `json:"id"`
	Proposer core.NodeID    `json:"proposer"`
	Region   core.RegionID  `json:"region"`
	Target   core.Tier      `json:"targetTier"`
	Offers   core.Resources `json:"offers"`
	Expires  time.Time      `json:"expires"`
}

// Type implements Body.
func (*AggregationProposal) Type() Type { return TypeProposal }

// Validate implements Body.
func (m *AggregationProposal) Validate() error {
	if badRegion(m.Region) || !plausible(m.Offers) || m.Target == core.TierAny {
		return invalid("region", "or offers or targetTier is out of range")
	}
	return firstError(validTask("id", core.TaskID(m.ID)), validNode("proposer", m.Proposer))
}

// AggregationVote answers a proposal, or, from the proposer, tells its end.
type AggregationVote struct {
	ID      string         `json:"id"`
	Voter   core.NodeID    `json:"voter"`
	Outcome string         `json:"outcome"` // join, formed, dissolved
	Offers  core.Resources `json:"offers"`
	Members []core.NodeID  `json:"members,omitempty"` // formed: everybody in it
}

// Type implements Body.
func (*AggregationVote) Type() Type { return TypeVote }

// Validate implements Body.
func (m *AggregationVote) Validate() error {
	if m.Outcome != "join" && m.Outcome != "formed" && m.Outcome != "dissolved" {
		return invalid("outcome", "%.20q is unknown", m.Outcome)
	}
	if !plausible(m.Offers) {
		return invalid("offers", "is out of range")
	}
	return firstError(validTask("id", core.TaskID(m.ID)), validNode("voter", m.Voter), validNodes("members", m.Members, 256))
}
