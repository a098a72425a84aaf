package regional

import (
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// TestNextLeaderPays: what a leader recorded and died before it sent the receipt for is
// paid by the next one, in full and once; so is what a link that broke took with it.
func TestNextLeaderPays(t *testing.T) {
	wide := specOf(`[1,2,3,4,5]`, `["square","sum"]`, 4)
	for name, c := range map[string]struct {
		spec   core.TaskSpec
		open   bool // the end of the job is not recorded before the leader dies
		relink bool // the leader lives, the worker's link does not
	}{
		"of a job of one part":     {spec: sample()},
		"of a merged job":          {spec: wide},
		"of a job that goes on":    {spec: wide, open: true},
		"over a new link":          {spec: sample(), relink: true},
		"of a merged job, over it": {spec: wide, relink: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &books{}
			l := &ledger{books: b, shut: c.open}
			bubbleWith(t, options{journal: func(under journal.Journal) journal.Journal { l.Journal = under; return l }}, func(t *testing.T, r *rig) {
				p := newPayee(t, b)
				link := r.below(p.held, ad(t, identity(1), nil), jobs.ChildInfo{ID: p.id, Region: east})
				r.offer(jobID, c.spec)
				time.Sleep(dispatch.RewardDelay / 2)
				if p.Credits() != 0 {
					t.Fatal("paid already: the test shows nothing")
				}
				payer := r
				if c.relink {
					_ = link.Close()
					settle()
				} else {
					r.depose()
					settle()
					payer = r.successor(2)
					defer payer.stop()
				}
				payer.below(p.held, ad(t, identity(1), nil), jobs.ChildInfo{ID: p.id, Region: east})
				l.open()
				time.Sleep(time.Minute)
				job, err := l.Get(jobID)
				if err != nil || job.Worth < 1 {
					t.Fatalf("the job is worth %d a part, %v", job.Worth, err)
				}
				if want := job.Worth * int64(job.Subtasks); p.Credits() != want {
					t.Errorf("%d credits of %d", p.Credits(), want)
				}
				var paid []int
				for _, m := range b.receipts {
					for _, e := range m.Entries {
						if paid = append(paid, e.Index); m.Coordinator != payer.id.ID() || e.Units != job.Worth {
							t.Errorf("%s gave %+v", m.Coordinator.Short(), e)
						}
					}
				}
				slices.Sort(paid)
				if len(paid) != job.Subtasks || len(slices.Compact(paid)) != job.Subtasks {
					t.Errorf("%d parts, receipts for %v", job.Subtasks, paid)
				}
				if !p.held.Idle() {
					t.Error("the worker still keeps results")
				}
			})
		})
	}
}

// TestOwedTo: only the result that is recorded, in the name of who computed it, is owed
// anything.
func TestOwedTo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 4, nil)
		r.offer(jobID, specOf(`[1,2,3,4,5]`, `["square","sum"]`, 2)).completed()
		job, err := r.journal.Get(jobID)
		if err != nil {
			t.Fatal(err)
		}
		part := func(i int) *wire.JobResult {
			return &wire.JobResult{TaskID: jobID, Index: i, Attempt: 1, Proofs: []core.Proof{job.Result.Proofs[i+1]}}
		}
		for name, c := range map[string]struct {
			child core.NodeID
			bend  func(m *wire.JobResult)
			owed  bool
		}{
			"as it is":             {w.id.ID(), func(*wire.JobResult) {}, true},
			"by another":           {identity(2).ID(), func(*wire.JobResult) {}, false},
			"in another's name":    {identity(2).ID(), func(m *wire.JobResult) { m.Proofs[0].NodeID = identity(2).ID() }, false},
			"another part's proof": {w.id.ID(), func(m *wire.JobResult) { m.Proofs[0] = job.Result.Proofs[1] }, false},
			"the merge's":          {r.id.ID(), func(m *wire.JobResult) { m.Index, m.Proofs[0] = 0, job.Result.Proofs[0] }, false},
			"another time":         {w.id.ID(), func(m *wire.JobResult) { m.Proofs[0].Timestamp++ }, false},
			"another output":       {w.id.ID(), func(m *wire.JobResult) { m.Proofs[0].OutputHash[0] ^= 1 }, false},
			"another input":        {w.id.ID(), func(m *wire.JobResult) { m.Proofs[0].InputHash[0] ^= 1 }, false},
			"a part to come":       {w.id.ID(), func(m *wire.JobResult) { m.Index = 2 }, false},
			"no such task":         {w.id.ID(), func(m *wire.JobResult) { m.TaskID += "0" }, false},
			"no proof":             {w.id.ID(), func(m *wire.JobResult) { m.Proofs = nil }, false},
			"two proofs":           {w.id.ID(), func(m *wire.JobResult) { m.Proofs = append(m.Proofs, m.Proofs[0]) }, false},
			"a failure":            {w.id.ID(), func(m *wire.JobResult) { m.Failure = &core.Failure{Reason: core.ReasonInternal} }, false},
		} {
			m := part(1)
			c.bend(m)
			if got := r.v.owed(c.child, m); (got == job.Worth) != c.owed || got != 0 && !c.owed {
				t.Errorf("%s: owed %d of %d", name, got, job.Worth)
			}
		}
	})
}
