package compute

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
)

// TestMain: nothing here starts a goroutine that outlives its call.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func machine(cores int, memoryMB, diskMB int64, gpuMB ...int64) Profile {
	p := Profile{Resources: core.Resources{Cores: cores, MemoryMB: memoryMB, DiskMB: diskMB}}
	for _, mb := range gpuMB {
		p.Accelerators = append(p.Accelerators, core.Accelerator{Vendor: "nvidia", MemoryMB: mb})
	}
	return p
}

// TestTier is the tier table, and --role=auto on the same machines.
//
// spec 0.15 0.17 4.3
func TestTier(t *testing.T) {
	for _, c := range []struct {
		name  string
		p     Profile
		tier  core.Tier
		roles []string
	}{
		{"phone", machine(1, 512, 4096), core.TierInference, []string{"inference"}},
		{"many cores, little memory", machine(16, 1024, 0), core.TierInference, []string{"inference"}},
		{"small server", machine(2, 2048, 0), core.TierAggregator, []string{"aggregator"}},
		{"2 GiB as a kernel reports them", machine(2, 1950, 0), core.TierAggregator, []string{"aggregator"}},
		{"with a big disk", machine(2, 2048, 100<<10), core.TierAggregator, []string{"aggregator", "storage"}},
		{"7 cores", machine(7, 64<<10, 0), core.TierAggregator, []string{"aggregator"}},
		{"server", machine(8, 16<<10, 100<<10), core.TierTrainer, []string{"trainer", "storage"}},
		{"small with an accelerator", machine(1, 1024, 0, 4096, 8188), core.TierTrainer, []string{"trainer"}},
		{"small accelerator", machine(1, 1024, 0, 4096), core.TierInference, []string{"inference"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.p.Tier() != c.tier || !slices.Equal(c.p.AutoRoles(), c.roles) {
				t.Errorf("%v, %v", c.p.Tier(), c.p.AutoRoles())
			}
			if _, err := core.ParseRoles(c.p.AutoRoles()...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTierBySpeed: the benchmark feeds the tier: a machine of slow cores is on the
// rung that its speed allows.
//
// spec 0.17 1.10
func TestTierBySpeed(t *testing.T) {
	for _, c := range []struct {
		cores int
		score float64
		tier  core.Tier
	}{{8, 1.5, core.TierTrainer}, {8, 0.125, core.TierTrainer}, {8, 0.124, core.TierAggregator}, {64, 0.01, core.TierAggregator}, {64, 0.02, core.TierTrainer},
		{8, 0.015, core.TierInference}, {2, 0.0625, core.TierAggregator}, {2, 0.06, core.TierInference}, {8, 0, core.TierTrainer}} {
		p := machine(c.cores, 16<<10, 0)
		p.Resources.CPUScore = c.score
		if got := p.Tier(); got != c.tier {
			t.Errorf("%d cores at %v are %s, want %s", c.cores, c.score, got, c.tier)
		}
		p.Accelerators = []core.Accelerator{{MemoryMB: 8 << 10}}
		if got := p.Tier(); got != core.TierTrainer {
			t.Errorf("with an accelerator they are %s", got)
		}
	}
}

// TestMeets: each documented role is refused to the next smaller machine, with
// everything that is missing named.
//
// spec 4.4 4.5 4.6 4.7
func TestMeets(t *testing.T) {
	for _, c := range []struct {
		role                string
		cores               int
		memoryMB, diskMB    int64
		lessMemory, lessDsk int64
	}{
		{"compute", 2, 4096, 0, 3500, 0},
		{"storage", 2, 2048, 100 << 10, 1800, 90 << 10},
		{"full", 4, 8192, 100 << 10, 7500, 90 << 10},
	} {
		set, err := core.ParseRoles(c.role)
		if err != nil {
			t.Fatal(err)
		}
		least := set[0].Minimum
		if err := machine(c.cores, c.memoryMB, c.diskMB).Meets(least); err != nil {
			t.Errorf("%s: %v", c.role, err)
		}
		err = machine(c.cores-1, c.lessMemory, c.lessDsk).Meets(least)
		if !errors.Is(err, core.Denied) || !strings.Contains(err.Error(), "cores (has") || !strings.Contains(err.Error(), "of memory (has") ||
			(c.diskMB > 0) != strings.Contains(err.Error(), "of disk (has") {
			t.Errorf("%s: %v", c.role, err)
		}
	}
}

// TestMeasure looks at the machine the test runs on.
//
// spec 0.17
func TestMeasure(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no nvidia-smi here, whatever the machine
	p, err := Measure(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := p.Resources
	if r.Cores < 1 || r.MemoryMB < 1 || r.DiskMB < 1 || r.FreeDiskMB > r.DiskMB || r.FreeMemoryMB > r.MemoryMB || r.CPUScore <= 0 || p.Arch == "" || p.OS == "" {
		t.Errorf("%+v", p)
	}
	if p.Accelerators == nil || len(p.Accelerators) != 0 || len(p.Notes) != 0 {
		t.Errorf("accelerators %v, notes %v", p.Accelerators, p.Notes)
	}
	if _, err := Measure(t.Context(), filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory was measured")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestBenchmarkIsShort: a node must not spend its start on measuring itself.
func TestBenchmarkIsShort(t *testing.T) {
	start := time.Now()
	if score := benchmark(t.Context()); score <= 0 {
		t.Errorf("score %v", score)
	}
	if took := time.Since(start); took > 10*time.Second { // 0.1 s; more only where the machine is starved
		t.Errorf("took %v", took)
	}
}

// TestFindAccelerators runs programs that carry the name nvidia-smi.
func TestFindAccelerators(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []core.Accelerator
		note         string
	}{
		{"two", `printf 'NVIDIA H200, 143771\nNVIDIA L4, 23034\n'`, []core.Accelerator{{Vendor: "nvidia", Name: "NVIDIA H200", MemoryMB: 143771}, {Vendor: "nvidia", Name: "NVIDIA L4", MemoryMB: 23034}}, ""},
		{"none", `true`, []core.Accelerator{}, ""},
		{"no driver", `echo 'NVIDIA-SMI has failed'; exit 9`, []core.Accelerator{}, "exit status 9"},
		{"nonsense", `echo hello`, []core.Accelerator{}, "not a name and a size"},
		{"endless", `while :; do echo 'NVIDIA L4, 23034'; done`, []core.Accelerator{}, "accelerators not used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":/bin:/usr/bin")
			got, note := findAccelerators(t.Context(), fstest.MapFS{})
			if !slices.Equal(got, c.want) || !strings.Contains(note, c.note) || c.note == "" && note != "" {
				t.Errorf("%v, %q", got, note)
			}
		})
	}
}

// TestFindAcceleratorsHanging: a program that does not answer, and leaves another
// behind that holds its output, is not waited for.
func TestFindAcceleratorsHanging(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\nsleep 20 & sleep 20\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	got, note := findAccelerators(ctx, fstest.MapFS{})
	if len(got) != 0 || !strings.Contains(note, "did not answer") || time.Since(start) > 15*time.Second {
		t.Errorf("%v, %q after %v", got, note, time.Since(start))
	}
}

// FuzzParseAccelerators: what is accepted is bounded and printable.
func FuzzParseAccelerators(f *testing.F) {
	for _, seed := range []string{"NVIDIA H200, 143771\n", "NVIDIA GB10, [N/A]\r\n", "a, b, 5", ", 5", "x, -1", "x, 99999999999", "x, 1\n\ny, 2", "\x1b[31m, 1", strings.Repeat("x, 1\n", 65)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parseAccelerators(out)
		if err != nil {
			return
		}
		if len(list) > maxAccelerators {
			t.Fatalf("%d accelerators", len(list))
		}
		for _, a := range list {
			if a.Name == "" || len(a.Name) > maxAcceleratorName || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r > '~' }) || a.MemoryMB < 0 || a.MemoryMB > core.MaxMemoryMB {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// TestGroup: limits of both versions of control groups, from the tightest
// ancestor, and nonsense limits nothing.
func TestGroup(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name         string
		root         fstest.MapFS
		cores        int
		memory, free int64
	}{
		{"none", fstest.MapFS{}, 16, 64 * gib, 32 * gib},
		{"version 2", fstest.MapFS{
			"proc/self/cgroup":                       file("0::/pod/c\n"),
			"sys/fs/cgroup/pod/c/memory.max":         file("max\n"),
			"sys/fs/cgroup/pod/memory.max":           file("4294967296\n"),
			"sys/fs/cgroup/pod/memory.current":       file("3221225472\n"),
			"sys/fs/cgroup/pod/memory.stat":          file("anon 5\ninactive_file 1073741824\n"),
			"sys/fs/cgroup/pod/c/cpu.max":            file("250000 100000\n"),
			"sys/fs/cgroup/pod/cpu.max":              file("max 100000\n"),
			"sys/fs/cgroup/irrelevant/memory.max":    file("1\n"),
			"sys/fs/cgroup/pod/c/unrelated/cpu.max":  file("1 1\n"),
			"sys/fs/cgroup/pod/c/memory.unparseable": file("x"),
		}, 2, 4 * gib, 2 * gib},
		{"version 1 seen from inside", fstest.MapFS{
			"proc/self/cgroup":                           file("4:memory:/docker/abc\n2:cpuacct,cpu:/docker/abc\n1:name=systemd:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("2147483648"),
			"sys/fs/cgroup/memory/memory.usage_in_bytes": file("1073741824"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         file("50000"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":        file("100000"),
		}, 1, 2 * gib, gib},
		{"version 1 without limits", fstest.MapFS{
			"proc/self/cgroup":                           file("4:memory:/\n2:cpu:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         file("-1"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":        file("100000"),
		}, 16, 64 * gib, 32 * gib},
		{"nonsense", fstest.MapFS{
			"proc/self/cgroup":         file("0::/../../etc\n:::\nx\n"),
			"sys/fs/cgroup/memory.max": file("-5"),
			"sys/fs/cgroup/cpu.max":    file("1"),
		}, 16, 64 * gib, 32 * gib},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := findGroup(c.root)
			if g.cores(16) != c.cores || g.memory(64*gib) != c.memory || g.freeMemory(32*gib) != c.free {
				t.Errorf("%d cores, %d bytes, %d free", g.cores(16), g.memory(64*gib), g.freeMemory(32*gib))
			}
		})
	}
}

// TestGroupCPUSeconds reads the counters of both versions.
func TestGroupCPUSeconds(t *testing.T) {
	for name, root := range map[string]fstest.MapFS{
		"version 2": {"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/cpu.max": file("100000 100000"), "sys/fs/cgroup/cpu.stat": file("usage_usec 2500000\nuser_usec 1\n")},
		"version 1": {"proc/self/cgroup": file("2:cpu:/"), "sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("1"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("1"), "sys/fs/cgroup/cpuacct/cpuacct.usage": file("2500000000")},
	} {
		if s, ok := findGroup(root).cpuSeconds(); !ok || s != 2.5 {
			t.Errorf("%s: %v, %v", name, s, ok)
		}
	}
}

// TestFreeCPU: the scarcer of machine and container decides.
func TestFreeCPU(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(s float64, busy, total, group float64) cpuReading {
		return cpuReading{at: t0.Add(time.Duration(s * float64(time.Second))), busy: busy, total: total, group: group}
	}
	for _, c := range []struct {
		name     string
		from, to cpuReading
		cpus     float64
		want     int
	}{
		{"machine", at(0, 10, 100, 0), at(1, 11, 104, 0), 0, 75},
		{"container at its limit", at(0, 10, 100, 5), at(1, 11, 104, 6), 1, 0},
		{"container half used", at(0, 10, 100, 5), at(1, 11, 104, 6), 2, 50},
		{"no time passed", at(0, 10, 100, 5), at(0, 10, 100, 5), 2, 100},
		{"first sample", cpuReading{}, at(0, 25, 100, 90), 2, 75},
		{"counters that ran backwards", at(0, 10, 100, 5), at(1, 5, 104, 1), 1, 100},
	} {
		if got := freeCPU(c.from, c.to, c.cpus); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
}

// TestSample reads this machine twice.
//
// spec 0.69
func TestSample(t *testing.T) {
	s := NewSampler(t.TempDir())
	for range 2 {
		r, err := s.Sample(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		free := r.Free()
		for _, share := range []float64{free.CPU, free.Memory, free.Storage} {
			if share < 0 || share > 1 {
				t.Errorf("%+v", free)
			}
		}
		if free.Memory == 0 {
			t.Errorf("no memory is free: %+v", r)
		}
	}
}
