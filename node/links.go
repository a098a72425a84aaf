package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxCoordinators is how many coordinators a worker keeps a link to: as many as
	// may vote, so that whoever leads is among them.
	maxCoordinators = 5
	// maxGateways is how many gateways one keeps a link to that works for any of them.
	maxGateways = 16
	// maxRegionLinks bounds the regions a gateway keeps linked.
	maxRegionLinks = 64
	// regionCredits is how many jobs a region takes from one gateway at once.
	regionCredits = 4096
	// dialTimeout bounds finding and greeting one coordinator.
	dialTimeout = 5 * time.Second
)

// links is every job link of this node: to its own parts through pipes, to
// workers that dialled in, to regions it hands jobs to and to coordinators it
// works for.
type links struct {
	n       *Node
	dialing singleflight.Group
	ctx     context.Context // ends with the node's services
	stop    context.CancelFunc
	running sync.WaitGroup
	lost    chan struct{} // capacity 1: a coordinator we worked for is gone
	unheard unheard       // of all pullers
	// vouching has a place for each search for a stranger's region; capacity
	// maxVouching
	vouching chan struct{}

	mu       sync.Mutex
	gateways map[dispatch.Link]struct{}    // that hand us jobs
	regions  map[core.RegionID]core.NodeID // linked below the gateway
	helpers  map[core.RegionID]core.NodeID // linked below our own region
	bosses   map[core.NodeID]boss          // nodes we work for
	helping  map[core.NodeID]bool          // coordinators of other regions that ours works for
	helpings map[dispatch.Link]struct{}    // on which it does
	claiming map[core.RegionID]bool        // other regions whose leader is looked for, to claim what is held of them; true: asked for again
	named    []core.NodeID                 // coordinators that one we work for named and that were not tried yet
	held     map[holder]*dispatch.Holdings // what is held of each region that is worked for; at most maxRegionLinks
}

var _ global.Routes = (*links)(nil)

