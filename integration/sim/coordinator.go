package sim

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/wire"
)

// coordinator keeps the region; its disk outlives its processes.
type coordinator struct {
	s      *sim
	name   string
	id     *keys.Identity
	disk   *journaltest.Disk
	full   atomic.Bool
	writes atomic.Int64 // how long a write to the disk takes at most, in nanoseconds

	mu   sync.Mutex
	life *coordLife // nil while it is down
}

// coordLife is one process of a coordinator.
type coordLife struct {
	c         *coordinator
	port      *port
	group     *journal.Group
	validator *regional.Validator
	d         *dispatch.Dispatcher
	ctx       context.Context
	stop      context.CancelFunc
	wg        sync.WaitGroup

	mu       sync.Mutex
	gateways map[dispatch.Link]struct{}
}

// anybody is a Matcher to whom all children are equal.
type anybody struct{}

// Match implements jobs.Matcher.
func (anybody) Match(core.NodeID, *jobs.Unit, time.Time) jobs.Match {
	return jobs.Match{Capable: true}
}

// Explain implements jobs.Matcher.
func (anybody) Explain(*jobs.Unit, time.Time) string { return "nobody is there" }

func newCoordinator(s *sim, name string, n byte) *coordinator {
	c := &coordinator{s: s, name: name, id: identity(n)}
	c.writes.Store(int64(3 * time.Millisecond))
	rnd := rand.New(rand.NewPCG(s.plan.Seed, uint64(n)))
	var mu sync.Mutex
	c.disk = journaltest.NewDisk(rand.New(rand.NewPCG(s.plan.Seed, uint64(n)<<8)), func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(rnd.Int64N(c.writes.Load()))
	})
	if s.bug == SkipFsync {
		c.disk.Lie()
	}
	return c
}

