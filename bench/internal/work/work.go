// Package work is what a worker does with the job of the benchmarks, and what its
// submitter does with the result: computing, signing and verifying, with the very
// functions a node uses. How the two reach each other is for others.
package work

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// Worker computes and signs. It is safe for concurrent use.
type Worker struct {
	Identity *keys.Identity
	engine   vector.Vector
	proofs   *keys.ProofVerifier
}

// New returns a worker who signs as identity.
func New(identity *keys.Identity) *Worker {
	return &Worker{Identity: identity, engine: vector.New(), proofs: keys.NewProofVerifier()}
}

// Result is what comes back.
type Result struct {
	Output json.RawMessage `json:"output"`
	Proof  core.Proof      `json:"proof"`
}

// Do computes data and signs the result.
func (w *Worker) Do(data json.RawMessage) (Result, error) {
	out, err := w.engine.Run(context.Background(), data, compute.Report{})
	if err != nil {
		return Result{}, err
	}
	proof := core.Proof{OperationType: string(vector.Type), NodeID: w.Identity.ID(), Timestamp: time.Now().UnixMilli(),
		InputHash: core.Sum(data), OutputHash: core.Sum(out.Result), ResultMetric: out.Metric}
	keys.SignProof(w.Identity, &proof)
	return Result{Output: out.Result, Proof: proof}, nil
}

// Verify reports why r is not the worker's result of data, or not want.
func (w *Worker) Verify(data json.RawMessage, r Result, want string) error {
	unit := &jobs.Unit{Head: wire.TaskHead{Type: vector.Type}, Data: data, InputHash: core.Sum(data)}
	result := &wire.JobResult{Proofs: []core.Proof{r.Proof}}
	if err := jobs.VerifyProof(w.proofs, unit, w.Identity.ID(), result, r.Output, time.Now()); err != nil {
		return err
	}
	if string(r.Output) != want {
		return fmt.Errorf("the result is %.40s, not %s", r.Output, want)
	}
	return nil
}
