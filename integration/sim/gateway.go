package sim

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/wire"
)

const (
	// beatEvery, silence, askFor and relinkEvery are those of package node.
	beatEvery   = 400 * time.Millisecond
	silence     = 4 * beatEvery
	askFor      = 2 * time.Second
	relinkEvery = 250 * time.Millisecond
)

// gateway takes tasks from clients; it remembers nothing beyond its process.
type gateway struct {
	s    *sim
	name string
	id   *keys.Identity

	mu   sync.Mutex
	life *gateLife
}

// gateLife is one process of a gateway, and its way to the region's leader.
type gateLife struct {
	g    *gateway
	port *port
	d    *dispatch.Dispatcher
	c    *global.Coordinator
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	dialing chan struct{} // capacity 1: held while a leader is looked for

	mu     sync.Mutex
	leader core.NodeID
}

var _ global.Routes = (*gateLife)(nil)

func (g *gateway) start() error {
	l := &gateLife{g: g, port: g.s.net.plug(g.id.ID()), dialing: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	log := g.s.log(g.name)
	l.d = dispatch.New(dispatch.Config{Name: "gateway", Signer: g.id, Match: anybody{}, Blobs: dispatch.NewBlobs(l.port, netName), Seed: g.s.plan.Seed}, log)
	own := func() core.RegionID { return home }
	around := global.Surroundings{Own: own, Nearest: own, Mode: func() core.Mode { return core.ModeHybrid },
		Workers: func(core.Requirements, core.TaskType) (any, capable bool) { return false, false }, Looking: func() bool { return false }}
	l.c = global.New(global.Deps{ID: g.id.ID(), Dispatcher: l.d, Regions: global.NewCrossRegion(registry.NewRegions(), around), Routes: l, Own: own,
		Planners: planners(), Events: event.New(0)}, log)
	l.wg.Go(func() { _ = l.d.Serve(l.ctx) })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life = l
	return nil
}

func (g *gateway) crash(closes bool) {
	g.mu.Lock()
	l := g.life
	g.life = nil
	g.mu.Unlock()
	if l != nil {
		l.port.unplug(closes)
		g.s.bury(l.end)
	}
}

func (l *gateLife) end() {
	l.stop()
	l.port.stop()
	l.wg.Wait()
}

func (g *gateway) now() *gateLife {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.life
}

// Link implements global.Routes.
func (l *gateLife) Link(ctx context.Context, _ core.RegionID) (core.NodeID, error) {
	select {
	case l.dialing <- struct{}{}:
	case <-ctx.Done():
		return "", core.Errorf(core.Unavailable, "region", "no coordinator answered: %w", ctx.Err())
	}
	defer func() { <-l.dialing }()
	l.mu.Lock()
	id := l.leader
	l.mu.Unlock()
	if id != "" && l.d.Attached(id) {
		return id, nil
	}
	if l.ctx.Err() != nil {
		return "", core.Errorf(core.Unavailable, "region", "this gateway stops")
	}
	return l.reach(ctx)
}

// reach links the coordinator that says it leads.
func (l *gateLife) reach(ctx context.Context) (core.NodeID, error) {
	link := l.whoLeads(ctx)
	if link == nil {
		return "", core.Errorf(core.Unavailable, "region", "the region has no leader at the moment")
	}
	id := link.Peer()
	l.mu.Lock()
	l.leader = id
	l.mu.Unlock()
	over := make(chan struct{})
	l.wg.Go(func() { l.follow(link, over) })
	for !l.d.Attached(id) && ctx.Err() == nil {
		select {
		case <-over:
			return "", core.Errorf(core.Unavailable, "region", "%s left at once", id.Short())
		default:
			wait(ctx, time.Millisecond)
		}
	}
	return id, nil
}

// follow hands jobs to a leader until the link ends or nothing is heard of it,
// closes over, and looks for another one while tasks wait.
func (l *gateLife) follow(link dispatch.Link, over chan<- struct{}) {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	p := &pulse{}
	p.Beat("", nil)
	l.wg.Go(func() {
		if p.stops(ctx) {
			_ = link.Close()
		}
	})
	_ = l.d.Attach(ctx, link, jobs.ChildInfo{ID: link.Peer(), Region: home}, p)
	close(over)
	for l.ctx.Err() == nil && l.c.Waits(home) {
		if _, err := l.Link(l.ctx, home); err == nil {
			return
		}
		wait(l.ctx, relinkEvery)
	}
}

// whoLeads asks all coordinators at once.
func (l *gateLife) whoLeads(ctx context.Context) dispatch.Link {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	answers := make(chan dispatch.Link, len(l.g.s.coords))
	for _, c := range l.g.s.coords {
		l.wg.Go(func() { answers <- l.greet(ctx, c.id.ID()) })
	}
	for left := len(l.g.s.coords); left > 0; left-- {
		if link := <-answers; link != nil {
			l.wg.Go(func() { dismiss(answers, left-1, cancel) })
			return link
		}
	}
	cancel()
	return nil
}

func dismiss(answers <-chan dispatch.Link, n int, cancel func()) {
	defer cancel()
	for range n {
		if link := <-answers; link != nil {
			_ = link.Close()
		}
	}
}

// greet returns a link to a node that says it leads, nil otherwise.
func (l *gateLife) greet(ctx context.Context, id core.NodeID) dispatch.Link {
	t, err := l.port.dial(ctx, id)
	if err != nil {
		return nil
	}
	raw := dispatch.NewLink(t, nil)
	link, hello, err := dispatch.Greet(ctx, raw, &wire.Hello{Version: dispatch.HelloVersion, Network: netName, Roles: []string{"global"}})
	if err != nil || hello.Leader != id {
		_ = raw.Close()
		return nil
	}
	return link
}

// pulse knows when it last heard anything.
type pulse struct{ last atomic.Int64 }

var _ dispatch.Watcher = (*pulse)(nil)

// Beat implements dispatch.Watcher.
func (p *pulse) Beat(core.NodeID, *wire.Pull) { p.last.Store(time.Now().UnixNano()) }

// Advertised implements dispatch.Watcher.
func (p *pulse) Advertised(core.NodeID, *wire.Ad) {}

// Summarized implements dispatch.Watcher.
func (p *pulse) Summarized(core.NodeID, *wire.RegionSummary) {}

// stops waits until nothing was heard for some time and reports true, or until
// ctx ends.
func (p *pulse) stops(ctx context.Context) bool {
	for ctx.Err() == nil {
		wait(ctx, beatEvery)
		if time.Now().UnixNano()-p.last.Load() > int64(silence) {
			return ctx.Err() == nil
		}
	}
	return false
}
