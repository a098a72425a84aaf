package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// index returns a node's number, which is that of its namespace.
func (a *Arena) index(n *Node) int { return slices.Index(a.Net.Nodes, n) }

func (a *Arena) indices(nodes []*Node) (list []int) {
	for _, n := range nodes {
		list = append(list, a.index(n))
	}
	return list
}

// Deafen makes nodes drop everything that comes from others, which hear them as
// before.
func (a *Arena) Deafen(ctx context.Context, deaf, others []*Node) error {
	for _, n := range deaf {
		if err := a.Net.walls.deafen(ctx, a.index(n), a.indices(others)); err != nil {
			return err
		}
	}
	return nil
}

// Split makes two sides that do not hear each other.
func (a *Arena) Split(ctx context.Context, one, other []*Node) error {
	return errors.Join(a.Deafen(ctx, one, other), a.Deafen(ctx, other, one))
}

// Heal ends every partition and loss.
func (a *Arena) Heal(ctx context.Context) error {
	a.logf("the network is whole again")
	return a.Net.walls.heal(ctx)
}

// sides draws n nodes for one side; the first coordinator is on the other.
func (a *Arena) sides(n int) (few, many []*Node) {
	nodes := slices.Clone(a.Net.Nodes)
	a.Rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, node := range nodes {
		if len(few) < n && node != a.Net.Of(Coordinator)[0] {
			few = append(few, node)
		} else {
			many = append(many, node)
		}
	}
	return few, many
}

// partitionScenario cuts the network in two.
type partitionScenario struct{}

func (partitionScenario) Name() string { return "partition" }

func (partitionScenario) About() string {
	return "F3: the network is cut 5/5, 3/7, one-way, and flapping, and healed; needs root, ip, nft and tc (-faults half,few,oneway,flapping)"
}

func (partitionScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 7, Walled: true},
		Load:  Load{Rate: 10, Duration: 4 * time.Minute, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 0.999}, Pause: 30 * time.Second, Warm: 20, Faults: partitionScenario{}.faults()}
	if short {
		p.Topology.Workers, p.Topology.Gateways, p.Topology.Lease = 2, 1, 2*time.Second
		p.Load.Duration, p.Pause, p.Warm, p.Faults = 5*time.Second, 3*time.Second, 4, []string{"half"}
	}
	return p
}

func (partitionScenario) faults() []string { return []string{"half", "few", "oneway", "flapping"} }

// Inject applies each chosen cut in turn for the plan's pause, with as long a rest after it.
func (partitionScenario) Inject(ctx context.Context, a *Arena) error {
	for _, shape := range a.Plan.Faults {
		if err := a.divide(ctx, shape); err != nil {
			return fmt.Errorf("partition %s: %w", shape, err)
		}
		if err := a.Heal(ctx); err != nil {
			return err
		}
		a.PauseLoaded(ctx, a.Plan.Pause)
	}
	return ctx.Err()
}

// divide makes one partition and keeps it for the plan's pause.
func (a *Arena) divide(ctx context.Context, shape string) error {
	if shape != "flapping" {
		err := a.cut(ctx, shape)
		a.Pause(ctx, a.Plan.Pause)
		return err
	}
	few, many := a.sides(max(1, len(a.Net.Nodes)/2))
	a.hit("partition "+shape, few...)
	return a.flap(ctx, few, many)
}

// cut makes one partition that lasts until Heal.
func (a *Arena) cut(ctx context.Context, shape string) error {
	size := len(a.Net.Nodes) / 2
	if shape == "few" {
		size = 3 * len(a.Net.Nodes) / 10
	}
	few, many := a.sides(max(1, size))
	a.hit("partition "+shape, few...)
	switch shape {
	case "half", "few":
		return a.Split(ctx, few, many)
	case "oneway":
		return a.Deafen(ctx, few, many)
	}
	return errors.New("cuts are half, few and oneway")
}

// flap cuts and heals in turns, ten times in all.
func (a *Arena) flap(ctx context.Context, few, many []*Node) error {
	for range 10 {
		if err := a.Split(ctx, few, many); err != nil {
			return err
		}
		a.Pause(ctx, a.Plan.Pause/20)
		if err := a.Heal(ctx); err != nil {
			return err
		}
		if !a.Pause(ctx, a.Plan.Pause/20) {
			return ctx.Err()
		}
	}
	return nil
}

// lossScenario makes the network bad without cutting it.
type lossScenario struct{}

func (lossScenario) Name() string { return "loss" }

func (lossScenario) About() string {
	return "F4: every node loses 10 %, then 30 % of what others send, then sends 1 Mbit/s at most; needs root, ip, nft and tc (-faults 10,30,1mbit)"
}

func (lossScenario) Plan(short bool) Plan {
	p := partitionScenario{}.Plan(short)
	p.Faults = lossScenario{}.faults()
	if short {
		p.Faults = []string{"10"}
	}
	return p
}

func (lossScenario) faults() []string { return []string{"10", "30", "1mbit"} }

// Inject applies each chosen defect in turn, with as long a rest after it.
func (lossScenario) Inject(ctx context.Context, a *Arena) error {
	for _, kind := range a.Plan.Faults {
		a.hit("loss "+kind, a.Net.Nodes[0])
		if err := a.degrade(ctx, kind); err != nil {
			return err
		}
		a.Pause(ctx, a.Plan.Pause)
		if err := a.Heal(ctx); err != nil {
			return err
		}
		a.PauseLoaded(ctx, a.Plan.Pause)
	}
	return ctx.Err()
}

func (a *Arena) degrade(ctx context.Context, kind string) error {
	percent, rate := map[string]int{"10": 10, "30": 30}[kind], map[string]string{"1mbit": "1mbit"}[kind]
	if percent == 0 && rate == "" {
		return fmt.Errorf("%q is none of 10, 30 and 1mbit", kind)
	}
	for i := range a.Net.Nodes {
		var err error
		if percent > 0 {
			err = a.Net.walls.lose(ctx, i, percent)
		} else {
			err = a.Net.walls.narrow(ctx, i, rate)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
