package regional

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

const (
	network core.NetworkID = "testnet"
	east    core.RegionID  = "us-east"
	west    core.RegionID  = "eu-west"
	gateway core.NodeID    = "gateway"
	jobID   core.TaskID    = "us-east-01890a5d-ac96-774b-bcce-b302099a8057"
)

func identity(n int) *keys.Identity { return keys.FromSeed([32]byte{byte(n), byte(n >> 8), 1}) }

// specOf is a task over input without requirements.
func specOf(input, operations string, parallelism int) core.TaskSpec {
	return core.TaskSpec{Type: vector.Type, Data: json.RawMessage(`{"input":` + input + `,"operations":` + operations + `}`), Parallelism: parallelism}
}

// sample is the documents' task: 55.
func sample() core.TaskSpec { return specOf(`[1,2,3,4,5]`, `["square","sum"]`, 0) }

// alone is what one node gives for a task.
func alone(t *testing.T, spec core.TaskSpec) string {
	t.Helper()
	out, err := vector.New().Run(t.Context(), spec.Data, compute.Report{})
	if err != nil {
		t.Fatalf("running it alone: %v", err)
	}
	return string(out.Result)
}

// rig is one region inside a bubble of virtual time.
type rig struct {
	t       *testing.T
	id      *keys.Identity
	v       *Validator
	d       *dispatch.Dispatcher
	table   *registry.Table
	journal journal.Journal
	told    *event.Subscription

	ctx    context.Context
	cancel context.CancelFunc
	depose context.CancelFunc // ends the region's lead
	wg     sync.WaitGroup

	mu      sync.Mutex
	spread  [][]core.RegionID
	conduct map[core.NodeID][]dispatch.Conduct
	judged  func(core.NodeID, dispatch.Conduct, core.Digest) // unless nil, hears of it too
}

// options change how a rig is built.
type options struct {
	epoch   uint64
	limits  jobs.Limits
	journal func(journal.Journal) journal.Journal
	records journal.Limits
	edit    func(*Deps)
}

// bubble runs a test with a region that has no workers yet.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) { bubbleWith(t, options{}, test) }

func bubbleWith(t *testing.T, o options, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, east, 1000, o)
		defer r.stop()
		test(t, r)
	})
}

func newRig(t *testing.T, region core.RegionID, n int, o options) *rig {
	bus := event.New(0)
	r := &rig{t: t, id: identity(n), told: bus.Subscribe(0, event.MaxBuffer), conduct: map[core.NodeID][]dispatch.Conduct{},
		table: registry.NewTable(registry.Config{Network: network}), journal: journal.NewMemory(o.records)}
	if o.journal != nil {
		r.journal = o.journal(r.journal)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.d = dispatch.New(dispatch.Config{Name: "region", Signer: r.id, Limits: o.limits, Match: able{r.table}, Blobs: dispatch.NewBlobs(nil, network),
		Judge: r.judge, Led: true}, zerolog.Nop())
	engine := vector.New()
	deps := Deps{Signer: r.id, Region: func() core.RegionID { return region }, Journal: r.journal, Dispatcher: r.d, Workers: r.table,
		Planners: map[core.TaskType]compute.Planner{vector.Type: engine}, Executors: map[core.TaskType]compute.Executor{vector.Type: engine},
		Events: bus, Spread: func(regions []core.RegionID) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.spread = append(r.spread, regions)
		}}
	if o.edit != nil {
		o.edit(&deps)
	}
	r.v = New(deps, zerolog.Nop())
	r.wg.Go(func() { _ = r.d.Serve(r.ctx) })
	leading, depose := context.WithCancel(r.ctx)
	r.depose = depose
	r.wg.Go(func() { r.v.Lead(leading, max(1, o.epoch)) })
	synctest.Wait()
	return r
}

// successor is another coordinator of the region with the same journal, which
// leads it in an epoch of its own.
func (r *rig) successor(epoch uint64) *rig {
	return newRig(r.t, r.v.deps.Region(), 1000+int(epoch), options{epoch: epoch, journal: func(journal.Journal) journal.Journal { return r.journal }})
}

func (r *rig) stop() {
	r.cancel()
	r.wg.Wait()
}

func (r *rig) judge(child core.NodeID, c dispatch.Conduct, evidence core.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conduct[child] = append(r.conduct[child], c)
	if r.judged != nil {
		r.judged(child, c, evidence)
	}
}

func (r *rig) conductOf(child core.NodeID) []dispatch.Conduct {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.conduct[child])
}

