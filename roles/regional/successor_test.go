package regional

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// helper is a coordinator of eu-west that helps us-east, with the record of both its
// coordinators and what it holds for us-east.
type helper struct {
	*rig
	held   *dispatch.Holdings
	linger chan struct{} // unless nil, what it ran returns when that is closed
}

func oneSlot(c wire.Class) int { return map[wire.Class]int{wire.ClassSubtask: 1}[c] }

func holdingsOf(region core.RegionID, t dispatch.Taker) *dispatch.Holdings {
	window := dispatch.Window{Free: func() (int, int64) { return 100, 4096 }, Size: oneSlot}
	return dispatch.NewHoldings(region, t, window, dispatch.NewBlobs(nil, network), nil, zerolog.Nop())
}

func newHelper(t *testing.T, n int, epoch uint64, record journal.Helping) *helper {
	h := &helper{}
	late := lateTaker{h}
	h.held = holdingsOf(east, late)
	h.rig = newRig(t, west, n, options{epoch: epoch, edit: func(d *Deps) {
		d.Helping = record
		d.Restore = func(r journal.Taken, ticket *dispatch.Ticket) bool {
			return h.held.Restore(context.Background(), &r.Offer, r.Data, ticket)
		}
	}})
	return h
}

// lateTaker is the validator of a helper that is being built.
type lateTaker struct{ h *helper }

func (l lateTaker) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := l.h.v.Take(from, o)
	if run := l.h.linger; no == nil && run != nil {
		first := ticket.Run
		ticket.Run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
			defer func() { <-run }()
			return first(ctx, data, progress)
		}
	}
	return ticket, no
}
func (l lateTaker) Answer(ctx context.Context, from core.NodeID, q *wire.JobQuery) *wire.JobState {
	return l.h.v.Answer(ctx, from, q)
}
func (l lateTaker) Credited(from core.NodeID, m *wire.JobReward) { l.h.v.Credited(from, m) }
func (l lateTaker) Judged(from core.NodeID, m *wire.JobVerify)   { l.h.v.Judged(from, m) }

// below links somebody who holds work below a coordinator and returns his end.
func (r *rig) below(held *dispatch.Holdings, a *wire.Ad, info jobs.ChildInfo) dispatch.Link {
	r.t.Helper()
	if _, err := r.table.Put(a, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	mine, theirs := dispatch.Pipe(r.id.ID(), info.ID)
	r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, info, nil) })
	r.wg.Go(func() { _ = held.Puller(theirs).Serve(r.ctx) })
	synctest.Wait()
	return theirs
}

// helps links the helper below the home.
func (h *helper) helps(home *rig) dispatch.Link {
	a := ad(h.t, h.id, func(a *wire.Ad) { a.Region, a.Can = west, core.CanCoordinate })
	return home.below(h.held, a, jobs.ChildInfo{ID: h.id.ID(), Region: west, Group: true})
}

// untilGate has a worker end its work when the gate opens, or with its context.
func (w *worker) untilGate() (open func()) {
	gate := make(chan struct{})
	w.run = func(ctx context.Context, data []byte) *wire.JobResult {
		select {
		case <-gate:
			return w.compute(data)
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			w.causes = append(w.causes, context.Cause(ctx))
			return failed(failureOf(context.Cause(ctx)))
		}
	}
	return func() { close(gate) }
}

// succession is what happens around the death of a helping region's leader.
type succession struct {
	unnoticed bool // the home still has the link to it
	cancelled bool // the home ends the job meanwhile
	away      bool // the next leader does not find the home
}

// TestHelpersSuccessor: a helping region's leader vanishes in the middle of a
// subtask. The next one adopts what the worker runs and claims it at the home, and
// it is run once, also when the home has not noticed anything yet; what the home does
// not want any more, or of a home that is not found for the time of a lease, is ended
// and forgotten.
//
// spec 2.1 2.5
func TestHelpersSuccessor(t *testing.T) {
	for name, c := range map[string]succession{
		"claimed":                       {},
		"claimed beside the old link":   {unnoticed: true},
		"the home cancelled it":         {cancelled: true},
		"the home is nowhere":           {away: true},
		"the home lost both and ran it": {away: true, cancelled: true},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { c.test(t) }) })
	}
}

