package compute_test

import (
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

func TestTypesHint(t *testing.T) {
	for want, types := range map[string][]core.TaskType{
		`use "compute"`:                       {"compute"},
		`use "compute" or "wasm"`:             {"wasm", "compute"},
		`use "compute", "wasm" or "workflow"`: {"workflow", "wasm", "compute"},
	} {
		planners := map[core.TaskType]compute.Planner{}
		for _, name := range types {
			planners[name] = nil
		}
		if got := compute.TypesHint(planners); got != want {
			t.Errorf("%v: %s, want %s", types, got, want)
		}
	}
}
