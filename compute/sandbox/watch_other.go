//go:build !linux || portable

package sandbox

import (
	"os"
	"runtime/metrics"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// selfWatch looks from inside a child at what its job uses, where the parent
// cannot. It holds against any guest that did not break out of its engine.
type selfWatch struct {
	die  func(Reason, string)
	base int64 // bytes held before the first job

	mu    sync.Mutex
	order *order // of the job that runs, nil for none
	cpu   time.Duration
	peak  int64
}

func newSelfWatch(die func(Reason, string)) *selfWatch {
	return &selfWatch{die: die, base: heldBytes()}
}

// run watches for as long as the process lives.
func (w *selfWatch) run() {
	parent := os.Getppid()
	for range time.Tick(pollEvery) {
		if os.Getppid() != parent {
			os.Exit(1) // it died, and nobody is there to kill us
		}
		if why := w.look(); why.reason != OK {
			w.die(why.reason, why.message)
		}
	}
}

func (w *selfWatch) begin(o order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.order, w.cpu, w.peak = &o, ownCPU(), 0
}

func (w *selfWatch) look() ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := heldBytes() - w.base
	w.peak = max(w.peak, held)
	switch o := w.order; {
	case o == nil:
	case held > o.Memory:
		return ending{MemoryLimit, "it held more memory than allowed"}
	case o.CPU > 0 && ownCPU()-w.cpu > o.CPU:
		return ending{CPULimit, "it used more CPU time than " + o.CPU.String()}
	}
	return ending{}
}

// end returns what the job used; the parent must be told.
func (w *selfWatch) end() (usage, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.order = nil
	return usage{CPU: ownCPU() - w.cpu, Peak: max(w.peak, heldBytes()-w.base)}, true
}

// heldBytes is what the runtime has from the system and did not give back.
func heldBytes() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

func ownCPU() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
