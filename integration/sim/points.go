package sim

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// Point is a place in a job's life at which the coordinator that has it may die.
type Point string

// The points.
const (
	Accepted   Point = "accepted"   // a job came, and nobody else knows it
	Replicated Point = "replicated" // it is recorded, and its gateway does not know
	Assigned   Point = "assigned"   // a worker was offered a part of it
	Ended      Point = "ended"      // its end is recorded, and nobody knows
	Paid       Point = "paid"       // a receipt has left
)

// Points returns them in the order in which a job passes them.
func Points() []Point { return []Point{Accepted, Replicated, Assigned, Ended, Paid} }

// blow is one death at a point: of whom, and when he is dead.
type blow struct {
	who  *coordinator // nil until somebody passes
	dead chan struct{}
}

// strike has the next coordinator that passes the fault's point die there, and start
// again when the fault is over.
func (s *sim) strike(ctx context.Context, f Fault) {
	b := &blow{dead: make(chan struct{})}
	s.mu.Lock()
	s.armed[f.Point] = b
	s.mu.Unlock()
	wait(ctx, f.For)
	s.mu.Lock()
	if s.armed[f.Point] == b {
		delete(s.armed, f.Point)
	}
	c := b.who
	s.mu.Unlock()
	if c == nil {
		return
	}
	<-b.dead
	if err := c.start(); err != nil {
		s.violated("%s does not start again: %v", c.name, err)
	}
	s.mu.Lock()
	s.downs[c.name] = false
	s.mu.Unlock()
}

// pass is called where a coordinator passes a point, and reports whether it died there.
func (l *coordLife) pass(p Point) bool {
	s := l.c.s
	s.mu.Lock()
	b := s.armed[p]
	if b == nil || s.downs[l.c.name] || l.c.now() != l {
		s.mu.Unlock()
		return false
	}
	delete(s.armed, p)
	b.who, s.downs[l.c.name] = l.c, true
	s.struck[p]++
	s.mu.Unlock()
	s.logf("%s dies: %s", l.c.name, p)
	s.hist.Add(history.Event{Kind: history.Hit, Node: l.c.name, Note: string(CrashAt)})
	l.c.crash(true)
	close(b.dead)
	return true
}

// waits reports whether somebody is to die at a point.
func (s *sim) waits(p Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.armed[p] != nil
}

// mortal is the journal of a coordinator that may die around it.
type mortal struct {
	journal.Journal
	l *coordLife
}

// Commit implements journal.Journal.
func (j mortal) Commit(ctx context.Context, job jobs.Job) error {
	if j.l.pass(Accepted) {
		return died()
	}
	err := j.Journal.Commit(ctx, job)
	if err == nil && j.l.pass(Replicated) {
		return died()
	}
	return err
}

// End implements journal.Journal.
func (j mortal) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	job, err := j.Journal.End(ctx, r, now)
	if err == nil && j.l.pass(Ended) {
		return job, died()
	}
	return job, err
}

func died() error { return core.Errorf(core.Unavailable, "journal", "the process died") }

// fatal is the link to a worker of a coordinator that may die over it.
type fatal struct {
	dispatch.Link
	l *coordLife
}

// Send implements dispatch.Link.
func (k *fatal) Send(bodies ...wire.Body) error {
	err := k.Link.Send(bodies...)
	for _, b := range bodies {
		if _, ok := b.(*wire.JobOffer); ok {
			k.l.pass(Assigned)
		}
	}
	return err
}

// SendLazy implements dispatch.Link. What is to be seen leaves at once, and is given
// the time to.
func (k *fatal) SendLazy(bodies ...wire.Body) error {
	s := k.l.c.s
	for _, b := range bodies {
		if _, ok := b.(*wire.JobReward); ok && s.waits(Paid) {
			err := k.Link.Send(bodies...)
			s.buried.Go(func() {
				wait(k.l.ctx, s.plan.Slow)
				k.l.pass(Paid)
			})
			return err
		}
	}
	return k.Link.SendLazy(bodies...)
}
