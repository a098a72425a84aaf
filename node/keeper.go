package node

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/wire"
)

// JournalsDir is the directory of the home with one journal for each region that
// the node has kept.
const JournalsDir = "regions"

// Where the journal of a region is kept.
const (
	JournalDisk   = "disk"
	JournalMemory = "memory"
)

// keeper keeps the journal of the node's own region, with the other coordinators
// of the region, and has the validator run its jobs while this node leads. The
// region of a node that is no coordinator is a region of one. Which one that is,
// follows the node's roles, but not at once: what concerns the journal goes by
// region and not by Node.ownRegion.
type keeper struct {
	n *Node

	changing sync.Mutex // one change of region at a time

	mu     sync.RWMutex
	region core.RegionID
	book   book // of that region; nil only before open
	ctx    context.Context
	ended  func() // ends what serves book and waits for it
	failed chan error
	shown  bool // the region of one can be found by others
}

// book is a journal that is kept and led.
type book interface {
	journal.Journal
	journal.Helping
	Serve(ctx context.Context) error
	Close() error
	Lead(ctx context.Context, fn func(ctx context.Context, epoch uint64))
	Leader() (id core.NodeID, epoch uint64, ok bool)
}

var (
	_ book             = (*journal.Group)(nil)
	_ book             = (*inMemory)(nil)
	_ journal.Journal  = (*keeper)(nil)
	_ journal.Helping  = (*keeper)(nil)
	_ api.Coordinators = (*keeper)(nil)
)

func newKeeper(n *Node) *keeper { return &keeper{n: n, failed: make(chan error, 1)} }

// open opens the journal of a region. Nothing is served before Serve.
func (k *keeper) open(region core.RegionID) error {
	b, err := k.openBook(region)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.region, k.book, k.shown = region, b, false
	return nil
}

func (k *keeper) openBook(region core.RegionID) (book, error) {
	limits := journal.Limits{Open: k.n.cfg.Jobs.MaxQueued}
	if k.n.cfg.Jobs.Journal == JournalMemory {
		return newInMemory(limits, k.n.identity.ID()), nil
	}
	cfg := journal.GroupConfig{Dir: filepath.Join(k.n.path(JournalsDir), string(region)), Self: k.n.identity.ID(), Region: region,
		Network: k.n.cfg.Network, Admit: k.admits, Limits: limits,
		Retention: journal.Retention{Jobs: k.n.cfg.Jobs.KeepFinished, Age: k.n.cfg.Jobs.KeepFor}, Registerer: k.n.registerer}
	if region == k.n.cfg.Region {
		cfg.Streams = k.n.host
	}
	return journal.OpenGroup(cfg, k.n.log)
}

// admits says whether a node that asks may become a coordinator of the region.
func (k *keeper) admits(id core.NodeID) bool {
	return k.n.cfg.Jobs.AdmitAny || slices.Contains(k.n.cfg.Jobs.Members, id)
}

// keepsWith reports whether a node keeps the region together with this one.
func (k *keeper) keepsWith(id core.NodeID) bool {
	g, ok := k.now().(*journal.Group)
	return ok && slices.Contains(g.Coordinators(), id)
}

// close closes the journal.
func (k *keeper) close() error {
	if b := k.now(); b != nil {
		return b.Close()
	}
	return nil
}

// keeps is the region whose journal is kept.
func (k *keeper) keeps() core.RegionID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.region
}

func (k *keeper) now() book {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.book
}

// Serve keeps the journal until ctx ends; an error means that it cannot go on.
func (k *keeper) Serve(ctx context.Context) error {
	k.changing.Lock()
	k.mu.Lock()
	k.ctx = ctx
	k.mu.Unlock()
	k.begin()
	k.changing.Unlock()
	defer func() {
		k.changing.Lock()
		defer k.changing.Unlock()
		k.end()
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-k.failed:
		return err
	}
}

