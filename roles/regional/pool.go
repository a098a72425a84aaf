package regional

import (
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// pooled returns the aggregation that takes a job which no node of the region can
// take alone. It is empty when one can, nobody can, or the job cannot be cut into
// a subtask for each member. It stays the job's when it dissolves, or another
// coordinator leads: those who are left finish it.
func (v *Validator) pooled(spec core.TaskSpec, cost compute.Cost) jobs.Pool {
	if v.deps.Pool == nil {
		return ""
	}
	p := v.deps.Pool(spec.Type, spec.Requirements)
	if p.Size() > cost.MaxShards {
		return ""
	}
	return p
}
