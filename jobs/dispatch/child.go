package dispatch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// Watcher hears what a child says about itself; it must not block.
type Watcher interface {
	Beat(child core.NodeID, m *wire.Pull)                // a sign of life and what is free
	Advertised(child core.NodeID, ad *wire.Ad)           // its ad changed
	Summarized(child core.NodeID, s *wire.RegionSummary) // a region tells how it does
}

// maxFetches bounds the outputs that one child can make us read at once, each at
// most core.MaxTaskBytes.
const maxFetches = 4

// childLink is the dispatcher's side of one link.
type childLink struct {
	d       *Dispatcher
	link    Link
	rewards *rewards
	watch   Watcher
	// fetching bounds the outputs that are fetched from one child at once.
	fetching chan struct{}

	claiming claiming // guarded by d.mu

	mu   sync.Mutex
	asks map[uint64]chan *wire.JobState
	next uint64
}

// Attach serves a link until it ends or ctx does, and then queues again whatever
// the child held. A second link of the same child replaces the first. watch may
// be nil.
func (d *Dispatcher) Attach(ctx context.Context, link Link, info jobs.ChildInfo, watch Watcher) error {
	c := &childLink{d: d, link: link, watch: watch, fetching: make(chan struct{}, maxFetches), asks: map[uint64]chan *wire.JobState{}}
	c.rewards = newRewards(d.cfg.Signer, link)
	d.join(c, info)
	defer d.leave(c)
	defer c.rewards.close() // before the link closes
	for {
		bodies, err := link.Recv(ctx)
		if err != nil {
			return err
		}
		for _, b := range bodies {
			c.receive(ctx, b)
		}
	}
}

func (d *Dispatcher) join(c *childLink, info jobs.ChildInfo) {
	d.do(func(now time.Time) {
		if old := d.children[info.ID]; old != nil {
			d.drop(info.ID, now)
			go old.link.Close() // its own Attach notices and returns
		}
		d.children[info.ID] = c
		d.board.Join(info)
		d.askClaims(c)
		if d.keepers != nil { // they may have changed since the greeting was written
			_ = c.link.Send(d.keepers)
		}
	})
	d.log.Info().Str("node", string(info.ID)).Str("region", string(info.Region)).Msg("child attached")
}

// Tell tells every child, and each that is linked later, who keeps the region now;
// nil tells nobody any more.
func (d *Dispatcher) Tell(m *wire.Coordinators) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepers = m
	if m == nil {
		return
	}
	for _, c := range d.children {
		_ = c.link.Send(m)
	}
}

func (d *Dispatcher) leave(c *childLink) {
	id := c.link.Peer()
	_ = c.link.Close()
	d.do(func(now time.Time) {
		if d.children[id] == c {
			delete(d.children, id)
			d.drop(id, now)
		}
	})
	c.failAsks()
	d.log.Info().Str("node", string(id)).Msg("child left")
}

// Attached reports whether a node is linked as a child.
func (d *Dispatcher) Attached(id core.NodeID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.children[id] != nil
}

// Detach takes a child away at once, with all it holds, and ends its link beside
// that: a child that is dead answers no farewell, for which a link waits.
func (d *Dispatcher) Detach(id core.NodeID) {
	d.do(func(now time.Time) {
		if c := d.children[id]; c != nil {
			delete(d.children, id)
			d.drop(id, now)
			go c.link.Close() // its Attach notices and returns
		}
	})
}

func (c *childLink) receive(ctx context.Context, b wire.Body) {
	d, id := c.d, c.link.Peer()
	switch m := b.(type) {
	case *wire.Pull:
		if c.watch != nil {
			c.watch.Beat(id, m)
		}
		d.do(func(now time.Time) { d.board.Grant(id, m.Class, m.Credits, now) })
	case *wire.JobAccept:
		c.accepted(m.Lease)
	case *wire.JobReject:
		c.rejected(m)
	case *wire.LeaseRenew:
		c.renew(m)
	case *wire.JobResult:
		c.result(ctx, m)
	case *wire.Claim:
		c.claims(ctx, m)
	case *wire.JobState:
		c.answer(m)
	case *wire.Ad:
		c.advertised(m)
	case *wire.RegionSummary:
		if c.watch != nil {
			c.watch.Summarized(id, m)
		}
	default:
		d.cfg.Metrics.dropped(id, "unexpected")
	}
}

