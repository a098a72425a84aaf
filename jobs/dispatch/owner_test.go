package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// TestSecondLink: a node that links again before its old link was found dead is
// one node; its old work is queued again and its old link ends.
func TestSecondLink(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		old := r.raw(1)
		old.pull(1)
		r.submit(unit(0))
		o := next[*wire.JobOffer](old)
		r.worker(w, 1)
		r.owner.wait(t, 1)
		if _, err := old.Recv(t.Context()); err == nil {
			t.Error("the old link goes on")
		}
		if _, _, children := r.d.Load(); children != 1 || !r.d.Attached(w.id.ID()) {
			t.Errorf("%d children are linked", children)
		}
		if o.Attempt != 1 {
			t.Errorf("the first attempt was number %d", o.Attempt)
		}
	})
}

// TestDetach closes a child's link from the coordinator's side.
func TestDetach(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		link := r.attach(w.id.ID())
		lost := r.serve(w, link, 1)
		r.d.Detach("nobody")
		r.d.Detach(w.id.ID())
		synctest.Wait()
		select {
		case <-lost:
		default:
			t.Error("the puller goes on")
		}
		if r.d.Attached(w.id.ID()) {
			t.Error("the node is still linked")
		}
	})
}

// stubborn is a link to a child that is dead: its farewell is answered by nobody.
type stubborn struct{ Link }

func (s stubborn) Close() error {
	time.Sleep(time.Minute)
	return s.Link.Close()
}

// TestDetachTheDead: a child that was taken away gets no more work and what it held
// goes to others at once, however long its link takes to end.
//
// spec 2.5
func TestDetachTheDead(t *testing.T) {
	link := func(a, b core.NodeID) (Link, Link) {
		mine, theirs := Pipe(a, b)
		return stubborn{mine}, theirs
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, link, jobs.Limits{})
		defer r.stop()
		dead := r.raw(1)
		dead.pull(8)
		r.submit(unit(0))
		next[*wire.JobOffer](dead)
		begun := time.Now()
		r.d.Detach(dead.id)
		if took := time.Since(begun); took > 0 || r.d.Attached(dead.id) {
			t.Errorf("after %s it is still attached: %v", took, r.d.Attached(dead.id))
		}
		r.worker(newWorker(2), 8)
		r.submit(unit(1))
		r.owner.wait(t, 2)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("the other child had both units done after %s", took)
		}
	})
}

// TestSubmitRefused: a unit that is there already or finds no room is refused and
// leaves nothing behind.
func TestSubmitRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Pipe, jobs.Limits{MaxUnits: 1})
		defer r.stop()
		r.submit(unitOf(0, big(100_000)))
		if err := r.d.Submit(unitOf(0, big(100_000)), r.owner); !errors.Is(err, core.Exists) {
			t.Errorf("the same unit again: %v", err)
		}
		if err := r.d.Submit(unitOf(1, big(200_000)), r.owner); !errors.Is(err, core.Exhausted) {
			t.Errorf("a unit too many: %v", err)
		}
		if err := r.d.Submit(unitOf(2, big(core.MaxTaskBytes+1)), r.owner); !errors.Is(err, core.Invalid) {
			t.Errorf("a unit too big: %v", err)
		}
		if len(r.blobs.blobs) != 1 || len(r.d.owners) != 1 {
			t.Errorf("%d blobs and %d owners for one unit", len(r.blobs.blobs), len(r.d.owners))
		}
		if first, n := r.d.Waiting(); n != 1 || first.Index != 0 {
			t.Errorf("%d units wait, first number %d", n, first.Index)
		}
		r.d.Fail(jobs.Key{Task: "t1"}, &core.Failure{Reason: core.ReasonCancelled})
		r.owner.wait(t, 1)
		r.empty()
	})
}

// slowOwner blocks in Started and Verify until it is told to go on.
type slowOwner struct {
	*recorder
	entered, proceed chan struct{}
}

func (o *slowOwner) Started(k jobs.Key, child core.NodeID, attempt int) {
	o.entered <- struct{}{}
	<-o.proceed
	o.recorder.Started(k, child, attempt)
}

func (o *slowOwner) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	o.entered <- struct{}{}
	<-o.proceed
	return o.recorder.Verify(u, child, r, output)
}

// TestOwnerCallsAreOrdered: an end that comes while the owner is still in another
// call waits for it, and no call follows the end. In real time: a bubble's clock
// stands still while somebody waits for a lock.
func TestOwnerCallsAreOrdered(t *testing.T) {
	for name, calls := range map[string]int{"during started": 1, "during verify": 2} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Pipe, jobs.Limits{})
			o := &slowOwner{r.owner, make(chan struct{}), make(chan struct{})}
			mine, theirs := Pipe(r.id.ID(), identity(1).ID())
			r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, jobs.ChildInfo{ID: identity(1).ID()}, nil) })
			w := &raw{t: t, Link: theirs, id: identity(1).ID()}
			w.pull(1)
			if err := r.d.Submit(unit(0), o); err != nil {
				t.Fatal(err)
			}
			offer := next[*wire.JobOffer](w)
			w.send(&wire.JobAccept{Lease: offer.Lease}, w.result(1, offer))
			for i := range calls {
				<-o.entered
				if i < calls-1 {
					o.proceed <- struct{}{}
				}
			}
			failed := make(chan struct{})
			go func() {
				defer close(failed)
				r.d.Fail(jobs.Key{Task: "t1"}, &core.Failure{Reason: core.ReasonCancelled})
			}()
			select {
			case <-failed:
				t.Errorf("the end did not wait: %q", o.events())
			case <-time.After(20 * time.Millisecond):
			}
			o.proceed <- struct{}{}
			<-failed
			r.stop() // everything that was under way is over
			if log := o.events(); len(log) != calls+1 || log[calls] != "ended 0: cancelled" {
				t.Errorf("the owner heard %q", log)
			}
		})
	}
}

// TestDeliver takes a result that did not come over the link, once.
func TestDeliver(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := r.raw(1)
		w.pull(1)
		r.submit(unit(0))
		o := next[*wire.JobOffer](w)
		if holder, lease, ok := r.d.Holder(jobs.Key{Task: "t1"}); !ok || holder != w.id || lease != o.Lease {
			t.Fatalf("held by %s with lease %d, %t", holder, lease, ok)
		}
		if err := r.d.Deliver(t.Context(), "nobody", w.result(1, o)); !errors.Is(err, core.Unavailable) {
			t.Errorf("for a node that is not linked: %v", err)
		}
		for range 2 {
			if err := r.d.Deliver(t.Context(), w.id, w.result(1, o)); err != nil {
				t.Fatal(err)
			}
		}
		r.owner.wait(t, 1)
		if out, _ := r.owner.endOf(0); out != "55" || len(r.owner.over) != 0 {
			t.Errorf("ended with %q and %d times more", out, len(r.owner.over))
		}
	})
}

// TestNoCallAfterTheEnd: a call that finds its unit ended is not made.
func TestNoCallAfterTheEnd(t *testing.T) {
	e, calls := &entry{}, 0
	count := func() { calls++ }
	if !e.during(count) {
		t.Error("a call before the end is not made")
	}
	e.last(count)
	if e.during(count) || calls != 2 {
		t.Errorf("%d calls were made", calls)
	}
}
