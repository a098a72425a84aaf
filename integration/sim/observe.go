package sim

import (
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// epochs is what one process of a worker was told about who leads.
type epochs struct {
	mu    sync.Mutex
	high  uint64
	since time.Time
}

func (e *epochs) adopted(epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch > e.high {
		e.high, e.since = epoch, time.Now()
	}
}

// run is one time that a worker took a subtask.
type run struct {
	at     time.Time
	worker string
	epoch  uint64
	input  core.Digest
}

// ledger is what the simulation saw of the work, from outside of every node.
type ledger struct {
	s *sim

	mu      sync.Mutex
	runs    map[jobs.Key][]run
	offers  map[*workLife]map[wire.LeaseID]uint64 // with which epoch they came
	leaders map[uint64]string
	kept    map[jobs.Key]uint64 // parts that were in the journal when an epoch began
	paidFor map[jobs.Key]receipt
}

func newLedger(s *sim) *ledger {
	return &ledger{s: s, runs: map[jobs.Key][]run{}, leaders: map[uint64]string{}, kept: map[jobs.Key]uint64{}, paidFor: map[jobs.Key]receipt{},
		offers: map[*workLife]map[wire.LeaseID]uint64{}}
}

// led: a coordinator begins to lead. An epoch has one leader, and what the
// journal has of a job's parts must not be computed again.
func (g *ledger) led(name string, epoch uint64, open []journal.OpenJob) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if other, twice := g.leaders[epoch]; twice && other != name {
		g.s.violated("%s and %s both lead in epoch %d", other, name, epoch)
	}
	g.leaders[epoch] = name
	for _, o := range open {
		for _, p := range o.Parts {
			if k := (jobs.Key{Task: o.Job.ID, Index: p.Index}); g.kept[k] == 0 {
				g.kept[k] = epoch
			}
		}
	}
}

// offered: an offer reached a worker.
func (g *ledger) offered(l *workLife, o *wire.JobOffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.offers[l] == nil {
		g.offers[l] = map[wire.LeaseID]uint64{}
	}
	g.offers[l][o.Lease] = o.Epoch
}

// ran: a worker took a subtask.
func (g *ledger) ran(l *workLife, o *wire.JobOffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, epoch := jobs.Key{Task: o.TaskID, Index: o.Index}, g.offers[l][o.Lease]
	g.runs[k] = append(g.runs[k], run{time.Now(), l.w.name, epoch, o.InputHash})
	g.s.logf("%s runs %s part %d, attempt %d, epoch %d", l.w.name, o.TaskID, o.Index, o.Attempt, epoch)
	if first := g.runs[k][0]; first.input != o.InputHash {
		g.s.violated("part %d of %s was cut in two ways", o.Index, o.TaskID)
	}
	if at := g.kept[k]; at > 0 && epoch >= at {
		g.s.violated("part %d of %s was in the journal when epoch %d began, and ran again in epoch %d", o.Index, o.TaskID, at, epoch)
	}
	l.epochs.mu.Lock()
	defer l.epochs.mu.Unlock()
	if epoch < l.epochs.high && l.epochs.since.Before(time.Now()) {
		g.s.violated("%s took part %d of %s in epoch %d, after it was told of epoch %d", l.w.name, o.Index, o.TaskID, epoch, l.epochs.high)
	}
}

// receipt is who has it, from whom, and what it says.
type receipt struct {
	worker string
	from   core.NodeID
	entry  wire.Reward
}

// paid: a worker got a receipt. A part has one, whoever ran it and whoever leads; only
// the next leader, who cannot know whether it arrived, may give its worker the same.
func (g *ledger) paid(worker string, m *wire.JobReward) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range m.Entries {
		k := jobs.Key{Task: e.TaskID, Index: e.Index}
		first, twice := g.paidFor[k]
		if twice && (first.worker != worker || first.entry != e || first.from == m.Coordinator) {
			g.s.violated("%s was given a receipt for part %d of %s, for which %s had one", worker, e.Index, e.TaskID, first.worker)
			continue
		}
		g.paidFor[k] = receipt{worker, m.Coordinator, e}
	}
}

// owed says since when a worker has done a part, if it has no receipt for it.
func (g *ledger) owed(k jobs.Key, worker string) (since time.Duration, owed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, paid := g.paidFor[k]; paid {
		return 0, false
	}
	for _, r := range g.runs[k] {
		if r.worker == worker {
			since, owed = g.s.since(r.at), true
		}
	}
	return since, owed
}

// repeated counts the runs beyond the first of each subtask, and complains of
// those that no fault explains.
func (g *ledger) repeated() (runs, again int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, rs := range g.runs {
		runs += len(rs)
		again += len(rs) - 1
		for i := 1; i < len(rs); i++ {
			if !g.s.plan.explains(g.s.since(rs[i-1].at), g.s.since(rs[i].at)) {
				g.s.violated("part %d of %s ran on %s at %s and again on %s at %s, without any fault", k.Index, k.Task,
					rs[i-1].worker, g.s.since(rs[i-1].at), rs[i].worker, g.s.since(rs[i].at))
			}
		}
	}
	return runs, again
}
