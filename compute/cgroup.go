package compute

import (
	"bufio"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// group is the control group of this process: the part of the machine its
// container may use. The zero value limits nothing.
type group struct {
	root     fs.FS
	memDir   string  // directory of the tightest memory limit, "" = no limit
	memLimit int64   // bytes
	version  int     // 1 or 2, of memDir and cpuDir
	cpuDir   string  // directory of the tightest CPU limit, "" = no limit
	cpus     float64 // CPUs' worth of time
}

// findGroup reads the limits of version 1 and version 2 hierarchies below root,
// which is "/" outside of tests. What cannot be read limits nothing: a machine
// without control groups is the normal case elsewhere than on Linux.
func findGroup(root fs.FS) group {
	g := group{root: root}
	for _, line := range strings.Split(readSmall(root, "proc/self/cgroup"), "\n") {
		hierarchy := strings.SplitN(line, ":", 3)
		if len(hierarchy) != 3 {
			continue
		}
		g.addHierarchy(hierarchy[1], hierarchy[2])
	}
	return g
}

func (g *group) addHierarchy(controllers, dir string) {
	if controllers == "" {
		for _, d := range upwards("sys/fs/cgroup", dir) {
			g.limitMemory(2, d, readSmall(g.root, path.Join(d, "memory.max")))
			g.limitCPU(2, d, readSmall(g.root, path.Join(d, "cpu.max")))
		}
		return
	}
	for _, c := range strings.Split(controllers, ",") {
		for _, d := range upwards("sys/fs/cgroup/"+c, dir) {
			switch c {
			case "memory":
				g.limitMemory(1, d, readSmall(g.root, path.Join(d, "memory.limit_in_bytes")))
			case "cpu":
				g.limitCPU(1, d, readSmall(g.root, path.Join(d, "cpu.cfs_quota_us"))+" "+readSmall(g.root, path.Join(d, "cpu.cfs_period_us")))
			}
		}
	}
}

// upwards lists mount/dir and each parent up to mount. In a container the path
// in /proc often names the host's tree, and only mount itself exists.
func upwards(mount, dir string) []string {
	dirs := []string{}
	for d := path.Clean("/" + dir); d != "/" && len(dirs) < 32; d = path.Dir(d) {
		dirs = append(dirs, mount+d)
	}
	return append(dirs, mount)
}

func (g *group) limitMemory(version int, dir, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<60 { // "max", or version 1's word for none
		return
	}
	if g.memDir == "" || n < g.memLimit {
		g.memDir, g.memLimit, g.version = dir, n, version
	}
}

func (g *group) limitCPU(version int, dir, text string) {
	f := strings.Fields(text)
	if len(f) != 2 {
		return
	}
	quota, err1 := strconv.ParseInt(f[0], 10, 64)
	period, err2 := strconv.ParseInt(f[1], 10, 64)
	if err1 != nil || err2 != nil || quota <= 0 || period <= 0 {
		return
	}
	if cpus := float64(quota) / float64(period); g.cpuDir == "" || cpus < g.cpus {
		g.cpuDir, g.cpus, g.version = dir, cpus, version
	}
}

// cores returns how many of the machine's cores the group may keep busy.
func (g group) cores(machine int) int {
	if g.cpuDir == "" {
		return machine
	}
	return min(machine, max(1, int(g.cpus)))
}

// memory returns how many of the machine's bytes the group may use.
func (g group) memory(machine int64) int64 {
	if g.memDir == "" {
		return machine
	}
	return min(machine, g.memLimit)
}

// freeMemory returns what the group may still take; page cache that can be
// dropped counts as free.
func (g group) freeMemory(machine int64) int64 {
	if g.memDir == "" {
		return machine
	}
	usage, cache := "memory.current", "inactive_file"
	if g.version == 1 {
		usage, cache = "memory.usage_in_bytes", "total_inactive_file"
	}
	used, err := strconv.ParseInt(readSmall(g.root, path.Join(g.memDir, usage)), 10, 64)
	if err != nil {
		return machine
	}
	used -= statLine(readSmall(g.root, path.Join(g.memDir, "memory.stat")), cache)
	return max(0, min(machine, g.memLimit-max(0, used)))
}

// cpuSeconds returns the CPU time the group has used, and false when it has no
// limit or cannot be read.
func (g group) cpuSeconds() (float64, bool) {
	if g.cpuDir == "" {
		return 0, false
	}
	if g.version == 1 {
		dir := strings.Replace(g.cpuDir, "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpuacct", 1)
		n, err := strconv.ParseInt(readSmall(g.root, path.Join(dir, "cpuacct.usage")), 10, 64)
		return float64(n) / 1e9, err == nil
	}
	n := statLine(readSmall(g.root, path.Join(g.cpuDir, "cpu.stat")), "usage_usec")
	return float64(n) / 1e6, n > 0
}

// statLine finds "key number" in a flat-keyed file; 0 when it is not there.
func statLine(text, key string) int64 {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), key+" "); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

// readSmall returns the trimmed text of a file of at most 64 KiB, "" when there
// is none.
func readSmall(root fs.FS, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
