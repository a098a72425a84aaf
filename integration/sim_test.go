package integration

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

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/wire"
)

const (
	simRegions  = 4
	simWorkers  = 100
	simVanished = 20
	simTasks    = 500
	simWork     = 200 * time.Millisecond // virtual time of one subtask
	simOneWay   = 10 * time.Millisecond  // between any two hosts, see p2ptest
)

// simulation is a bootstrap node, a coordinator per region and their workers, on
// virtual time.
type simulation struct {
	t       *testing.T
	ctx     context.Context
	running sync.WaitGroup
	net     *p2ptest.Network
	regions []*simRegion
}

// simRegion is the coordinating half of a regional node.
type simRegion struct {
	name       core.RegionID
	host       *p2p.Host
	workers    *registry.Table
	dispatcher *dispatch.Dispatcher
	validator  *regional.Validator
}

func (s *simulation) serve(fn func(context.Context) error) {
	s.running.Go(func() { _ = fn(s.ctx) })
}

// newRegion starts the coordinator of a region on a host.
func (s *simulation) newRegion(i int, name core.RegionID) *simRegion {
	identity, host := p2ptest.Identity(i), s.net.Hosts[i]
	r := &simRegion{name: name, host: host, workers: registry.NewTable(registry.Config{Network: p2ptest.NetworkID})}
	blobs := dispatch.NewBlobs(host, p2ptest.NetworkID)
	host.HandleStream(dispatch.BlobProtocol(p2ptest.NetworkID), blobs.ServeStream)
	r.dispatcher = dispatch.New(dispatch.Config{Name: "region", Signer: identity, Match: r, Blobs: blobs, Seed: uint64(i), Led: true}, zerolog.Nop())
	engine := vector.New()
	r.validator = regional.New(regional.Deps{Signer: identity, Region: func() core.RegionID { return name },
		Journal: journal.NewMemory(journal.Limits{}), Dispatcher: r.dispatcher, Workers: r.workers,
		Planners:  map[core.TaskType]compute.Planner{vector.Type: engine},
		Executors: map[core.TaskType]compute.Executor{vector.Type: engine}, Events: event.New(16)}, zerolog.Nop())
	router, err := gossip.New(gossip.Config{Host: host.LibP2P(), Signer: identity, Network: p2ptest.NetworkID, Small: true}, nil, zerolog.Nop())
	if err != nil {
		s.t.Fatal(err)
	}
	beacon, err := presence.NewBeacon(presence.BeaconConfig{Region: name, Provider: host, Board: presence.NewBoard(router),
		Summarize: func(seq uint64, now time.Time) *wire.RegionSummary {
			return r.workers.Summary(name, identity.ID(), 0, 1, seq, now)
		}}, zerolog.Nop())
	if err != nil {
		s.t.Fatal(err)
	}
	host.HandleSessions(p2p.ProtocolID(p2ptest.NetworkID, dispatch.ProtocolName, dispatch.ProtocolVersion),
		func(session *p2p.Session) { r.employ(s.ctx, session) })
	s.serve(router.Serve)
	s.serve(beacon.Serve)
	s.serve(r.dispatcher.Serve)
	s.serve(func(ctx context.Context) error { r.validator.Lead(ctx, 1); return nil })
	return r
}

// employ serves one worker until its link ends.
func (r *simRegion) employ(ctx context.Context, session *p2p.Session) {
	raw := dispatch.NewLink(session, nil)
	defer raw.Close()
	link, hello, err := dispatch.Greet(ctx, raw, &wire.Hello{Version: dispatch.HelloVersion, Network: p2ptest.NetworkID, Region: r.name,
		Roles: []string{"regional"}})
	if err != nil || hello.Ad == nil {
		return
	}
	if _, err := r.workers.Put(hello.Ad, time.Now()); err != nil {
		return
	}
	_ = r.dispatcher.Attach(ctx, link, jobs.ChildInfo{ID: hello.Ad.NodeID, Region: r.name, CPU: 100, MemoryMB: hello.Ad.Resources.MemoryMB}, r)
	if !r.dispatcher.Attached(hello.Ad.NodeID) {
		r.workers.Remove(hello.Ad.NodeID)
	}
}