func newLinks(n *Node) *links {
	l := &links{n: n, lost: make(chan struct{}, 1), vouching: make(chan struct{}, maxVouching), unheard: unheard{until: map[jobs.Key]time.Time{}}, gateways: map[dispatch.Link]struct{}{}, regions: map[core.RegionID]core.NodeID{}, helpers: map[core.RegionID]core.NodeID{}, bosses: map[core.NodeID]boss{}, helping: map[core.NodeID]bool{}, helpings: map[dispatch.Link]struct{}{},
		claiming: map[core.RegionID]bool{}, held: map[holder]*dispatch.Holdings{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

func (l *links) protocol() string {
	return p2p.ProtocolID(l.n.cfg.Network, dispatch.ProtocolName, dispatch.ProtocolVersion)
}

// close ends every link and waits for what served them.
func (l *links) close() {
	l.stop()
	l.running.Wait()
}

// serve runs fn for one link until it returns or the links are closed.
func (l *links) serve(fn func(ctx context.Context)) {
	l.running.Go(func() { fn(l.ctx) })
}

// inside joins the node's own gateway, region and worker by pipes.
func (l *links) inside() {
	self := l.n.identity.ID()
	above, below := dispatch.Pipe(self, self)
	l.serve(func(ctx context.Context) {
		_ = l.n.gateway.Attach(ctx, above, jobs.ChildInfo{ID: self, Region: l.n.keeper.keeps()}, nil)
	})
	l.serve(func(ctx context.Context) {
		_ = l.puller(below, l.n.validator, l.regionWindow(wire.ClassJob)).Serve(ctx)
	})
}

// ownWorker joins the node's own region and worker; it is part of the local role.
func (l *links) ownWorker(ctx context.Context) error {
	self := l.n.identity.ID()
	if _, err := l.n.workers.Put(l.n.ads.current(), time.Now()); err != nil {
		return err
	}
	defer l.n.workers.Remove(self)
	above, below := dispatch.Pipe(self, self)
	var pulling sync.WaitGroup
	defer pulling.Wait()
	pulling.Go(func() { _ = l.holdings(l.n.ownRegion(), l.n.tasks, l.n.tasks.Window()).Puller(below).Serve(ctx) })
	return l.n.region.Attach(ctx, above, l.workerInfo(l.n.ads.current()), watcher{l.n})
}

// holdings is what this node holds of a region's subtasks, on whichever link to
// its coordinators they came.
func (l *links) holdings(region core.RegionID, t dispatch.Taker, w dispatch.Window) *dispatch.Holdings {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := holder{region, t}
	h := l.held[key]
	if h == nil {
		left := func() bool { return t == l.n.tasks && l.leaving(region) }
		own := t
		if t == l.n.tasks {
			own = l.n.tasks.Of(region)
		}
		h = dispatch.NewHoldings(region, choosy{heedful{own, &l.unheard}, left}, choosyWindow(w, left), l.n.blobs, l.n.linkMetrics, l.n.log)
		if len(l.held) < maxRegionLinks {
			l.held[key] = h
		}
	}
	return h
}

// holder is who works for a region: the node's worker, or its own region.
type holder struct {
	region core.RegionID
	taker  dispatch.Taker
}

func (l *links) puller(link dispatch.Link, t dispatch.Taker, w dispatch.Window) *dispatch.Puller {
	return dispatch.NewPuller(link, heedful{t, &l.unheard}, w, l.n.blobs, l.n.linkMetrics, l.n.log)
}

// regionWindow is what this node's region takes from others: work of the given
// classes, subtasks as many as its workers have room for.
func (l *links) regionWindow(classes ...wire.Class) dispatch.Window {
	return dispatch.Window{
		Size: func(class wire.Class) int {
			switch {
			case l.n.draining.Load() || !l.n.validator.Leading() || !slices.Contains(classes, class):
				return 0
			case class == wire.ClassJob:
				return regionCredits
			}
			_, queued, _ := l.n.region.Load()
			credits := l.n.region.Credits(wire.ClassSubtask)
			return max(0, credits-queued)
		},
		Free: func() (int, int64) {
			free := l.n.capacity.Free()
			return free.FreeCPU, free.FreeMemoryMB
		},
	}
}

// workerInfo is what the board may reserve on a worker. Another region has no
// such bounds: it keeps its own books.
func (l *links) workerInfo(ad *wire.Ad) jobs.ChildInfo {
	if other := isOtherRegion(ad, l.n.ownRegion()); other {
		return jobs.ChildInfo{ID: ad.NodeID, Region: ad.Region, Group: true}
	}
	return jobs.ChildInfo{ID: ad.NodeID, Region: l.n.ownRegion(), CPU: max(1, ad.Resources.FreeCPU), MemoryMB: max(1, ad.Resources.FreeMemoryMB)}
}

func isOtherRegion(ad *wire.Ad, own core.RegionID) bool {
	return ad.Can.Has(core.CanCoordinate) && ad.Region != own
}

// accept serves a session that somebody else opened.
func (l *links) accept(s *p2p.Session) {
	raw := dispatch.NewLink(s, l.n.linkMetrics)
	mine := l.hello(l.n.ads.current())
	link, hello, err := dispatch.Greet(l.ctx, raw, mine)
	if err != nil {
		l.n.log.Debug().Err(err).Str("node", string(s.Peer())).Msg("job link refused")
		_ = raw.Close() // and with it the session
		return
	}
	l.n.met.greeted(s.Peer(), hello)
	if hello.Ad == nil && hello.Help && l.knownCoordinator(hello.Region, s.Peer()) {
		l.serveHelp(link, hello, mine)
		return
	}
	if hello.Ad == nil {
		l.serveGateway(link, mine)
		return
	}
	if !l.n.mode().Coordinated() && isOtherRegion(hello.Ad, l.n.ownRegion()) {
		_ = link.Close()
		return
	}
	if err := l.employ(link, hello.Ad); err != nil {
		l.n.log.Debug().Err(err).Str("node", string(s.Peer())).Msg("worker link ended")
	}
	_ = link.Close()
}

// employ serves a worker, or another region that helps out, below our region.
func (l *links) employ(link dispatch.Link, ad *wire.Ad) error {
	if _, err := l.n.workers.Put(ad, time.Now()); err != nil && core.KindOf(err) != core.Conflict {
		l.n.blameAd(ad.NodeID, err)
		return err
	}
	err := l.n.region.Attach(l.ctx, link, l.workerInfo(ad), watcher{l.n})
	if !l.n.region.Attached(ad.NodeID) {
		l.n.workers.Remove(ad.NodeID)
	}
	return err
}

func (l *links) hello(ad *wire.Ad) *wire.Hello {
	h := &wire.Hello{Version: dispatch.HelloVersion, Network: l.n.cfg.Network, Region: l.n.ownRegion(), Roles: l.n.roleSet().Names(), Ad: ad}
	h.Leader, h.Epoch, h.Members = l.n.keeper.view()
	return h
}

// dial opens and greets a link to a node; with an ad to work for it, without to
// hand it work.
func (l *links) dial(ctx context.Context, id core.NodeID, ad *wire.Ad) (dispatch.Link, *wire.Hello, error) {
	return l.greet(ctx, id, l.hello(ad))
}

// greet opens a link to a node and introduces this one.
func (l *links) greet(ctx context.Context, id core.NodeID, mine *wire.Hello) (dispatch.Link, *wire.Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := l.n.host.OpenSession(ctx, id, l.protocol())
	if err != nil {
		return nil, nil, err
	}
	raw := dispatch.NewLink(s, l.n.linkMetrics)
	link, hello, err := dispatch.Greet(ctx, raw, mine)
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	l.n.met.greeted(id, hello)
	return link, hello, nil
}

// renameRegion drops every link that carries the old name of this node's own
// region and joins the inside parts again under the new one. Others link again
// by themselves.
func (l *links) renameRegion() {
	for _, w := range l.n.workers.All(time.Now()) {
		l.n.region.Detach(w.Ad.NodeID)
	}
	l.rejoin()
}

// rejoin joins the inside parts again.
func (l *links) rejoin() {
	l.n.gateway.Detach(l.n.identity.ID())
	l.inside()
}
