package cluster

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/wire"
)

// worker is the executing part of a node, linked to the region.
type worker struct {
	host    *p2p.Host
	coord   core.NodeID
	conns   atomic.Int64 // connections ever made, either way
	session *p2p.Session
	probes  int // streams opened to count streams
}

// hire builds a worker and links it below the region.
func (c *Cluster) hire(ctx context.Context) (*worker, error) {
	identity, err := keys.Generate()
	if err != nil {
		return nil, err
	}
	w := &worker{coord: c.nodes[0].ID()}
	w.host, err = p2p.New(p2p.Config{Identity: identity, Network: netID, Class: core.Local, Standalone: true,
		Listen: []string{"/ip4/127.0.0.1/tcp/0"}, LANPort: p2p.Off, WSPort: p2p.Off, DHTMode: p2p.DHTLAN, DHTClient: true,
		ResumeWindow: 5 * time.Second}, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	w.host.LibP2P().Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { w.conns.Add(1) }})
	if err := c.link(ctx, w, identity); err != nil {
		return nil, errors.Join(err, w.host.Close())
	}
	return w, nil
}

// link says hello to the region and pulls work from it from then on.
func (c *Cluster) link(ctx context.Context, w *worker, identity *keys.Identity) error {
	if err := w.host.Connect(ctx, tcpAddr(c.nodes[0].Status().Addrs)); err != nil {
		return err
	}
	var err error
	if w.session, err = w.host.OpenSession(ctx, w.coord, p2p.ProtocolID(netID, dispatch.ProtocolName, dispatch.ProtocolVersion)); err != nil {
		return err
	}
	ad, err := c.ad(identity)
	if err != nil {
		return err
	}
	link, _, err := dispatch.Greet(ctx, dispatch.NewLink(w.session, c.metrics),
		&wire.Hello{Version: dispatch.HelloVersion, Network: netID, Region: region, Roles: ad.Roles, Ad: ad})
	if err != nil {
		return err
	}
	tasks, err := c.tasks(identity, ad)
	if err != nil {
		return err
	}
	blobs := dispatch.NewBlobs(w.host, netID)
	w.host.HandleStream(dispatch.BlobProtocol(netID), blobs.ServeStream)
	puller := dispatch.NewPuller(link, &clocked{Tasks: tasks, starts: &c.starts, stops: &c.stops, lasts: &c.lasts}, tasks.Window(), blobs, c.metrics, zerolog.Nop())
	c.running.Go(func() {
		if err := puller.Serve(c.ctx); err != nil && c.ctx.Err() == nil {
			c.failed(err)
		}
	})
	return nil
}

// ad describes a small machine that runs the benchmark's task type.
func (c *Cluster) ad(identity *keys.Identity) (*wire.Ad, error) {
	now := time.Now().UTC()
	ad := &wire.Ad{Sequence: uint64(now.UnixMilli()), Issued: now, Expires: now.Add(wire.MaxAdLife), Network: netID, Region: region,
		Roles: []string{"local"}, Can: core.CanCompute, Tier: core.TierTrainer, Arch: runtime.GOARCH, MaxSlots: c.cfg.Slots,
		Runtimes: []core.TaskType{vector.Type}, Resources: core.Resources{Cores: c.cfg.Slots, CPUScore: 1, MemoryMB: 4096, DiskMB: 10_000,
			FreeCPU: 100, FreeMemoryMB: 4096, FreeDiskMB: 10_000}}
	return ad, wire.SignAd(identity, ad)
}

func (c *Cluster) tasks(identity *keys.Identity, ad *wire.Ad) (*local.Tasks, error) {
	capacity := compute.NewCapacity(ad.Resources, c.cfg.Slots)
	engine, err := compute.NewEngine(map[core.TaskType]compute.Executor{vector.Type: vector.New()}, capacity, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	return local.New(local.Deps{Signer: identity, Engine: engine, Capacity: capacity, Events: event.New(16),
		Accepts: func() error { return nil }}, zerolog.Nop())
}

// clocked notes when each task began to run, and when it was told to stop.
type clocked struct {
	*local.Tasks
	starts, stops *moments
	lasts         *atomic.Int64 // nanoseconds that every job takes besides its computation
}

// Take implements dispatch.Taker.
func (t *clocked) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := t.Tasks.Take(from, o)
	if no != nil {
		return nil, no
	}
	run := ticket.Run
	ticket.Run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		t.starts.note(o.TaskID)
		if d := time.Duration(t.lasts.Load()); d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				t.stops.note(o.TaskID)
			}
		}
		return run(ctx, data, progress)
	}
	return ticket, nil
}

// moments are when something first happened to tasks, while somebody records them.
type moments struct {
	on atomic.Bool

	mu sync.Mutex
	at map[core.TaskID]time.Time
}

func (s *moments) note(id core.TaskID) {
	if !s.on.Load() {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.at[id]; !again {
		s.at[id] = now
	}
}

// record begins to note moments and returns how to end that and get them.
func (s *moments) record() (stop func() map[core.TaskID]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = map[core.TaskID]time.Time{}
	s.on.Store(true)
	return func() map[core.TaskID]time.Time {
		s.on.Store(false)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.at
	}
}

// of waits for the moment of a task.
func (s *moments) of(ctx context.Context, id core.TaskID) (time.Time, error) {
	for {
		s.mu.Lock()
		at, noted := s.at[id]
		s.mu.Unlock()
		if noted {
			return at, nil
		}
		select {
		case <-ctx.Done():
			return at, ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
}
