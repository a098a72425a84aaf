package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// TestMain fails the package when a goroutine is left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(n byte) *keys.Identity {
	var seed [32]byte
	seed[0] = n
	return keys.FromSeed(seed)
}

// everybody is a Matcher to whom all children are equal.
type everybody struct{}

func (everybody) Match(core.NodeID, *jobs.Unit, time.Time) jobs.Match {
	return jobs.Match{Capable: true}
}
func (everybody) Explain(*jobs.Unit, time.Time) string { return "nobody is there" }

// rig is a served dispatcher inside a bubble of virtual time.
type rig struct {
	t     *testing.T
	d     *Dispatcher
	id    *keys.Identity
	blobs *Blobs
	link  func(a, b core.NodeID) (Link, Link)
	owner *recorder

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	judged []string             // "<node> <conduct>"
	shown  map[core.Digest]bool // the evidence of them
}

// overEachLink runs a test over every kind of link, each in its own bubble. What
// the rig started must have ended when the test returns.
func overEachLink(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, link := range linkKinds() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, link, jobs.Limits{})
				defer r.stop()
				test(t, r)
			})
		})
	}
}

func newRig(t *testing.T, link func(a, b core.NodeID) (Link, Link), limits jobs.Limits) *rig {
	r := &rig{t: t, id: identity(100), link: link, owner: newRecorder(), shown: map[core.Digest]bool{}}
	net := &fakeNet{}
	r.blobs = net.node(r.id.ID())
	r.d = New(Config{Name: "test", Signer: r.id, Limits: limits, Match: everybody{}, Blobs: r.blobs, Judge: r.judge}, zerolog.Nop())
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(func() { _ = r.d.Serve(r.ctx) })
	return r
}

func (r *rig) judge(child core.NodeID, c Conduct, evidence core.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judged = append(r.judged, fmt.Sprintf("%s %d", child.Short(), c))
	if evidence.IsZero() {
		r.t.Errorf("conduct %d of %s has no evidence", c, child)
	}
	if r.shown[evidence] {
		r.t.Errorf("conduct %d of %s has evidence that has counted already", c, child)
	}
	r.shown[evidence] = true
}

func (r *rig) verdicts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.judged)
}

func (r *rig) stop() {
	r.cancel()
	r.wg.Wait()
}

// attach links a child and returns its end of the link.
func (r *rig) attach(id core.NodeID) Link {
	mine, theirs := r.link(r.id.ID(), id)
	r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, jobs.ChildInfo{ID: id}, nil) })
	synctest.Wait()
	return theirs
}

// raw is a child that the test plays by hand.
type raw struct {
	t *testing.T
	Link
	id   core.NodeID
	seen []wire.Body
}

func (r *rig) raw(n byte) *raw {
	id := identity(n).ID()
	w := &raw{t: r.t, Link: r.attach(id), id: id}
	r.t.Cleanup(func() { _ = w.Close() })
	return w
}

// pull grants credits for subtasks.
func (w *raw) pull(n int) { w.send(&wire.Pull{Class: wire.ClassSubtask, Credits: n}) }

func (w *raw) send(bodies ...wire.Body) {
	w.t.Helper()
	if err := w.Send(bodies...); err != nil {
		w.t.Fatal(err)
	}
}

// next returns the next message of a type, which must come within a minute.
// Others that come before are kept.
func next[T wire.Body](w *raw) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		for i, b := range w.seen {
			if m, ok := b.(T); ok {
				w.seen = slices.Delete(slices.Clone(w.seen), i, i+1)
				return m
			}
		}
		bodies, err := w.Recv(ctx)
		if err != nil {
			w.t.Fatalf("waiting for a %T: %v", *new(T), err)
		}
		w.seen = append(w.seen, bodies...)
	}
}

// silent fails when anything of a type comes within d.
func silent[T wire.Body](w *raw, d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for {
		for _, b := range w.seen {
			if m, ok := b.(T); ok {
				w.t.Fatalf("got %+v", m)
			}
		}
		bodies, err := w.Recv(ctx)
		if err != nil {
			return
		}
		w.seen = append(w.seen, bodies...)
	}
}

// result is a good answer to an offer.
func (w *raw) result(n byte, o *wire.JobOffer) *wire.JobResult {
	out := json.RawMessage("55")
	return &wire.JobResult{Lease: o.Lease, TaskID: o.TaskID, Index: o.Index, Attempt: o.Attempt,
		Output: wire.Payload{Inline: out}, Proofs: []core.Proof{proof(n, o.InputHash, out)}}
}

func proof(n byte, input core.Digest, output []byte) core.Proof {
	p := core.Proof{OperationType: "compute", Timestamp: time.Now().UnixMilli(), InputHash: input, OutputHash: core.Sum(output), ResultMetric: 1}
	keys.SignProof(identity(n), &p)
	return p
}

// unit is a unit of work with some data.
func unit(index int) jobs.Unit {
	return unitOf(index, json.RawMessage(fmt.Sprintf(`{"input":[%d]}`, index)))
}

