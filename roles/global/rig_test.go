package global

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// TestMain fails the package when a goroutine is left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	east core.RegionID = "us-east"
	west core.RegionID = "eu-west"
)

func identity(n byte) *keys.Identity { return keys.FromSeed([32]byte{n}) }

// sample is the documents' task.
func sample() core.TaskSpec {
	return core.TaskSpec{Type: vector.Type, Requirements: core.Requirements{MinTier: core.TierAggregator, CPU: 80, MemoryMB: 1024},
		Data: json.RawMessage(`{"input":[1,2,3,4,5],"operations":["square","sum"]}`)}
}

// everywhere lets every linked region take every job, as the node does.
type everywhere struct{}

func (everywhere) Match(core.NodeID, *jobs.Unit, time.Time) jobs.Match {
	return jobs.Match{Capable: true}
}
func (everywhere) Explain(*jobs.Unit, time.Time) string { return "nobody is there" }

// routes is a Routes over what the test linked.
type routes struct {
	mu    sync.Mutex
	known map[core.RegionID]core.NodeID
}

func (r *routes) Link(_ context.Context, region core.RegionID) (core.NodeID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.known[region]; ok {
		return id, nil
	}
	return "", core.Errorf(core.Unavailable, "region", "no coordinator of region %s can be reached", region)
}

// rig is a gateway inside a bubble of virtual time.
type rig struct {
	t       *testing.T
	c       *Coordinator
	d       *dispatch.Dispatcher
	regions *registry.Regions
	routes  *routes
	told    *event.Subscription
	near    core.RegionID
	mode    core.Mode

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// bubble runs a test with a gateway that knows no region yet.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.wg.Wait()
		defer r.cancel()
		test(t, r)
	})
}

func newRig(t *testing.T) *rig {
	gateway, bus := identity(200), event.New(0)
	r := &rig{t: t, regions: registry.NewRegions(), routes: &routes{known: map[core.RegionID]core.NodeID{}}, told: bus.Subscribe(0, 4096)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.d = dispatch.New(dispatch.Config{Name: "gateway", Signer: gateway, Match: everywhere{}, Blobs: dispatch.NewBlobs(nil, "testnet")}, zerolog.Nop())
	own := func() core.RegionID { return "solo" }
	r.c = New(Deps{ID: gateway.ID(), Dispatcher: r.d, Regions: NewCrossRegion(r.regions, r.around()),
		Routes: r.routes, Own: own, Planners: map[core.TaskType]compute.Planner{vector.Type: vector.New()}, Events: bus}, zerolog.Nop())
	r.wg.Go(func() { _ = r.d.Serve(r.ctx) })
	return r
}

// around is the rig's surroundings: a node in the rig's mode that has been there
// for long.
func (r *rig) around() Surroundings {
	s := around("solo", "")
	s.Nearest = func() core.RegionID { return r.near }
	s.Mode = func() core.Mode { return r.mode }
	s.Workers = func(core.Requirements, core.TaskType) (any, capable bool) { return true, true }
	return s
}

// region is a linked coordinator that the test plays by hand.
type region struct {
	*rig
	dispatch.Link
	id   *keys.Identity
	seen []wire.Body
}

// region links one that wants jobs.
func (r *rig) region(name core.RegionID, n byte) *region {
	id := identity(n)
	mine, theirs := dispatch.Pipe(identity(200).ID(), id.ID())
	r.wg.Go(func() { _ = r.d.Attach(r.ctx, mine, jobs.ChildInfo{ID: id.ID(), Region: name}, nil) })
	synctest.Wait()
	r.routes.mu.Lock()
	r.routes.known[name] = id.ID()
	r.routes.mu.Unlock()
	g := &region{rig: r, Link: theirs, id: id}
	g.send(&wire.Pull{Class: wire.ClassJob, Credits: 100})
	return g
}

func (g *region) send(bodies ...wire.Body) {
	g.t.Helper()
	if err := g.Send(bodies...); err != nil {
		g.t.Fatal(err)
	}
	synctest.Wait()
}

// ignorant answers the question that comes before a task with a key is offered:
// the home does not know it.
func (g *region) ignorant() {
	g.t.Helper()
	q := next[*wire.JobQuery](g)
	g.send(&wire.JobState{ID: q.ID, Fault: wire.FaultOf(core.Errorf(core.NotFound, "taskId", "task %s is not known here", q.TaskID))})
}

// next returns the next message of a type, which must come within a minute.
func next[T wire.Body](g *region) T {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		for i, b := range g.seen {
			if m, ok := b.(T); ok {
				g.seen = slices.Delete(slices.Clone(g.seen), i, i+1)
				return m
			}
		}
		bodies, err := g.Recv(ctx)
		if err != nil {
			g.t.Fatalf("waiting for a %T: %v", *new(T), err)
		}
		g.seen = append(g.seen, bodies...)
	}
}

