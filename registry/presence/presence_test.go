package presence

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

const testNet = "testnet"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(n int) *keys.Identity {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n)+1)
	return keys.FromSeed(seed)
}

// fakeBoard is a Board on which everybody reads everything at once.
type fakeBoard struct {
	author    core.NodeID
	health    []*wire.Health
	ads       []*wire.WorkerCapabilities
	summaries []*wire.RegionSummary
	toAds     chan Ad
	toRegions chan Summary
	fail      error
}

var _ Board = (*fakeBoard)(nil)

func newBoard(author core.NodeID) *fakeBoard {
	return &fakeBoard{author: author, toAds: make(chan Ad, 100), toRegions: make(chan Summary, 100)}
}

func (b *fakeBoard) Health(_ context.Context, region core.RegionID, m *wire.Health) error {
	if region != m.Region {
		return errors.New("posted in another region")
	}
	b.health = append(b.health, m)
	return b.fail
}

func (b *fakeBoard) Ad(_ context.Context, region core.RegionID, m *wire.WorkerCapabilities) error {
	b.ads = append(b.ads, m)
	b.toAds <- Ad{From: b.author, Body: m}
	return b.fail
}

func (b *fakeBoard) Summary(_ context.Context, m *wire.RegionSummary) error {
	b.summaries = append(b.summaries, m)
	b.toRegions <- Summary{From: b.author, Body: m}
	return b.fail
}

func (b *fakeBoard) Listen(core.RegionID, int) (<-chan Summary, <-chan Ad, func(), error) {
	return b.toRegions, b.toAds, func() {}, b.fail
}

// self is a node whose description tests change.
type self struct{ ad wire.Ad }

func (s *self) Describe() wire.Ad { return s.ad }

func (s *self) Health() wire.Health {
	return wire.Health{State: core.Online, Roles: s.ad.Roles, Version: "1", Peers: 3}
}

func worker() *self {
	return &self{wire.Ad{Region: "us-east", Roles: []string{"local"}, Can: core.CanCompute, Tier: core.TierAggregator, Runtimes: []core.TaskType{"compute"},
		MaxSlots: 4, Resources: core.Resources{Cores: 4, CPUScore: 1, MemoryMB: 4096, FreeCPU: 100, FreeMemoryMB: 4096}}}
}

func publisher(t *testing.T, cfg Config) *Publisher {
	t.Helper()
	cfg.Signer, cfg.Network = identity(1), testNet
	p, err := New(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run serves s until the returned function is called.
func run(t *testing.T, s interface{ Serve(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
	}
}

// An ad is made once, and again when it is no longer true or half its life is
// gone; each is signed and newer than the last.
//
// spec 4.3 4.55
func TestAdIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me := worker()
		p := publisher(t, Config{Self: me, Board: newBoard("")})
		table := registry.NewTable(registry.Config{Network: testNet})
		last := uint64(0)
		for _, step := range []struct {
			name   string
			change func()
			fresh  bool
		}{
			{"first", func() {}, true},
			{"nothing changed", func() {}, false},
			{"free figures only", func() { me.ad.Resources.FreeCPU = 10 }, false},
			{"tier changed", func() { me.ad.Tier = core.TierTrainer }, true},
			{"in the same millisecond", func() { me.ad.MaxSlots = 8 }, true},
			{"before half its life", func() { time.Sleep(DefaultAdLife/2 - time.Second) }, false},
			{"half its life", func() { time.Sleep(time.Second) }, true},
		} {
			step.change()
			ad, err := p.Ad()
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if fresh := ad.Sequence > last; fresh != step.fresh || ad.Sequence < last {
				t.Errorf("%s: sequence %d after %d", step.name, ad.Sequence, last)
			}
			if _, err := table.Put(ad, time.Now()); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			last = ad.Sequence
		}
		time.Sleep(time.Millisecond)
		again, err := publisher(t, Config{Self: me, Board: newBoard("")}).Ad()
		if err != nil || again.Sequence <= last {
			t.Errorf("after a restart: sequence %d, before %d: %v", again.Sequence, last, err)
		}
	})
}

