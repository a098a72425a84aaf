package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/roles/rolestest"
	"github.com/tenzro/tenzro/wire"
)

// pair runs a coordinator of us-east and a node with other roles that knows it.
func pair(t *testing.T, first, second []string) (n, other *Node, stopOther func()) {
	t.Helper()
	c := config(t, first...)
	c.Region = east
	n, _ = run(t, c)
	c = config(t, second...)
	c.P2P.Bootstrap = []string{bootstrapAddr(n.host.Addrs())}
	other, stopOther = run(t, c)
	return n, other, stopOther
}

// TestWorkerComesAndGoes: a worker finds its region, is listed there, computes for
// it, is known by its new ad after a change of roles, and is gone when it stops.
//
// spec 0.25 0.26 0.28 4.8
func TestWorkerComesAndGoes(t *testing.T) {
	t.Parallel()
	n, worker, stop := pair(t, []string{"global", "regional"}, []string{"inference"})
	linked := func() error {
		if !n.region.Attached(worker.ID()) {
			return errors.New("not linked")
		}
		return nil
	}
	await(t, "the worker's link", linked)
	got := answers55(t, n)
	if !slices.Equal(got.Workers, []core.NodeID{worker.ID()}) || !slices.Equal(got.Regions, []core.RegionID{east}) || got.Proofs[0].NodeID != worker.ID() {
		t.Errorf("result %+v", got)
	}
	wantPeer(t, n, worker.ID(), "inference")
	wantPeer(t, worker, n.ID(), "global", "regional")
	if worker.homeRegion() != east || worker.Status().Region != east || !worker.attached() {
		t.Errorf("the worker says it is in %q", worker.homeRegion())
	}
	listed := func(tier core.Tier) error {
		s, err := n.regionalView().NetworkState(t.Context())
		if err != nil || len(s.Nodes) != 1 || s.Nodes[0].ID != worker.ID() || s.Nodes[0].Tier != tier {
			return fmt.Errorf("listed %+v, %v", s.Nodes, err)
		}
		return nil
	}
	await(t, "the worker in the region's state", func() error { return listed(core.TierInference) })
	if err := worker.SetRoles(t.Context(), []string{"aggregator"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the worker's new link", linked)
	await(t, "the worker's new ad", func() error { return listed(core.TierAggregator) })
	answers55(t, n)
	await(t, "the worker's pay", func() error {
		if worker.Status().State != core.Earning {
			return errors.New("not paid")
		}
		return nil
	})
	stop()
	await(t, "the region to notice", func() error {
		if linked() == nil {
			return errors.New("still linked")
		}
		s, err := n.regionalView().NetworkState(t.Context())
		if err != nil || len(s.Nodes) != 0 {
			return fmt.Errorf("listed %+v, %v", s.Nodes, err)
		}
		return nil
	})
}

// TestGatewayOfAnotherRegion: a gateway without workers hands its tasks to the
// region, answers for the tasks of other gateways, and measures how far the region
// is, by which it prefers near ones.
//
// spec 0.2 0.25 2.65
func TestGatewayOfAnotherRegion(t *testing.T) {
	t.Parallel()
	n, gateway, _ := pair(t, []string{"regional", "local"}, []string{"global"})
	await(t, "the gateway to know the region", func() error {
		if s, err := gateway.globalView().NetworkState(t.Context()); err != nil || len(s.Regions) != 1 || s.Regions[0].ID != east {
			return fmt.Errorf("regions %+v, %v", s.Regions, err)
		}
		return nil
	})
	if got := answers55(t, gateway); !slices.Equal(got.Workers, []core.NodeID{n.ID()}) || !slices.Equal(got.Regions, []core.RegionID{east}) {
		t.Errorf("result %+v", got)
	}
	theirs := answers55(t, n)
	g := gatewayTasks{gateway.coordinator, gateway}
	if s, err := g.Status(t.Context(), theirs.TaskID); err != nil || s.Status != core.TaskCompleted || s.Gateway != n.ID() {
		t.Errorf("the status of another gateway's task: %+v, %v", s, err)
	}
	if got, err := g.Result(t.Context(), theirs.TaskID, 0); err != nil || string(got.Result) != "55" {
		t.Errorf("the result of another gateway's task: %+v, %v", got, err)
	}
	if _, err := g.Status(t.Context(), "us-east-01890a5d-ac96-774b-bcce-b302099a8057"); !errors.Is(err, core.NotFound) {
		t.Errorf("an unknown task: %v", err)
	}
	if _, known := gateway.workers.Get(n.ID(), time.Now()); known {
		t.Error("the gateway lists the region's node as its own worker")
	}
	await(t, "the gateway to know its peer's clock", func() error {
		if s := gateway.Status(); s.ClockSkewMS == nil || s.ClockPeers != 1 {
			return fmt.Errorf("heard of %d", s.ClockPeers)
		}
		return nil
	})
	if peers := gateway.Peers(); len(peers) != 1 || peers[0].Version != "test" {
		t.Errorf("peers %+v", peers)
	}
	await(t, "the gateway to know how far the region is", func() error {
		if known := gateway.regions.Regions(time.Now()); len(known) != 1 || known[0].RTT <= 0 {
			return fmt.Errorf("regions %+v", known)
		}
		return nil
	})
}

// TestLookupAndMatch: workers that were told of a node that is no coordinator find
// the region through the DHT, and of those that come the capable one gets the
// task.
//
// spec 2.15 2.31 2.32
func TestLookupAndMatch(t *testing.T) {
	t.Parallel()
	c := config(t, "feedback")
	known, _ := run(t, c)
	start := func(region core.RegionID, roles ...string) *Node {
		c := config(t, roles...)
		c.Region, c.P2P.Bootstrap = region, []string{bootstrapAddr(known.host.Addrs())}
		n, _ := run(t, c)
		return n
	}
	region := start(east, "regional")
	small, large := start("", "inference"), start("", "trainer")
	for _, worker := range []*Node{small, large} {
		await(t, "a worker to find the region", func() error {
			if !region.region.Attached(worker.ID()) {
				return errors.New("not linked")
			}
			return nil
		})
	}
	task := sample()
	task.Requirements.MinTier = core.TierTrainer
	g := gatewayTasks{region.coordinator, region}
	for range 5 {
		s, err := g.Submit(t.Context(), task, "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Result(t.Context(), s.TaskID, patience)
		if err != nil || !slices.Equal(r.Workers, []core.NodeID{large.ID()}) || string(r.Result) != "55" {
			t.Errorf("result %+v, %v; want one of %s", r, err, large.ID())
		}
	}
}

// TestResultsAreGossiped: how a task ended in a region is told on its topic, as a
// digest that others can compare.
//
// spec 2.19 2.34
func TestResultsAreGossiped(t *testing.T) {
	t.Parallel()
	n, other, _ := pair(t, []string{"global", "regional", "local"}, []string{"global"})
	topic, err := gossip.Join[*wire.ResultDigests](other.router, gossip.Results, east)
	if err != nil {
		t.Fatal(err)
	}
	heard, end := topic.Subscribe(16)
	defer end()
	ended := map[core.TaskID]bool{}
	await(t, "a digest", func() error {
		got := answers55(t, n)
		ended[got.TaskID] = true
		select {
		case m := <-heard:
			for _, d := range m.Body.Results {
				if m.From != n.ID() || !ended[d.TaskID] || d.Status != core.TaskCompleted || d.OutputHash != core.Sum([]byte("55")) {
					t.Errorf("heard %+v of %s", d, m.From)
				}
			}
			return nil
		case <-time.After(2 * announceEvery):
			return errors.New("nothing heard")
		}
	})
}

// TestGossipChannel holds the channel of aggregations over gossip to its contract.
func TestGossipChannel(t *testing.T) {
	t.Parallel()
	a, b, _ := pair(t, []string{"global"}, []string{"global"})
	meet(t, a, b)
	onA, err := a.channel(east)
	if err != nil {
		t.Fatal(err)
	}
	onB, err := b.channel(east)
	if err != nil {
		t.Fatal(err)
	}
	rolestest.Contract(t, a.ID(), b.ID(), onA, onB)
	if err := onA.Publish(t.Context(), &wire.Health{NodeID: a.ID(), State: core.Online}); !errors.Is(err, core.Unsupported) {
		t.Errorf("another message: %v", err)
	}
	in, end := onB.Subscribe(0)
	defer end()
	if cap(in) == 0 {
		t.Error("a subscription without a buffer loses everything")
	}
	if _, err := a.channel("US East"); !errors.Is(err, core.Invalid) {
		t.Errorf("a region that is none: %v", err)
	}
}

// meet returns once two nodes hear each other on the topic of aggregations: with
// messages of another type, which its channels do not carry.
func meet(t *testing.T, nodes ...*Node) {
	t.Helper()
	for i, n := range nodes {
		other := nodes[1-i]
		topic, err := gossip.Join[*wire.RegionSummary](n.router, gossip.Capabilities, east)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := gossip.Join[*wire.RegionSummary](other.router, gossip.Capabilities, east)
		if err != nil {
			t.Fatal(err)
		}
		_, end := topic.Subscribe(16)
		t.Cleanup(end)
		heard, end := theirs.Subscribe(16)
		t.Cleanup(end)
		seq := uint64(0)
		await(t, "gossip to flow", func() error {
			seq++
			if err := topic.Publish(t.Context(), &wire.RegionSummary{Region: east, Coordinator: n.ID(), Sequence: seq, Performance: 1}); err != nil {
				return err
			}
			select {
			case <-heard:
				return nil
			case <-time.After(100 * time.Millisecond):
				return errors.New("nothing heard")
			}
		})
	}
}

// TestFeedback: a feedback node counts the states that the nodes of the network
// report, itself included, and forgets those that fell silent.
func TestFeedback(t *testing.T) {
	n := build(t, config(t, "feedback"))
	v := newHealthView(n)
	if err := n.registerer.Register(v.nodes); err != nil {
		t.Fatal(err)
	}
	counts := func() map[string]float64 {
		t.Helper()
		families, err := n.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			if f.GetName() != "tenzro_network_nodes" {
				continue
			}
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
		return out
	}
	start := time.Now()
	v.note("a", &wire.Health{State: core.Online}, start)
	v.note("b", &wire.Health{State: core.Online}, start)
	v.note("c", &wire.Health{State: core.Syncing}, start)
	v.note("b", &wire.Health{State: core.Earning}, start.Add(time.Minute))
	v.note("d", &wire.Health{State: "on fire"}, start.Add(time.Minute)) // no state there is: no label of its own
	if got := counts(); len(got) != 4 || got["online"] != 1 || got["earning"] != 1 || got["syncing"] != 1 || got["offline"] != 0 {
		t.Errorf("counted %v", got)
	}
	v.count(start.Add(91 * time.Second))
	if got := counts(); got["online"] != 0 || got["earning"] != 1 || got["syncing"] != 0 {
		t.Errorf("after the silence of two: %v", got)
	}
	for i := range maxHealthSeen + 10 {
		v.seen[core.NodeID(fmt.Sprint(i))] = heardHealth{core.Online, start}
		if len(v.seen) == maxHealthSeen {
			break
		}
	}
	v.note("one more", &wire.Health{State: core.Online}, start)
	if _, known := v.seen["one more"]; known {
		t.Error("more nodes than the bound are remembered")
	}
}

// TestMatch: who may be given a subtask, and what is missing when nobody may.
//
// spec 0.26 4.64
func TestMatch(t *testing.T) {
	t.Parallel()
	c := config(t, "regional", "inference")
	c.Region, c.Compute.MaxCPU, c.Compute.Price = east, 40, 250
	n, _ := run(t, c)
	m := workerMatch{n.workers, n.regions, n.reputation, n.ownRegion}
	await(t, "the node's own worker", func() error {
		own := n.workers.Select(time.Now(), core.Requirements{}, vector.Type, 1, 0)
		if len(own) == 0 {
			return errors.New("not listed")
		}
		if w, _ := n.workers.Get(own[0], time.Now()); w.Free.AskPrice != 250 {
			return errors.New("not listed with its price")
		}
		return nil
	})
	for _, c := range []struct {
		name string
		edit func(*core.TaskSpec)
		want bool
		why  string
	}{
		{"nothing asked for", func(*core.TaskSpec) {}, true, ""},
		{"as much CPU as is offered", func(s *core.TaskSpec) { s.Requirements.CPU = 40 }, true, ""},
		{"more CPU than is offered", func(s *core.TaskSpec) { s.Requirements.CPU = 41 }, false, "nobody offers 41 % of its CPU; best here is 40 %"},
		{"a higher tier", func(s *core.TaskSpec) { s.Requirements.MinTier = core.TierTrainer }, false, "nobody has tier trainer; best here is inference"},
		{"another type", func(s *core.TaskSpec) { s.Type = "dream" }, false, `nobody runs task type "dream"`},
		{"it asks for less than may be paid", func(s *core.TaskSpec) { s.Requirements.MaxPrice = 250 }, true, ""},
		{"it asks for more", func(s *core.TaskSpec) { s.Requirements.MaxPrice = 249 }, false,
			"nobody works for 249 base units per million operations; the cheapest here asks 250"},
	} {
		spec := sample()
		c.edit(&spec)
		u := unitOf(spec)
		if got := m.Match(n.ID(), u, time.Now()); got.Capable != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		if why := m.Explain(u, time.Now()); why != c.why {
			t.Errorf("%s: explained as %q, want %q", c.name, why, c.why)
		}
	}
	if got := m.Match("nobody", unitOf(sample()), time.Now()); got.Capable {
		t.Error("a node nobody knows may be given work")
	}
	for i := range byte(4) {
		n.judge(n.ID(), dispatch.Lied, core.Sum([]byte{i}))
	}
	if got := m.Match(n.ID(), unitOf(sample()), time.Now()); got.Capable {
		t.Error("a node without reputation may be given work")
	}
}

// TestPeerEvents: peers that come and go are told.
func TestPeerEvents(t *testing.T) {
	t.Parallel()
	c := config(t, "global")
	n, _ := run(t, c)
	told := n.events.Subscribe(event.Live, 64)
	defer told.Close()
	c = config(t, "global")
	c.P2P.Bootstrap = []string{bootstrapAddr(n.host.Addrs())}
	other, stop := run(t, c)
	next := func(want event.Name) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			select {
			case e := <-told.C():
				if e.Name == want && e.Data == other.ID() {
					return
				}
			case <-ctx.Done():
				t.Fatalf("nothing about %s", want)
			}
		}
	}
	next(event.PeerConnected)
	stop()
	next(event.PeerDisconnected)
}

// TestAnnouncerIsBounded: what waits to be announced is bounded, the newest
// digests kept.
func TestAnnouncerIsBounded(t *testing.T) {
	n := build(t, config(t, "regional"))
	for i := range maxPending + 10 {
		n.announcer.reputation(&wire.ReputationUpdate{Score: i})
	}
	if got := len(n.announcer.reputations); got != maxPending {
		t.Errorf("%d updates wait", got)
	}
	for i := range maxPending + 10 {
		n.announcer.result(wire.ResultDigest{TaskID: core.TaskID(fmt.Sprint(i))})
	}
	if d := n.announcer.digests; len(d) != maxPending || d[0].TaskID != "10" {
		t.Errorf("%d digests wait, the oldest of task %s", len(d), d[0].TaskID)
	}
}

// TestEligibleRoles: the profile names what the machine may become.
func TestEligibleRoles(t *testing.T) {
	n := build(t, config(t, "global"))
	p := n.Profile()
	for _, r := range core.Roles() {
		if slices.Contains(p.EligibleRoles, r.Name) != (n.profile().Meets(r.Minimum) == nil) {
			t.Errorf("role %s: %v", r.Name, p.EligibleRoles)
		}
	}
	if !slices.Equal(p.TaskTypes, []string{"benchmark", "compute", "map", "vsa", "vsa_evolution", "wasm"}) || p.Resources.FreeCPU != 100 || slices.Contains(p.Capabilities, "store") {
		t.Errorf("profile %+v", p)
	}
}

// TestRudePeer: a peer that opens a job link and says nothing sensible is cut off,
// and nothing of it stays behind (TestMain would see it).
func TestRudePeer(t *testing.T) {
	t.Parallel()
	n, other, _ := pair(t, []string{"global"}, []string{"global"})
	var s *p2p.Session
	await(t, "a session", func() (err error) {
		s, err = other.host.OpenSession(t.Context(), n.ID(), n.links.protocol())
		return err
	})
	defer s.Close()
	for {
		if err := s.Send(t.Context(), []byte(`{"v":1,"type":"nonsense"}`)); err != nil {
			break
		}
		if _, err := s.Recv(t.Context()); err != nil {
			break
		}
	}
	if n.gateway.Attached(other.ID()) && n.region.Attached(other.ID()) {
		t.Error("it was linked")
	}
}
