package chaos

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// mixedScenario draws faults from the seed.
type mixedScenario struct{}

func (mixedScenario) Name() string { return "mixed" }

func (mixedScenario) About() string {
	return "faults drawn by the seed, up to two at a time, any of -faults kill-K and freeze-K for K worker, gateway, coordinator, leader"
}

func (mixedScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 7},
		Load:  Load{Rate: 20, Duration: 5 * time.Minute, Work: Work{CPU: 20 * time.Millisecond, Parts: 2}, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: 10 * time.Second, Warm: 20,
		Faults: []string{"kill-worker", "freeze-worker", "kill-gateway", "freeze-gateway"}}
	if short {
		p.Topology.Workers, p.Topology.Lease = 3, 2*time.Second
		p.Load.Rate, p.Load.Duration, p.Pause, p.Warm = 10, 5*time.Second, 2*time.Second, 4
		p.Faults = []string{"kill-worker", "freeze-worker", "freeze-gateway"}
	}
	return p
}

func (mixedScenario) faults() (all []string) {
	for _, whom := range victims() {
		all = append(all, kill+whom, freeze+whom)
	}
	return all
}

// The ways to hurt a node; whom follows.
const kill, freeze = "kill-", "freeze-"

// most is how many faults there are at a time.
const most = 2

// fault is one that goes on.
type fault struct {
	node *Node
	undo func(ctx context.Context) error
}

// Inject draws a fault, lets it last, and ends the oldest when there are enough.
func (mixedScenario) Inject(ctx context.Context, a *Arena) error {
	var open []fault
	counts := map[string]int{}
	for a.PauseLoaded(ctx, a.Plan.Pause/2+time.Duration(a.Rand.Int64N(int64(a.Plan.Pause)))) {
		if len(open) == most {
			if err := open[0].undo(ctx); err != nil {
				return err
			}
			open = open[1:]
		}
		kind := a.Plan.Faults[a.Rand.IntN(len(a.Plan.Faults))]
		f, err := a.strike(ctx, kind)
		if errors.Is(err, errNobody) && len(open) > 0 {
			continue // all of the kind are hurt already: one goes on when its turn comes
		}
		if err != nil {
			return err
		}
		open = append(open, f)
		counts[kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		a.Note(kind, "%d times", counts[kind])
	}
	for _, f := range open {
		if err := f.undo(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// strike hurts a node of the kind that the fault names.
func (a *Arena) strike(ctx context.Context, kind string) (fault, error) {
	whom, killed := strings.CutPrefix(kind, kill)
	victim, err := a.victim(ctx, strings.TrimPrefix(whom, freeze))
	if err != nil {
		return fault{}, err
	}
	if killed {
		return fault{victim, func(ctx context.Context) error { return a.Restart(ctx, victim) }}, a.Kill(ctx, victim)
	}
	return fault{victim, func(context.Context) error { return a.Thaw(victim) }}, a.Freeze(victim)
}
