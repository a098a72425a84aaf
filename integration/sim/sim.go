package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
)

const (
	netName core.NetworkID = "sim"
	home    core.RegionID  = "sim"
)

func identity(n byte) *keys.Identity { return keys.FromSeed([32]byte{n, 1}) }

func planners() map[core.TaskType]compute.Planner {
	return map[core.TaskType]compute.Planner{vector.Type: vector.New()}
}

func executors() map[core.TaskType]compute.Executor {
	return map[core.TaskType]compute.Executor{vector.Type: vector.New()}
}

// Options say how a plan is run.
type Options struct {
	Bug Bug
	// Logf hears what happens, with the virtual time; nil: nobody does.
	Logf func(format string, args ...any)
	// Nodes has the nodes' own logs written too.
	Nodes bool
}

// Report is what became of a run.
type Report struct {
	Broken  []string // what must not be; empty is well
	Verdict history.Verdict
	Runs    int           // subtasks that workers took
	Again   int           // those beyond the first of each
	Took    time.Duration // of virtual time
}

// sim is one network while it runs.
type sim struct {
	plan     Plan
	bug      Bug
	opts     Options
	begun    atomic.Int64 // Unix nanoseconds
	net      *network
	coords   []*coordinator
	workers  []*worker
	gateways []*gateway
	hist     *history.Log
	seen     *ledger
	buried   sync.WaitGroup

	mu        sync.Mutex
	broken    []string
	cancelled map[core.TaskID]core.TaskState // what a cancellation was answered
	downs     map[string]bool
}

// Run runs a plan. It must be called in a bubble of testing/synctest and leaves no
// goroutine behind.
func Run(p Plan, o Options) Report {
	s := &sim{plan: p, bug: o.Bug, opts: o, cancelled: map[core.TaskID]core.TaskState{}, downs: map[string]bool{}}
	s.begun.Store(time.Now().UnixNano())
	s.net = newNetwork(rand.New(rand.NewPCG(p.Seed, 1)), p.Slow)
	s.seen = newLedger(s)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.build()
	defer s.shut()
	if err := s.start(ctx); err != nil {
		s.violated("the network does not start: %v", err)
		return s.report(0)
	}
	s.begun.Store(time.Now().UnixNano())
	s.hist = history.NewLog(time.Now())
	s.play(ctx)
	return s.report(s.check(ctx))
}

func (s *sim) build() {
	for i, name := range names("coordinator", s.plan.Coordinators) {
		s.coords = append(s.coords, newCoordinator(s, name, byte(10+i)))
	}
	for i, name := range names("worker", s.plan.Workers) {
		s.workers = append(s.workers, &worker{s: s, name: name, id: identity(byte(30 + i)), rnd: rand.New(rand.NewPCG(s.plan.Seed, uint64(30+i)))})
	}
	for i, name := range names("gateway", s.plan.Gateways) {
		s.gateways = append(s.gateways, &gateway{s: s, name: name, id: identity(byte(60 + i))})
	}
}

// start starts every node, the coordinators first, until they are one group.
func (s *sim) start(ctx context.Context) error {
	for _, c := range s.coords {
		if err := c.start(); err != nil {
			return err
		}
	}
	if err := s.formed(ctx); err != nil {
		return err
	}
	for _, w := range s.workers {
		if err := w.start(); err != nil {
			return err
		}
	}
	for _, g := range s.gateways {
		if err := g.start(); err != nil {
			return err
		}
	}
	return nil
}

func (s *sim) formed(ctx context.Context) error {
	for range 600 {
		members, err := s.coords[0].now().group.Members(ctx)
		votes := 0
		for _, m := range members {
			if m.Voter {
				votes++
			}
		}
		if err == nil && (votes == len(s.coords) || s.bug == SplitBrain) {
			return nil
		}
		wait(ctx, 100*time.Millisecond)
	}
	return core.Errorf(core.Timeout, "sim", "the coordinators are no group after a minute")
}

// play has the clients work while faults happen, and returns when the faults are
// over and every client has its answer, or waited for it longer than it should.
func (s *sim) play(ctx context.Context) {
	end := max(faultTime+maxFault+time.Second, loadTime+giveUp) + time.Minute + history.Grace
	waiting, stop := context.WithTimeout(ctx, end)
	defer stop()
	var faults, clients sync.WaitGroup
	for _, f := range s.plan.Faults {
		faults.Go(func() { s.hurt(ctx, f) })
	}
	for _, t := range s.plan.Tasks {
		clients.Go(func() { s.client(waiting, t) })
	}
	pruning, enough := context.WithCancel(ctx)
	faults.Go(func() {
		for pruning.Err() == nil {
			wait(pruning, time.Second)
			s.net.prune()
		}
	})
	clients.Wait()
	s.rest(ctx)
	enough()
	faults.Wait()
}

// rest waits for the last fault to be over.
func (s *sim) rest(ctx context.Context) {
	for _, f := range s.plan.Faults {
		wait(ctx, f.At+f.For+time.Second-s.since(time.Now()))
	}
}

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

// shut ends every node.
func (s *sim) shut() {
	for _, g := range s.gateways {
		if l := g.now(); l != nil {
			s.bury(l.end)
		}
	}
	for _, w := range s.workers {
		if l := w.now(); l != nil {
			s.bury(l.end)
		}
	}
	for _, c := range s.coords {
		if l := c.now(); l != nil {
			s.bury(l.end)
		}
	}
	s.buried.Wait()
}

func (s *sim) bury(end func()) { s.buried.Go(end) }

func (s *sim) report(horizon time.Duration) Report {
	r := Report{Took: s.since(time.Now())}
	if s.hist != nil {
		r.Runs, r.Again = s.seen.repeated()
		r.Verdict = history.Judge(s.hist.Events(), horizon)
		terms := history.Terms{}
		r.Broken = r.Verdict.Broken(terms)
		if s.plan.Calm() {
			s.calm(r.Verdict)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Broken = append(r.Broken, s.broken...)
	slices.Sort(r.Broken)
	r.Broken = slices.Compact(r.Broken)
	return r
}

// calm is what must hold when nothing went wrong: every task is taken and answered for.
func (s *sim) calm(v history.Verdict) {
	if v.Refused > 0 || v.InDoubt > 0 {
		s.violated("without any fault %d tasks were refused and %d calls failed", v.Refused, v.InDoubt)
	}
}

func (s *sim) since(t time.Time) time.Duration { return t.Sub(time.Unix(0, s.begun.Load())) }

// violated notes something that must not be.
func (s *sim) violated(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.logf("BROKEN: %s", line)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = append(s.broken, line)
}

func (s *sim) logf(format string, args ...any) {
	if s.opts.Logf != nil {
		s.opts.Logf("%10s  %s", s.since(time.Now()).Round(time.Millisecond), fmt.Sprintf(format, args...))
	}
}

// log is what a node logs to.
func (s *sim) log(name string) zerolog.Logger {
	if !s.opts.Nodes || s.opts.Logf == nil {
		return zerolog.Nop()
	}
	return zerolog.New(lines{s, name})
}

type lines struct {
	s    *sim
	name string
}

// Write implements io.Writer.
func (l lines) Write(p []byte) (int, error) {
	l.s.logf("%s %s", l.name, p)
	return len(p), nil
}
