package sim

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/wire"
)

// worker computes subtasks for the region, linked to all of its coordinators.
type worker struct {
	s    *sim
	name string
	id   *keys.Identity

	mu      sync.Mutex
	rnd     *rand.Rand
	skew    time.Duration // its clock is off by that
	corrupt bool          // its memory is broken: what it sends is not what it signed
	life    *workLife
}

// workLife is one process of a worker.
type workLife struct {
	w        *worker
	port     *port
	tasks    *local.Tasks
	holdings *dispatch.Holdings
	ctx      context.Context
	stop     context.CancelFunc
	wg       sync.WaitGroup
	epochs   epochs
}

func (w *worker) start() error {
	l := &workLife{w: w, port: w.s.net.plug(w.id.ID())}
	l.ctx, l.stop = context.WithCancel(context.Background())
	log := w.s.log(w.name)
	capacity := compute.NewCapacity(core.Resources{Cores: 4, CPUScore: 1, MemoryMB: 4096, FreeCPU: 100, FreeMemoryMB: 4096}, 4)
	engine, err := compute.NewEngine(map[core.TaskType]compute.Executor{vector.Type: (*slow)(w)}, capacity, nil, log)
	if err != nil {
		return err
	}
	l.tasks, err = local.New(local.Deps{Signer: w.id, Engine: engine, Capacity: capacity, Events: event.New(0), Accepts: func() error { return nil }}, log)
	if err != nil {
		return err
	}
	l.holdings = dispatch.NewHoldings(home, observed{l.tasks, l}, l.tasks.Window(), dispatch.NewBlobs(l.port, netName), nil, zerolog.Nop())
	for _, c := range w.s.coords {
		l.wg.Go(func() { l.workFor(c.id.ID()) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life = l
	return nil
}

// workFor keeps a link to a coordinator.
func (l *workLife) workFor(id core.NodeID) {
	for l.ctx.Err() == nil {
		if link := l.greet(id); link != nil {
			_ = l.holdings.Puller(l.w.s.bug.atWorker(l, &listening{link, l})).Serve(l.ctx)
		}
		wait(l.ctx, time.Second)
	}
}

func (l *workLife) greet(id core.NodeID) dispatch.Link {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	t, err := l.port.dial(ctx, id)
	if err != nil {
		return nil
	}
	raw := dispatch.NewLink(t, nil)
	link, _, err := dispatch.Greet(ctx, raw, &wire.Hello{Version: dispatch.HelloVersion, Network: netName, Region: home, Roles: []string{"local"}, Ad: l.ad()})
	if err != nil {
		_ = raw.Close()
		return nil
	}
	return link
}

func (l *workLife) ad() *wire.Ad {
	now := time.Now().UTC()
	ad := &wire.Ad{Sequence: uint64(now.UnixMilli()), Issued: now, Expires: now.Add(wire.MaxAdLife), Network: netName, Region: home, Roles: []string{"local"},
		Can: core.CanCompute, Tier: core.TierAggregator, Arch: "amd64", Runtimes: []core.TaskType{vector.Type}, MaxSlots: 4,
		Resources: core.Resources{Cores: 4, CPUScore: 1, MemoryMB: 4096, DiskMB: 1000, FreeCPU: 100, FreeMemoryMB: 4096, FreeDiskMB: 500}}
	if err := wire.SignAd(l.w.id, ad); err != nil {
		l.w.s.violated("%s cannot sign its ad: %v", l.w.name, err)
	}
	return ad
}

func (w *worker) crash(closes bool) {
	w.mu.Lock()
	l := w.life
	w.life = nil
	w.mu.Unlock()
	if l != nil {
		l.port.unplug(closes)
		w.s.bury(l.end)
	}
}

func (l *workLife) end() {
	l.stop()
	l.port.stop()
	l.wg.Wait()
}

func (w *worker) now() *workLife {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.life
}

// slow is the engine of a worker: right, after some time.
type slow worker

// Run implements compute.Executor.
func (x *slow) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	x.mu.Lock()
	took := time.Duration(x.rnd.Int64N(int64(time.Second)))
	if x.rnd.IntN(8) == 0 {
		took = time.Duration(x.rnd.Int64N(int64(10 * time.Second)))
	}
	x.mu.Unlock()
	wait(ctx, took)
	if err := ctx.Err(); err != nil {
		return compute.Output{}, err
	}
	return vector.New().Run(ctx, data, report)
}

// observed writes down what a worker takes.
type observed struct {
	*local.Tasks
	l *workLife
}

var _ dispatch.Taker = observed{}

// Take implements dispatch.Taker.
func (o observed) Take(from core.NodeID, offer *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := o.Tasks.Take(from, offer)
	if no != nil {
		return ticket, no
	}
	o.l.w.s.seen.ran(o.l, offer)
	run := ticket.Run
	ticket.Run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		return o.l.w.spoil(run(ctx, data, progress))
	}
	return ticket, nil
}

// spoil is what a clock that is off and a broken memory make of a result.
func (w *worker) spoil(r *wire.JobResult) *wire.JobResult {
	w.mu.Lock()
	skew, corrupt := w.skew, w.corrupt
	w.mu.Unlock()
	if r.Failure != nil || len(r.Proofs) == 0 {
		return r
	}
	if skew != 0 {
		r.Proofs[0].Timestamp += skew.Milliseconds()
		keys.SignProof(w.id, &r.Proofs[0])
	}
	if corrupt {
		r.Output = wire.Payload{Inline: json.RawMessage(`7`)}
	}
	return r
}

// listening is a worker's link, of which the simulation hears what comes in.
type listening struct {
	dispatch.Link
	l *workLife
}

// Recv implements dispatch.Link.
func (k *listening) Recv(ctx context.Context) ([]wire.Body, error) {
	bodies, err := k.Link.Recv(ctx)
	for _, b := range bodies {
		switch m := b.(type) {
		case *wire.Adopt:
			k.l.epochs.adopted(m.Epoch)
		case *wire.JobOffer:
			k.l.w.s.seen.offered(k.l, m)
		case *wire.JobReward:
			k.l.w.s.seen.paid(k.l.w.name, m)
		}
	}
	return bodies, err
}