// start begins a process. The first coordinator founds the group, the others ask
// to join until they belong to it.
func (c *coordinator) start() error {
	l := &coordLife{c: c, port: c.s.net.plug(c.id.ID()), gateways: map[dispatch.Link]struct{}{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	cfg := journal.GroupConfig{Dir: c.name, Self: c.id.ID(), Region: home, Network: netName, Streams: l.port, Disk: c.disk,
		Admit: func(core.NodeID) bool { return true }, Free: c.free, Election: c.s.plan.Election, Wait: 5 * time.Second, Dead: 24 * time.Hour}
	var err error
	if l.group, err = journal.OpenGroup(cfg, c.s.log(c.name)); err != nil {
		return err
	}
	if c.founds() {
		if err := l.group.Found(); err != nil {
			return err
		}
	}
	l.build()
	c.mu.Lock()
	c.life = l
	c.mu.Unlock()
	l.run()
	return nil
}

func (c *coordinator) founds() bool { return c == c.s.coords[0] || c.s.bug == SplitBrain }

func (c *coordinator) free(string) (uint64, error) {
	if c.full.Load() {
		return 1 << 20, nil
	}
	return 1 << 40, nil
}

// build makes what runs the region's jobs.
func (l *coordLife) build() {
	s := l.c.s
	log := s.log(l.c.name)
	l.d = dispatch.New(dispatch.Config{Name: "region", Signer: l.c.id, Limits: jobs.Limits{SpeculateShare: -1}, Match: anybody{},
		Blobs: dispatch.NewBlobs(l.port, netName), Seed: s.plan.Seed, Led: true}, log)
	l.validator = regional.New(regional.Deps{Signer: l.c.id, Region: func() core.RegionID { return home }, Journal: mortal{s.bug.journal(l.ctx, l.group), l},
		Dispatcher: l.d, Workers: registry.NewTable(registry.Config{Network: netName}), Planners: planners(), Executors: executors(), Events: event.New(0),
		Changed: func(bool) {
			if s.bug != LoudRetire {
				l.dropGateways()
			}
		}}, log)
}

func (l *coordLife) run() {
	l.port.serve(func(t dispatch.Transport) { l.accept(t) })
	l.wg.Go(func() {
		if err := l.group.Serve(l.ctx); err != nil && !l.port.down() {
			l.c.s.violated("%s cannot keep its journal: %v", l.c.name, err)
		}
	})
	l.wg.Go(func() { _ = l.d.Serve(l.ctx) })
	l.wg.Go(func() { l.group.Lead(l.ctx, l.lead) })
	l.wg.Go(l.join)
}

// lead runs the region's jobs in one epoch.
func (l *coordLife) lead(ctx context.Context, epoch uint64) {
	s := l.c.s
	s.logf("%s leads, epoch %d", l.c.name, epoch)
	s.seen.led(l.c.name, epoch, l.group.Open())
	if s.bug == LeadOn { // it does not hear that it leads no more
		l.validator.Lead(l.ctx, epoch)
		return
	}
	l.validator.Lead(ctx, epoch)
	s.logf("%s does not lead any more, epoch %d", l.c.name, epoch)
}

// join asks the others to be let in, until it is.
func (l *coordLife) join() {
	for !l.group.Formed() && l.ctx.Err() == nil {
		for _, other := range l.c.s.coords {
			if other != l.c && l.group.Join(l.ctx, other.id.ID()) == nil {
				return
			}
		}
		wait(l.ctx, 500*time.Millisecond)
	}
}

// accept serves a session that a worker or a gateway opened.
func (l *coordLife) accept(t dispatch.Transport) {
	raw := dispatch.NewLink(t, nil)
	mine := l.hello()
	link, hello, err := dispatch.Greet(l.ctx, raw, mine)
	if err != nil {
		_ = raw.Close()
		return
	}
	if hello.Ad == nil {
		l.serveGateway(link, mine.Leader == l.c.id.ID())
		return
	}
	_ = l.d.Attach(l.ctx, &fatal{l.c.s.bug.toWorker(l.c.s, link), l}, jobs.ChildInfo{ID: link.Peer(), Region: home, CPU: 100, MemoryMB: 4096}, nil)
	_ = link.Close()
}

func (l *coordLife) hello() *wire.Hello {
	h := &wire.Hello{Version: dispatch.HelloVersion, Network: netName, Region: home, Roles: []string{"regional"}, Members: l.group.Coordinators()}
	leader, epoch, ok := l.group.Leader()
	if ok && (leader != l.c.id.ID() || l.validator.Leading()) {
		h.Leader, h.Epoch = leader, epoch
	}
	return h
}

// serveGateway takes jobs from a gateway and shows it that this node is there.
func (l *coordLife) serveGateway(link dispatch.Link, leads bool) {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	l.mu.Lock()
	l.gateways[link] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.gateways, link)
	}()
	if leads && !l.validator.Leading() {
		_ = link.Close()
		return
	}
	l.wg.Go(func() { beat(ctx, link) })
	window := dispatch.Window{Free: func() (int, int64) { return 100, 4096 }, Size: func(class wire.Class) int {
		if class == wire.ClassJob && l.validator.Leading() {
			return 4096
		}
		return 0
	}}
	taker := l.c.s.bug.toGateway(l.validator)
	_ = dispatch.NewPuller(link, taker, window, dispatch.NewBlobs(l.port, netName), nil, zerolog.Nop()).Serve(ctx)
}

// beat is how gateways tell a leader that is there from one that hangs.
func beat(ctx context.Context, link dispatch.Link) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if link.Send(&wire.Pull{Class: wire.ClassSubtask}) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// dropGateways has every gateway look for who leads now.
func (l *coordLife) dropGateways() {
	l.mu.Lock()
	links := slices.Collect(maps.Keys(l.gateways))
	l.mu.Unlock()
	for _, link := range links {
		_ = link.Close()
	}
}

// crash ends the process at this moment; what it does afterwards nobody sees.
func (c *coordinator) crash(closes bool) {
	c.mu.Lock()
	l := c.life
	c.life = nil
	if l == nil {
		c.mu.Unlock()
		return
	}
	c.disk = c.disk.Crash()
	c.mu.Unlock()
	l.port.unplug(closes)
	c.s.bury(l.end)
}

// end lets the goroutines of a process end.
func (l *coordLife) end() {
	l.stop()
	l.port.stop()
	l.wg.Wait()
	_ = l.group.Close() // of a crashed process: nobody reads what it leaves
}

// now returns the process, nil while there is none.
func (c *coordinator) now() *coordLife {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life
}

// errDisk are the faults of a disk that a write meets.
func errDisk(full bool) error {
	if full {
		return errors.Join(errors.New("writing"), syscall.ENOSPC)
	}
	return errors.Join(errors.New("writing"), syscall.EIO)
}
