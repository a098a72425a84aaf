package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// leading returns the run this node leads in and since when, or core.Unavailable
// that says who leads.
func (g *Group) leading() (*groupRun, *term, error) {
	g.mu.Lock()
	run, lead := g.run, g.lead
	g.mu.Unlock()
	switch {
	case run == nil:
		return nil, nil, core.Errorf(core.Unavailable, "journal", "the journal of region %s does not run here", g.cfg.Region).
			WithHint("try again in a few seconds")
	case lead == nil:
		return nil, nil, g.notLeading()
	}
	return run, lead, nil
}

func (g *Group) notLeading() error {
	if id, _, ok := g.Leader(); ok {
		return core.Errorf(core.Unavailable, "journal", "node %s leads region %s, not this one", id, g.cfg.Region).
			WithHint("ask that node")
	}
	if err := g.store.full(); err != nil {
		return full(g.cfg.Dir, err)
	}
	return core.Errorf(core.Unavailable, "journal", "the coordinators of region %s that reach each other are no majority, or elect a leader just now; nothing is acknowledged meanwhile", g.cfg.Region).
		WithHint("try again in a few seconds; `tenzro region status` shows who is missing")
}

// propose has an entry committed and returns what its application answered.
func (g *Group) propose(ctx context.Context, data []byte) error {
	run, lead, err := g.leading()
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // nobody waits for it: nothing is recorded
		return core.Errorf(core.Unavailable, "journal", "not recorded: %w", ctx.Err())
	}
	fate := make(chan error, 1)
	p := &proposal{term: lead, data: data, done: func(err error) { fate <- err }}
	if err := run.gate.put(p); err != nil {
		return g.explain(err)
	}
	late := time.NewTimer(g.cfg.Wait)
	defer late.Stop()
	select {
	case err = <-fate:
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = context.DeadlineExceeded
	}
	if err != nil && run.gate.withdraw(p) {
		return core.Errorf(core.Unavailable, "journal", "not recorded: %w", err)
	}
	return g.explain(err)
}

// explain turns raft's errors into what a caller can act on.
func (g *Group) explain(err error) error {
	var known *core.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case g.store.full() != nil:
		return full(g.cfg.Dir, g.store.full())
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return g.notLeading()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return core.Errorf(core.Unavailable, "journal", "the log of region %s takes nothing right now", g.cfg.Region).
			WithHint("try again in a few seconds")
	}
	return core.Errorf(core.Unavailable, "journal", "it is not known whether a majority of region %s recorded this: %w", g.cfg.Region, err).
		WithHint("try again with the same id: it is taken once, and said to exist if it was recorded")
}

func full(dir string, err error) error {
	return core.Errorf(core.Full, "journal", "the disk of the journal in %s is full: %w", dir, err).
		WithHint("free some space on that volume; nothing needs a restart")
}

// spaceGuard looks at the free space of the volume at most once a second.
type spaceGuard struct {
	mu   sync.Mutex
	at   time.Time
	last error
}

func (s *spaceGuard) check(c *GroupConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := c.Now(); s.at.IsZero() || now.Sub(s.at) >= freeCheckEvery || now.Before(s.at) {
		s.at, s.last = now, nil
		if free, err := c.Free(c.Dir); err == nil && free < c.Reserve {
			s.last = full(c.Dir, core.Errorf(core.Full, "journal", "%d MiB are free and %d MiB are kept in reserve", free>>20, c.Reserve>>20))
		}
	}
	return s.last
}

// Commit implements Journal. Not leading, or no majority, is core.Unavailable; a
// full disk core.Full. When the outcome is unknown the error says so.
func (g *Group) Commit(ctx context.Context, job jobs.Job) error {
	if _, _, err := g.leading(); err != nil {
		return err
	}
	if y := job.Created.Year(); y < 1970 || y > 2200 {
		return core.Errorf(core.Invalid, "created", "the year %d of task %s cannot be", y, job.ID)
	}
	if err := g.known(job.ID); err != nil {
		return err
	}
	job, err := job.To(jobs.Committed, job.Created)
	if err != nil {
		return err
	}
	if err := g.space.check(&g.cfg); err != nil {
		return err
	}
	data, err := encodeAccepted(job)
	if err != nil {
		return err
	}
	if err := g.m.reserve(len(job.Spec.Data), g.cfg.Limits); err != nil {
		return err
	}
	defer g.m.unreserve(len(job.Spec.Data))
	return g.propose(ctx, data)
}

// known is core.Exists for the id of an open job. That of a finished one is found
// when the entry is applied: looking twice costs more than a rare entry.
func (g *Group) known(id core.TaskID) error {
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	if _, open := g.m.open[id]; open {
		return exists(id)
	}
	return nil
}

// reserve makes room for a job on its way into the log.
func (m *machine) reserve(bytes int, l Limits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.open) + m.coming; n >= l.Open {
		return core.Errorf(core.Exhausted, "journal", "%d jobs are open here already", n).WithHint("submit again in a few seconds")
	}
	if n := m.bytes + m.comingBytes; n+bytes > l.OpenBytes {
		return core.Errorf(core.Exhausted, "journal", "the open jobs here have %d MiB of data already", n>>20).WithHint("submit again in a few seconds")
	}
	m.coming++
	m.comingBytes += bytes
	return nil
}

func (m *machine) unreserve(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.coming--
	m.comingBytes -= bytes
}

