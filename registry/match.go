package registry

import (
	"fmt"
	"slices"

	"github.com/tenzro/tenzro/core"
)

// The requirements a Missing can name.
const (
	needCompute = "compute"
	needType    = "type"
	needRuntime = "runtime"
	needTier    = "minTier"
	needCPU     = "cpu"
	needMemory  = "memoryMB"
	needSlots   = "slots"
)

// Missing says which requirement a node does not meet: Requirement is its name
// in the documented JSON (minTier, cpu, memoryMB, runtime), or type, compute or slots.
type Missing struct {
	Requirement string
	Want, Have  string
}

// String returns one clause for people, for example "tier trainer (has aggregator)".
func (m *Missing) String() string {
	return fmt.Sprintf("%s (has %s)", m.Want, m.Have)
}

// Capable returns why n could never run a task of the given type and
// requirements, even idle; nil when it could. An empty task type asks for none
// in particular.
func Capable(n Node, req core.Requirements, task core.TaskType) *Missing {
	if need := unable(&entry{ad: n.Ad}, req, task); need != "" {
		return missing(need, n, req, task)
	}
	return nil
}

// HasRoom returns why n has no room for a task with these requirements now; nil
// when it has.
func HasRoom(n Node, req core.Requirements) *Missing {
	switch {
	case n.Free.Active >= n.Ad.MaxSlots:
		return &Missing{needSlots, "a free slot", fmt.Sprintf("%d of %d taken", n.Free.Active, n.Ad.MaxSlots)}
	case n.Free.CPU < req.CPU:
		return &Missing{needCPU, fmt.Sprintf("%d %% of the CPU", req.CPU), fmt.Sprintf("%d %% free", n.Free.CPU)}
	case n.Free.MemoryMB < req.MemoryMB:
		return &Missing{needMemory, fmt.Sprintf("%d MiB of memory", req.MemoryMB), fmt.Sprintf("%d MiB free", n.Free.MemoryMB)}
	}
	return nil
}

// needs is the order in which requirements are checked and explained.
func needs() []string {
	return []string{needCompute, needSlots, needType, needRuntime, needTier, needCPU, needMemory}
}

// unable returns the first need that e does not meet, "" for none.
func unable(e *entry, req core.Requirements, task core.TaskType) string {
	ad := e.ad
	switch {
	case !ad.Can.Has(core.CanCompute):
		return needCompute
	case ad.MaxSlots < 1:
		return needSlots
	case task != "" && !slices.Contains(ad.Runtimes, task):
		return needType
	case req.Runtime != "" && !slices.Contains(ad.Runtimes, req.Runtime):
		return needRuntime
	case ad.Tier < req.MinTier:
		return needTier
	case req.CPU > 100:
		return needCPU
	case ad.Resources.MemoryMB < req.MemoryMB:
		return needMemory
	}
	return ""
}

func hasRoom(e *entry, req core.Requirements) bool {
	return e.free.Active < e.ad.MaxSlots && e.free.CPU >= req.CPU && e.free.MemoryMB >= req.MemoryMB
}

func missing(need string, n Node, req core.Requirements, task core.TaskType) *Missing {
	m := &Missing{Requirement: need, Want: wanted(need, req, task)}
	switch need {
	case needCompute:
		m.Have = fmt.Sprint(n.Ad.Can.Names())
	case needSlots:
		m.Have = "no slots"
	case needType, needRuntime:
		m.Have = fmt.Sprint(n.Ad.Runtimes)
	case needTier:
		m.Have = n.Ad.Tier.String()
	case needCPU:
		m.Have = "100 %"
	case needMemory:
		m.Have = fmt.Sprintf("%d MiB", n.Ad.Resources.MemoryMB)
	}
	return m
}

func wanted(need string, req core.Requirements, task core.TaskType) string {
	switch need {
	case needCompute:
		return "the compute capability"
	case needSlots:
		return "a slot"
	case needType:
		return fmt.Sprintf("task type %q", task)
	case needRuntime:
		return fmt.Sprintf("%q", req.Runtime)
	case needTier:
		return "tier " + req.MinTier.String()
	case needCPU:
		return fmt.Sprintf("%d %% of one node's CPU", req.CPU)
	}
	return fmt.Sprintf("%d MiB of memory", req.MemoryMB)
}