var (
	_ jobs.Matcher     = (*simRegion)(nil)
	_ dispatch.Watcher = (*simRegion)(nil)
)

// Match implements jobs.Matcher.
func (r *simRegion) Match(id core.NodeID, u *jobs.Unit, now time.Time) jobs.Match {
	n, known := r.workers.Get(id, now)
	return jobs.Match{Capable: known && registry.Capable(n, u.Head.Requirements, u.Head.Type) == nil}
}

// Explain implements jobs.Matcher.
func (r *simRegion) Explain(u *jobs.Unit, now time.Time) string {
	return r.workers.Explain(now, u.Head.Requirements, u.Head.Type)
}

// Beat implements dispatch.Watcher.
func (r *simRegion) Beat(id core.NodeID, m *wire.Pull) {
	_, _ = r.workers.Beat(id, registry.Free{CPU: m.FreeCPU, MemoryMB: m.FreeMemoryMB, Active: m.Active}, time.Now())
}

// Advertised implements dispatch.Watcher.
func (r *simRegion) Advertised(core.NodeID, *wire.Ad) {}

// Summarized implements dispatch.Watcher.
func (r *simRegion) Summarized(core.NodeID, *wire.RegionSummary) {}

// newWorker starts a worker that looks its region up in the DHT, works for the
// coordinator it finds, and looks again when it loses it.
func (s *simulation) newWorker(i int, region core.RegionID) {
	identity, host := p2ptest.Identity(i), s.net.Hosts[i]
	w, err := testnet.NewWorker(testnet.WorkerConfig{Identity: identity, Host: host, Network: p2ptest.NetworkID, Region: region, Slots: 2,
		Run: patient{vector.New()}})
	if err != nil {
		s.t.Fatal(err)
	}
	finder := presence.NewFinder(host, nil)
	s.running.Go(func() {
		for s.ctx.Err() == nil {
			if ids, err := finder.Coordinators(s.ctx, region); err == nil {
				_ = w.Serve(s.ctx, ids[0])
				finder.Forget(region)
			}
			time.Sleep(time.Second)
		}
	})
}

// patient takes a while for everything, in virtual time.
type patient struct{ vector.Vector }

// Run implements compute.Executor.
func (p patient) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	select {
	case <-ctx.Done():
		return compute.Output{}, ctx.Err()
	case <-time.After(simWork):
	}
	return p.Vector.Run(ctx, data, report)
}

// simulate starts the whole network and waits until every worker is employed.
func simulate(t *testing.T) *simulation {
	s := &simulation{t: t}
	s.net = p2ptest.NewNetwork(t, 1+simRegions+simWorkers, func(i int, c *p2p.Config) {
		if i > simRegions {
			c.Class, c.DHTClient = core.Local, true
		}
		c.ResumeWindow = 5 * time.Second
	})
	var stop context.CancelFunc
	s.ctx, stop = context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); s.running.Wait() }) // before the hosts are closed
	for i := range simRegions {
		s.regions = append(s.regions, s.newRegion(1+i, core.RegionID(fmt.Sprintf("region-%d", i))))
	}
	start := time.Now()
	for i := range simWorkers {
		s.newWorker(1+simRegions+i, s.regions[i%simRegions].name)
	}
	for time.Since(start) < time.Minute && s.employed() < simWorkers {
		time.Sleep(100 * time.Millisecond)
	}
	if n := s.employed(); n != simWorkers {
		t.Fatalf("%d of %d workers found their region within a minute", n, simWorkers)
	}
	t.Logf("%d workers found their %d regions through the DHT in %s of virtual time", simWorkers, simRegions, time.Since(start))
	return s
}

func (s *simulation) employed() (n int) {
	for _, r := range s.regions {
		for _, w := range r.workers.All(time.Now()) {
			if w.State == core.Online {
				n++
			}
		}
	}
	return n
}

