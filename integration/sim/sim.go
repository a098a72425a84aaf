package sim

import (
	"context"
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
	Struck  map[Point]int // coordinators that died at a point
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
	armed     map[Point]*blow
	struck    map[Point]int
}

// Run runs a plan. It must be called in a bubble of testing/synctest and leaves no
// goroutine behind.
func Run(p Plan, o Options) Report {
	s := &sim{plan: p, bug: o.Bug, opts: o, cancelled: map[core.TaskID]core.TaskState{}, downs: map[string]bool{}, armed: map[Point]*blow{}, struck: map[Point]int{}}
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
	r.Struck = s.struck
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
