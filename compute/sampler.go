package compute

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"

	"github.com/tenzro/tenzro/core"
)

// Sampler reports what is free on this machine at the moment, whoever uses the
// rest. It is safe for concurrent use.
type Sampler struct {
	dir  string
	root fs.FS
	now  func() time.Time

	mu   sync.Mutex
	last cpuReading
}

// cpuReading is a point on the counters that CPU use is the slope of.
type cpuReading struct {
	at          time.Time
	busy, total float64 // seconds of all cores since boot
	group       float64 // seconds of this control group
}

// NewSampler returns a sampler for this machine and the file system of dir.
func NewSampler(dir string) *Sampler {
	return &Sampler{dir: dir, root: os.DirFS("/"), now: time.Now}
}

// Sample reads the machine. Free CPU is the mean since the last call; the first
// call says the mean since boot. CPUScore is not measured and stays 0.
func (s *Sampler) Sample(ctx context.Context) (core.Resources, error) {
	res, err := static(ctx, s.dir, s.root)
	if err != nil {
		return core.Resources{}, err
	}
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(times) == 0 {
		return core.Resources{}, fmt.Errorf("reading the CPU times: %w", err)
	}
	t := times[0]
	g := findGroup(s.root)
	total := t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
	reading := cpuReading{at: s.now(), busy: total - t.Idle - t.Iowait, total: total}
	reading.group, _ = g.cpuSeconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	res.FreeCPU = freeCPU(s.last, reading, g.cpus)
	s.last = reading
	return res, nil
}

// freeCPU returns the unused percentage between two readings: of the machine,
// or of the group's cpus when they are scarcer; cpus 0 means no limit.
func freeCPU(from, to cpuReading, cpus float64) int {
	free := 100.0
	if d := to.total - from.total; d > 0 {
		free = 100 * (1 - (to.busy-from.busy)/d)
	}
	if wall := to.at.Sub(from.at).Seconds(); cpus > 0 && wall > 0 && !from.at.IsZero() {
		free = min(free, 100*(1-(to.group-from.group)/(wall*cpus)))
	}
	return int(max(0, min(100, free)))
}
