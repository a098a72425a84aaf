package compute

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/tenzro/tenzro/core"
)

const mib = 1 << 20

// Profile is what a machine is, measured once at start: what this process may
// use of it when it runs in a container. Of Resources, free memory and disk are
// those of that moment and FreeCPU is 100; Sampler reports the live numbers.
type Profile struct {
	OS           string             `json:"os"`       // as in GOOS
	Arch         string             `json:"arch"`     // as in GOARCH
	CPUModel     string             `json:"cpuModel"` // the processor's own name; may be empty
	Resources    core.Resources     `json:"resources"`
	Accelerators []core.Accelerator `json:"accelerators"` // empty when there is none
	Notes        []string           `json:"notes"`        // what could not be measured and why
}

// Measure looks at this machine and at the file system that holds dir. It takes
// well under a second, and at most two when nvidia-smi hangs. The error is an
// unreadable dir or memory size, or ctx; a missing accelerator is none.
func Measure(ctx context.Context, dir string) (Profile, error) {
	res, err := static(ctx, dir, os.DirFS("/"))
	if err != nil {
		return Profile{}, err
	}
	gpus, note := findAccelerators(ctx, os.DirFS("/"))
	p := Profile{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUModel: cpuName(), Resources: res, Accelerators: gpus, Notes: []string{}}
	if note != "" {
		p.Notes = append(p.Notes, note)
	}
	if p.Resources.CPUScore = benchmark(ctx); ctx.Err() != nil {
		return Profile{}, fmt.Errorf("measuring this machine: %w", ctx.Err())
	}
	return p, nil
}

// Sizes reads what Measure does but for the speed and the accelerators, which takes
// no time: cores, memory and disk may come and go while the process runs.
func Sizes(ctx context.Context, dir string) (core.Resources, error) {
	return static(ctx, dir, os.DirFS("/"))
}

// static reads sizes.
func static(ctx context.Context, dir string, root fs.FS) (core.Resources, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return core.Resources{}, fmt.Errorf("reading the memory size: %w", err)
	}
	d, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return core.Resources{}, fmt.Errorf("reading the disk of %q: %w", dir, err)
	}
	g := findGroup(root)
	return core.Resources{
		Cores:        g.cores(runtime.NumCPU()),
		MemoryMB:     g.memory(int64(m.Total)) / mib,
		DiskMB:       int64(d.Total) / mib,
		FreeCPU:      100,
		FreeMemoryMB: g.freeMemory(int64(m.Available)) / mib,
		FreeDiskMB:   int64(d.Free) / mib,
	}, nil
}

// Memory returns the bytes of this machine, or of the group that confines this
// process where those are fewer.
func Memory(ctx context.Context) (int64, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the memory size: %w", err)
	}
	return findGroup(os.DirFS("/")).memory(int64(m.Total)), nil
}

// cpuName returns the brand string with anything unprintable removed: a
// hypervisor can put any bytes there.
func cpuName() string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, cpuid.CPU.BrandName)
	return strings.TrimSpace(name[:min(len(name), 64)])
}