// names returns the names of the events since the last call.
func (r *rig) names() (out []event.Name) {
	synctest.Wait()
	for {
		select {
		case e := <-r.told.C():
			out = append(out, e.Name)
		default:
			return out
		}
	}
}

func count[T comparable](all []T, one T) (n int) {
	for _, x := range all {
		if x == one {
			n++
		}
	}
	return n
}

// able is a Matcher over the capability index; other regions come last.
type able struct{ table *registry.Table }

func (m able) Match(child core.NodeID, u *jobs.Unit, now time.Time) jobs.Match {
	n, known := m.table.Get(child, now)
	if known && n.Ad.Can.Has(core.CanCoordinate) {
		return jobs.Match{Capable: true, Score: -1}
	}
	return jobs.Match{Capable: known && registry.Capable(n, u.Head.Requirements, u.Head.Type) == nil}
}

func (m able) Explain(u *jobs.Unit, now time.Time) string {
	return m.table.Explain(now, u.Head.Requirements, u.Head.Type)
}

// worker is a local node that computes for real, unless run says otherwise.
type worker struct {
	id   *keys.Identity
	link dispatch.Link
	run  func(ctx context.Context, data []byte) *wire.JobResult
	// writes answers questions for output; nil knows of none.
	writes func(q *wire.JobQuery) *wire.JobState

	mu       sync.Mutex
	taken    []*wire.JobOffer
	causes   []error // why work that waited for its context ended
	verdicts []*wire.JobVerify
	credit   int64
}

// ad is a worker's, valid for a while.
func ad(t *testing.T, id *keys.Identity, edit func(*wire.Ad)) *wire.Ad {
	t.Helper()
	now := time.Now().UTC()
	a := &wire.Ad{Sequence: uint64(now.UnixMilli()), Issued: now, Expires: now.Add(wire.MaxAdLife), Network: network, Region: east, Roles: []string{"local"},
		Can: core.CanCompute, Tier: core.TierAggregator, Arch: "amd64", Runtimes: []core.TaskType{vector.Type}, MaxSlots: 4,
		Resources: core.Resources{Cores: 4, CPUScore: 1, MemoryMB: 4096, DiskMB: 1000, FreeCPU: 100, FreeMemoryMB: 4096, FreeDiskMB: 500}}
	if edit != nil {
		edit(a)
	}
	if err := wire.SignAd(id, a); err != nil {
		t.Fatal(err)
	}
	return a
}

// worker links a worker that holds slots subtasks at once.
func (r *rig) worker(n, slots int, edit func(*wire.Ad)) *worker {
	r.t.Helper()
	w := &worker{id: identity(n)}
	w.run = func(_ context.Context, data []byte) *wire.JobResult { return w.compute(data) }
	r.link(w, slots, edit)
	return w
}

// link joins a worker, for the first time or again.
func (r *rig) link(w *worker, slots int, edit func(*wire.Ad)) {
	r.t.Helper()
	if _, err := r.table.Put(ad(r.t, w.id, edit), time.Now()); err != nil {
		r.t.Fatal(err)
	}
	w.link = r.serve(w, w.id.ID(), slots, wire.ClassSubtask, jobs.ChildInfo{ID: w.id.ID(), Region: r.v.deps.Region()})
}

// serve attaches what a Taker takes and returns the Taker's end of the link.
func (r *rig) serve(taker dispatch.Taker, id core.NodeID, slots int, class wire.Class, info jobs.ChildInfo) dispatch.Link {
	mine, theirs := dispatch.Pipe(r.id.ID(), id)
	window := dispatch.Window{Free: func() (int, int64) { return 100, 4096 }, Size: func(c wire.Class) int {
		if c == class {
			return slots
		}
		return 0
	}}
	r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, info, nil) })
	r.wg.Go(func() {
		_ = dispatch.NewPuller(theirs, taker, window, dispatch.NewBlobs(nil, network), nil, zerolog.Nop()).Serve(r.ctx)
	})
	synctest.Wait()
	return theirs
}

// compute is an honest answer.
func (w *worker) compute(data []byte) *wire.JobResult {
	out, err := vector.New().Run(context.Background(), data, compute.Report{})
	if err != nil {
		return failed(&core.Failure{Reason: core.ReasonExecutionFailed, Message: err.Error()})
	}
	return w.answer(data, out.Result)
}

// answer is any output with a proof that fits it.
func (w *worker) answer(data []byte, out json.RawMessage) *wire.JobResult {
	return &wire.JobResult{Output: wire.Payload{Inline: out}, Proofs: []core.Proof{prove(w.id, data, out)}}
}