// gone is the answer about a job that is not open.
func (g *Group) gone(id core.TaskID) error {
	j, ok, err := g.hist.get(id)
	switch {
	case err != nil:
		return err
	case !ok:
		return unknown(id)
	}
	return core.Errorf(core.Conflict, "taskId", "task %s is %s already", id, j.State.Task())
}

// Update implements Journal. Only this process sees it, until End writes it down.
func (g *Group) Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error {
	found, err := g.m.update(id, fn)
	if !found {
		return g.gone(id)
	}
	return err
}

func (m *machine) update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) (found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[id]
	if o == nil {
		return false, nil
	}
	if o.ending != nil {
		return true, core.Errorf(core.Conflict, "taskId", "task %s is about to end", id)
	}
	next, err := fn(own(&o.live))
	switch {
	case err != nil:
		return true, err
	case next.ID != id || next.State.Final():
		return true, core.Errorf(core.Conflict, "taskId", "an update cannot rename or end task %s", id)
	}
	o.live = next
	return true, nil
}

// End implements Journal. Errors are those of Commit.
func (g *Group) End(ctx context.Context, result core.TaskResult, now time.Time) (jobs.Job, error) {
	if _, _, err := g.leading(); err != nil {
		return jobs.Job{}, err
	}
	o, next, err := g.m.beginEnd(ctx, result, now)
	if err != nil {
		return jobs.Job{}, err
	}
	if o == nil {
		return jobs.Job{}, g.gone(result.TaskID)
	}
	defer g.m.overEnd(o)
	data, err := encodeEnded(next)
	if err == nil {
		err = g.propose(ctx, data)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	return own(&next), nil
}

// beginEnd takes the live view of a job as its last. A rival waits for the one
// before it; o is nil when the job is not open.
func (m *machine) beginEnd(ctx context.Context, result core.TaskResult, now time.Time) (o *openJob, next jobs.Job, err error) {
	for {
		m.mu.Lock()
		o = m.open[result.TaskID]
		if o == nil {
			m.mu.Unlock()
			return nil, next, nil
		}
		rival := o.ending
		if rival == nil {
			live := own(&o.live)
			if next, err = live.End(result, now); err == nil {
				o.ending = make(chan struct{})
			}
			m.mu.Unlock()
			return o, next, err
		}
		m.mu.Unlock()
		select {
		case <-rival:
		case <-ctx.Done():
			return nil, next, core.Errorf(core.Unavailable, "journal", "task %s is about to end another way: %w", result.TaskID, ctx.Err())
		}
	}
}

func (m *machine) overEnd(o *openJob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(o.ending)
	o.ending = nil
}

// Keep implements Journal. On a node that does not lead it is core.Unavailable.
func (g *Group) Keep(id core.TaskID, part jobs.Part, recorded func()) error {
	if recorded == nil {
		recorded = func() {}
	}
	run, lead, err := g.leading()
	if err != nil {
		return err
	}
	data, err := encodePart(id, part)
	if err != nil {
		return err
	}
	held, err := g.m.keep(id, part, lead.epoch)
	size := int64(len(data) + partOverhead)
	switch {
	case err != nil:
		return err
	case held == partNowhere:
		return g.gone(id)
	case held == partKept:
		recorded()
		return nil
	case held == partProposed || !g.keeping.TryAcquire(size):
		return nil
	}
	err = run.gate.put(&proposal{term: lead, data: data, done: func(err error) {
		g.keeping.Release(size)
		if err != nil {
			g.log.Debug().Err(err).Str("taskId", string(id)).Int("part", part.Index).Msg("a part was not kept")
			return
		}
		recorded()
	}})
	if err != nil {
		g.keeping.Release(size)
	}
	return nil
}

// holding is what a machine has of a part that is to be kept.
type holding uint8

const (
	partNowhere  holding = iota // the job is not open
	partFresh                   // it has to be proposed
	partProposed                // it was, in this epoch
	partKept                    // the log has it
)

// keep holds a part and says whether it has to be proposed: what was proposed in
// an earlier epoch may be lost.
func (m *machine) keep(id core.TaskID, part jobs.Part, epoch uint64) (holding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[id]
	if o == nil {
		return partNowhere, nil
	}
	if o.ending != nil {
		return partFresh, core.Errorf(core.Conflict, "taskId", "task %s is about to end", id)
	}
	mine, known := o.mine[part.Index]
	if _, kept := o.parts[part.Index]; kept {
		return partKept, nil
	} else if known && mine.epoch == epoch {
		return partProposed, nil
	}
	o.mine[part.Index] = held{part, epoch}
	return partFresh, nil
}

// forget has the oldest finished jobs deleted on every member, as long as there
// are too many, they are too big or too old.
func (g *Group) forget(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, _, err := g.leading(); err != nil {
			return nil
		}
		r, now := g.cfg.Retention, g.cfg.Now()
		from, err := g.hist.oldest(forgetAtOnce, func(n int, bytes int64, created time.Time) bool {
			return n > r.Jobs || bytes > r.Bytes || now.Sub(created) > r.Age
		})
		if err != nil || from == nil {
			return err
		}
		created, id := placeOf(from)
		e, err := appendEntry(nil, entryForgot, forgotHead{Created: created.UTC(), ID: id}, nil)
		if err != nil {
			return err
		}
		if err := g.propose(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
