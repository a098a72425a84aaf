package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
)

// third is a node of the lowest tier with a third of what a trainer has.
func third(t *testing.T, boot *Node) (n *Node, stop func()) {
	t.Helper()
	c := config(t, "inference")
	c.P2P.Bootstrap = []string{bootstrapAddr(boot.host.Addrs())}
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	p := n.profile()
	p.Resources.Cores, p.Resources.MemoryMB = 3, 6<<10
	n.setProfile(p)
	n.sizes = func(context.Context) (core.Resources, error) { return p.Resources, nil }
	return n, start(t, n)
}

// long is a task for a trainer with more memory than a third of one has, in twelve
// subtasks that take a while.
func long() core.TaskSpec {
	numbers := strings.TrimSuffix(strings.Repeat("0.5,", 120_000), ",")
	operations := strings.Repeat(`"sigmoid",`, 60)
	return core.TaskSpec{Type: vector.Type, Parallelism: 12, Requirements: core.Requirements{MinTier: core.TierTrainer, MemoryMB: 12 << 10},
		Data: json.RawMessage(`{"input":[` + numbers + `],"operations":[` + operations + `"max"]}`)}
}

// TestAggregationTakesATask: three nodes of the lowest tier form a trainer, are
// announced as one, and run a task together that none of them may take alone. One
// leaves in the middle: the others are told and finish the task.
//
// spec 0.19 0.64 0.74
func TestAggregationTakesATask(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "regional")
	c.Region = east
	region, _ := run(t, c)
	var members []*Node
	var leave func()
	for range 3 {
		n, stop := third(t, region)
		members, leave = append(members, n), stop
		await(t, "the worker's link", func() error { return attached(region, n.ID()) })
	}
	gateway := gatewayTasks{region.coordinator, region}
	spec := long()
	if region.pool(spec.Type, spec.Requirements) != "" {
		t.Fatal("there is a pool before there is an aggregation")
	}
	aggregate(t, region, members)
	await(t, "the region to be announced with a trainer", func() error {
		s := region.summarize(uint64(time.Now().UnixNano()), time.Now())
		if s.ByTier[core.TierTrainer.String()] != 1 || s.Workers != 3 {
			return fmt.Errorf("%d workers, tiers %v", s.Workers, s.ByTier)
		}
		return nil
	})

	s, err := gateway.Submit(t.Context(), spec, "")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "every member to be at work", func() error {
		for _, n := range members {
			if n.tasks.Active() == 0 {
				return errors.New("idle")
			}
		}
		return nil
	})
	leave()
	got, err := gateway.Result(t.Context(), s.TaskID, patience)
	if err != nil || got.Status != core.TaskCompleted {
		t.Fatalf("result %+v, %v", got, err)
	}
	ids := []core.NodeID{members[0].ID(), members[1].ID(), members[2].ID()}
	for _, w := range got.Workers {
		if !slices.Contains(ids, w) {
			t.Errorf("%s, who is no member, computed a part", w)
		}
	}
	await(t, "the end of the aggregation", func() error {
		if groups := region.groupStates(); len(groups) > 0 {
			return fmt.Errorf("still formed: %+v", groups)
		}
		return nil
	})
	if status, err := members[0].localView().Status(t.Context()); err != nil || status.AggregatedWith != "" {
		t.Errorf("a member that is left says it is in %q, %v", status.AggregatedWith, err)
	}
}

func attached(region *Node, id core.NodeID) error {
	if !region.region.Attached(id) {
		return errors.New("not linked")
	}
	return nil
}

// aggregate has the first of some nodes propose until the region knows all of them
// as one.
func aggregate(t *testing.T, region *Node, members []*Node) {
	t.Helper()
	await(t, "the aggregation", func() error {
		if groups := region.groupStates(); len(groups) == 1 && len(groups[0].Nodes) == len(members) {
			return nil
		}
		_, err := members[0].localView().Aggregate(t.Context(), core.TierTrainer, time.Second)
		if err != nil && !errors.Is(err, core.Conflict) && !errors.Is(err, core.Unavailable) {
			t.Fatal(err)
		}
		return errors.New("not formed")
	})
}