// submit gives the i-th task to one of the regions: its result is 55 + i.
func (s *simulation) submit(i int) {
	id, r := s.task(i)
	spec := core.TaskSpec{Type: vector.Type, Data: fmt.Appendf(nil, `{"input":[1,2,3,4,5],"operations":["square","sum",{"op":"add","value":%d}]}`, i)}
	if _, err := r.validator.Distribute(s.ctx, id, spec); err != nil {
		s.t.Fatalf("task %d: %v", i, err)
	}
}

func (s *simulation) task(i int) (core.TaskID, *simRegion) {
	r := s.regions[i%simRegions]
	return core.TaskID(fmt.Sprintf("%s-%d", r.name, i)), r
}

// vanish cuts a worker off from everybody, as a machine that lost its power.
func (s *simulation) vanish(worker int) {
	host := 1 + simRegions + worker
	for other := range s.net.Hosts {
		if other != host {
			s.net.Cut(host, other, true)
		}
	}
}

// finish waits for the end of the first n tasks and checks each; it returns how
// long each took to reach a worker.
func (s *simulation) finish(n int) (latency []time.Duration) {
	deadline := time.Now().Add(2 * time.Minute)
	for i := range n {
		id, r := s.task(i)
		result, err := r.validator.Result(id)
		for err != nil && time.Now().Before(deadline) {
			time.Sleep(100 * time.Millisecond)
			result, err = r.validator.Result(id)
		}
		if want := fmt.Sprint(55 + i); err != nil || result.Status != core.TaskCompleted || string(result.Result) != want {
			s.t.Fatalf("task %d: %v %s %s %v, want %s", i, err, result.Status, result.Result, result.Failure, want)
		}
		state := r.validator.Answer(s.ctx, "", &wire.JobQuery{TaskID: id, Op: wire.QueryStatus})
		first := state.Status.Attempts[0]
		latency = append(latency, first.Started.Sub(state.Status.Created))
	}
	return latency
}

// A hundred workers find their coordinators through the DHT and pull work. A
// task reaches a worker in less than 100 ms while there is room; when a fifth of
// the workers vanish in the middle of four hundred more, every task still ends
// with its result.
//
// spec 2.42 2.43 2.47 2.49
func TestSimulatedNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t)
		const calm = 100
		for i := range calm {
			s.submit(i)
			time.Sleep(simOneWay)
		}
		latency := s.finish(calm)
		slices.Sort(latency)
		t.Logf("distribution latency, with the answer's way back: p50 %s, worst %s of virtual time", latency[calm/2], latency[calm-1])
		if worst := latency[calm-1]; worst >= 100*time.Millisecond {
			t.Errorf("a task needed %s to reach a worker", worst)
		}
		for i := calm; i < simTasks; i++ {
			s.submit(i)
		}
		time.Sleep(simWork / 2) // every worker has something in its hands
		for i := range simVanished {
			s.vanish(i)
		}
		start := time.Now()
		s.finish(simTasks)
		t.Logf("%d tasks were complete %s after %d of %d workers vanished", simTasks, time.Since(start), simVanished, simWorkers)
		s.judge()
	})
}

// judge checks that the vanished are gone and that they held work.
func (s *simulation) judge() {
	time.Sleep(2 * registry.DefaultHeartbeat)
	if n := s.employed(); n != simWorkers-simVanished {
		s.t.Errorf("%d workers are listed after %d of %d vanished", n, simVanished, simWorkers)
	}
	again := 0
	for i := range simTasks {
		id, r := s.task(i)
		state := r.validator.Answer(s.ctx, "", &wire.JobQuery{TaskID: id, Op: wire.QueryStatus})
		again += len(state.Status.Attempts) - 1
	}
	s.t.Logf("%d subtasks were tried again", again)
	if again < simVanished {
		s.t.Errorf("%d workers vanished with work in their hands, and only %d subtasks were tried again", simVanished, again)
	}
}
