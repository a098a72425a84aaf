package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// workersScenario kills one worker after the other under a steady load.
type workersScenario struct{}

func (workersScenario) Name() string { return "workers" }

func (workersScenario) About() string {
	return "one of ten workers is killed every 5 s while 10,000 jobs come: 99.9 % complete, none counted twice"
}

func (workersScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 10},
		Load:  Load{Rate: 40, Jobs: 10_000, Work: Work{CPU: 10 * time.Millisecond}, Timeout: 2 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: 5 * time.Second, Warm: 40}
	if short {
		p.Topology.Workers, p.Topology.Gateways, p.Topology.Lease = 3, 1, 2*time.Second
		p.Load.Rate, p.Load.Jobs, p.Pause, p.Warm = 20, 80, 1500*time.Millisecond, 6
	}
	return p
}

// Inject kills a worker and starts the one before it again, until the load ends.
func (workersScenario) Inject(ctx context.Context, a *Arena) error {
	workers := a.Net.Of(Worker)
	var dead *Node
	for a.PauseLoaded(ctx, a.Plan.Pause) {
		victim := workers[a.Rand.IntN(len(workers))]
		if victim == dead {
			continue
		}
		if err := a.Kill(ctx, victim); err != nil {
			return err
		}
		if dead != nil {
			if err := a.Restart(ctx, dead); err != nil {
				return err
			}
		}
		dead = victim
	}
	return ctx.Err()
}

// roundsScenario kills several workers at once that are known to be at work.
type roundsScenario struct{}

func (roundsScenario) Name() string { return "rounds" }

func (roundsScenario) About() string {
	return "F1: three of ten workers are killed in the middle of their jobs, 50 rounds: every job completes, none counted twice"
}

func (roundsScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 1, Coordinators: 1, Workers: 10, Slots: 1},
		Load:  Load{Work: Work{CPU: 400 * time.Millisecond, Parts: 2}, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 1}, Rounds: 50, Warm: 10}
	if short {
		p.Topology.Workers, p.Topology.Lease, p.Rounds, p.Warm = 4, 2*time.Second, 1, 2
	}
	return p
}

// Inject runs the rounds: as many jobs as workers, three of those at work killed,
// all jobs ended, the dead started again.
func (roundsScenario) Inject(ctx context.Context, a *Arena) error {
	held := 0
	for round := range a.Plan.Rounds {
		jobs := a.loader.burst(ctx, a.Plan.Topology.Workers)
		victims, err := a.atWork(ctx, jobs, max(1, 3*a.Plan.Topology.Workers/10))
		if err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		held += len(victims)
		if err := a.Kill(ctx, victims...); err != nil {
			return err
		}
		for _, j := range jobs {
			select {
			case <-j.Done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := a.Restart(ctx, victims...); err != nil {
			return err
		}
		if err := a.Net.Ready(ctx); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	a.Note("rounds", "%d, in which %d workers were killed at work", a.Plan.Rounds, held)
	return nil
}

// atWork waits until n workers hold subtasks of these jobs, and returns them.
func (a *Arena) atWork(ctx context.Context, jobs []*Job, n int) (victims []*Node, err error) {
	err = await(ctx, fmt.Sprintf("%d workers to be at work", n), time.Minute, func(ctx context.Context) error {
		busy := map[core.NodeID]bool{}
		for _, j := range jobs {
			<-j.Acked
			if s, err := a.Net.Of(Gateway)[0].status(ctx, j.Task); err == nil {
				for _, t := range s.Attempts {
					busy[t.Worker] = busy[t.Worker] || t.Outcome == ""
				}
			}
		}
		victims = slices.DeleteFunc(a.Net.Of(Worker), func(w *Node) bool { return !busy[w.ID] })
		if len(victims) < n {
			return fmt.Errorf("%d are", len(victims))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.Rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	return victims[:n], nil
}