// begin serves the book in the background. Called with changing held.
func (k *keeper) begin() {
	k.mu.Lock()
	b, ctx := k.book, k.ctx
	k.mu.Unlock()
	if ctx == nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	loops, inner := errgroup.WithContext(ctx)
	loops.Go(func() error {
		if err := k.foundAlone(b); err != nil {
			return err
		}
		return b.Serve(inner)
	})
	loops.Go(func() error {
		b.Lead(inner, k.lead)
		return nil
	})
	if g, ok := b.(*journal.Group); ok {
		loops.Go(func() error { return k.form(inner, g) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := loops.Wait(); err != nil && ctx.Err() == nil {
			select {
			case k.failed <- err:
			default: // Serve ends for an earlier one
			}
		}
	}()
	k.mu.Lock()
	k.ended = func() { stop(); <-done }
	k.mu.Unlock()
}

// end ends what begin began. Called with changing held.
func (k *keeper) end() {
	k.mu.Lock()
	ended := k.ended
	k.ended = nil
	k.mu.Unlock()
	if ended != nil {
		ended()
	}
}

// handOver lets another coordinator lead the region, if there is one.
func (k *keeper) handOver() {
	if g, ok := k.now().(*journal.Group); ok {
		g.HandOver()
	}
}

// move keeps another region from now on. After an error the node keeps none.
func (k *keeper) move(region core.RegionID) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.end()
	k.mu.Lock()
	old := k.book
	k.book = newInMemory(journal.Limits{}, k.n.identity.ID()) // empty: a closed journal answers nobody
	k.mu.Unlock()
	if err := old.Close(); err != nil {
		return err
	}
	if err := k.open(region); err != nil {
		return err
	}
	k.begin()
	return nil
}

// view is who leads the node's region, as far as this node knows, and who keeps
// it; while the node goes from one region to another that is nobody.
func (k *keeper) view() (leader core.NodeID, epoch uint64, members []core.NodeID) {
	if k.keeps() != k.n.ownRegion() {
		return "", 0, nil
	}
	b := k.now()
	leader, epoch, ok := b.Leader()
	if !ok || leader == k.n.identity.ID() && !k.n.validator.Leading() {
		leader = ""
	}
	if g, ok := b.(*journal.Group); ok {
		members = g.Coordinators()
		members = members[:min(len(members), wire.MaxMembers)]
	}
	return leader, epoch, members
}

// lead runs the region's jobs; one that holds some from before shows itself again.
func (k *keeper) lead(ctx context.Context, epoch uint64) {
	if len(k.List(journal.Filter{Limit: 1})) > 0 {
		k.show()
	}
	k.n.validator.Lead(ctx, epoch)
}

// show lets others find the region of one, so that any gateway can answer for
// its jobs. Coordinators have a beacon for that.
func (k *keeper) show() {
	k.mu.Lock()
	first, ctx, region := !k.shown && k.ctx != nil, k.ctx, k.region
	k.shown = k.shown || first
	k.mu.Unlock()
	if first && region != k.n.cfg.Region {
		go k.n.provide(ctx, presence.RegionKey(region))
	}
}

// Commit implements journal.Journal.
func (k *keeper) Commit(ctx context.Context, job jobs.Job) error {
	err := k.now().Commit(ctx, job)
	if err == nil {
		k.show()
	}
	return err
}

// Update implements journal.Journal.
func (k *keeper) Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error {
	return k.now().Update(id, fn)
}

// Keep implements journal.Journal.
func (k *keeper) Keep(id core.TaskID, part jobs.Part, recorded func()) error {
	return k.now().Keep(id, part, recorded)
}

// End implements journal.Journal.
func (k *keeper) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	return k.now().End(ctx, r, now)
}

// Get implements journal.Journal.
func (k *keeper) Get(id core.TaskID) (jobs.Job, error) { return k.now().Get(id) }

// List implements journal.Journal.
func (k *keeper) List(f journal.Filter) []jobs.Job { return k.now().List(f) }

// Open implements journal.Journal.
func (k *keeper) Open() []journal.OpenJob { return k.now().Open() }

// Take implements journal.Helping.
func (k *keeper) Take(ctx context.Context, t journal.Taken) error { return k.now().Take(ctx, t) }

// Release implements journal.Helping.
func (k *keeper) Release(id jobs.Key, lease wire.LeaseID, recorded func()) {
	k.now().Release(id, lease, recorded)
}

// Taken implements journal.Helping.
func (k *keeper) Taken(now time.Time) []journal.Taken { return k.now().Taken(now) }

// inMemory is a book that is forgotten with the process.
type inMemory struct {
	*journal.Memory
	self  core.NodeID
	epoch uint64
}

// newInMemory takes the time as its epoch, which must rise from start to start.
func newInMemory(limits journal.Limits, self core.NodeID) *inMemory {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &inMemory{journal.NewMemory(limits), self, uint64(max(1, time.Since(begin)/time.Second))}
}

// Serve implements book.
func (m *inMemory) Serve(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close implements book.
func (m *inMemory) Close() error { return nil }

// Lead implements book: a region of one has one leader.
func (m *inMemory) Lead(ctx context.Context, fn func(context.Context, uint64)) { fn(ctx, m.epoch) }

// Leader implements book.
func (m *inMemory) Leader() (core.NodeID, uint64, bool) { return m.self, m.epoch, true }
