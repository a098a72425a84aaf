package journal

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/tenzro/tenzro/core"
)

const (
	maxBatch       = 256 // entries in one write, and in one message to a member
	trailing       = 8192
	trailingAlone  = 128
	snapEntries    = 4096     // entries after which a snapshot is taken
	snapBytes      = 64 << 20 // or bytes
	housekeeping   = time.Second
	forgetAtOnce   = 1024
	maxKeepBytes   = 64 << 20 // of parts on their way into the log
	partOverhead   = 1 << 10
	snapshotTime   = 24 * time.Hour // raft's own clock is not used
	freeCheckEvery = time.Second
)

// Group is a Journal that outlives processes and nodes: the coordinators of one
// region as one Raft group. What Commit and End acknowledge is on the disks of a
// majority; a group of one is a majority. Only the leader takes jobs, any member
// reads; a part of the group without a majority takes nothing and says so.
//
// The log is fsynced once for everything that arrives meanwhile. Open jobs are in
// memory, finished ones on disk only.
type Group struct {
	cfg     GroupConfig
	log     zerolog.Logger
	lock    *os.File
	store   *logStore
	hist    *history
	snaps   *snapshots
	m       *machine
	metrics *groupMetrics
	keeping *semaphore.Weighted
	space   spaceGuard
	waiting waitingList

	mu       sync.Mutex
	run      *groupRun            // nil unless Serve runs
	lead     *term                // nil unless this node leads
	changed  chan struct{}        // closed when run or lead change
	joining  map[core.NodeID]bool // who we were told leads us in; beside the configuration
	closed   bool
	contacts map[core.NodeID]contact // on the leader

	vouching sync.Mutex

	snapped atomic.Uint64 // entries written when the last snapshot was taken
	snapB   atomic.Uint64 // and bytes
}

// groupRun is what lives as long as one Serve.
type groupRun struct {
	raft   *raft.Raft
	layer  *layer
	trans  *raft.NetworkTransport
	gate   *gate
	notify chan bool
}

var _ Journal = (*Group)(nil)

// OpenGroup opens the journal in a directory and registers its protocols. It
// takes and answers nothing before Serve runs. A directory of another region,
// node or process is core.Conflict, of a newer version core.Unsupported, a
// damaged one core.Corrupt. The caller closes it.
func OpenGroup(cfg GroupConfig, log zerolog.Logger) (*Group, error) {
	g := &Group{cfg: cfg.withDefaults(), log: log, changed: make(chan struct{}), joining: map[core.NodeID]bool{},
		contacts: map[core.NodeID]contact{},
		keeping:  semaphore.NewWeighted(maxKeepBytes)}
	var err error
	if err = g.claim(); err != nil {
		return nil, err
	}
	if err := g.open(); err != nil {
		return nil, errors.Join(err, g.release())
	}
	g.handle()
	return g, nil
}

func (g *Group) open() (err error) {
	if err = g.openParts(); err != nil {
		return err
	}
	g.m = newMachine(g.hist, g.log)
	if g.metrics, err = newGroupMetrics(g); err != nil {
		return err
	}
	g.store.wrote = g.metrics.wrote
	return checkGap(g.store, g.snaps)
}

func openSnapshots(dir string, hist *history, log zerolog.Logger) (*snapshots, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, 1, newRaftLog(log))
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "journal", "opening the snapshots in %s: %w", dir, err)
	}
	return &snapshots{SnapshotStore: files, hist: hist}, nil
}

// checkGap refuses a log that begins behind the entries its snapshot ends with:
// raft would panic.
func checkGap(store *logStore, snaps *snapshots) error {
	list, err := snaps.List()
	if err != nil {
		return core.Errorf(core.Corrupt, "journal", "listing the snapshots: %w", err).WithHint(hintDamaged)
	}
	snapped := uint64(0)
	if len(list) > 0 {
		snapped = list[0].Index
	}
	first, err := store.FirstIndex()
	if err != nil {
		return core.Errorf(core.Corrupt, "journal", "reading the log: %w", err).WithHint(hintDamaged)
	}
	if first > snapped+1 {
		return core.Errorf(core.Corrupt, "journal", "the log begins at entry %d and the last readable snapshot ends at %d: what is between is lost", first, snapped).WithHint(hintDamaged)
	}
	return nil
}

