package node

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
)

// worksFor waits until a worker is linked to exactly these nodes.
func worksFor(t *testing.T, worker *Node, want ...*Node) {
	t.Helper()
	await(t, "the worker's links", func() error {
		worker.links.mu.Lock()
		defer worker.links.mu.Unlock()
		for _, n := range want {
			if _, linked := worker.links.bosses[n.ID()]; !linked {
				return fmt.Errorf("%s is not linked", n.Roles())
			}
		}
		if have := len(worker.links.bosses); have != len(want) {
			return fmt.Errorf("%d links, want %d", have, len(want))
		}
		return nil
	})
}

// TestWorkerMovesBetweenModes: a worker works for coordinators, for gateways, or
// for both, as its mode says, and for the other side from the moment its mode
// changes.
//
// spec 2.38 2.39 2.40 2.41
func TestWorkerMovesBetweenModes(t *testing.T) {
	t.Parallel()
	region, gateway, _ := pair(t, []string{"regional"}, []string{"global"})
	c := config(t, "local")
	c.Mode = core.ModeP2P
	c.P2P.Bootstrap = []string{bootstrapAddr(gateway.host.Addrs())}
	worker, _ := run(t, c)
	for _, step := range []struct {
		mode string
		want []*Node
		in   core.RegionID // that the worker says it is in
	}{
		{"p2p", []*Node{gateway}, gateway.ownRegion()},
		{"p2p-primary", []*Node{gateway, region}, east},
		{"hybrid", []*Node{region}, east},
		{"p2p", []*Node{gateway}, gateway.ownRegion()},
		{"hybrid", []*Node{region}, east},
	} {
		if err := worker.SetMode(t.Context(), step.mode); err != nil {
			t.Fatal(err)
		}
		worksFor(t, worker, step.want...)
		if got := worker.homeRegion(); got != step.in || worker.Mode() != step.mode || worker.Status().Mode != step.mode {
			t.Errorf("%s: the worker says it is in %s and in mode %s", step.mode, got, worker.Mode())
		}
	}
	wantKind(t, "an unknown mode", worker.SetMode(t.Context(), "central"), core.Invalid)
	if worker.Mode() != "hybrid" {
		t.Errorf("then the mode is %s", worker.Mode())
	}
}

