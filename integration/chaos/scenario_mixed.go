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
	return "a network of ten; faults drawn by the seed, up to two at a time, any of -faults kill-K and freeze-K for K worker, gateway, coordinator, leader, and cut-S for S half, few, oneway, which need root, ip, nft and tc and are among them where they can be made"
}

func (mixedScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 7},
		Load:  Load{Rate: 20, Duration: 5 * time.Minute, Work: Work{CPU: 20 * time.Millisecond, Parts: 2}, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: 10 * time.Second, Warm: 20,
		Faults: []string{"kill-worker", "freeze-worker", "kill-gateway", "freeze-gateway"}}
	if !short && CanWall() == nil {
		p.Faults = append(p.Faults, cut+"half", cut+"few", cut+"oneway")
	}
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
	return append(all, cut+"half", cut+"few", cut+"oneway")
}

// The ways to hurt a network: whom follows, or the shape of a cut.
const kill, freeze, cut = "kill-", "freeze-", "cut-"

// most is how many faults there are at a time.
const most = 2

// fault is one that goes on.
type fault struct {
	cut  bool // of the network, which has one at a time
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
		f, err := a.strike(ctx, kind, open)
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

// strike does what a fault names, beside those that go on.
func (a *Arena) strike(ctx context.Context, kind string, open []fault) (fault, error) {
	if shape, ok := strings.CutPrefix(kind, cut); ok {
		if slices.ContainsFunc(open, func(f fault) bool { return f.cut }) {
			return fault{}, errNobody
		}
		return fault{cut: true, undo: a.Heal}, a.cut(ctx, shape)
	}
	whom, killed := strings.CutPrefix(kind, kill)
	victim, err := a.victim(ctx, strings.TrimPrefix(whom, freeze))
	if err != nil {
		return fault{}, err
	}
	if killed {
		return fault{undo: func(ctx context.Context) error { return a.Restart(ctx, victim) }}, a.Kill(ctx, victim)
	}
	return fault{undo: func(context.Context) error { return a.Thaw(victim) }}, a.Freeze(victim)
}