// Close releases the directory. Serve must have returned.
func (g *Group) Close() error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil
	}
	g.closed = true
	g.mu.Unlock()
	g.unhandle()
	g.metrics.unregister(g.cfg.Registerer)
	return g.release()
}

func (g *Group) release() error {
	var errs []error
	if g.hist != nil {
		errs = append(errs, g.hist.close())
	}
	if g.store != nil {
		errs = append(errs, g.store.close())
	}
	return errors.Join(append(errs, unlock(g.lock))...)
}

func (g *Group) raftConfig(notify chan bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(g.cfg.Self)
	c.HeartbeatTimeout, c.ElectionTimeout = g.cfg.Election, g.cfg.Election
	c.LeaderLeaseTimeout = g.cfg.Election * 4 / 5
	c.CommitTimeout = g.cfg.Election / 10
	c.MaxAppendEntries, c.BatchApplyCh = maxBatch, true
	c.ShutdownOnRemove = false
	c.TrailingLogs, c.SnapshotInterval, c.SnapshotThreshold = trailing, snapshotTime, 1<<62
	c.NotifyCh, c.Logger, c.NoLegacyTelemetry = notify, newRaftLog(g.log), true
	return c
}

// Found makes an empty journal a group of one, with this node as its only voter.
// One that holds something already is left alone.
func (g *Group) Found() error {
	one := raft.Configuration{Servers: []raft.Server{g.server(g.cfg.Self)}}
	var err error
	if run := g.running(); run != nil {
		if err = run.raft.BootstrapCluster(one).Error(); err == nil {
			g.hurry(run)
		}
	} else {
		_, trans := raft.NewInmemTransport(raft.ServerAddress(g.cfg.Self))
		err = raft.BootstrapCluster(g.raftConfig(nil), g.store, g.store, g.snaps, trans, one)
		trans.Close()
	}
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return core.Errorf(core.Unavailable, "journal", "founding the group of region %s: %w", g.cfg.Region, err)
	}
	return nil
}

func (g *Group) server(id core.NodeID) raft.Server {
	return raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id), Suffrage: raft.Voter}
}

// Serve takes part in the group until ctx ends, and leaves a snapshot behind. An
// error that is not ctx's means that the journal cannot go on.
func (g *Group) Serve(ctx context.Context) error {
	run, err := g.start()
	if err != nil {
		return err
	}
	loops, inner := errgroup.WithContext(ctx)
	loops.Go(func() error { return g.watch(inner, run) })
	loops.Go(func() error { return g.keepHouse(inner, run) })
	loops.Go(func() error { return run.gate.serve(inner) })
	if g.cfg.Streams != nil {
		loops.Go(func() error { return g.steward(inner, run) })
	}
	err = loops.Wait()
	g.stop(run)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (g *Group) start() (*groupRun, error) {
	if g.running() != nil {
		return nil, core.Errorf(core.Conflict, "journal", "this journal is served already")
	}
	g.m.reset()
	run := &groupRun{notify: make(chan bool, 16)}
	run.layer = newLayer(g.cfg.Self, RaftProtocol(g.cfg.Network, g.cfg.Region), g.cfg.Streams, g.mayReplicate)
	// One message at a time to each member: raft's pipeline to one that refuses an
	// entry while more are on their way can stop for ever (raft 1.8.0: its decoder
	// ends while its sender waits for it), and with it this member's log and Shutdown.
	run.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: run.layer, MaxPool: 3, MaxRPCsInFlight: 1,
		Timeout: max(10*g.cfg.Election, 5*time.Second), Logger: newRaftLog(g.log)})
	cache, err := raft.NewLogCache(2*maxBatch, g.store)
	if err == nil {
		g.snaps.sending.Store(false)
		run.raft, err = raft.NewRaft(g.raftConfig(run.notify), g.m, cache, g.store, g.snaps, run.trans)
	}
	if err != nil {
		run.trans.Close()
		return nil, core.Errorf(core.Corrupt, "journal", "starting from the log in %s: %w", g.cfg.Dir, err).WithHint(hintDamaged)
	}
	run.gate = newGate(applyTo(run.raft, g.cfg.Wait))
	g.snaps.sending.Store(true)
	g.snapped.Store(g.store.entries.Load() - g.sinceSnapshot())
	g.snapB.Store(g.store.bytes.Load())
	g.set(func() { g.run = run })
	if alone(run.raft, g.cfg.Self) {
		g.hurry(run)
	}
	return run, nil
}