func (c succession) test(t *testing.T) {
	record := journal.NewMemory(journal.Limits{})
	home, first := newRig(t, east, 1000, options{}), newHelper(t, 2000, 1, record)
	defer home.stop()
	defer first.stop()
	far := &worker{id: identity(7)}
	open := far.untilGate()
	works, info := holdingsOf(west, far), jobs.ChildInfo{ID: far.id.ID(), Region: west}
	westerly := ad(t, far.id, func(a *wire.Ad) { a.Region = west })
	first.below(works, westerly, info)
	link := first.helps(home)
	j := home.offer(jobID, sample(), east, west)
	settle()
	if n := len(record.Taken(time.Now())); n != 1 || len(far.offers()) != 1 {
		t.Fatalf("%d records, %d offers", n, len(far.offers()))
	}
	first.depose()
	if !c.unnoticed {
		_ = link.Close()
	}
	time.Sleep(dispatch.RewardDelay + time.Second)
	if c.cancelled {
		if err := home.v.Cancel(home.ctx, jobID); err != nil {
			t.Fatal(err)
		}
	}
	next := newHelper(t, 2001, 2, record)
	defer next.stop()
	next.below(works, westerly, info)
	if !c.away {
		next.helps(home)
	}
	settle()
	c.ends(t, j, far, open)
	next.idle()
	if n := len(record.Taken(time.Now())); n != 0 || len(far.offers()) != 1 {
		t.Errorf("%d records are left; the worker had %d offers", n, len(far.offers()))
	}
	if c.away && !c.cancelled {
		_ = home.v.Cancel(home.ctx, jobID)
	}
}

// ends checks what becomes of the job and of the worker's work.
func (c succession) ends(t *testing.T, j *job, far *worker, open func()) {
	t.Helper()
	if c.away {
		time.Sleep(16 * time.Second)
	}
	if !c.cancelled && !c.away {
		if open(); j.completed() != "55" {
			t.Errorf("the job gives %s", j.completed())
		}
	} else {
		far.mu.Lock()
		var f *core.Failure
		if len(far.causes) != 1 || !errors.As(far.causes[0], &f) {
			t.Errorf("the worker's work ended for %v", far.causes)
		}
		far.mu.Unlock()
	}
	time.Sleep(time.Second)
}

// slowRelease is a Helping whose releases are recorded when it is told so.
type slowRelease struct {
	journal.Helping
	mu      sync.Mutex
	waiting []func()
}

func (h *slowRelease) Release(k jobs.Key, lease wire.LeaseID, recorded func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, func() { h.Helping.Release(k, lease, recorded) })
}

func (h *slowRelease) record() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, release := range h.waiting {
		release()
	}
	h.waiting = nil
}

// TestHelpIsNotPaidBeforeItIsRecorded: a worker of a helping region earns its receipt
// when the journal does not have the subtask any more, and not when it was only
// accepted: whoever leads next would have it computed, and paid, again.
//
// spec 2.34 4.55
func TestHelpIsNotPaidBeforeItIsRecorded(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(first *helper, record *slowRelease)
		paid int
	}{
		{"not yet", func(*helper, *slowRelease) {}, 0},
		{"the release is recorded", func(_ *helper, record *slowRelease) { record.record() }, 1},
		{"the record is void", func(*helper, *slowRelease) { time.Sleep(core.DefaultTimeout) }, 1},
		{"the term ends", func(first *helper, record *slowRelease) { first.depose(); settle(); record.record() }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				record := &slowRelease{Helping: journal.NewMemory(journal.Limits{})}
				home, first := newRig(t, east, 1000, options{}), newHelper(t, 2000, 1, record)
				defer home.stop()
				defer first.stop()
				far := westWorker(first.rig, 7, 1)
				first.helps(home)
				if got := home.offer(jobID, sample(), east, west).completed(); got != "55" {
					t.Fatalf("the job gives %s", got)
				}
				if got := first.conductOf(far.id.ID()); len(got) != 0 {
					t.Errorf("it was paid before that was recorded: %v", got)
				}
				c.then(first, record)
				settle()
				if got := len(first.conductOf(far.id.ID())); got != c.paid {
					t.Errorf("%d subtasks are paid, want %d", got, c.paid)
				}
			})
		})
	}
}

