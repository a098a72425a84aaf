package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// DefaultSocket is where an engine listens unless it is told otherwise.
const DefaultSocket = "/var/run/docker.sock"

// Config is what an Executor is told.
type Config struct {
	On     bool   // without it no engine is asked and no task is run
	Socket string // of the engine
	Images Images // what may be run
	Pull   bool   // whether the engine is told to fetch images that are missing
	Node   core.NodeID
	// MemoryMB is what all running containers may have together, MiB. A task waits until
	// there is room for its own; one that may have more than all of it cannot run here.
	MemoryMB int64
	CPU      int // percent of the machine that one container may take at most; 0 = all
	// Changed is told when Runtimes changed; nil = nobody. It must not block.
	Changed func()
}

// Executor runs tasks of this type, and plans them. It is safe for concurrent use.
type Executor struct {
	Planner

	cfg     Config
	memory  *semaphore.Weighted
	metrics *metrics
	log     zerolog.Logger
	kick    chan struct{} // capacity 1: look at the engine now
	dirty   atomic.Bool   // something may have been left behind
	state   atomic.Pointer[state]

	mu   sync.Mutex
	live map[string]bool // names of what runs, which are not to be swept
}

// state is what the last look at the engine found.
type state struct {
	host *Host  // nil: nothing can be run
	why  string // nothing can
}

var (
	_ compute.Executor = (*Executor)(nil)
	_ compute.Planner  = (*Executor)(nil)
)

// New returns an executor that runs nothing before Serve has found an engine. A nil reg
// means no metrics; the error is a metric that reg refused.
func New(cfg Config, reg prometheus.Registerer, log zerolog.Logger) (*Executor, error) {
	if cfg.Socket == "" {
		cfg.Socket = DefaultSocket
	}
	e := &Executor{cfg: cfg, memory: semaphore.NewWeighted(max(0, cfg.MemoryMB)), log: log,
		kick: make(chan struct{}, 1), live: map[string]bool{}}
	e.state.Store(&state{why: "its operator has not switched them on"})
	if cfg.On {
		e.state.Store(&state{why: "its container engine was not reached yet"})
	} else {
		reg = nil
	}
	var err error
	e.metrics, err = newMetrics(reg)
	return e, err
}

// Runtimes returns what this node announces: the task type and one for each image that
// can be run; nothing while none can.
func (e *Executor) Runtimes() []core.TaskType { return e.state.Load().runtimes() }

// Run implements compute.Executor. After ctx is done it returns when the container is
// gone, which takes an engine some tenths of a second; one that hangs is waited for until
// its call's time is over.
func (e *Executor) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	t, err := Decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	host, ref, err := e.find(&t)
	if err != nil {
		return compute.Output{}, err
	}
	if t.Limits.MemoryMB > e.cfg.MemoryMB {
		return compute.Output{}, elsewhere("the task may use %d MiB; this node gives containers %d MiB at most", t.Limits.MemoryMB, e.cfg.MemoryMB)
	}
	if err := e.memory.Acquire(ctx, t.Limits.MemoryMB); err != nil {
		return compute.Output{}, err
	}
	defer e.memory.Release(t.Limits.MemoryMB)
	e.metrics.running.Inc()
	defer e.metrics.running.Dec()
	r, err := e.run(ctx, host, ref, &t, report)
	if err != nil {
		return compute.Output{}, err
	}
	raw, err := r.Encode()
	return compute.Output{Result: raw, Metric: 1}, err
}

// find returns where a task's image can be run.
func (e *Executor) find(t *Task) (*Host, Ref, error) {
	s := e.state.Load()
	if s.host == nil {
		return nil, Ref{}, elsewhere("this node runs no containers: %s", s.why)
	}
	asked, err := ParseRef(t.Image)
	if err != nil {
		return nil, Ref{}, err
	}
	ref, has := s.host.images[asked.Digest]
	if !has {
		return nil, Ref{}, elsewhere("this node does not have image %s, or its operator does not allow it", t.Image)
	}
	return s.host, ref, nil
}

// elsewhere is a failure that the task did not cause: another worker tries.
func elsewhere(format string, args ...any) *core.Failure {
	return &core.Failure{Reason: core.ReasonInternal, Message: fmt.Sprintf(format, args...)}
}

// run runs a task and leaves nothing behind.
func (e *Executor) run(ctx context.Context, host *Host, ref Ref, t *Task, report compute.Report) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, t.Limits.timeout())
	defer cancel()
	b := e.begin(host, t, report)
	defer b.end(ctx)
	r, err := b.run(limited, ref)
	var own *core.Failure
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return Result{}, ctx.Err()
	case limited.Err() != nil:
		return Result{}, &core.Failure{Reason: core.ReasonDeadline, Message: "the program was still running when its time was over"}
	case errors.As(err, &own):
		return Result{}, own
	}
	e.dirty.Store(true)
	e.look()
	e.log.Warn().Err(err).Str("image", ref.String()).Msg("a container could not be run; check the engine with `tenzro doctor`")
	return Result{}, elsewhere("running the container: %v", err)
}

// look has Serve look at the engine soon.
func (e *Executor) look() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}