// take accepts the next offer, as a region does once it has recorded the job.
func (g *region) take() *wire.JobOffer {
	g.t.Helper()
	o := next[*wire.JobOffer](g)
	g.send(&wire.JobAccept{Lease: o.Lease})
	return o
}

// result is a right answer to an offer of sample.
func (g *region) result(o *wire.JobOffer) *wire.JobResult {
	out := json.RawMessage("55")
	return &wire.JobResult{Lease: o.Lease, TaskID: o.TaskID, Attempt: 1, Output: wire.Payload{Inline: out},
		Proofs: []core.Proof{prove(g.id, o.InputHash, out)}, Workers: []core.NodeID{g.id.ID()}, Regions: []core.RegionID{east}, Subtasks: 1}
}

func prove(id *keys.Identity, input core.Digest, out []byte) core.Proof {
	p := core.Proof{OperationType: string(vector.Type), Timestamp: time.Now().UnixMilli(), InputHash: input, OutputHash: core.Sum(out), ResultMetric: 1}
	keys.SignProof(id, &p)
	return p
}

// submission is a Submit that goes on in the background.
type submission struct {
	done   chan struct{}
	status core.TaskStatus
	err    error
}

func (r *rig) submit(spec core.TaskSpec, key string) *submission {
	s := &submission{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.status, s.err = r.c.Submit(r.ctx, spec, key)
	}()
	synctest.Wait()
	return s
}

// accepted is a task that the region has recorded.
func (r *rig) accepted(g *region, spec core.TaskSpec, key string) (core.TaskID, *wire.JobOffer) {
	r.t.Helper()
	s := r.submit(spec, key)
	if key != "" {
		g.ignorant()
	}
	o := g.take()
	<-s.done
	if s.err != nil {
		r.t.Fatalf("submitting: %v", s.err)
	}
	return s.status.TaskID, o
}

// names returns the names of the events so far.
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

// answers replies to every further question in the background until the rig stops.
func (g *region) answers(reply func(q *wire.JobQuery) *wire.JobState) {
	g.wg.Go(func() {
		for {
			bodies, err := g.Recv(g.ctx)
			if err != nil {
				return
			}
			for _, b := range bodies {
				if q, ok := b.(*wire.JobQuery); ok {
					state := reply(q)
					state.ID = q.ID
					_ = g.Send(state)
				}
			}
		}
	})
}

// summary describes a region with as many workers of a tier, all of them free.
func summary(name core.RegionID, n byte, tier core.Tier, workers int, free, performance float64) *wire.RegionSummary {
	return &wire.RegionSummary{Region: name, Coordinator: identity(n).ID(), Sequence: 1, Workers: workers, FreeSlots: workers,
		Capacity: core.Capacity{CPU: free, Memory: free, Storage: free}, Performance: performance,
		ByTier: map[string]int{tier.String(): workers}, Runtimes: []core.TaskType{vector.Type}}
}

func (r *rig) hear(s *wire.RegionSummary) { hear(r.t, r.regions, s) }

func hear(t *testing.T, regions *registry.Regions, s *wire.RegionSummary) {
	t.Helper()
	if err := regions.PutSummary(s.Coordinator, s, time.Now()); err != nil {
		t.Fatal(err)
	}
}
