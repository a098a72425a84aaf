package testnet

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

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

// sessionResume is how long a worker's broken link may take to come back, as in
// a node.
const sessionResume = 5 * time.Second

// WorkerConfig is what a Worker is made of; all fields are required.
type WorkerConfig struct {
	Identity *keys.Identity
	Host     *p2p.Host // served by the caller
	Network  core.NetworkID
	Region   core.RegionID
	Slots    int
	Run      compute.Executor // of the task type "compute"
}

// Worker is the part of a local node that works for a region, from its host to
// its executor, without HTTP and gossip: small enough to have hundreds of.
type Worker struct {
	cfg   WorkerConfig
	tasks *local.Tasks
	blobs *dispatch.Blobs
	taken atomic.Int64
}

var _ dispatch.Taker = (*Worker)(nil)

// NewWorker returns a worker that waits for Serve.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	capacity := compute.NewCapacity(resources(), cfg.Slots)
	engine, err := compute.NewEngine(map[core.TaskType]compute.Executor{vector.Type: cfg.Run}, capacity, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	w := &Worker{cfg: cfg, blobs: dispatch.NewBlobs(cfg.Host, cfg.Network)}
	cfg.Host.HandleStream(dispatch.BlobProtocol(cfg.Network), w.blobs.ServeStream)
	w.tasks, err = local.New(local.Deps{Signer: cfg.Identity, Engine: engine, Capacity: capacity, Events: event.New(16),
		Accepts: func() error { return nil }}, zerolog.Nop())
	return w, err
}

// HostConfig is the configuration of a worker's host on loopback that knows one
// node and does not answer others.
func HostConfig(identity *keys.Identity, network core.NetworkID, bootstrap string) p2p.Config {
	return p2p.Config{Identity: identity, Network: network, Class: core.Local, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		LANPort: p2p.Off, WSPort: p2p.Off, DHTMode: p2p.DHTLAN, DHTClient: true, MinPeers: 1, Bootstrap: []string{bootstrap},
		ResumeWindow: sessionResume}
}

func resources() core.Resources {
	return core.Resources{Cores: 2, CPUScore: 1, MemoryMB: 4096, DiskMB: 10_000, FreeCPU: 100, FreeMemoryMB: 4096, FreeDiskMB: 10_000}
}

// Ad returns what the worker says of itself now, signed.
func (w *Worker) Ad() (*wire.Ad, error) {
	now := time.Now().UTC()
	ad := &wire.Ad{Sequence: uint64(now.UnixMilli()), Issued: now, Expires: now.Add(wire.MaxAdLife), Network: w.cfg.Network,
		Region: w.cfg.Region, Roles: []string{"local"}, Can: core.CanCompute, Tier: core.TierTrainer, Arch: runtime.GOARCH,
		MaxSlots: w.cfg.Slots, Runtimes: []core.TaskType{vector.Type}, Resources: resources()}
	return ad, wire.SignAd(w.cfg.Identity, ad)
}

// Serve greets a coordinator and works for it until ctx or the link ends.
func (w *Worker) Serve(ctx context.Context, coordinator core.NodeID) error {
	ad, err := w.Ad()
	if err != nil {
		return err
	}
	session, err := w.cfg.Host.OpenSession(ctx, coordinator, p2p.ProtocolID(w.cfg.Network, dispatch.ProtocolName, dispatch.ProtocolVersion))
	if err != nil {
		return err
	}
	link := dispatch.NewLink(session, nil)
	defer link.Close()
	greeted, _, err := dispatch.Greet(ctx, link, &wire.Hello{Version: dispatch.HelloVersion, Network: w.cfg.Network,
		Region: w.cfg.Region, Roles: ad.Roles, Ad: ad})
	if err != nil {
		return err
	}
	return dispatch.NewPuller(greeted, w, w.tasks.Window(), w.blobs, nil, zerolog.Nop()).Serve(ctx)
}

// Taken returns how many subtasks the worker took.
func (w *Worker) Taken() int64 { return w.taken.Load() }

// Take implements dispatch.Taker.
func (w *Worker) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := w.tasks.Take(from, o)
	if no == nil {
		w.taken.Add(1)
	}
	return ticket, no
}

// Answer implements dispatch.Taker.
func (w *Worker) Answer(ctx context.Context, from core.NodeID, q *wire.JobQuery) *wire.JobState {
	return w.tasks.Answer(ctx, from, q)
}

// Credited implements dispatch.Taker.
func (w *Worker) Credited(from core.NodeID, m *wire.JobReward) { w.tasks.Credited(from, m) }

// Judged implements dispatch.Taker.
func (w *Worker) Judged(from core.NodeID, m *wire.JobVerify) { w.tasks.Judged(from, m) }
