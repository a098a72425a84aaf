package sandbox

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

const (
	helloLimit  = 30 * time.Second // for a new child to be ready, on a machine under load
	serveLimit  = 30 * time.Second // for a job to wait for Serve to be called
	idleLimit   = 30 * time.Second // after which an idle child beyond Config.Warm is ended
	sweepEvery  = 10 * time.Second
	backoffFrom = 100 * time.Millisecond
	backoffTo   = 30 * time.Second
)

// Config says how many children there are and what they may touch.
type Config struct {
	// Warm is the number of idle children kept ready. Each holds some 4 MiB of its
	// own. Too few make a job wait for a new process, ten milliseconds or so. 0 is
	// the number of processors, at most 4; negative is none.
	Warm int
	// Max is the number of jobs at once; more wait in Run. 0 is twice the number
	// of processors, at least 4.
	Max int
	// Jobs is how many jobs one child serves before it is replaced. What a guest
	// that broke out of its engine could do to later jobs ends there. 1 gives
	// every job a child of its own. 0 is 64.
	Jobs int
	// Keep is how many bytes more than at its start a child may hold after a job
	// and be used again. 0 is 32 MiB.
	Keep int64
	// Dir is a directory that children may read and write, for caches: whatever a
	// guest that broke out wrote there is seen by all later children. It must
	// exist. Empty is none.
	Dir string
}

func (c Config) filled() (Config, error) {
	setDefault(&c.Warm, min(runtime.NumCPU(), 4))
	setDefault(&c.Max, max(2*runtime.NumCPU(), 4))
	setDefault(&c.Jobs, 64)
	setDefault(&c.Keep, 32<<20)
	c.Warm = max(c.Warm, 0)
	switch {
	case c.Max < 0 || c.Max > 4096:
		return c, core.Errorf(core.Invalid, "sandbox.max", "%d jobs at once, want 1 to 4096", c.Max)
	case c.Warm > 256:
		return c, core.Errorf(core.Invalid, "sandbox.warm", "%d idle children, want at most 256", c.Warm)
	case c.Jobs < 0 || c.Keep < 0:
		return c, core.Errorf(core.Invalid, "sandbox", "jobs and keep must not be negative")
	}
	return c, checkDir(c.Dir)
}

// Pool hands jobs to children. It is safe for concurrent use.
type Pool struct {
	cfg     Config
	log     zerolog.Logger
	metrics *counters
	slots   chan struct{} // one for each job that runs
	births  chan chan<- birthResult
	bearing sync.WaitGroup // children that were started and are not in all yet
	refill  chan struct{}  // an idle child was taken

	told   sync.Once // the log knows of the walls
	groups *groups   // set by Serve before there are children

	mu      sync.Mutex
	serving bool
	idle    []*guest // the last one was used last
	all     map[*guest]struct{}
}

// birthResult is a child that was started, or why it could not be.
type birthResult struct {
	guest *guest
	err   error
}

// New checks cfg and starts nothing. reg may be nil.
func New(cfg Config, reg prometheus.Registerer, log zerolog.Logger) (*Pool, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Pool{cfg: cfg, log: log, metrics: m, slots: make(chan struct{}, cfg.Max), births: make(chan chan<- birthResult),
		refill: make(chan struct{}, 1), all: map[*guest]struct{}{}}, nil
}

// Run has a child do job and returns how it ended. It waits while Config.Max jobs
// run, and until Serve was called, and returns at once when ctx ends, its child
// dead. The error is nil whatever the guest did: it is core.Invalid for a job
// that cannot be, and anything else when no child could be had.
func (p *Pool) Run(ctx context.Context, job Job) (Result, error) {
	job, err := job.filled()
	if err != nil {
		return Result{}, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return notStarted(ctx), nil
	}
	g, err := p.take(ctx)
	if err != nil {
		<-p.slots
		if ctx.Err() != nil {
			return notStarted(ctx), nil
		}
		return Result{}, err
	}
	if _, known := slices.BinarySearch(g.greeting.Handlers, job.Handler); !known {
		p.free(g, true)
		return Result{}, core.Errorf(core.Internal, "sandbox", "children know no handler %q", job.Handler)
	}
	res, ok := g.run(ctx, job)
	p.metrics.ended(res)
	p.free(g, ok)
	if res.Reason == Cancelled && ctx.Err() == nil {
		return res, core.Errorf(core.Unavailable, "sandbox", "the node is stopping")
	}
	return res, nil
}

func notStarted(ctx context.Context) Result {
	why := interrupted(ctx)
	return Result{Reason: why.reason, Message: why.message}
}

// free gives the slot of g back, at once when it can serve again, else when it is
// gone: what dies slowly still holds memory.
func (p *Pool) free(g *guest, well bool) {
	if well && p.reusable(g) {
		p.put(g)
		<-p.slots
		return
	}
	g.dismiss()
	go func() {
		<-g.gone
		<-p.slots
	}()
}

// reusable reports whether a child that ended a job well may do another.
func (p *Pool) reusable(g *guest) bool {
	return g.jobs < p.cfg.Jobs && g.alive() && g.gauge.held() <= p.cfg.Keep
}

// take returns an idle child or starts one.
func (p *Pool) take(ctx context.Context) (*guest, error) {
	for ctx.Err() == nil {
		g := p.pop()
		if g == nil {
			return p.born(ctx)
		}
		if g.alive() {
			return g, nil
		}
	}
	return nil, ctx.Err()
}

// pop takes the idle child that was used last, nil when there is none.
func (p *Pool) pop() *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	g := p.idle[last]
	p.idle = slices.Delete(p.idle, last, last+1)
	p.wantRefill()
	return g
}

func (p *Pool) wantRefill() {
	select {
	case p.refill <- struct{}{}:
	default: // it is wanted already
	}
}

// put makes g idle; a pool that does not serve any more ends it.
func (p *Pool) put(g *guest) {
	p.mu.Lock()
	keep := p.serving
	if keep {
		g.rest(time.Now())
		p.idle = append(p.idle, g)
	}
	p.mu.Unlock()
	if !keep {
		g.dismiss()
	}
}