// TestHelpIsNotPaidTwice: the leader of a helping region that vanishes with a result
// whose end is not recorded has not paid it; the next one has the worker's result, and
// pays once.
//
// spec 2.34 4.55
func TestHelpIsNotPaidTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := journal.NewMemory(journal.Limits{})
		home, first := newRig(t, east, 1000, options{}), newHelper(t, 2000, 1, &slowRelease{Helping: memory})
		defer home.stop()
		defer first.stop()
		far := &worker{id: identity(7)}
		far.run = func(_ context.Context, data []byte) *wire.JobResult { return far.compute(data) }
		works, info := holdingsOf(west, far), jobs.ChildInfo{ID: far.id.ID(), Region: west}
		westerly := ad(t, far.id, func(a *wire.Ad) { a.Region = west })
		first.below(works, westerly, info)
		first.helps(home)
		if got := home.offer(jobID, sample(), east, west).completed(); got != "55" {
			t.Fatalf("the job gives %s", got)
		}
		first.depose()
		settle()
		next := newHelper(t, 2001, 2, memory)
		defer next.stop()
		next.below(works, westerly, info)
		next.helps(home)
		time.Sleep(dispatch.RewardDelay + time.Second)
		if n := len(first.conductOf(far.id.ID())) + len(next.conductOf(far.id.ID())); n != 1 || far.credits() == 0 || len(far.offers()) != 1 {
			t.Errorf("paid %d times, %d credits, for %d offers", n, far.credits(), len(far.offers()))
		}
	})
}

// TestSameHelperLeadsAgain: a helping region's leader that leads again, before what it
// ran for another region in its last term has returned, goes on with it: the worker
// is not asked twice, and the record stays until the end.
//
// spec 2.5
func TestSameHelperLeadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := journal.NewMemory(journal.Limits{})
		home, first := newRig(t, east, 1000, options{}), newHelper(t, 2000, 1, record)
		defer home.stop()
		defer first.stop()
		first.linger = make(chan struct{})
		far := &worker{id: identity(7)}
		open := far.untilGate()
		works, info := holdingsOf(west, far), jobs.ChildInfo{ID: far.id.ID(), Region: west}
		first.below(works, ad(t, far.id, func(a *wire.Ad) { a.Region = west }), info)
		link := first.helps(home)
		j := home.offer(jobID, sample(), east, west)
		settle()
		first.depose()
		_ = link.Close()
		settle()
		first.wg.Go(func() { first.v.Lead(first.ctx, 2) })
		settle()
		first.helps(home)
		settle()
		if n := len(record.Taken(time.Now())); n != 1 || first.held.Idle() {
			t.Errorf("%d records, idle %v", n, first.held.Idle())
		}
		close(first.linger)
		settle()
		if open(); j.completed() != "55" {
			t.Errorf("the job gives %s", j.completed())
		}
		time.Sleep(time.Second)
		first.idle()
		if n := len(record.Taken(time.Now())); n != 0 || len(far.offers()) != 1 {
			t.Errorf("%d records are left; the worker had %d offers", n, len(far.offers()))
		}
	})
}

// TestHelpThatCannotBeTakenUp: the record of a subtask that cannot be run ends; that of
// one which is held otherwise stays, and nothing of it runs.
func TestHelpThatCannotBeTakenUp(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*wire.JobOffer)
		held bool
		left int
	}{
		"a type that nobody knows": {func(o *wire.JobOffer) { o.Task.Type = "guess" }, false, 0},
		"held otherwise":           {func(*wire.JobOffer) {}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				record, o := journal.NewMemory(journal.Limits{}), offerOf(jobID, sample())
				o.Class, o.Epoch = wire.ClassSubtask, 1
				c.edit(o)
				if err := record.Take(t.Context(), journal.Taken{Home: east, Offer: *o, Data: sample().Data, At: time.Now()}); err != nil {
					t.Fatal(err)
				}
				first := newRig(t, west, 2000, options{edit: func(d *Deps) {
					d.Helping, d.Restore = record, func(journal.Taken, *dispatch.Ticket) bool { return !c.held }
				}})
				defer first.stop()
				settle()
				if n := len(record.Taken(time.Now())); n != c.left {
					t.Errorf("%d records are left, want %d", n, c.left)
				}
				first.idle()
			})
		})
	}
}
