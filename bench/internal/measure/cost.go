package measure

import (
	"runtime"
	"syscall"
	"time"
)

// Cost is what the process spent between Begin and End.
type Cost struct {
	Wall   time.Duration
	CPU    time.Duration // user and system, of all threads
	Allocs uint64        // objects
	Bytes  uint64        // of them
}

// Meter is the start of a measurement.
type Meter struct {
	began  time.Time
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

// Begin starts a measurement.
func Begin() Meter {
	allocs, bytes := allocated()
	return Meter{cpu: cpuTime(), allocs: allocs, bytes: bytes, began: time.Now()}
}

// End returns what was spent since Begin.
func (m Meter) End() Cost {
	wall := time.Since(m.began)
	cpu := cpuTime() - m.cpu
	allocs, bytes := allocated()
	return Cost{Wall: wall, CPU: cpu, Allocs: allocs - m.allocs, Bytes: bytes - m.bytes}
}

// Idle measures a process that is left alone for d.
func Idle(d time.Duration) Cost {
	m := Begin()
	time.Sleep(d)
	return m.End()
}

// Without returns c less what a process that burns like idle would have spent in
// the same time anyway.
func (c Cost) Without(idle Cost) Cost {
	share := float64(c.Wall) / float64(idle.Wall)
	c.CPU -= time.Duration(float64(idle.CPU) * share)
	return c
}

// Heap returns the bytes that are reachable.
func Heap() uint64 {
	var m runtime.MemStats
	for range 3 { // pools keep what they hold over one collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func allocated() (objects, bytes uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs, m.TotalAlloc
}

// cpuTime is what the kernel has charged this process so far.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0 // only for a wrong first argument
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