// TestGatewayModes: a gateway hands tasks to a region, to its own workers, or to
// its own workers as long as they can run them, as its mode says; and to itself
// when the only region is gone.
//
// spec 2.4 2.38 2.39 2.40 2.68
func TestGatewayModes(t *testing.T) {
	t.Parallel()
	c := config(t, "regional", "local")
	c.Region = east
	region, stopRegion := run(t, c)
	bootstrap := []string{bootstrapAddr(region.host.Addrs())}
	c = config(t, "global")
	c.P2P.Bootstrap = bootstrap
	gateway, _ := run(t, c)
	c = config(t, "inference")
	c.Mode, c.P2P.Bootstrap = core.ModeP2P, []string{bootstrapAddr(gateway.host.Addrs()), bootstrap[0]}
	worker, _ := run(t, c)
	worksFor(t, worker, gateway)
	await(t, "the gateway to know the region", func() error {
		if len(gateway.regions.Regions(time.Now())) == 0 {
			return errors.New("none known")
		}
		return nil
	})
	goesTo := func(mode string, spec core.TaskSpec, by *Node, home core.RegionID) {
		t.Helper()
		if err := gateway.SetMode(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		g := gatewayTasks{gateway.coordinator, gateway}
		s, err := g.Submit(t.Context(), spec, "")
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		r, err := g.Result(t.Context(), s.TaskID, patience)
		if got, _ := s.TaskID.Home(); err != nil || string(r.Result) != "55" || got != home || !slices.Equal(r.Workers, []core.NodeID{by.ID()}) {
			t.Errorf("%s: %s by %v at home in %s, %v", mode, r.Result, r.Workers, got, err)
		}
	}
	await(t, "the gateway's worker to be able", func() error {
		if _, capable := gateway.ownWorkers(sample().Requirements, vector.Type); !capable {
			return errors.New("nobody can")
		}
		return nil
	})
	solo := gateway.ownRegion()
	goesTo("hybrid", sample(), region, east)
	goesTo("p2p-primary", sample(), worker, solo)
	goesTo("p2p", sample(), worker, solo)
	if tier := region.tier(); tier > core.TierInference { // more than the worker is
		able := sample()
		able.Requirements.MinTier = tier
		goesTo("p2p-primary", able, region, east)
	}
	stopRegion()
	await(t, "the gateway to notice", func() error {
		if len(gateway.regions.Regions(time.Now())) != 0 {
			return errors.New("the region is still known")
		}
		return nil
	})
	goesTo("hybrid", sample(), worker, solo)
	goesTo("p2p-primary", sample(), worker, solo)
}

// TestGatewayCallsWorkers: a gateway that no worker has found finds one with work
// that waits: a task that a client submits is announced by gossip, and the worker
// links itself when it hears of it.
//
// spec 2.17 2.30 2.39 2.40
func TestGatewayCallsWorkers(t *testing.T) {
	t.Parallel()
	c := config(t, "global")
	first, _ := run(t, c)
	c = config(t, "local")
	c.Mode, c.P2P.Bootstrap = core.ModeP2P, []string{bootstrapAddr(first.host.Addrs())}
	worker, _ := run(t, c)
	worksFor(t, worker, first)
	c = config(t, "global")
	c.Mode, c.P2P.Bootstrap = core.ModeP2P, []string{bootstrapAddr(first.host.Addrs())}
	late, _ := run(t, c)
	g := gatewayTasks{late.coordinator, late}
	s, err := g.Submit(t.Context(), sample(), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Result(t.Context(), s.TaskID, seekCalm*2/3) // before the worker looks for gateways again
	if err != nil || !slices.Equal(r.Workers, []core.NodeID{worker.ID()}) {
		t.Errorf("result %+v, %v", r, err)
	}
	worksFor(t, worker, first, late)
}

// patient runs a node that looks for regions for as long as a slow machine needs.
func patient(t *testing.T, c Config) (n *Node, stop func()) {
	t.Helper()
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	n.lookFor = patience
	return n, start(t, n)
}

// TestRestartedGatewayLooksFirst: a task that comes right after a gateway's start
// goes to the region all the same.
//
// spec 2.38
func TestRestartedGatewayLooksFirst(t *testing.T) {
	t.Parallel()
	c := config(t, "regional", "local")
	c.Region = east
	region, _ := run(t, c)
	for _, role := range []string{"global", "inference"} {
		c = config(t, role)
		c.P2P.Standalone, c.P2P.Bootstrap = false, []string{bootstrapAddr(region.host.Addrs())}
		gateway, stop := patient(t, c)
		if got := answers55(t, gateway); !slices.Equal(got.Regions, []core.RegionID{east}) {
			t.Errorf("%s: the task ran in %v", role, got.Regions)
		}
		stop()
		c.P2P.Bootstrap = nil // it knows the region's node from its peers file
		gateway, _ = patient(t, c)
		if !gateway.hinted {
			t.Errorf("%s: no peer was saved", role)
		}
		if got := answers55(t, gateway); !slices.Equal(got.Regions, []core.RegionID{east}) {
			t.Errorf("%s: after the restart the task ran in %v", role, got.Regions)
		}
	}
}

// TestFirstNodeDoesNotLook: who was told of nobody, or is to be alone, waits for
// nobody.
func TestFirstNodeDoesNotLook(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"standalone": func(c *Config) {
			c.P2P.Bootstrap = []string{"/ip4/127.0.0.1/tcp/9/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"}
		},
		"told of nobody": func(c *Config) { c.P2P.Standalone = false },
	} {
		c := config(t, "global", "local")
		edit(&c)
		if build(t, c).looking() {
			t.Errorf("%s: it looks for regions", name)
		}
	}
	c := config(t, "feedback")
	c.P2P.Standalone, c.P2P.Bootstrap = false, []string{"/ip4/127.0.0.1/tcp/9/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"}
	if build(t, c).looking() {
		t.Error("a node that never looks for regions is waited for")
	}
}

// TestLoneRegionIsFound: a task of a node that was alone is answered for at a
// gateway that joins later, also after that node's restart.
//
// spec 0.29 2.40
func TestLoneRegionIsFound(t *testing.T) {
	t.Parallel()
	home := config(t, "global", "local")
	lone, stop := run(t, home)
	id := answers55(t, lone).TaskID
	asks := func() {
		t.Helper()
		c := config(t, "global")
		c.P2P.Bootstrap = []string{bootstrapAddr(lone.host.Addrs())}
		late, leave := run(t, c)
		defer leave() // what it remembers of the DHT goes with it
		g := gatewayTasks{late.coordinator, late}
		await(t, "the other gateway to know the task", func() error {
			r, err := g.Result(t.Context(), id, 0)
			if err == nil && string(r.Result) != "55" {
				t.Errorf("the result is %s", r.Result)
			}
			return err
		})
	}
	asks()
	stop()
	lone, _ = run(t, home)
	asks()
}
