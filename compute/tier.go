package compute

import (
	"fmt"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// tierRule is one row of the tier table: a machine has the tier when it has
// Cores, MemoryMB and power, or an accelerator with at least AcceleratorMB.
type tierRule struct {
	tier          core.Tier
	least         core.Minimum
	power         float64 // of all cores together, by the benchmark; see Profile.power
	acceleratorMB int64   // 0 = an accelerator does not help
}

// tierTable is the whole table, highest tier first; the last row takes any
// machine.
func tierTable() []tierRule {
	return []tierRule{
		{tier: core.TierTrainer, least: core.Minimum{Cores: 8, MemoryMB: 16 << 10}, power: 1, acceleratorMB: 8 << 10},
		{tier: core.TierAggregator, least: core.Minimum{Cores: 2, MemoryMB: 2 << 10}, power: 0.125},
		{tier: core.TierInference},
	}
}

// Tier returns the highest tier this machine has:
//
//	trainer     8 cores and 16 GiB of memory, or an accelerator with 8 GiB
//	aggregator  2 cores and 2 GiB
//	inference   any machine
//
// Many slow cores make no trainer: all together they must reach one core of the
// yardstick in the benchmark, those of an aggregator an eighth of one. Memory and disk sizes are met from 15/16 of the number on: firmware, kernel
// and file system keep a part of what was bought.
func (p Profile) Tier() core.Tier {
	for _, rule := range tierTable() {
		if p.Meets(rule.least) == nil && p.power() >= rule.power || rule.acceleratorMB > 0 && p.hasAccelerator(rule.acceleratorMB) {
			return rule.tier
		}
	}
	return core.TierInference
}

// power is the speed of all cores in cores of the yardstick; a machine that was not
// measured has as many as it has cores.
func (p Profile) power() float64 {
	if p.Resources.CPUScore == 0 {
		return float64(p.Resources.Cores)
	}
	return float64(p.Resources.Cores) * p.Resources.CPUScore
}

func (p Profile) hasAccelerator(memoryMB int64) bool {
	for _, a := range p.Accelerators {
		if enough(a.MemoryMB, memoryMB) {
			return true
		}
	}
	return false
}

// AutoRoles resolves --role=auto: the role of the machine's tier, and "storage"
// when it has what that role needs.
func (p Profile) AutoRoles() []string {
	roles := []string{p.Tier().String()}
	for _, r := range core.Roles() {
		if r.Name == "storage" && p.Meets(r.Minimum) == nil {
			roles = append(roles, r.Name)
		}
	}
	return roles
}

// Meets returns nil when the machine is at least m, and otherwise an error of
// kind core.Denied that names everything that is missing. The tolerance of Tier
// applies.
func (p Profile) Meets(m core.Minimum) error {
	var missing []string
	if p.Resources.Cores < m.Cores {
		missing = append(missing, fmt.Sprintf("%d cores (has %d)", m.Cores, p.Resources.Cores))
	}
	if !enough(p.Resources.MemoryMB, m.MemoryMB) {
		missing = append(missing, fmt.Sprintf("%d MiB of memory (has %d)", m.MemoryMB, p.Resources.MemoryMB))
	}
	if !enough(p.Resources.DiskMB, m.DiskMB) {
		missing = append(missing, fmt.Sprintf("%d MiB of disk (has %d)", m.DiskMB, p.Resources.DiskMB))
	}
	if len(missing) == 0 {
		return nil
	}
	return core.Errorf(core.Denied, "resources", "this machine is too small: it needs %s", strings.Join(missing, ", ")).
		WithHint("choose a smaller role, or --role=auto to let the machine choose")
}

func enough(has, want int64) bool { return has >= want-want/16 }