func unitOf(index int, data json.RawMessage) jobs.Unit {
	now := time.Now()
	return jobs.Unit{Key: jobs.Key{Task: "t1", Index: index}, Class: wire.ClassSubtask, Head: wire.TaskHead{Type: "compute"}, Data: data,
		InputHash: jobs.InputHash(data), Weight: 10, QueueUntil: now.Add(time.Minute), Deadline: now.Add(10 * time.Minute)}
}

func (r *rig) submit(u jobs.Unit) {
	r.t.Helper()
	if err := r.d.Submit(u, r.owner); err != nil {
		r.t.Fatal(err)
	}
}

// recorder is an Owner that writes down what it is told, and checks proofs.
type recorder struct {
	mu      sync.Mutex
	log     []string
	outputs map[int]string
	failure map[int]*core.Failure
	over    chan struct{} // a value per end
}

func newRecorder() *recorder {
	return &recorder{outputs: map[int]string{}, failure: map[int]*core.Failure{}, over: make(chan struct{}, 1<<14)}
}

func (o *recorder) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, fmt.Sprintf(format, args...))
}

func (o *recorder) Started(k jobs.Key, child core.NodeID, attempt int) {
	o.note("started %d by %s, attempt %d", k.Index, child.Short(), attempt)
}

func (o *recorder) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	o.note("verify %d of %s", u.Index, child.Short())
	return jobs.VerifyProof(keys.NewProofVerifier(), u, child, r, output, time.Now())
}

func (o *recorder) Done(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) {
	o.note("done %d by %s", u.Index, child.Short())
	o.end(u.Index, string(output), r.Failure)
}

func (o *recorder) Ended(u *jobs.Unit, f *core.Failure) {
	o.note("ended %d: %s", u.Index, f.Reason)
	o.end(u.Index, "", f)
}

func (o *recorder) end(i int, output string, f *core.Failure) {
	o.mu.Lock()
	o.outputs[i], o.failure[i] = output, f
	o.mu.Unlock()
	o.over <- struct{}{}
}

// wait blocks until n units have ended and returns the log.
func (o *recorder) wait(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(20 * time.Minute) // virtual
	for range n {
		select {
		case <-o.over:
		case <-timeout:
			t.Fatalf("not all of %d units ended: %q", n, o.events())
		}
	}
	return o.events()
}

func (o *recorder) events() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.log)
}

func (o *recorder) endOf(i int) (string, *core.Failure) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.outputs[i], o.failure[i]
}

// worker is a Taker that runs every offer with run, or as many as it may hold.
type worker struct {
	id  *keys.Identity
	run func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult
	no  func(o *wire.JobOffer) *wire.JobReject // nil: take it

	survives  bool
	prepare   func(ctx context.Context, data []byte) *wire.JobReject
	mu        sync.Mutex
	taken     int
	cancelled int
	rewards   []*wire.JobReward
	verdicts  []*wire.JobVerify
	answer    func(q *wire.JobQuery) *wire.JobState
}

var _ Taker = (*worker)(nil)

// newWorker returns one that computes 55 whatever the input.
func newWorker(n byte) *worker {
	w := &worker{id: identity(n)}
	w.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
		return w.output(data, json.RawMessage("55"))
	}
	return w
}

func (w *worker) output(data []byte, out json.RawMessage) *wire.JobResult {
	p := core.Proof{OperationType: "compute", Timestamp: time.Now().UnixMilli(), InputHash: core.Sum(data), OutputHash: core.Sum(out), ResultMetric: 1}
	keys.SignProof(w.id, &p)
	return &wire.JobResult{Output: wire.Payload{Inline: out}, Proofs: []core.Proof{p}}
}

func (w *worker) Take(_ core.NodeID, o *wire.JobOffer) (*Ticket, *wire.JobReject) {
	if w.no != nil {
		if no := w.no(o); no != nil {
			return nil, no
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken++
	cancel := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cancelled++
	}
	return &Ticket{Run: w.run, Prepare: w.prepare, Cancel: cancel, Survives: w.survives}, nil
}

func (w *worker) Answer(_ context.Context, _ core.NodeID, q *wire.JobQuery) *wire.JobState {
	return w.answer(q)
}

func (w *worker) Credited(_ core.NodeID, m *wire.JobReward) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rewards = append(w.rewards, m)
}

func (w *worker) Judged(_ core.NodeID, m *wire.JobVerify) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts = append(w.verdicts, m)
}

// serve runs a puller of w with a window of n on a link; lost is closed when it
// returns.
func (r *rig) serve(w *worker, link Link, n int) (lost chan struct{}) {
	blobs := r.blobs.streams.(*fakeStreams).net.node(w.id.ID())
	window := Window{Size: func(c wire.Class) int {
		if c == wire.ClassSubtask {
			return n
		}
		return 0
	}, Free: func() (int, int64) { return 50, 1000 }}
	p := NewPuller(link, w, window, blobs, nil, zerolog.Nop())
	lost = make(chan struct{})
	r.wg.Go(func() {
		defer close(lost)
		_ = p.Serve(r.ctx)
	})
	synctest.Wait()
	return lost
}

// worker attaches a served worker and returns its end of the link too.
func (r *rig) worker(w *worker, n int) Link {
	link := r.attach(w.id.ID())
	r.serve(w, link, n)
	return link
}