// Written returns how many entries the log took since the journal was opened and
// in how many writes, each of them one fsync.
func (g *Group) Written() (entries, writes uint64) {
	return g.store.entries.Load(), g.store.writes.Load()
}

// sinceSnapshot is how many entries of the log are not in a snapshot.
func (g *Group) sinceSnapshot() uint64 {
	last, err := g.store.LastIndex()
	if err != nil {
		return 0
	}
	if list, err := g.snaps.List(); err == nil && len(list) > 0 {
		return last - min(last, list[0].Index)
	}
	return last
}

// hurry makes a node without rivals a candidate now instead of after the
// election timeout.
func (g *Group) hurry(run *groupRun) {
	self := raft.ServerAddress(g.cfg.Self)
	req := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax,
		ID: []byte(g.cfg.Self), Addr: []byte(self)}}
	if err := run.trans.TimeoutNow(raft.ServerID(g.cfg.Self), self, &req, &raft.TimeoutNowResponse{}); err != nil {
		g.log.Debug().Err(err).Msg("a group of one elects itself after the usual time")
	}
}

// alone reports whether the node is the only voter.
func alone(r *raft.Raft, self core.NodeID) bool {
	voters := 0
	mine := false
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
			mine = mine || s.ID == raft.ServerID(self)
		}
	}
	return voters == 1 && mine
}

func (g *Group) stop(run *groupRun) {
	g.transfer(run)
	if g.m.failed() == nil && g.store.entries.Load() != g.snapped.Load() {
		if err := g.snapshot(run); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			g.log.Warn().Err(err).Msg("no snapshot was taken; the next start reads the log again")
		}
	}
	if err := run.raft.Shutdown().Error(); err != nil {
		g.log.Warn().Err(err).Msg("stopping raft")
	}
	run.trans.CloseStreams()
	_ = run.trans.Close()
	g.set(func() {
		if g.lead != nil {
			g.lead.cancel()
		}
		g.run, g.lead = nil, nil
	})
}

// set changes run or lead and wakes whoever waits for that.
func (g *Group) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *Group) running() *groupRun {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.run
}

// Self returns the node this journal is of.
func (g *Group) Self() core.NodeID { return g.cfg.Self }

// keepHouse takes snapshots, and on the leader forgets old finished jobs.
func (g *Group) keepHouse(ctx context.Context, run *groupRun) error {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.m.failed(); err != nil {
			return err
		}
		g.maybeSnapshot(run)
		g.releaseVoid(ctx)
		if err := g.forget(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("old finished jobs were not forgotten")
		}
	}
}

func (g *Group) maybeSnapshot(run *groupRun) {
	entries, bytes := g.store.entries.Load(), g.store.bytes.Load()
	if entries-g.snapped.Load() < g.cfg.snapEntries && bytes-g.snapB.Load() < snapBytes {
		return
	}
	if err := g.snapshot(run); err != nil {
		g.log.Warn().Err(err).Msg("no snapshot was taken")
		return
	}
	g.snapped.Store(entries)
	g.snapB.Store(bytes)
}

// snapshot takes one and drops the log before it, but for some entries that spare
// members who were away for a moment the snapshot.
func (g *Group) snapshot(run *groupRun) error {
	rc := run.raft.ReloadableConfig()
	rc.TrailingLogs = trailing
	if alone(run.raft, g.cfg.Self) {
		rc.TrailingLogs = trailingAlone
	}
	if err := run.raft.ReloadConfig(rc); err != nil {
		return err
	}
	return run.raft.Snapshot().Error()
}
