//go:build !portable

package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/tenzro/tenzro/core"
)

const (
	groupPrefix = "tenzro-guests-" // and the pid of the pool's process, and a number
	maxThreads  = 64               // of one child; a Go program of two processors has about ten
)

// groups makes a control group for each child where this process may. The zero
// value makes none.
type groups struct {
	version int      // 1 or 2; 0 is none
	dirs    []string // one of version 2, or one for each hierarchy of version 1
	mu      sync.Mutex
	next    int
	left    []string // directories that were still busy when their child was gone
}

// openGroups finds where below root, "/" outside of tests, control groups can be
// made, and makes one of our own for those of the children.
func openGroups(root string) (*groups, error) {
	parents, version, err := groupParents(root)
	if err != nil {
		return &groups{}, err
	}
	g := &groups{}
	for _, parent := range parents {
		removeStale(root, parent)
		var dir string
		if dir, err = os.MkdirTemp(parent, groupPrefix+strconv.Itoa(os.Getpid())+"-*"); err != nil {
			break
		}
		g.dirs = append(g.dirs, dir)
		if version == 2 {
			if err = put(dir, "cgroup.subtree_control", "+memory +pids"); err != nil {
				break
			}
			_ = put(dir, "cpu.weight", "1") // all guests together, where the group has one
		}
	}
	g.version = version
	if err != nil {
		return &groups{}, errors.Join(err, g.close())
	}
	return g, nil
}

// groupParents returns the directories in which groups can be made: for version 2
// the group of this process or the one above it, whichever passes the memory
// controller on to its children; for version 1 this process's group in the
// hierarchy of memory, and that of pids where it exists. The hierarchy of cpu is
// left alone: a group there would have the weight of an ordinary process, while
// idle threads have almost none.
func groupParents(root string) (dirs []string, version int, err error) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil, 0, err
	}
	own := map[string]string{} // controller -> our group; "" is version 2
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		if part := strings.SplitN(lines.Text(), ":", 3); len(part) == 3 {
			for _, controller := range strings.Split(part[1], ",") {
				own[controller] = part[2]
			}
		}
	}
	mount := filepath.Join(root, "sys/fs/cgroup")
	if group, ok := own["memory"]; ok {
		return parentsV1(mount, own, group)
	}
	group, ok := own[""]
	if !ok {
		return nil, 0, core.Errorf(core.Unsupported, "cgroup", "there are no control groups")
	}
	for _, dir := range []string{existingGroup(mount, group), existingGroup(mount, filepath.Dir(group))} {
		if passed, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")); err == nil && strings.Contains(" "+string(passed)+" ", "memory") {
			return []string{dir}, 2, nil
		}
	}
	return nil, 0, core.Errorf(core.Unsupported, "cgroup", "the group %s passes no memory controller on", group).WithHint("run the service with Delegate=yes and DelegateSubgroup=node")
}

func parentsV1(mount string, own map[string]string, memory string) ([]string, int, error) {
	dirs := []string{existingGroup(filepath.Join(mount, "memory"), memory)}
	if group, ok := own["pids"]; ok {
		if dir := existingGroup(filepath.Join(mount, "pids"), group); writable(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, 1, nil
}

func writable(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "cgroup.procs"))
	return err == nil && info.Mode().Perm()&0o200 != 0 && os.Geteuid() == 0
}

// existingGroup returns the group below mount; in a container the name is often
// the host's, and only mount itself is there.
func existingGroup(mount, group string) string {
	dir := filepath.Join(mount, filepath.Clean("/"+group))
	if _, err := os.Stat(dir); err != nil {
		return mount
	}
	return dir
}

// removeStale removes what pools of dead processes left in parent.
func removeStale(root, parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		if _, err := os.Stat(filepath.Join(root, "proc", pid)); errors.Is(err, os.ErrNotExist) {
			_ = removeTree(dir)
		}
	}
}

// removeTree removes a group and those in it; their files go with them.
func removeTree(dir string) error {
	inside, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	for _, file := range inside {
		_ = os.Remove(filepath.Dir(file))
	}
	return os.Remove(dir)
}

// close removes our groups; all children are gone.
func (g *groups) close() error {
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, removeTree(dir))
	}
	return errors.Join(errs...)
}

// enter makes a group and puts the process into it; nil where there are none.
// After an error there are none any more.
func (g *groups) enter(pid int) (*group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.version == 0 {
		return nil, nil
	}
	g.next++
	g.left = tryRemove(g.left)
	one, err := g.make(strconv.Itoa(g.next), pid)
	if err != nil {
		g.version = 0
		g.left = append(g.left, one.dirs...)
		return nil, err
	}
	return one, nil
}

func (g *groups) make(name string, pid int) (*group, error) {
	one := &group{of: g, version: g.version}
	for _, parent := range g.dirs {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return one, err
		}
		one.dirs = append(one.dirs, dir)
		_ = put(dir, "pids.max", strconv.Itoa(maxThreads)) // each file is in one hierarchy of version 1
		_ = put(dir, "memory.swap.max", "0")
		if err := put(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return one, err
		}
	}
	return one, nil
}

func tryRemove(dirs []string) (left []string) {
	for _, dir := range dirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			left = append(left, dir)
		}
	}
	return left
}

// put writes to a file of a group; the kernel lets nobody make a new one.
func put(dir, file, text string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)
}

// group is the control group of one child; nil is none.
type group struct {
	of      *groups
	version int
	dirs    []string
	bytes   int64 // the limit it has now
}

// limit bounds the memory of the group, what the kernel keeps for it included.
func (g *group) limit(bytes int64) {
	const slack = 16 << 20
	if g == nil || g.bytes == bytes {
		return
	}
	g.bytes = bytes
	file := "memory.max"
	if g.version == 1 {
		file = "memory.limit_in_bytes"
	}
	_ = put(g.dirs[0], file, strconv.FormatInt(bytes+slack, 10))
}

// killed reports whether the kernel killed the child for its memory.
func (g *group) killed() bool {
	if g == nil {
		return false
	}
	file := "memory.events"
	if g.version == 1 {
		file = "memory.oom_control"
	}
	text, _ := os.ReadFile(filepath.Join(g.dirs[0], file))
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return count != "0"
		}
	}
	return false
}

// Close removes the group of a dead child, now or when the next one is made.
func (g *group) Close() error {
	if g == nil {
		return nil
	}
	left := tryRemove(g.dirs)
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.of.left = append(g.of.left, left...)
	return nil
}

func surveyGroups() Protection {
	p := Protection{Name: "control groups"}
	g, err := openGroups("/")
	if err != nil {
		p.Detail = fmt.Sprintf("%v; the parent watches memory all the same", err)
		return p
	}
	_ = g.close() // an empty group can always be removed
	return Protection{Name: p.Name, Active: true, Detail: fmt.Sprintf("version %d: memory and threads", g.version)}
}
