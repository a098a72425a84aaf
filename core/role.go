package core

import (
	"fmt"
	"slices"
	"strings"
)

// NodeType is the rung of the overlay a node stands on: exactly three exist.
// Order matters: a node of several types answers as its highest.
type NodeType uint8

// The node types.
const (
	Local    NodeType = iota + 1 // executes tasks
	Regional                     // leases tasks to local nodes and validates results
	Global                       // takes tasks from users and spreads them over regions
)

// String returns "local", "regional" or "global".
func (t NodeType) String() string {
	switch t {
	case Local:
		return "local"
	case Regional:
		return "regional"
	case Global:
		return "global"
	}
	return fmt.Sprintf("type_%d", uint8(t))
}

// Tier ranks what a machine can do: inference < aggregator < trainer. The zero
// value means "any" in a requirement.
type Tier uint8

// The tiers.
const (
	TierAny Tier = iota
	TierInference
	TierAggregator
	TierTrainer
)

//archtest:constant
var tierNames = [...]string{"", "inference", "aggregator", "trainer"}

// String returns the documented name, "" for TierAny.
func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return fmt.Sprintf("tier_%d", uint8(t))
}

// MarshalText implements encoding.TextMarshaler. A tier that does not exist is an
// error: nobody could read it again.
func (t Tier) MarshalText() ([]byte, error) {
	if int(t) >= len(tierNames) {
		return nil, Errorf(Invalid, "tier", "tier %d does not exist", t)
	}
	return []byte(t.String()), nil
}

// UnmarshalText accepts the documented names and "training" for trainer.
func (t *Tier) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "training" {
		s = "trainer"
	}
	i := slices.Index(tierNames[:], s)
	if i < 0 {
		return Errorf(Invalid, "tier", "tier %.20q is not one of inference, aggregator, trainer", s)
	}
	*t = Tier(i)
	return nil
}

// Capability is a set of things a node offers to do.
type Capability uint32

// The capabilities. The bits cross the wire in signed ads: append only, and an
// unknown bit in an ad is refused.
const (
	CanGateway    Capability = 1 << iota // takes tasks from users and dispatches them to regions
	CanCoordinate                        // leases the tasks of a region to workers
	CanCompute                           // runs tasks
	CanStore                             // holds shards
	CanObserve                           // feedback duty: measures the network and reports
	CanValidate                          // votes on the ledger
	capabilityEnd
)

// CapabilityMask has every known bit set.
const CapabilityMask = capabilityEnd - 1

//archtest:constant
var capabilityNames = []string{"gateway", "coordinate", "compute", "store", "observe", "validate"}

// Has reports whether all bits of want are in c.
func (c Capability) Has(want Capability) bool { return c&want == want }

// Names returns the set as words, in bit order.
func (c Capability) Names() []string {
	out := []string{}
	for i, n := range capabilityNames {
		if c&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// Role is a preset over node type, capabilities and duty tier, named as the
// documents name it. Minimum is what a machine must have to take it.
type Role struct {
	Name    string
	Types   []NodeType
	Can     Capability
	Tier    Tier // the tier the role asks the node to act as; TierAny = from the hardware profile
	Minimum Minimum
}

// Minimum is the smallest machine that may take a role; zero means no bound.
type Minimum struct {
	Cores    int
	MemoryMB int64
	DiskMB   int64
}

// Roles returns the whole catalog in the order it is documented. "auto" is not
// in it: it is resolved from the hardware profile to one of these. "training"
// is an alias that ParseRoles folds into "trainer".
func Roles() []Role {
	worker := []NodeType{Local}
	compute := Minimum{Cores: 2, MemoryMB: 4096}
	return []Role{
		{Name: "global", Types: []NodeType{Global}, Can: CanGateway},
		{Name: "regional", Types: []NodeType{Regional}, Can: CanGateway | CanCoordinate},
		{Name: "local", Types: worker, Can: CanCompute},
		{Name: "inference", Types: worker, Can: CanCompute, Tier: TierInference},
		{Name: "aggregator", Types: worker, Can: CanCompute, Tier: TierAggregator},
		{Name: "trainer", Types: worker, Can: CanCompute, Tier: TierTrainer},
		{Name: "feedback", Types: worker, Can: CanObserve},
		{Name: "compute", Types: worker, Can: CanCompute, Minimum: compute},
		{Name: "storage", Types: worker, Can: CanStore, Minimum: Minimum{Cores: 2, MemoryMB: 2048, DiskMB: 100 << 10}},
		{Name: "full", Types: []NodeType{Global, Regional, Local}, Can: CanGateway | CanCoordinate | CanCompute | CanStore | CanObserve,
			Minimum: Minimum{Cores: 4, MemoryMB: 8192, DiskMB: 100 << 10}},
		{Name: "validator", Types: []NodeType{Global}, Can: CanGateway | CanValidate},
	}
}

// RoleSet is the roles a node has, in catalog order, without duplicates.
type RoleSet []Role

// ParseRoles reads role names; each string may itself be a comma list.
func ParseRoles(names ...string) (RoleSet, error) {
	want := map[string]bool{}
	for _, n := range strings.Split(strings.Join(names, ","), ",") {
		if n = strings.TrimSpace(n); n == "training" {
			n = "trainer"
		}
		if n != "" {
			want[n] = true
		}
	}
	var set RoleSet
	for _, r := range Roles() {
		if want[r.Name] {
			set = append(set, r)
			delete(want, r.Name)
		}
	}
	for n := range want {
		return nil, Errorf(Invalid, "role", "role %.40q is unknown", n).
			WithHint("use global, regional, local, inference, aggregator, trainer, feedback, compute, storage, full, validator or auto")
	}
	if len(set) == 0 {
		return nil, Errorf(Invalid, "role", "no role given")
	}
	return set, nil
}

// Names returns the role names in catalog order.
func (s RoleSet) Names() []string {
	out := make([]string, len(s))
	for i, r := range s {
		out[i] = r.Name
	}
	return out
}

// Can returns the union of the roles' capabilities.
func (s RoleSet) Can() Capability {
	var c Capability
	for _, r := range s {
		c |= r.Can
	}
	return c
}

// Is reports whether any role stands on rung t.
func (s RoleSet) Is(t NodeType) bool {
	for _, r := range s {
		if slices.Contains(r.Types, t) {
			return true
		}
	}
	return false
}

// Highest returns the highest rung of the set: global > regional > local.
func (s RoleSet) Highest() NodeType {
	for _, t := range []NodeType{Global, Regional} {
		if s.Is(t) {
			return t
		}
	}
	return Local
}

// Tier returns the highest tier a role of the set asks for, TierAny for none.
func (s RoleSet) Tier() Tier {
	var t Tier
	for _, r := range s {
		t = max(t, r.Tier)
	}
	return t
}
