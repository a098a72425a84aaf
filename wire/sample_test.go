package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// The fixed world of the tests and of the golden files: two nodes, one moment.
const testNet core.NetworkID = "testnet"

const sampleTask core.TaskID = "us-east-0190b5a4-7e3c-7cc0-8000-000000000001"

func testNow() time.Time { return time.Date(2026, 11, 20, 9, 0, 0, 123456789, time.UTC) }

func node(n byte) *keys.Identity {
	var seed [32]byte
	seed[0], seed[31] = 't', n
	return keys.FromSeed(seed)
}

func sampleRequirements() core.Requirements {
	return core.Requirements{MinTier: core.TierInference, CPU: 80, MemoryMB: 512, MaxPrice: 250}
}

func sampleResources() core.Resources {
	return core.Resources{Cores: 8, CPUScore: 1.25, MemoryMB: 16384, DiskMB: 512000, FreeCPU: 75, FreeMemoryMB: 8192, FreeDiskMB: 256000}
}

func sampleAd() Ad {
	ad := Ad{
		Sequence: 7, Issued: testNow(), Expires: testNow().Add(MaxAdLife), Network: testNet, Region: "us-east",
		Roles: []string{"local"}, Can: core.CanCompute, Tier: core.TierTrainer, Arch: "amd64", Resources: sampleResources(),
		Accelerators: []core.Accelerator{{Vendor: "nvidia", Name: "RTX 4090", MemoryMB: 24564}},
		Runtimes:     []core.TaskType{"compute"}, MaxSlots: 8,
	}
	if err := SignAd(node(2), &ad); err != nil {
		panic(err)
	}
	return ad
}

func sampleData() json.RawMessage {
	return json.RawMessage(`{"input":[1,2,3,4,5],"operations":["square","sum"]}`)
}

func sampleOffer() *JobOffer {
	return &JobOffer{
		Lease: 41, TaskID: sampleTask, Index: 2, Attempt: 1, Epoch: 3, Class: ClassSubtask,
		Task: Head(core.TaskSpec{Type: "compute", Requirements: sampleRequirements(), Priority: -2,
			Deadline: testNow().Add(10 * time.Minute), Submitter: "alice"}),
		Data:      Payload{Inline: sampleData()},
		InputHash: core.Sum(sampleData()), Deadline: testNow().Add(10 * time.Minute), TTLMS: 15000,
		Gateway: node(1).ID(), Regions: []core.RegionID{"us-east", "eu-west"},
	}
}

func sampleProof() core.Proof {
	p := core.Proof{OperationType: "compute", Timestamp: testNow().UnixMilli(), InputHash: core.Sum(sampleData()),
		OutputHash: core.Sum([]byte("55")), ResultMetric: 1}
	keys.SignProof(node(2), &p)
	return p
}

// sampleInclusion is as long as one may be.
func sampleInclusion() []byte { return bytes.Repeat([]byte{15, 16}, core.MaxInclusion/2) }

// sharedProofs are as many as a message may have that share signatures with others.
func sharedProofs() []core.Proof {
	p := sampleProof()
	p.Inclusion = sampleInclusion()
	return many(core.MaxProofsShown/p.Places(), p)
}

func sampleResult() *JobResult {
	return &JobResult{
		Lease: 41, TaskID: sampleTask, Index: 2, Attempt: 1, Epoch: 3, Output: Payload{Inline: json.RawMessage("55")},
		Proofs: []core.Proof{sampleProof()}, Workers: []core.NodeID{node(2).ID()}, Regions: []core.RegionID{"us-east"},
		Subtasks: 1, TookUS: 12,
	}
}

func sampleReward() *JobReward {
	r := &JobReward{Worker: node(2).ID(), At: testNow(),
		Entries: []Reward{{TaskID: sampleTask, Index: 2, Units: 10, OutputHash: core.Sum([]byte("55"))}}}
	if err := SignReward(node(1), r); err != nil {
		panic(err)
	}
	return r
}

func sampleState() *JobState {
	return &JobState{
		ID: 9,
		Status: &core.TaskStatus{TaskID: sampleTask, Status: core.TaskCompleted, Progress: 1, Type: "compute", Region: "us-east",
			Gateway: node(1).ID(), Subtasks: 1, Created: testNow(), Updated: testNow().Add(time.Second), ResultLen: 2,
			Attempts: []core.Attempt{{Attempt: 1, Worker: node(2).ID(), Started: testNow(), Finished: testNow().Add(time.Second), Outcome: "ok"}}},
		Result: &core.TaskResult{TaskID: sampleTask, Status: core.TaskCompleted, Regions: []core.RegionID{"us-east"},
			Workers: []core.NodeID{node(2).ID()}, Proofs: []core.Proof{sampleProof()}},
		Output: Payload{Inline: json.RawMessage("55")},
	}
}

