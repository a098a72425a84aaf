package chaos

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// leaderScenario kills the leader of a region of three.
type leaderScenario struct{}

func (leaderScenario) Name() string { return "leader" }

func (leaderScenario) About() string {
	return "the leader of three coordinators is killed under 50 jobs/s, again and again: none lost, less than 5 % run twice, the next job acknowledged within 3 s, all work credited"
}

func (leaderScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 3, Workers: 4, Group: true},
		Load:  Load{Rate: 50, Duration: 3 * time.Minute, Timeout: 2 * time.Minute},
		Terms: history.Terms{Completed: 1, RunTwice: 0.05, NextAck: 3 * time.Second, Credited: 1}, Pause: 15 * time.Second, Warm: 50}
	if short {
		p.Topology.Gateways, p.Topology.Workers = 1, 2
		p.Load.Rate, p.Load.Duration, p.Pause, p.Warm = 20, 6*time.Second, 3*time.Second, 10
		p.Terms.NextAck, p.Terms.Credited = 0, 0 // they say nothing on a machine that is busy with other tests
	}
	return p
}

// Inject kills the leader, and starts it again when another one leads.
func (leaderScenario) Inject(ctx context.Context, a *Arena) error {
	if err := a.Joined(ctx); err != nil {
		return err
	}
	kills := 0
	for a.PauseLoaded(ctx, a.Plan.Pause) {
		leader, err := a.Leader(ctx)
		if err != nil {
			return err
		}
		if err := a.Kill(ctx, leader); err != nil {
			return err
		}
		kills++
		start := time.Now()
		next, err := a.Leader(ctx)
		if err != nil {
			return err
		}
		a.logf("%s leads %s after the kill", next.Name, short(time.Since(start)))
		if err := a.Restart(ctx, leader); err != nil {
			return err
		}
		if err := a.Joined(ctx); err != nil {
			return err
		}
	}
	a.Note("leaders killed", "%d", kills)
	return ctx.Err()
}

// singleScenario kills the only coordinator of a region.
type singleScenario struct{}

func (singleScenario) Name() string { return "single" }

func (singleScenario) About() string {
	return "the only coordinator of a region is killed and started again in its home: everything acknowledged is there, ends, and is credited"
}

func (singleScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 1, Coordinators: 1, Workers: 4, Group: true},
		Load:  Load{Rate: 20, Duration: 3 * time.Minute, Work: Work{CPU: 20 * time.Millisecond}, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 1, Credited: 1}, Pause: 20 * time.Second, Warm: 20}
	if short {
		p.Topology.Workers, p.Load.Duration, p.Pause, p.Warm = 2, 5*time.Second, 2*time.Second, 6
		p.Terms.Credited = 0 // it says nothing on a machine that is busy with other tests
	}
	return p
}

// Inject kills the coordinator and starts it again, until the load ends.
func (singleScenario) Inject(ctx context.Context, a *Arena) error {
	region := a.Net.Of(Coordinator)
	for a.PauseLoaded(ctx, a.Plan.Pause) {
		if err := a.Kill(ctx, region...); err != nil {
			return err
		}
		if !a.Pause(ctx, a.Plan.Pause/10) {
			return ctx.Err()
		}
		if err := a.Restart(ctx, region...); err != nil {
			return err
		}
	}
	return ctx.Err()
}