func prove(id *keys.Identity, data, out []byte) core.Proof {
	p := core.Proof{OperationType: string(vector.Type), Timestamp: time.Now().UnixMilli(), InputHash: core.Sum(data), OutputHash: core.Sum(out), ResultMetric: 1}
	keys.SignProof(id, &p)
	return p
}

// block makes the worker hold everything it is given until it is told to stop.
func (w *worker) block() {
	w.run = func(ctx context.Context, _ []byte) *wire.JobResult {
		<-ctx.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.causes = append(w.causes, context.Cause(ctx))
		return failed(failureOf(context.Cause(ctx)))
	}
}

func (w *worker) offers() []*wire.JobOffer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.taken)
}

func (w *worker) credits() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.credit
}

var _ dispatch.Taker = (*worker)(nil)

func (w *worker) Take(_ core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = append(w.taken, o)
	run := func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult { return w.run(ctx, data) }
	return &dispatch.Ticket{Run: run, Cancel: func() {}}, nil
}

func (w *worker) Answer(_ context.Context, _ core.NodeID, q *wire.JobQuery) *wire.JobState {
	if q.Output != nil && w.writes != nil {
		return w.writes(q)
	}
	return &wire.JobState{ID: q.ID, Fault: wire.FaultOf(core.Errorf(core.NotFound, "taskId", "workers keep no jobs"))}
}

func (w *worker) Credited(_ core.NodeID, m *wire.JobReward) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range m.Entries {
		w.credit += e.Units
	}
}

func (w *worker) Judged(_ core.NodeID, m *wire.JobVerify) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts = append(w.verdicts, m)
}

func (w *worker) refusals() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.verdicts {
		if !m.Accepted {
			out = append(out, m.Message)
		}
	}
	return out
}

// job is a job that a gateway handed to the region.
type job struct {
	t      *testing.T
	revoke context.CancelCauseFunc
	done   chan struct{}
	result *wire.JobResult
}

func offerOf(id core.TaskID, spec core.TaskSpec, regions ...core.RegionID) *wire.JobOffer {
	return &wire.JobOffer{Lease: 1, TaskID: id, Attempt: 1, Class: wire.ClassJob, Task: wire.Head(spec), Data: wire.Payload{Inline: spec.Data},
		InputHash: core.Sum(spec.Data), Deadline: time.Now().Add(spec.Timeout()), TTLMS: 15_000, Gateway: gateway, Regions: regions, Trace: traceparent}
}

// take takes and prepares a job, as a puller does before it accepts.
func (r *rig) take(id core.TaskID, spec core.TaskSpec, regions ...core.RegionID) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := r.v.Take(gateway, offerOf(id, spec, regions...))
	if no == nil {
		no = ticket.Prepare(r.ctx, spec.Data)
	}
	return ticket, no
}

// offer hands a job over and runs it in the background.
func (r *rig) offer(id core.TaskID, spec core.TaskSpec, regions ...core.RegionID) *job {
	r.t.Helper()
	ticket, no := r.take(id, spec, regions...)
	if no != nil {
		r.t.Fatalf("job refused: %+v", no)
	}
	if !ticket.Survives {
		r.t.Error("a job would end with the link to its gateway")
	}
	j := &job{t: r.t, done: make(chan struct{})}
	var ctx context.Context
	ctx, j.revoke = context.WithCancelCause(r.ctx)
	r.wg.Go(func() {
		defer close(j.done)
		j.result = ticket.Run(ctx, spec.Data, func(float64) {})
	})
	synctest.Wait()
	return j
}

// end waits for the job's result, which must come in an hour.
func (j *job) end() *wire.JobResult {
	j.t.Helper()
	select {
	case <-j.done:
		return j.result
	case <-time.After(time.Hour):
		j.t.Fatal("the job does not end")
	}
	return nil
}

// completed waits for a good end and returns the value.
func (j *job) completed() string {
	j.t.Helper()
	r := j.end()
	if r.Failure != nil {
		j.t.Fatalf("the job failed: %v", r.Failure)
	}
	return string(r.Output.Inline)
}

// failed waits for a bad end and returns the reason.
func (j *job) failed() *core.Failure {
	j.t.Helper()
	r := j.end()
	if r.Failure == nil {
		j.t.Fatalf("the job completed with %s", r.Output.Inline)
	}
	return r.Failure
}

// settle lets messages arrive that nobody waits for.
func settle() {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

// idle fails unless nothing of any job is left.
func (r *rig) idle() {
	r.t.Helper()
	synctest.Wait()
	if units, _, _ := r.d.Load(); units != 0 || r.v.InProgress() != 0 {
		r.t.Errorf("%d subtasks and %d jobs are left over", units, r.v.InProgress())
	}
}
