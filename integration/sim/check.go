package sim

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
)

// check looks for everything that must hold once nothing goes wrong any more, and
// returns how long the run was watched.
func (s *sim) check(ctx context.Context) time.Duration {
	s.settle(ctx)
	horizon := s.since(time.Now())
	for _, t := range s.plan.Tasks {
		for _, e := range s.hist.Events() {
			if e.Kind == history.Acked && e.Key == t.Key {
				s.recheck(ctx, t, e.Task)
				break
			}
		}
	}
	s.compare()
	s.strays()
	s.leaders()
	s.receipts(ctx)
	return horizon
}

// settle waits until no coordinator has an open job and all have the same
// journal, within the longest timeout and the grace.
func (s *sim) settle(ctx context.Context) {
	for limit := time.Now().Add(2*time.Minute + history.Grace); time.Now().Before(limit); {
		if s.settled() {
			wait(ctx, 3*time.Second) // for what is on its way
			if s.settled() {
				return
			}
		}
		wait(ctx, time.Second)
	}
}

func (s *sim) settled() bool {
	applied := s.coords[0].now().group.Stats().Applied
	for _, c := range s.coords {
		if stats := c.now().group.Stats(); stats.Open > 0 || stats.Applied != applied {
			return false
		}
	}
	return true
}

// recheck asks every gateway and every coordinator about a task that was
// acknowledged.
func (s *sim) recheck(ctx context.Context, t Task, id core.TaskID) {
	for _, g := range s.gateways {
		told := false
		for try := 0; try < 10 && !told; try++ { // it may be looking for the leader
			told = s.result(ctx, g, t, id, 2*time.Second)
		}
		if !told {
			s.violated("%s does not say how %s ended", g.name, id)
		}
	}
	for _, c := range s.coords {
		job, err := c.now().group.Get(id)
		switch {
		case err != nil:
			s.violated("%s does not know %s, which was acknowledged: %v", c.name, id, err)
		case !job.State.Final():
			s.violated("%s has %s as %s", c.name, id, job.State)
		case s.cancelled[id] != "" && s.cancelled[id] != job.Result.Status:
			s.violated("%s was said to be %s when it was cancelled, and %s has it as %s", id, s.cancelled[id], c.name, job.Result.Status)
		}
	}
}

// compare wants the same journal everywhere.
func (s *sim) compare() {
	var first []byte
	for _, c := range s.coords {
		l := c.now()
		if open := l.group.Open(); len(open) > 0 {
			s.violated("%s has %d open jobs at the end, for example %s", c.name, len(open), open[0].Job.ID)
		}
		b, err := json.Marshal(l.group.List(journal.Filter{Limit: 10_000}))
		switch {
		case err != nil:
			s.violated("the journal of %s cannot be shown: %v", c.name, err)
		case first == nil:
			first = b
		case string(first) != string(b):
			s.violated("the journals of %s and %s differ", s.coords[0].name, c.name)
		}
	}
}

// strays wants no job in the journal beyond one for each key.
func (s *sim) strays() {
	acked, keys := map[core.TaskID]bool{}, map[string]bool{}
	for _, e := range s.hist.Events() {
		if e.Kind == history.Acked {
			acked[e.Task], keys[e.Key] = true, true
		}
	}
	strays := 0
	for _, j := range s.coords[0].now().group.List(journal.Filter{Limit: 10_000}) {
		if !acked[j.ID] {
			strays++
		}
	}
	if doubtful := len(s.plan.Tasks) - len(keys); strays > doubtful {
		s.violated("the journal has %d jobs that no client was told of, of %d keys without an acknowledgement", strays, doubtful)
	}
}

// leaders wants one validator at work, where the journal's leader is.
func (s *sim) leaders() {
	var lead []string
	for _, c := range s.coords {
		if l := c.now(); l.validator.Leading() {
			lead = append(lead, c.name)
		}
	}
	if len(lead) != 1 {
		s.violated("at the end %d coordinators run the region's jobs: %v", len(lead), lead)
	}
}

// receipts wants one for every part of a job that completed, unless faults explain why
// its worker has none.
func (s *sim) receipts(ctx context.Context) {
	wait(ctx, 2*dispatch.RewardDelay)
	for _, j := range s.coords[0].now().group.List(journal.Filter{State: core.TaskCompleted, Limit: 10_000}) {
		proofs := j.Result.Proofs
		if j.Subtasks > 1 { // the first is of the merge
			proofs = proofs[1:]
		}
		for i, p := range proofs {
			for _, w := range s.workers {
				since, owed := s.seen.owed(jobs.Key{Task: j.ID, Index: i}, w.name)
				if owed && w.id.ID() == p.NodeID && !s.plan.forfeits(w.name, since) {
					s.violated("%s has no receipt for part %d of %s, which it took at %s", w.name, i, j.ID, since)
				}
			}
		}
	}
}
