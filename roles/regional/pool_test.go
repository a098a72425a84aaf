package regional

import (
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// TestPoolSharesAJob: what nobody may run alone goes to the members of an
// aggregation, a subtask at least for each, and to nobody else; what cannot be cut
// into so many does not.
//
// spec 0.19
func TestPoolSharesAJob(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		weak := func(a *wire.Ad) {
			a.Tier, a.Resources.MemoryMB, a.Resources.FreeMemoryMB = core.TierInference, 512, 512
		}
		members := []*worker{r.worker(1, 1, weak), r.worker(2, 1, weak), r.worker(3, 1, weak)}
		other := r.worker(4, 4, nil)
		var ids []core.NodeID
		for _, w := range members {
			ids = append(ids, w.id.ID())
		}
		r.v.deps.Pool = func(core.TaskType, core.Requirements) jobs.Pool { return jobs.NewPool(ids) }

		spec := specOf(numbers(9), `["sum"]`, 0)
		spec.Requirements = core.Requirements{MinTier: core.TierTrainer, MemoryMB: 1500}
		r.offer(jobID, spec).completed()
		for i, w := range members {
			offers := w.offers()
			if len(offers) != 1 || offers[0].Task.Requirements != (core.Requirements{MemoryMB: 500}) {
				t.Errorf("member %d was offered %d subtasks: %+v", i, len(offers), offers)
			}
		}
		if n := len(other.offers()); n != 0 {
			t.Errorf("somebody else was offered %d subtasks", n)
		}
		whole := specOf(numbers(9), `["sort"]`, 0)
		whole.Requirements = spec.Requirements
		if f := r.offer("whole", whole).failed(); f.Reason != core.ReasonNoCapableWorker {
			t.Errorf("a job that cannot be cut ended with %v", f)
		}
		r.idle()
	})
}

// TestPoolIsRecorded: whoever leads next leaves a job with its pool, even when it
// knows of no aggregation.
func TestPoolIsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pool := jobs.NewPool([]core.NodeID{identity(1).ID(), identity(2).ID()})
		r.v.deps.Pool = func(core.TaskType, core.Requirements) jobs.Pool { return pool }
		spec := specOf(numbers(9), `["sum"]`, 0)
		spec.Requirements = core.Requirements{MinTier: core.TierTrainer, MemoryMB: 1000}
		r.offer(jobID, spec)
		r.depose()
		settle()

		next := r.successor(2)
		defer next.stop()
		weak := func(a *wire.Ad) {
			a.Tier, a.Resources.MemoryMB, a.Resources.FreeMemoryMB = core.TierInference, 512, 512
		}
		member, other := next.worker(1, 2, weak), next.worker(3, 2, nil)
		if got := next.offer(jobID, spec).completed(); got != alone(t, spec) {
			t.Errorf("it ends with %s", got)
		}
		if len(member.offers()) != 2 || len(other.offers()) != 0 {
			t.Errorf("the member was offered %d subtasks, somebody else %d", len(member.offers()), len(other.offers()))
		}
	})
}
