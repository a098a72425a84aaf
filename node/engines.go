package node

import (
	"crypto/rand"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/benchmark"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/mapper"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/vsa"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// engine runs tasks of a type and plans them.
type engine interface {
	compute.Executor
	compute.Planner
}

// engines are all task types of this version: every node plans them, those with a
// role that computes run them. What can be mapped is what depends on its data only.
func (n *Node) engines() (map[core.TaskType]engine, error) {
	programs, err := n.buildSandbox()
	if err != nil {
		return nil, err
	}
	if err := n.buildContainers(); err != nil {
		return nil, err
	}
	all := map[core.TaskType]engine{vector.Type: vector.New(), vsa.Type: vsa.Programs{}, vsa.EvolutionType: vsa.Evolution{},
		wasm.Type: programs, container.Type: n.containers}
	planners, executors := map[core.TaskType]compute.Planner{}, map[core.TaskType]compute.Executor{}
	for t, e := range all {
		planners[t], executors[t] = e, e
	}
	maps, err := mapper.New(planners, executors)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	all[mapper.Type] = maps
	all[benchmark.Type] = benchmark.New(benchmark.Config{Dir: n.cfg.Home, Secret: secret})
	return all, nil
}
