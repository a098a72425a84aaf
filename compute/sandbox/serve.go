package sandbox

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// Serve keeps children ready until ctx ends, and then ends every child: jobs that
// run end as cancelled. Only one Serve of a pool runs at a time; another may
// follow it.
func (p *Pool) Serve(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	var err error
	if p.groups, err = openGroups("/"); err != nil {
		p.log.Debug().Err(err).Msg("no control groups for sandbox children")
	}
	ctx, cancel := context.WithCancel(ctx)
	barren, release := make(chan struct{}), make(chan struct{})
	go apart(func() {
		p.bear(ctx)
		close(barren)
		<-release // children die with this thread, and are to be told why before
	})
	upkeep{fill: p.fill, sweep: p.sweep, wanted: p.refill, log: p.log}.run(ctx)
	cancel()
	<-barren
	p.bearing.Wait()
	p.close()
	close(release)
	if err := p.groups.close(); err != nil {
		p.log.Debug().Err(err).Msg("cannot remove control groups")
	}
	return ctx.Err()
}

// apart runs fn on a thread of its own, which is not the process's first and ends
// with fn: what fn does to its thread stays there.
func apart(fn func()) {
	runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
	if !firstThread() {
		fn()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go apart(func() { defer close(done); fn() }) // we hold the first thread meanwhile
	<-done
}

func (p *Pool) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving {
		return core.Errorf(core.Conflict, "sandbox", "the pool is served already")
	}
	p.serving = true
	return nil
}

// fill starts children until Config.Warm are idle.
func (p *Pool) fill(ctx context.Context) error {
	for p.idleCount() < p.cfg.Warm {
		g, err := p.born(ctx)
		if err != nil {
			return err
		}
		p.put(g)
	}
	return nil
}

// idleCount forgets dead children and counts the others.
func (p *Pool) idleCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(g *guest) bool { return !g.alive() })
	return len(p.idle)
}

// sweep ends children beyond Config.Warm that nobody used for a while, and those
// that do something while they should not.
func (p *Pool) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	many := len(p.idle) - p.cfg.Warm
	p.idle = slices.DeleteFunc(p.idle, func(g *guest) bool {
		restless := g.restless(p.cfg.Keep)
		if restless {
			p.log.Warn().Int("pid", g.proc.Pid).Msg("a sandbox child works without a job: a guest may have broken out in it")
		}
		old := many > 0 && now.Sub(g.since) > idleLimit
		if old || restless {
			many--
			g.dismiss()
		}
		return old || restless
	})
}

// close ends every child.
func (p *Pool) close() {
	p.mu.Lock()
	p.serving, p.idle = false, nil
	var all []*guest
	for g := range p.all {
		all = append(all, g)
	}
	p.mu.Unlock()
	for _, g := range all {
		g.kill(ending{Cancelled, "the node is stopping"})
	}
	for _, g := range all {
		<-g.gone
	}
}

// born has a child started and waits until it is ready.
func (p *Pool) born(ctx context.Context) (*guest, error) {
	g, err := p.started(ctx)
	if err != nil {
		return nil, err
	}
	if g.greeting, err = g.greeted(ctx); err != nil {
		return nil, err
	}
	p.told.Do(func() { p.tell(g.greeting) })
	settle(g.proc.Pid)
	g.gauge.ready()
	return g, nil
}

// tell logs once what the children put up themselves.
func (p *Pool) tell(hello greeting) {
	level := zerolog.DebugLevel
	if !slices.Contains(hello.Walls, wallCalls) || !slices.Contains(hello.Walls, wallLimits) {
		level = zerolog.WarnLevel
	}
	p.log.WithLevel(level).Strs("walls", hello.Walls).Msg("sandbox children are ready; tenzro doctor lists what keeps guests in")
}

func (p *Pool) started(ctx context.Context) (*guest, error) {
	limit := time.NewTimer(serveLimit)
	defer limit.Stop()
	born := make(chan birthResult, 1)
	select {
	case p.births <- born:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-limit.C:
		return nil, core.Errorf(core.Unavailable, "sandbox", "nobody serves the pool")
	}
	r := <-born // the thread that took the order answers always
	defer p.bearing.Done()
	if r.err == nil {
		p.enter(r.guest)
	}
	return r.guest, r.err
}

// bear starts children, one after the other, from one thread: a child dies with
// the thread that started it, and has its walls from it.
func (p *Pool) bear(ctx context.Context) {
	c := newCell(p.cfg, p.log)
	defer c.close()
	for {
		select {
		case <-ctx.Done():
			return
		case born := <-p.births:
			p.bearing.Add(1)
			g, err := c.start()
			born <- birthResult{g, err}
		}
	}
}

// enter puts g on the scales, and remembers it until it is gone.
func (p *Pool) enter(g *guest) {
	var err error
	if g.place, err = p.groups.enter(g.proc.Pid); err != nil {
		p.log.Warn().Err(err).Msg("sandbox children get no control groups")
	}
	g.gauge = newGauge(g.proc.Pid, g.place)
	p.mu.Lock()
	p.all[g] = struct{}{}
	p.mu.Unlock()
	p.metrics.children.Inc()
	p.metrics.started.Inc()
	go func() {
		g.listen()
		p.mu.Lock()
		delete(p.all, g)
		p.mu.Unlock()
		p.metrics.children.Dec()
		p.wantRefill()
	}()
}

// killGroup kills every process of the group that pid leads.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
