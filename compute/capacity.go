package compute

import (
	"sync"

	"github.com/tenzro/tenzro/core"
)

// Capacity hands out shares of this machine: percent of its CPU, MiB of memory
// and slots. It only keeps the books; a sandbox or the operating system enforces
// them. It is safe for concurrent use.
type Capacity struct {
	mu     sync.Mutex
	total  core.Resources
	slots  int
	active int
	most   int   // percent that may be reserved
	cpu    int   // percent reserved; <= 100 always
	memory int64 // MiB reserved; <= total.MemoryMB when each reservation was made
}

// NewCapacity returns the books of a machine with total and at most slots tasks
// at once. slots below 1 means one per core, and at least one.
func NewCapacity(total core.Resources, slots int) *Capacity {
	if slots < 1 {
		slots = max(1, total.Cores)
	}
	return &Capacity{total: total, slots: slots, most: 100}
}

// LimitCPU keeps reservations below percent of the machine, 1 to 100. Live ones
// stay.
func (c *Capacity) LimitCPU(percent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = min(max(percent, 1), 100)
}

// Reserve takes what req asks for, all or nothing. A request that does not fit
// is core.Exhausted with "cpu", "memoryMB" or "slots" as Op; one that is out of
// bounds is core.Invalid.
func (c *Capacity) Reserve(req core.Requirements) (*Reservation, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.active >= c.slots:
		return nil, core.Errorf(core.Exhausted, "slots", "all %d task slots are taken", c.slots)
	case req.CPU > 0 && req.CPU > c.most-c.cpu:
		return nil, core.Errorf(core.Exhausted, "cpu", "%d %% of the CPU asked for, %d %% free", req.CPU, max(0, c.most-c.cpu))
	case req.MemoryMB > 0 && req.MemoryMB > c.total.MemoryMB-c.memory:
		return nil, core.Errorf(core.Exhausted, "memoryMB", "%d MiB of memory asked for, %d MiB free", req.MemoryMB, max(0, c.total.MemoryMB-c.memory))
	}
	c.active++
	c.cpu += req.CPU
	c.memory += req.MemoryMB
	return &Reservation{capacity: c, req: req}, nil
}

// Free returns the machine with what the reservations leave of its CPU and
// memory. Disk is not reserved; its free part is the one last given to SetTotal.
func (c *Capacity) Free() core.Resources {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.total
	r.FreeCPU = max(0, c.most-c.cpu)
	r.FreeMemoryMB = max(0, c.total.MemoryMB-c.memory)
	return r
}

// Active returns how many reservations are live.
func (c *Capacity) Active() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// Slots returns how many tasks hold a reservation and how many may.
func (c *Capacity) Slots() (used, total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active, c.slots
}

// SetTotal replaces what the machine has, for example after memory or disk was
// added. Live reservations stay; when they exceed a smaller total, nothing new
// is reserved until enough of them ended.
func (c *Capacity) SetTotal(total core.Resources) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total = total
}

// Reservation is one task's share of the machine, live until Release.
type Reservation struct {
	capacity *Capacity
	req      core.Requirements
	released bool // guarded by capacity.mu
}

// Requirements returns what was reserved.
func (r *Reservation) Requirements() core.Requirements { return r.req }

// Release gives the share back. It may be called any number of times and on nil.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	c := r.capacity
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.released {
		return
	}
	r.released = true
	c.active--
	c.cpu -= r.req.CPU
	c.memory -= r.req.MemoryMB
}

// covers reports, as an error of kind core.Conflict, why a task with
// requirements req may not run inside r.
func (r *Reservation) covers(c *Capacity, req core.Requirements) error {
	if r == nil || r.capacity != c {
		return core.Errorf(core.Conflict, "reservation", "the task has no reservation on this node")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.released:
		return core.Errorf(core.Conflict, "reservation", "the reservation was released before the task ran")
	case req.CPU > r.req.CPU:
		return core.Errorf(core.Conflict, "reservation", "the task needs %d %% CPU, %d %% are reserved", req.CPU, r.req.CPU)
	case req.MemoryMB > r.req.MemoryMB:
		return core.Errorf(core.Conflict, "reservation", "the task needs %d MiB, %d MiB are reserved", req.MemoryMB, r.req.MemoryMB)
	}
	return nil
}
