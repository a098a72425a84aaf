package regional

import (
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// owed implements dispatch.Owed. Who led before may have died between recording a
// result and sending its receipt: then the worker shows the result again. A part that
// the record of its job does not show any more, of a job with very many, is owed
// nothing.
func (v *Validator) owed(child core.NodeID, m *wire.JobResult) int64 {
	if m.Failure != nil || len(m.Proofs) != 1 || m.Proofs[0].NodeID != child {
		return 0
	}
	v.mu.Lock()
	x := v.runs[m.TaskID]
	v.mu.Unlock()
	if x != nil && x.shows(m) && x.recordedPart(m.Index) {
		return x.worth()
	}
	job, err := v.deps.Journal.Get(m.TaskID)
	if err != nil || job.State != jobs.Completed {
		return 0
	}
	at := m.Index
	if job.Subtasks > 1 { // behind the proof of the merge
		at++
	}
	if at >= len(job.Result.Proofs) || !same(job.Result.Proofs[at], m.Proofs[0]) {
		return 0
	}
	return job.Worth
}

// shows reports whether a result is the one that was accepted for its part.
func (x *execution) shows(m *wire.JobResult) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return m.Index < len(x.parts) && x.parts[m.Index].output != nil && same(x.parts[m.Index].proof, m.Proofs[0])
}

// recordedPart waits until an accepted part is recorded, and reports whether it is.
func (x *execution) recordedPart(i int) bool {
	x.mu.Lock()
	recorded := x.parts[i].recorded
	x.mu.Unlock()
	select {
	case <-recorded:
		return true
	case <-x.finished: // also when it was handed over, which is after the term
		return x.term.ctx.Err() == nil
	case <-x.term.ctx.Done():
		return false
	}
}

// same reports whether two proofs say the same; how they are signed may differ.
func same(a, b core.Proof) bool {
	return a.OperationType == b.OperationType && a.NodeID == b.NodeID && a.Timestamp == b.Timestamp &&
		a.InputHash == b.InputHash && a.OutputHash == b.OutputHash && a.ResultMetric == b.ResultMetric
}
