package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// freezeScenario stops processes without ending them: their connections stay
// open and nothing answers.
type freezeScenario struct{}

func (freezeScenario) Name() string { return "freeze" }

func (freezeScenario) About() string {
	return "F5: a worker, a gateway, and where there is a group its leader are frozen for 60 s and go on (-faults worker,gateway,leader)"
}

func (freezeScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 6},
		Load:  Load{Rate: 10, Duration: 200 * time.Second, Work: Work{CPU: 20 * time.Millisecond}, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: time.Minute, Warm: 20, Faults: []string{"worker", "gateway"}}
	if short {
		p.Topology.Workers, p.Topology.Lease = 2, 2*time.Second
		p.Load.Rate, p.Load.Duration, p.Pause, p.Warm, p.Faults = 10, 7*time.Second, 5*time.Second, 6, []string{"worker"}
	}
	return p
}

// victims are the kinds of nodes that victim finds.
func victims() []string {
	return []string{string(Worker), string(Gateway), string(Coordinator), "leader"}
}

func (freezeScenario) faults() []string { return victims() }

// Inject freezes one node of each chosen kind in turn.
func (freezeScenario) Inject(ctx context.Context, a *Arena) error {
	for _, kind := range a.Plan.Faults {
		victim, err := a.victim(ctx, kind)
		if err != nil {
			return err
		}
		if !a.Pause(ctx, time.Second) {
			return ctx.Err()
		}
		if err := a.Freeze(victim); err != nil {
			return err
		}
		ok := a.Pause(ctx, a.Plan.Pause)
		if err := a.Thaw(victim); err != nil {
			return err
		}
		if !ok {
			return ctx.Err()
		}
	}
	return nil
}

// errNobody says that no node of a kind runs that could be hurt.
var errNobody = errors.New("there is no running")

// victim draws a running node of a kind.
func (a *Arena) victim(ctx context.Context, kind string) (*Node, error) {
	if kind == "leader" {
		return a.Leader(ctx)
	}
	running := slices.DeleteFunc(a.Net.Of(Kind(kind)), func(n *Node) bool { return !n.Up() })
	if len(running) == 0 {
		return nil, fmt.Errorf("%w %s: kinds are worker, gateway, coordinator and leader", errNobody, kind)
	}
	return running[a.Rand.IntN(len(running))], nil
}

// bootstrapScenario kills the nodes that all others started from.
type bootstrapScenario struct{}

func (bootstrapScenario) Name() string { return "bootstrap" }

func (bootstrapScenario) About() string {
	return "F13: all bootstrap nodes are killed and stay away: jobs go on, and nodes that restart find the others through the peers they saved"
}

func (bootstrapScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 5, Seeds: 2}, Gone: map[Kind]bool{Seed: true},
		Load:  Load{Rate: 20, Duration: 2 * time.Minute, Timeout: 2 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: 10 * time.Second, Warm: 20}
	if short {
		p.Topology.Gateways, p.Topology.Workers, p.Topology.Seeds, p.Topology.Lease = 1, 2, 1, 2*time.Second
		p.Load.Rate, p.Load.Duration, p.Pause, p.Warm = 10, 4*time.Second, time.Second, 4
	}
	return p
}

// Inject kills the seeds, then restarts workers one after the other, and once the
// gateways.
func (bootstrapScenario) Inject(ctx context.Context, a *Arena) error {
	if err := a.Kill(ctx, a.Net.Of(Seed)...); err != nil {
		return err
	}
	for _, n := range append(a.Net.Of(Worker), a.Net.Of(Gateway)...) {
		if !a.PauseLoaded(ctx, a.Plan.Pause) && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.Kill(ctx, n); err != nil {
			return err
		}
		if err := a.Restart(ctx, n); err != nil {
			return err
		}
		start := time.Now()
		if err := a.Net.Ready(ctx); err != nil {
			return fmt.Errorf("%s does not find the others: %w", n.Name, err)
		}
		a.logf("%s was back %s after it served", n.Name, short(time.Since(start)))
	}
	return nil
}
