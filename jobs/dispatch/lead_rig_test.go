package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const east core.RegionID = "us-east"

// leader is one coordinator of a region: a dispatcher that leads when told.
type leader struct {
	*rig
	id    *keys.Identity
	d     *Dispatcher
	owner *recorder
	kill  context.CancelFunc
	ctx   context.Context
}

// leader starts one more coordinator.
func (r *rig) leader(n byte) *leader {
	l := &leader{rig: r, id: identity(n), owner: newRecorder()}
	l.ctx, l.kill = context.WithCancel(r.ctx)
	blobs := r.blobs.streams.(*fakeStreams).net.node(l.id.ID())
	l.d = New(Config{Name: "test", Signer: l.id, Limits: jobs.Limits{SpeculateShare: -1}, Match: everybody{}, Blobs: blobs, Judge: r.judge, Led: true}, zerolog.Nop())
	r.wg.Go(func() { _ = l.d.Serve(l.ctx) })
	return l
}

func (l *leader) lead(epoch uint64) {
	l.t.Helper()
	if err := l.d.Lead(east, epoch); err != nil {
		l.t.Fatal(err)
	}
}

// link attaches a child and returns its end; killing the leader closes it.
func (l *leader) link(id core.NodeID) Link {
	mine, theirs := l.rig.link(l.id.ID(), id)
	l.wg.Go(func() { _ = l.d.Attach(l.ctx, mine, jobs.ChildInfo{ID: id}, nil) })
	synctest.Wait()
	return theirs
}

func (l *leader) raw(n byte) *raw {
	id := identity(n).ID()
	w := &raw{t: l.t, Link: l.link(id), id: id}
	l.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (l *leader) submit(units ...jobs.Unit) {
	l.t.Helper()
	for _, u := range units {
		if err := l.d.Submit(u, l.owner); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *leader) resume(units ...jobs.Unit) {
	l.t.Helper()
	for _, u := range units {
		if err := l.d.Resume(u, l.owner); err != nil {
			l.t.Fatal(err)
		}
	}
}

// member is a worker of a region with a link to each of its coordinators.
type member struct {
	*worker
	h    *Holdings
	rig  *rig
	gate map[string]chan struct{} // by data: when it may end

	runs map[string]int // by data: how often it began
	ends map[string]error
	lock sync.Mutex
}

// member starts a worker that holds up to n units; those whose data has a gate
// end when it opens, or with their context.
func (r *rig) member(n byte, window int, gated ...jobs.Unit) *member {
	m := &member{worker: newWorker(n), rig: r, gate: map[string]chan struct{}{}, runs: map[string]int{}, ends: map[string]error{}}
	for _, u := range gated {
		m.gate[string(u.Data)] = make(chan struct{})
	}
	m.run = m.work
	blobs := r.blobs.streams.(*fakeStreams).net.node(m.id.ID())
	size := func(c wire.Class) int { return map[wire.Class]int{wire.ClassSubtask: window}[c] }
	m.h = NewHoldings(east, m, Window{Size: size, Free: func() (int, int64) { return 50, 1000 }}, blobs, nil, zerolog.Nop())
	return m
}

func (m *member) work(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
	m.lock.Lock()
	m.runs[string(data)]++
	gate := m.gate[string(data)]
	m.lock.Unlock()
	progress(0.25)
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	m.lock.Lock()
	m.ends[string(data)] = context.Cause(ctx)
	m.lock.Unlock()
	return m.output(data, json.RawMessage("55"))
}

// joins links the worker to a coordinator.
func (m *member) joins(l *leader) Link {
	link := l.link(m.id.ID())
	m.pulls(link)
	return link
}

func (m *member) pulls(link Link) {
	m.rig.wg.Go(func() { _ = m.h.Puller(link).Serve(m.rig.ctx) })
	synctest.Wait()
}

func (m *member) ran(u jobs.Unit) int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.runs[string(u.Data)]
}

// cause is why the context of a unit's work had ended when the work did.
func (m *member) cause(u jobs.Unit) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.ends[string(u.Data)]
}

// units returns the first n units, all different.
func units(n int) (out []jobs.Unit) {
	for i := range n {
		out = append(out, unit(i))
	}
	return out
}

// idle fails when a member still holds something.
func (m *member) idle() {
	m.rig.t.Helper()
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	if len(m.h.active) > 0 || m.h.held != [2]int{} {
		m.rig.t.Errorf("worker holds %d leases, %v counted", len(m.h.active), m.h.held)
	}
}

// count returns how often a line is in a log.
func count(log []string, line string) (n int) {
	for _, l := range log {
		if l == line {
			n++
		}
	}
	return n
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// claimOfOffer is the honest claim of an offer.
func claimOfOffer(o *wire.JobOffer) wire.ClaimedLease { return claimed(o, 0.5, false) }

// revokes are the leases of the revocations among the messages seen so far.
func (w *raw) revokes(t *testing.T) (out []wire.LeaseID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for {
		bodies, err := w.Recv(ctx)
		if err != nil {
			break
		}
		w.seen = append(w.seen, bodies...)
	}
	for _, b := range w.seen {
		if m, ok := b.(*wire.LeaseRevoke); ok {
			out = append(out, m.Lease)
		}
	}
	w.seen = slices.DeleteFunc(w.seen, func(b wire.Body) bool { _, ok := b.(*wire.LeaseRevoke); return ok })
	return out
}
