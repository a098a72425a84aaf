package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
	"github.com/tenzro/tenzro/jobs/dispatch"
)

const (
	countEvery = 2 * time.Second
	tellEvery  = 10 * time.Second
	// settleLimit is how long nodes may take to let go of what the load held.
	settleLimit = 60 * time.Second
)

// Run runs a scenario to its end and reports. An error means that the run itself
// failed; invariants that broke are in the report. Every process has ended when
// it returns.
func Run(ctx context.Context, s Scenario, o Options) (*Report, error) {
	plan := o.plan(s)
	if plan.Topology.Walled {
		if err := CanWall(); err != nil {
			return nil, err
		}
	}
	if plan.Topology.DiskMiB > 0 {
		if err := CanMount(); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	a := &Arena{Rand: rand.New(rand.NewPCG(o.Seed, 0)), Plan: plan, Loading: make(chan struct{}), logf: o.Logf, figures: map[string]string{},
		log: history.NewLog(start)}
	a.logf("scenario %s, seed %d: %d gateways, %d coordinators, %d workers", s.Name(), o.Seed, plan.Topology.Gateways, plan.Topology.Coordinators, plan.Topology.Workers)
	var err error
	a.Net, err = plant(ctx, plan.Topology, o.Dir, o.Binary)
	report := &Report{Scenario: s.Name(), Seed: o.Seed, Started: start.UTC(), Plan: plan, Figures: a.figures}
	if err == nil {
		err = a.run(ctx, s, o, report)
	}
	stopped := a.Net.Close()
	report.finish(a, stopped, start)
	if err != nil {
		return report, errors.Join(err, ctx.Err())
	}
	return report, nil
}

// run is everything between the first process and the last.
func (a *Arena) run(ctx context.Context, s Scenario, o Options, r *Report) error {
	if err := a.Net.Ready(ctx); err != nil {
		return err
	}
	var err error
	if a.loader, err = newLoader(a.log, a.Net.Of(Gateway), a.Plan.Load); err != nil {
		return err
	}
	if err := a.warm(ctx); err != nil {
		return err
	}
	before := a.usages(ctx)
	a.logf("the network is ready after %s", time.Since(r.Started).Round(time.Millisecond))

	if err := a.attack(ctx, s); err != nil {
		return fmt.Errorf("injecting faults: %w", err)
	}
	a.logf("all jobs have ended or are given up")
	if err := a.calm(ctx); err != nil {
		return fmt.Errorf("ending the faults: %w", err)
	}
	if err := a.Net.Ready(ctx); err != nil {
		return fmt.Errorf("after the faults: %w", err)
	}
	a.sweep(ctx, o)
	pause(ctx, 2*dispatch.RewardDelay) // the last receipts wait for company
	a.count(ctx, a.Net.Nodes)
	r.Leaks, r.Usage = a.leaked(ctx, before)
	return ctx.Err()
}

// warm runs some jobs to the end, so that every node has done everything once.
func (a *Arena) warm(ctx context.Context) error {
	for _, j := range a.loader.burst(ctx, a.Plan.Warm) {
		select {
		case <-j.Done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// attack puts the load on the network, hurts it, and waits for every job's end.
func (a *Arena) attack(ctx context.Context, s Scenario) error {
	watching, enough := context.WithCancel(ctx)
	var beside, arriving sync.WaitGroup
	beside.Go(func() { a.keepCounting(watching) })
	beside.Go(func() { a.tell(watching) })
	arriving.Go(func() {
		defer close(a.Loading)
		a.loader.arrive(ctx)
	})
	err := s.Inject(ctx, a)
	arriving.Wait()
	if err == nil {
		err = a.revive(ctx)
	}
	a.loader.running.Wait() // bounded: every job has a deadline, and ctx ends them all
	enough()
	beside.Wait()
	return err
}

// revive starts what is dead so that the last jobs can end, where the scenario
// left that to us.
func (a *Arena) revive(ctx context.Context) error {
	for _, kind := range []Kind{Gateway, Coordinator} {
		for _, n := range a.Net.Of(kind) {
			if n.process().Ended() && !a.Plan.Gone[kind] {
				if err := a.Restart(ctx, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (a *Arena) keepCounting(ctx context.Context) {
	for pause(ctx, countEvery) {
		a.count(ctx, a.Net.Of(Worker))
	}
}

func (a *Arena) tell(ctx context.Context) {
	for pause(ctx, tellEvery) {
		l := a.loader
		a.logf("%d jobs sent, %d acknowledged, %d done", l.next.Load(), l.taken.Load(), l.done.Load())
	}
}

// usages measures the nodes that run.
func (a *Arena) usages(ctx context.Context) map[core.NodeID]Usage {
	out := map[core.NodeID]Usage{}
	for _, n := range a.Net.Nodes {
		if !n.Up() {
			continue
		}
		if u, err := n.usage(ctx); err == nil {
			out[n.ID] = u
		}
	}
	return out
}

// leaked waits until the nodes hold no more than before, and returns those that
// go on, with what all of them hold.
func (a *Arena) leaked(ctx context.Context, before map[core.NodeID]Usage) (leaks, all []Leak) {
	end := time.Now().Add(settleLimit)
	for {
		after := a.usages(ctx)
		leaks, all = nil, nil
		for _, n := range a.Net.Nodes {
			l := Leak{Node: n.Name, Before: before[n.ID], After: after[n.ID]}
			if _, known := after[n.ID]; !known {
				continue
			}
			if all = append(all, l); l.leaks() {
				leaks = append(leaks, l)
			}
		}
		if len(leaks) == 0 || time.Now().After(end) || !pause(ctx, settle) {
			return leaks, all
		}
	}
}