func sampleClaim() *Claim {
	return &Claim{Epoch: 4, Leases: []ClaimedLease{
		{Lease: 3<<32 + 41, TaskID: sampleTask, Index: 2, Attempt: 1, Epoch: 3, InputHash: core.Sum(sampleData()), Progress: 0.5},
		{Lease: 3<<32 + 42, TaskID: sampleTask, Index: 3, Attempt: 2, Epoch: 3, InputHash: core.Sum(sampleData()), Progress: 1, Finished: true},
	}}
}

// sample returns the golden message of type t.
func sample(t Type) Body {
	ad := sampleAd()
	switch t {
	case TypeHello:
		return &Hello{Version: 2, Network: testNet, Region: "us-east", Roles: []string{"local"}, Epoch: 3, Ad: &ad}
	case TypePull:
		return &Pull{Class: ClassSubtask, Credits: 8, FreeCPU: 75, FreeMemoryMB: 8192, Active: 1, AskPrice: 120, Rests: "on battery, 40 % charged"}
	case TypeJobOffer:
		return sampleOffer()
	case TypeJobAccept:
		return &JobAccept{Lease: 41}
	case TypeJobReject:
		return &JobReject{Lease: 41, Reason: RefusedBusy, Message: "all 8 slots are taken", RetryAfterMS: 250}
	case TypeLeaseRenew:
		return &LeaseRenew{Lease: 41, Progress: 0.5}
	case TypeLeaseRevoke:
		return &LeaseRevoke{Lease: 41, Reason: core.ReasonCancelled}
	case TypeJobResult:
		return sampleResult()
	case TypeJobVerify:
		return &JobVerify{TaskID: sampleTask, Index: 2, Accepted: true}
	case TypeJobReward:
		return sampleReward()
	case TypeJobQuery:
		return &JobQuery{ID: 9, TaskID: sampleTask, Op: QueryStatus}
	case TypeJobState:
		return sampleState()
	case TypeAdopt:
		return &Adopt{Region: "us-east", Epoch: 4}
	case TypeClaim:
		return sampleClaim()
	case TypeCoordinators:
		return &Coordinators{Region: "us-east", Members: []core.NodeID{node(1).ID(), node(2).ID()}}
	}
	return sampleTopic(t, ad)
}

func sampleTopic(t Type, ad Ad) Body {
	switch t {
	case TypeAd:
		return &ad
	case TypeAnnouncement:
		return &JobAnnouncement{TaskID: sampleTask, Task: "compute", Requirements: sampleRequirements(), Region: "us-east",
			Waiting: 12, Expires: testNow().Add(30 * time.Second)}
	case TypeCapabilities:
		return &WorkerCapabilities{Ad: ad}
	case TypeSummary:
		return &RegionSummary{Region: "us-east", Coordinator: node(1).ID(), Sequence: 5, Workers: 2,
			ByTier: map[string]int{"trainer": 2}, FreeSlots: 15, Queue: 3,
			Capacity: core.Capacity{CPU: 0.75, Memory: 0.5, Storage: 0.5}, Performance: 0.98, Runtimes: []core.TaskType{"compute"}}
	case TypeDigests:
		return &ResultDigests{Results: []ResultDigest{{sampleTask, core.TaskCompleted, core.Sum([]byte("55"))}}}
	case TypeReputation:
		return &ReputationUpdate{NodeID: node(2).ID(), Delta: -10, Score: 40, Cause: "invalid_proof", Evidence: core.Sum([]byte("proof"))}
	case TypeHealth:
		return &Health{NodeID: node(2).ID(), State: core.Earning, Region: "us-east", Roles: []string{"local"}, Version: "0.1.0", Peers: 3, UptimeS: 3600}
	case TypeProposal:
		return &AggregationProposal{ID: "p-1", Proposer: node(2).ID(), Region: "us-east", Target: core.TierTrainer,
			Offers: sampleResources(), Expires: testNow().Add(time.Minute)}
	case TypeVote:
		return &AggregationVote{ID: "p-1", Voter: node(1).ID(), Outcome: "formed", Offers: sampleResources(),
			Members: []core.NodeID{node(2).ID(), node(1).ID()}}
	}
	return nil
}
