package jobs

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// MaxClockSkew is how far a proof's timestamp may be from the verifier's clock.
const MaxClockSkew = 10 * time.Minute

// VerifyProof checks that the first proof of r ties the unit's exact input to
// output under the signature of the node that sent it, which check verifies. What the
// output means is the planner's to judge. The error is core.Corrupt and says what does not fit.
func VerifyProof(check *keys.ProofVerifier, u *Unit, from core.NodeID, r *wire.JobResult, output []byte, now time.Time) error {
	if len(r.Proofs) == 0 {
		return core.Errorf(core.Corrupt, "proof", "the result carries no proof")
	}
	p := r.Proofs[0]
	switch age := now.Sub(time.UnixMilli(p.Timestamp)); {
	case p.NodeID != from:
		return core.Errorf(core.Corrupt, "proof.node_id", "the proof is of node %s, the result of %s", p.NodeID.Short(), from.Short())
	case p.OperationType != string(u.Head.Type):
		return core.Errorf(core.Corrupt, "proof.operation_type", "the proof is for %q, the task is %q", p.OperationType, u.Head.Type)
	case p.InputHash != u.InputHash:
		return core.Errorf(core.Corrupt, "proof.input_hash", "the proof is for another input")
	case p.OutputHash != core.Sum(output):
		return core.Errorf(core.Corrupt, "proof.output_hash", "the proof is for another output")
	case age > MaxClockSkew || age < -MaxClockSkew:
		return core.Errorf(core.Corrupt, "proof.timestamp", "the proof's clock is off by %s", age.Round(time.Second))
	}
	if err := check.Verify(p); err != nil {
		return core.Errorf(core.Corrupt, "proof", "checking the proof: %w", err)
	}
	return nil
}

// Shards decides into how many subtasks a job is cut: what was asked for, else
// one per ShardUnits of work but no more than four for each capable worker.
// Results do not depend on it.
func Shards(units float64, most, asked, workers int) int {
	n := asked
	if n == 0 {
		n = int(min(units/ShardUnits+1, float64(4*max(workers, 1)))) // bounded before it is an int
	}
	return max(1, min(n, most, core.MaxParallelism))
}

// ShardUnits is the least work worth a subtask of its own, in elementary
// operations: about half a millisecond, some five times what its messages cost.
const ShardUnits = 250_000

// InputHash is the digest of the exact data bytes a unit offers.
func InputHash(data json.RawMessage) core.Digest { return core.Sum(data) }
