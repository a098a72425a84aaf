package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// restored takes up the offer of a unit, with work that ends when the gate opens.
func (m *member) restored(o *wire.JobOffer, u jobs.Unit) bool {
	run := func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		return m.work(ctx, data, progress)
	}
	return m.h.Restore(m.rig.ctx, o, u.Data, &Ticket{Run: run, Cancel: func() {}})
}

// TestRestore: work that another node of the group took is run from its record, and
// claimed at whoever leads when there is a link; the result goes there. Under a
// lease that is held already nothing is taken up.
//
// spec 2.5
func TestRestore(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		m := r.member(1, 4, u)
		if o := offerIn(3, u); !m.restored(o, u) || m.restored(o, u) || m.h.Idle() || m.h.Linked() {
			t.Error("the record is not held once")
		}
		settle(time.Second)
		home := m.played(101)
		home.send(&wire.Adopt{Region: east, Epoch: 3})
		if c := next[*wire.Claim](home.raw); len(c.Leases) != 1 || c.Leases[0] != claimed(offerIn(3, u), 0.25, false) || !m.h.Linked() {
			t.Errorf("claimed %+v", c)
		}
		settle(time.Minute) // it is renewed as any other
		if m.ran(u) != 1 || m.cause(u) != nil {
			t.Errorf("it ran %d times and ended with %v", m.ran(u), m.cause(u))
		}
		close(m.gate[string(u.Data)])
		if got := next[*wire.JobResult](home.raw); got.Lease != offerIn(3, u).Lease || string(got.Output.Inline) != "55" {
			t.Errorf("result %+v", got)
		}
		home.send(&wire.JobVerify{TaskID: u.Task, Index: u.Index, Accepted: true})
		synctest.Wait()
		_ = home.Close()
		synctest.Wait()
		if !m.h.Idle() || m.h.Linked() {
			t.Error("something is held still")
		}
		m.idle()
	})
}

// TestRestoredForNobody: work that no coordinator adopts ends with its lease, at the
// offer's deadline if that is earlier.
func TestRestoredForNobody(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u, soon := unit(0), unit(1)
		soon.Deadline = time.Now().Add(2 * time.Second)
		m := r.member(1, 4, u, soon)
		m.restored(offerIn(3, u), u)
		m.restored(offerIn(3, soon), soon)
		settle(3 * time.Second)
		if m.cause(u) != nil || !errors.Is(m.cause(soon), errLinkLost) {
			t.Errorf("after three seconds they ended with %v and %v", m.cause(u), m.cause(soon))
		}
		settle(13 * time.Second)
		if !errors.Is(m.cause(u), errLinkLost) {
			t.Errorf("without a coordinator it ended with %v", m.cause(u))
		}
		m.idle()
	})
}

// TestResultOfAnother: work that goes on at another node of the group leaves no word
// and nothing to claim.
func TestResultOfAnother(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u := unit(0)
		m := r.member(1, 4)
		m.run = func(context.Context, []byte, func(float64)) *wire.JobResult { return nil }
		home := m.played(101)
		home.send(&wire.Adopt{Region: east, Epoch: 3}, offerIn(3, u))
		next[*wire.JobAccept](home.raw)
		silent[*wire.JobResult](home.raw, time.Minute)
		if !m.h.Idle() {
			t.Error("something is held")
		}
		m.idle()
	})
}

// TestClosingLink: on a link for what is held already that is claimed, renewed and
// brought to its end, but no credit is granted, neither at first nor when a place is
// free again, and an offer that comes all the same is refused.
func TestClosingLink(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		u, more := unit(0), unit(1)
		m := r.member(1, 4, u)
		metrics := m.withMetrics()
		m.restored(offerIn(3, u), u)
		here, there := r.link(identity(101).ID(), m.id.ID())
		defer here.Close()
		p := m.h.Puller(there)
		p.Closing = true
		r.wg.Go(func() { _ = p.Serve(r.ctx) })
		home := &raw{t: t, Link: here, id: identity(101).ID()}
		if err := home.Send(&wire.Adopt{Region: east, Epoch: 3}, offerIn(3, more), offerIn(3, u)); err != nil {
			t.Fatal(err)
		}
		if c := next[*wire.Claim](home); len(c.Leases) != 1 {
			t.Errorf("claimed %+v", c)
		}
		if no := next[*wire.JobReject](home); no.Lease != offerIn(3, more).Lease || no.Reason != wire.RefusedBusy || no.RetryAfterMS == 0 {
			t.Errorf("the offer is refused with %+v", no)
		}
		settle(time.Minute)
		next[*wire.LeaseRenew](home)
		close(m.gate[string(u.Data)])
		if got := next[*wire.JobResult](home); got.Lease != offerIn(3, u).Lease {
			t.Errorf("result %+v", got)
		}
		home.revokes(t) // reads what is there
		for range 3 {   // at first and as a sign of life
			if pull := next[*wire.Pull](home); pull.Credits != 0 {
				t.Errorf("it grants %d credits", pull.Credits)
			}
		}
		settle(time.Minute)
		silent[*wire.JobReject](home, time.Second)
		for _, b := range home.seen {
			if pull, ok := b.(*wire.Pull); ok && pull.Credits != 0 {
				t.Errorf("it grants %d credits", pull.Credits)
			}
		}
		if n := testutil.ToFloat64(metrics.drops.WithLabelValues("unasked")); n != 1 || m.ran(more) != 0 {
			t.Errorf("what nobody asked for: %v counted, run %d times", n, m.ran(more))
		}
		m.idle()
	})
}

// TestRestoreInPlace: what is restored takes the place of the same lease held by a
// ticket that is over: of that, whatever it returns and whenever, nothing is heard,
// and its place counts once.
func TestRestoreInPlace(t *testing.T) {
	for name, late := range map[string]*wire.JobResult{"nothing": nil, "a result": {Failure: &core.Failure{Reason: core.ReasonAttemptsExhausted}}} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				u := unit(0)
				m := r.member(1, 4, u)
				over, gate := make(chan struct{}), make(chan struct{})
				run := func(context.Context, []byte, func(float64)) *wire.JobResult { <-gate; return late }
				if !m.h.Restore(r.ctx, offerIn(3, u), u.Data, &Ticket{Run: run, Cancel: func() {}, Over: over}) || m.restored(offerIn(3, u), u) {
					t.Fatal("it is not held once")
				}
				close(over)
				if !m.restored(offerIn(3, u), u) {
					t.Fatal("it is not taken up")
				}
				home := m.played(101)
				home.send(&wire.Adopt{Region: east, Epoch: 3})
				if c := next[*wire.Claim](home.raw); len(c.Leases) != 1 {
					t.Errorf("claimed %+v", c)
				}
				close(gate)
				silent[*wire.JobResult](home.raw, time.Minute)
				if m.h.Idle() || m.cause(u) != nil {
					t.Error("what was restored is gone")
				}
				close(m.gate[string(u.Data)])
				if got := next[*wire.JobResult](home.raw); got.Failure != nil || string(got.Output.Inline) != "55" {
					t.Errorf("result %+v", got)
				}
				m.idle()
			})
		})
	}
}
