package regional

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// complete merges the parts and ends the job.
func (x *execution) complete() {
	result := core.TaskResult{TaskID: x.id(), Status: core.TaskCompleted, Proofs: shown(x.parts)}
	outputs := make([]json.RawMessage, len(x.parts))
	for i, p := range x.parts {
		outputs[i] = p.output
		result.Workers = appendNew(result.Workers, p.proof.NodeID, wire.MaxWorkersShown)
		result.Regions = appendNew(result.Regions, p.region, maxRegionsShown)
	}
	if len(outputs) == 1 {
		result.Result = outputs[0]
		x.finish(result)
		return
	}
	x.note(func(j jobs.Job) (jobs.Job, error) { return j.To(jobs.Verifying, time.Now().UTC()) })
	begun := time.Now()
	merged, err := x.planner.Merge(x.job.Spec.Data, outputs)
	x.v.span(x.id(), "merge", begun)
	var metric float64
	if err == nil {
		metric, err = compute.MetricOf(x.planner, x.job.Spec.Data, merged)
	}
	if err != nil {
		x.fail(mergeFailure(err))
		return
	}
	result.Result = merged
	proof := x.v.prove(x.job.Spec.Type, jobs.InputHash(x.job.Spec.Data), merged, metric)
	result.Proofs = append([]core.Proof{proof}, result.Proofs...)
	x.finish(result)
}

// shown returns the proofs of the first parts, as many as have room in a message beside
// that of the merge.
func shown(parts []part) []core.Proof {
	var out []core.Proof
	room := core.MaxProofsShown - 1
	for _, p := range parts {
		if room -= p.proof.Places(); room < 0 {
			break
		}
		out = append(out, p.proof)
	}
	return out
}

func mergeFailure(err error) *core.Failure {
	var f *core.Failure
	if errors.As(err, &f) {
		return f
	}
	return &core.Failure{Reason: core.ReasonExecutionFailed, Message: "merging the subtasks: " + err.Error()}
}

// prove signs that this region turned input into output, which is of this quality.
func (v *Validator) prove(t core.TaskType, input core.Digest, output []byte, metric float64) core.Proof {
	p := core.Proof{OperationType: string(t), NodeID: v.deps.Signer.ID(), Timestamp: time.Now().UnixMilli(),
		InputHash: input, OutputHash: core.Sum(output), ResultMetric: metric}
	keys.SignProof(v.deps.Signer, &p)
	return p
}

// maxRegionsShown is how many regions a message may name.
const maxRegionsShown = 64

// appendNew appends v unless it is there already or list has most elements.
func appendNew[T comparable](list []T, v T, most int) []T {
	if len(list) >= most || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
