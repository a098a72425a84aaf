package core

import "math"

// Requirements is what a task asks of one node.
type Requirements struct {
	MinTier  Tier   `json:"minTier,omitempty"`  // lower rungs are excluded; empty = any
	CPU      int    `json:"cpu,omitempty"`      // percent of one node's CPU, 0..100
	MemoryMB int64  `json:"memoryMB,omitempty"` // MiB, 0..MaxMemoryMB
	MaxPrice Amount `json:"maxPrice,omitempty"` // the most a worker may ask per million operations; 0 = any
	// Runtime is what a worker has to announce besides the type of the task, for example
	// the image of its container. The network finds it in the data; empty = nothing.
	Runtime TaskType `json:"runtime,omitempty"`
}

// MaxRuntimeBytes bounds the name of something that a worker announces.
const MaxRuntimeBytes = 32

// MaxMemoryMB bounds a requirement: 16 TiB.
const MaxMemoryMB = 16 << 20

// Validate checks the bounds and names the field that breaks one.
func (r Requirements) Validate() error {
	if r.CPU < 0 || r.CPU > 100 {
		return Errorf(Invalid, "requirements.cpu", "requirements.cpu is %d; it is a percentage, 0 to 100", r.CPU)
	}
	if r.MemoryMB < 0 || r.MemoryMB > MaxMemoryMB {
		return Errorf(Invalid, "requirements.memoryMB", "requirements.memoryMB is %d; it must be 0 to %d", r.MemoryMB, MaxMemoryMB)
	}
	if r.MaxPrice > MaxAmount {
		return Errorf(Invalid, "requirements.maxPrice", "requirements.maxPrice is %d; at most %d", r.MaxPrice, MaxAmount)
	}
	if len(r.Runtime) > MaxRuntimeBytes {
		return Errorf(Invalid, "requirements.runtime", "requirements.runtime has %d bytes; at most %d", len(r.Runtime), MaxRuntimeBytes).
			WithHint("leave it out: it is found in the data")
	}
	if int(r.MinTier) >= len(tierNames) {
		return Errorf(Invalid, "requirements.minTier", "requirements.minTier %d does not exist", r.MinTier)
	}
	return nil
}

// Capacity is the free share of a node, a region or the network: each 0..1.
type Capacity struct {
	CPU     float64 `json:"cpu"`
	Memory  float64 `json:"memory"`
	Storage float64 `json:"storage"`
}

// Resources is what a machine has and what of it is free, in absolute units.
type Resources struct {
	Cores        int     `json:"cores"`
	CPUScore     float64 `json:"cpuScore"` // short fixed benchmark, 1.0 = one core of a 2020 server
	MemoryMB     int64   `json:"memoryMB"`
	DiskMB       int64   `json:"diskMB"`
	FreeCPU      int     `json:"freeCpu"` // percent of the whole machine, 0..100
	FreeMemoryMB int64   `json:"freeMemoryMB"`
	FreeDiskMB   int64   `json:"freeDiskMB"`
}

// Plus returns the cores, memory and disk of two machines together; what is free
// is theirs alone and 0. A sum beyond the type's range stays at its end.
func (r Resources) Plus(other Resources) Resources {
	add := func(a, b int64) int64 { return a + min(b, math.MaxInt64-a) }
	return Resources{Cores: int(add(int64(r.Cores), int64(other.Cores))), MemoryMB: add(r.MemoryMB, other.MemoryMB), DiskMB: add(r.DiskMB, other.DiskMB)}
}

// Free returns the free share of each resource.
func (r Resources) Free() Capacity {
	return Capacity{CPU: float64(r.FreeCPU) / 100, Memory: share(r.FreeMemoryMB, r.MemoryMB), Storage: share(r.FreeDiskMB, r.DiskMB)}
}

func share(free, total int64) float64 {
	if total <= 0 || free <= 0 {
		return 0
	}
	return min(1, float64(free)/float64(total))
}

// Accelerator is a GPU or its like.
type Accelerator struct {
	Vendor   string `json:"vendor"`
	Name     string `json:"name"`
	MemoryMB int64  `json:"memoryMB"`
}