func (c *childLink) advertised(ad *wire.Ad) {
	switch id := c.link.Peer(); {
	case ad.NodeID != id:
		c.d.cfg.Metrics.dropped(id, "forged")
	case c.watch != nil:
		c.watch.Advertised(id, ad)
	}
}

func (c *childLink) accepted(lease wire.LeaseID) {
	var u *jobs.Unit
	var attempt int
	var e *entry
	c.d.do(func(now time.Time) {
		if u, attempt = c.d.board.Accepted(c.link.Peer(), lease, now); u != nil {
			e = c.d.owners[u.Key]
		}
	})
	if e != nil {
		e.during(func() { e.owner.Started(u.Key, c.link.Peer(), attempt) })
	}
}

func (c *childLink) rejected(m *wire.JobReject) {
	var u *jobs.Unit
	var e *entry
	c.d.do(func(now time.Time) {
		u = c.d.board.Rejected(c.link.Peer(), m.Lease, m.Reason, time.Duration(m.RetryAfterMS)*time.Millisecond, now)
		if u != nil {
			e = c.d.owners[u.Key]
		}
	})
	if e == nil {
		return
	}
	if r, ok := e.owner.(Refusee); ok {
		e.during(func() { r.Refused(u.Key, c.link.Peer(), m) })
	}
}

func (c *childLink) renew(m *wire.LeaseRenew) {
	var ok bool
	c.d.do(func(now time.Time) {
		ok = c.d.board.Renewed(c.link.Peer(), m.Lease, m.Progress, now) || c.mayClaim(m.Lease)
	})
	if !ok {
		_ = c.link.Send(&wire.LeaseRevoke{Lease: m.Lease, Reason: jobs.LeaseExpired})
	}
}

// result takes the lease off the child at once and settles it; a payload that
// must be fetched does not hold up the link.
func (c *childLink) result(ctx context.Context, m *wire.JobResult) {
	var u *jobs.Unit
	var e *entry
	var stashed bool
	var repay func()
	c.d.do(func(now time.Time) {
		if u = c.d.board.Resulted(c.link.Peer(), m.Lease, now); u != nil {
			e = c.d.owners[u.Key]
			return
		}
		if stashed = c.stash(m); !stashed && c.claiming.ended[m.Lease] {
			delete(c.claiming.ended, m.Lease)
			repay = c.repay(m)
		}
	})
	switch {
	case stashed:
		return
	case repay != nil:
		c.d.crew.run(repay)
		return
	case e == nil:
		c.d.cfg.Metrics.verdict("late")
		return
	case u.Key.Task != m.TaskID || u.Index != m.Index:
		c.refuse(e, u, m, core.Errorf(core.Corrupt, "taskId", "the result names task %s subtask %d, the lease is for %s subtask %d",
			m.TaskID, m.Index, u.Key.Task, u.Index))
		return
	}
	if m.Output.Blob != nil {
		go func() {
			c.fetching <- struct{}{}
			defer func() { <-c.fetching }()
			c.settle(ctx, e, u, m)
		}()
		return
	}
	c.settle(ctx, e, u, m)
}

func (c *childLink) settle(ctx context.Context, e *entry, u *jobs.Unit, m *wire.JobResult) {
	d, id := c.d, c.link.Peer()
	output, err := d.cfg.Blobs.Unpack(ctx, id, m.Output)
	if err == nil && !e.during(func() { err = verdict(e.owner, u, id, m, output) }) {
		d.cfg.Metrics.verdict("late")
		return
	}
	if err != nil {
		c.refuse(e, u, m, err)
		return
	}
	var done bool
	var epoch uint64
	d.do(func(now time.Time) {
		epoch = d.lead.epoch
		// The key may be another entry's by now, when the unit left with an epoch.
		if done = d.owners[u.Key] == e && d.board.Done(u.Key, now); done {
			d.forget(u.Key)
		}
	})
	if !done {
		d.cfg.Metrics.verdict("late")
		return
	}
	d.crew.run(func() { // the owner may have to wait for a disk
		defer d.final.Done()
		e.last(func() { e.owner.Done(u, id, m, output) })
		if r, ok := e.owner.(Recorder); ok && !r.Recorded(u) {
			return
		}
		c.creditIn(epoch, func() { c.credit(u, m) })
	})
}

