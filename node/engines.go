package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"

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
	all[benchmark.Type] = benchmark.New(benchmark.Config{Dir: n.cfg.Home, Program: asGuest(programs), Secret: secret})
	return all, nil
}

// asGuest runs the function "run" of a module on one number, as a task does.
func asGuest(e *wasm.Executor) func(ctx context.Context, module []byte, n uint64) (uint64, error) {
	return func(ctx context.Context, module []byte, n uint64) (result uint64, err error) {
		data, err := json.Marshal(wasm.Task{Module: module, Function: "run", Args: []json.RawMessage{strconv.AppendUint(nil, n, 10)}})
		if err != nil {
			return 0, err
		}
		out, err := e.Run(ctx, data, compute.Report{})
		if err != nil {
			return 0, err
		}
		r, err := wasm.DecodeResult(out.Result)
		if err != nil || len(r.Values) != 1 {
			return 0, core.Errorf(core.Corrupt, "result", "the program returned %d values: %w", len(r.Values), err)
		}
		var digits string
		if err := json.Unmarshal(r.Values[0], &digits); err != nil {
			return 0, err
		}
		signed, err := strconv.ParseInt(digits, 10, 64)
		return uint64(signed), err
	}
}