func TestPublisherRefuses(t *testing.T) {
	good := Config{Signer: identity(1), Network: testNet, Self: worker(), Board: newBoard("")}
	cases := map[string]func(*Config){
		"no signer":     func(c *Config) { c.Signer = nil },
		"no self":       func(c *Config) { c.Self = nil },
		"no board":      func(c *Config) { c.Board = nil },
		"life too long": func(c *Config) { c.AdLife = wire.MaxAdLife + 1 },
	}
	for name, change := range cases {
		cfg := good
		change(&cfg)
		if _, err := New(cfg, zerolog.Nop()); core.KindOf(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := worker()
	bad.ad.Can = 1 << 31
	good.Self = bad
	p, err := New(good, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Ad(); core.KindOf(err) != core.Invalid {
		t.Errorf("an ad out of bounds: %v", err)
	}
}

// Every 30 s a node tells its health. A worker that a coordinator hears is quiet
// on gossip; one alone also posts its ad, and a node that takes tasks lists it.
// spec 2.18 2.21 4.63
func TestPublisherBeats(t *testing.T) {
	cases := []struct {
		name        string
		can         core.Capability
		attached    bool
		health, ads int
		renewed     int
	}{
		{"worker alone", core.CanCompute, false, 4, 4, 4},
		{"worker attached", core.CanCompute, true, 0, 0, 1},
		{"coordinator", core.CanCoordinate, true, 4, 0, 1},
		{"gateway alone", core.CanGateway, false, 4, 0, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				me, board, renewed := worker(), newBoard(identity(1).ID()), 0
				me.ad.Can = c.can
				p := publisher(t, Config{Self: me, Board: board, Attached: func() bool { return c.attached }, Renewed: func(*wire.Ad) { renewed++ }})
				table := registry.NewTable(registry.Config{Network: testNet})
				stopWatcher := run(t, NewWatcher(board, "us-east", registry.NewRegions(), table, zerolog.Nop()))
				stop := run(t, p)
				time.Sleep(100 * time.Second)
				stop()
				stopWatcher()
				if len(board.health) != c.health || len(board.ads) != c.ads || renewed != c.renewed {
					t.Errorf("health %d, ads %d, renewed %d", len(board.health), len(board.ads), renewed)
				}
				if n, ok := table.Get(identity(1).ID(), time.Now()); ok != (c.ads > 0) || ok && (n.State != core.Online || n.Free.CPU != 100) {
					t.Errorf("in the table: %v %+v", ok, n)
				}
			})
		})
	}
}

// A change is told at once when somebody says that there was one.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, board := worker(), newBoard("")
		var renewed []*wire.Ad
		p := publisher(t, Config{Self: me, Board: board, Attached: func() bool { return true }, Renewed: func(ad *wire.Ad) { renewed = append(renewed, ad) }})
		stop := run(t, p)
		synctest.Wait()
		me.ad.Can |= core.CanGateway
		p.Refresh()
		p.Refresh()
		synctest.Wait()
		stop()
		if len(renewed) != 2 || !renewed[1].Can.Has(core.CanGateway) {
			t.Errorf("renewed %d times", len(renewed))
		}
	})
}

// What others post in somebody else's name, or forged, enters no table.
func TestWatcherRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board, regions, table := newBoard(""), registry.NewRegions(), registry.NewTable(registry.Config{Network: testNet})
		stop := run(t, NewWatcher(board, "", regions, table, zerolog.Nop()))
		ad, err := publisher(t, Config{Self: worker(), Board: board}).Ad()
		if err != nil {
			t.Fatal(err)
		}
		forged := *ad
		forged.MaxSlots = 99
		board.toAds <- Ad{From: identity(2).ID(), Body: &wire.WorkerCapabilities{Ad: *ad}}
		board.toAds <- Ad{From: ad.NodeID, Body: &wire.WorkerCapabilities{Ad: forged}}
		board.toRegions <- Summary{From: identity(2).ID(), Body: &wire.RegionSummary{Region: "us-east", Coordinator: ad.NodeID}}
		synctest.Wait()
		stop()
		if table.Len() != 0 || len(regions.Regions(time.Now())) != 0 {
			t.Errorf("%d nodes, %v", table.Len(), regions.Regions(time.Now()))
		}
		board.fail = errors.New("no gossip")
		if err := NewWatcher(board, "", regions, nil, zerolog.Nop()).Serve(t.Context()); err == nil {
			t.Error("a watcher that hears nothing serves on")
		}
	})
}