// verdict says whether a result counts. A failure that the task did not cause
// itself is worth another attempt, and a job that went over to another
// coordinator has not ended.
func verdict(o Owner, u *jobs.Unit, child core.NodeID, m *wire.JobResult, output []byte) error {
	if m.Failure == nil {
		return o.Verify(u, child, m, output)
	}
	switch m.Failure.Reason {
	case jobs.HandedOver:
		return m.Failure
	case core.ReasonInternal, core.ReasonCancelled, core.ReasonAttemptsExhausted:
		if u.Class == wire.ClassSubtask {
			return m.Failure
		}
	}
	return nil
}

func (c *childLink) refuse(e *entry, u *jobs.Unit, m *wire.JobResult, err error) {
	d, id := c.d, c.link.Peer()
	blame := errors.Is(err, core.Corrupt)
	if blame {
		d.judge(id, Lied, m.Lease)
	}
	d.cfg.Metrics.verdict("rejected")
	d.log.Warn().Str("node", string(id)).Str("task_id", string(u.Key.Task)).Int("subtask", u.Index).
		AnErr("cause", err).Msg("result refused; the subtask goes to another node")
	_ = c.link.SendLazy(&wire.JobVerify{TaskID: u.Key.Task, Index: u.Index, Message: bounded(err.Error())})
	d.do(func(now time.Time) {
		if d.owners[u.Key] == e {
			d.board.Retry(u.Key, id, blame, err.Error(), now)
		}
	})
}

// creditIn has a result credited that was accepted in an epoch, unless that has
// ended: then its owner may not have been able to record it.
func (c *childLink) creditIn(epoch uint64, credit func()) {
	over := func() bool { now, leads := c.d.Leading(); return !leads || now != epoch }
	if over() {
		return
	}
	if credit(); over() {
		c.rewards.discard()
	}
}

// credit tells the child that its work counted: verdict and receipt.
func (c *childLink) credit(u *jobs.Unit, m *wire.JobResult) {
	if m.Failure != nil {
		c.d.cfg.Metrics.verdict("failed")
		return
	}
	c.d.cfg.Metrics.verdict("accepted")
	if u.Class != wire.ClassSubtask || len(m.Proofs) == 0 {
		c.rewards.add(&wire.JobVerify{TaskID: u.Key.Task, Index: u.Index, Accepted: true})
		return
	}
	c.pay(m, max(1, u.Weight))
	c.d.judge(c.link.Peer(), Delivered, m.Lease)
}

// pay adds a verdict and a receipt to those that wait. The proof was verified: its
// digest is the output's.
func (c *childLink) pay(m *wire.JobResult, units int64) {
	c.rewards.add(&wire.JobVerify{TaskID: m.TaskID, Index: m.Index, Accepted: true},
		wire.Reward{TaskID: m.TaskID, Index: m.Index, Units: units, OutputHash: m.Proofs[0].OutputHash})
}

// bounded makes a text fit into a message.
func bounded(s string) string { return cut(s, 512) }

// cut leaves at most n bytes, of whole characters.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// Deliver takes a result for a child as if it had come over the child's link. A
// child that is not linked is core.Unavailable.
func (d *Dispatcher) Deliver(ctx context.Context, child core.NodeID, m *wire.JobResult) error {
	d.mu.Lock()
	c := d.children[child]
	d.mu.Unlock()
	if c == nil {
		return gone(child)
	}
	c.result(ctx, m)
	return nil
}
