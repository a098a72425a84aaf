package node

import (
	"crypto/rand"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/benchmark"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/vsa"
	"github.com/tenzro/tenzro/core"
)

// engine runs tasks of a type and plans them.
type engine interface {
	compute.Executor
	compute.Planner
}

// engines are all task types of this version: every node plans them, those with a
// role that computes run them.
func (n *Node) engines() map[core.TaskType]engine {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return map[core.TaskType]engine{
		vector.Type:       vector.New(),
		vsa.Type:          vsa.Programs{},
		vsa.EvolutionType: vsa.Evolution{},
		benchmark.Type:    benchmark.New(benchmark.Config{Dir: n.cfg.Home, Secret: secret}),
	}
}