// fakeNet is the DHT and the distances to others.
type fakeNet struct {
	mu       sync.Mutex
	provided map[string]bool
	nodes    map[string][]core.NodeID
	rtt      map[core.NodeID]time.Duration
	searches int
	fail     error
}

var (
	_ Provider  = (*fakeNet)(nil)
	_ Discovery = (*fakeNet)(nil)
)

func (n *fakeNet) Provide(_ context.Context, key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.provided[key] = true
	return n.fail
}

func (n *fakeNet) Unprovide(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.provided, key)
}

func (n *fakeNet) FindProviders(_ context.Context, key string, _ int) ([]core.NodeID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.searches++
	return n.nodes[key], n.fail
}

func (n *fakeNet) RTT(ctx context.Context, id core.NodeID) (time.Duration, error) {
	d, ok := n.rtt[id]
	if !ok {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	time.Sleep(d)
	return d, nil
}

// A coordinator can be found while it is one and tells the other regions about
// its own every 10 s; a gateway lists the region.
//
// spec 2.16
func TestBeacon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me := identity(1).ID()
		board, net, regions := newBoard(me), &fakeNet{provided: map[string]bool{}, fail: core.Errorf(core.Unavailable, "dht", "nobody there")}, registry.NewRegions()
		table := registry.NewTable(registry.Config{Network: testNet})
		b, err := NewBeacon(BeaconConfig{Region: "us-east", Provider: net, Board: board, Summarize: func(seq uint64, now time.Time) *wire.RegionSummary {
			return table.Summary("us-east", me, 0, 1, seq, now)
		}}, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		stopWatcher := run(t, NewWatcher(board, "", regions, nil, zerolog.Nop()))
		stop := run(t, b)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if !net.provided["coord"] || !net.provided["coord/us-east"] || len(board.summaries) != 3 {
			t.Errorf("provided %v, %d summaries", net.provided, len(board.summaries))
		}
		if got := regions.Coordinators("us-east", time.Now()); !slices.Equal(got, []core.NodeID{me}) {
			t.Errorf("the gateway knows %v", got)
		}
		stop()
		stopWatcher()
		if len(net.provided) != 0 {
			t.Errorf("after laying the role down: %v", net.provided)
		}
		for name, cfg := range map[string]BeaconConfig{"no region": {}, "no board": {Region: "us-east"}} {
			if _, err := NewBeacon(cfg, zerolog.Nop()); core.KindOf(err) != core.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A node that knows no region finds the nearest coordinator of any; answers are
// kept for a minute.
func TestFinder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{nodes: map[string][]core.NodeID{"coord": {"far", "dead", "near"}, "coord/us-east": {"near"}, "coord/eu-west": {"dead"}},
			rtt: map[core.NodeID]time.Duration{"far": 80 * time.Millisecond, "near": 5 * time.Millisecond, "heard": 20 * time.Millisecond}}
		regions := registry.NewRegions()
		f := NewFinder(net, regions)
		ask := func(region core.RegionID, want ...core.NodeID) {
			t.Helper()
			got, err := f.Coordinators(t.Context(), region)
			if !slices.Equal(got, want) || (err == nil) != (len(want) > 0) || err != nil && core.KindOf(err) != core.Unavailable {
				t.Errorf("%q: %v, %v; want %v", region, got, err, want)
			}
		}
		begin := time.Now()
		ask("", "near", "far")
		if took := time.Since(begin); took > measureTimeout {
			t.Errorf("one dead node cost %s", took)
		}
		ask("us-east", "near")
		ask("eu-west")
		ask("af-south")
		searches := net.searches
		ask("", "near", "far")
		if net.searches != searches {
			t.Error("the answer was not kept")
		}
		f.Forget("")
		ask("", "near", "far")
		time.Sleep(FoundFor)
		ask("us-east", "near")
		if net.searches != searches+2 {
			t.Errorf("%d searches, want %d", net.searches, searches+2)
		}

		if err := regions.PutSummary("heard", &wire.RegionSummary{Region: "af-south", Coordinator: "heard", Sequence: 1}, time.Now()); err != nil {
			t.Fatal(err)
		}
		net.fail = core.Errorf(core.Unavailable, "dht", "no DHT peer")
		ask("af-south", "heard")
		f.Forget("")
		ask("", "near", "heard", "far")
	})
}
