package core

import (
	"encoding/binary"
	"math"
)

// Proof is the signed record of one operation (document 4, "Proof
// Verification"): who turned which input into which output, when. The
// signature covers SigningParts under the proof domain of package keys, alone or
// with those of other proofs.
type Proof struct {
	OperationType string  `json:"operation_type"`      // the task type, for example "compute"
	NodeID        NodeID  `json:"node_id"`             // the signer
	Timestamp     int64   `json:"timestamp,string"`    // Unix milliseconds at the worker
	InputHash     Digest  `json:"input_hash"`          // of the exact subtask bytes that were offered
	OutputHash    Digest  `json:"output_hash"`         // of the exact result bytes
	ResultMetric  float64 `json:"result_metric"`       // engine-defined quality 0..1; 1 for exact results
	Signature     []byte  `json:"signature,omitempty"` // base64 in JSON; Ed25519, 64 bytes
	// Inclusion leads from this proof to what Signature covers when those are several
	// proofs; empty when it covers this one alone. Package keys makes and reads it.
	Inclusion []byte `json:"inclusion,omitempty"` // base64 in JSON
}

// MaxInclusion bounds an inclusion, in bytes: 18 before a path of four hashes.
const MaxInclusion = 18 + 4*32

// MaxProofsShown bounds the Places of the proofs that travel with a result.
const MaxProofsShown = 64

// Places is how much of MaxProofsShown a proof takes: 1, or 2 when an inclusion
// makes it half as long again.
func (p Proof) Places() int { return 1 + min(len(p.Inclusion), 1) }

// SigningParts returns the fields in the order they are signed, each to be
// length-prefixed by the signer.
func (p Proof) SigningParts() [][]byte {
	var ts, metric [8]byte
	binary.BigEndian.PutUint64(ts[:], uint64(p.Timestamp))
	binary.BigEndian.PutUint64(metric[:], math.Float64bits(p.ResultMetric))
	return [][]byte{[]byte(p.OperationType), []byte(p.NodeID), ts[:], p.InputHash[:], p.OutputHash[:], metric[:]}
}

// Validate checks the bounds, not the signature.
func (p Proof) Validate() error {
	switch {
	case !validName(p.OperationType, 64):
		return Errorf(Invalid, "proof.operation_type", "operation type %.40q is not a name", p.OperationType)
	case len(p.NodeID) == 0 || len(p.NodeID) > 64:
		return Errorf(Invalid, "proof.node_id", "node id has %d characters", len(p.NodeID))
	case math.IsNaN(p.ResultMetric) || p.ResultMetric < 0 || p.ResultMetric > 1:
		return Errorf(Invalid, "proof.result_metric", "result metric %v is not in 0..1", p.ResultMetric)
	case len(p.Signature) != 64:
		return Errorf(Invalid, "proof.signature", "signature has %d bytes, not 64", len(p.Signature))
	case len(p.Inclusion) > MaxInclusion:
		return Errorf(Invalid, "proof.inclusion", "inclusion has %d bytes; at most %d", len(p.Inclusion), MaxInclusion)
	}
	return nil
}
