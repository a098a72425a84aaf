//go:build !portable

package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// machine is a tree of files that looks like a system's control groups.
func machine(t *testing.T, self string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["proc/self/cgroup"] = self
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestGroups finds out where groups may be made on systems of all kinds, and
// what is written there.
func TestGroups(t *testing.T) {
	for name, c := range map[string]struct {
		self    string
		files   map[string]string
		version int
		parent  string // of ours, below sys/fs/cgroup
		limit   string // the file of the memory limit
	}{
		"version 2, delegated with a subgroup": {"0::/system.slice/tenzro.service/node\n",
			map[string]string{"sys/fs/cgroup/system.slice/tenzro.service/cgroup.subtree_control": "cpu memory pids", "sys/fs/cgroup/system.slice/tenzro.service/node/cgroup.subtree_control": ""},
			2, "system.slice/tenzro.service", "memory.max"},
		"version 2, at the root": {"0::/\n", map[string]string{"sys/fs/cgroup/cgroup.subtree_control": "memory"}, 2, "", "memory.max"},
		"version 2, not delegated": {"0::/user.slice/session\n",
			map[string]string{"sys/fs/cgroup/user.slice/session/cgroup.subtree_control": "", "sys/fs/cgroup/user.slice/cgroup.subtree_control": "pids"}, 0, "", ""},
		"version 1": {"4:memory:/a\n3:pids:/b\n0::/\n",
			map[string]string{"sys/fs/cgroup/memory/a/cgroup.procs": "", "sys/fs/cgroup/pids/b/cgroup.procs": ""}, 1, "memory/a", "memory.limit_in_bytes"},
		"version 1 in a container": {"4:memory:/docker/0123\n",
			map[string]string{"sys/fs/cgroup/memory/cgroup.procs": ""}, 1, "memory", "memory.limit_in_bytes"},
		"none": {"", map[string]string{}, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine(t, c.self, c.files)
			g, err := openGroups(root)
			if g.version != c.version || (err == nil) != (c.version > 0) {
				t.Fatalf("version %d, %v; want %d", g.version, err, c.version)
			}
			if c.version == 0 {
				return
			}
			if got, want := filepath.Dir(g.dirs[0]), filepath.Join(root, "sys/fs/cgroup", c.parent); got != want {
				t.Errorf("groups are made in %s, want %s", got, want)
			}
			one, err := g.enter(4711)
			if err != nil {
				t.Fatal(err)
			}
			one.limit(100 << 20)
			for file, want := range map[string]string{"cgroup.procs": "4711", c.limit: strconv.Itoa(116 << 20)} {
				if got, err := os.ReadFile(filepath.Join(one.dirs[0], file)); err != nil || string(got) != want {
					t.Errorf("%s is %q, want %q (%v)", file, got, want, err)
				}
			}
		})
	}
}

// TestGroupKilled reads what the kernel says of a child that died of memory.
func TestGroupKilled(t *testing.T) {
	for text, want := range map[string]bool{
		"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n":               true,
		"low 0\nmax 7\noom 0\noom_kill 0\n":                       false,
		"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n":           true,
		"oom_kill_disable 1\nunder_oom 1\noom_kill 0\nx oom_kill": false,
		"": false,
	} {
		for version, file := range map[int]string{1: "memory.oom_control", 2: "memory.events"} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			g := &group{of: &groups{}, version: version, dirs: []string{dir}}
			if got := g.killed(); got != want {
				t.Errorf("version %d, %q: %v", version, text, got)
			}
		}
	}
}

// TestRealGroups: where this machine has them, children are in one each, and no
// group outlives its pool.
func TestRealGroups(t *testing.T) {
	withWall(t, "control groups")
	var dirs []string
	t.Cleanup(func() { // after the pool's own
		for _, dir := range dirs {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s is left", dir)
			}
		}
	})
	p := serve(t, Config{Warm: 1})
	if res := run(t, p, Job{Handler: "echo"}); res.Reason != OK {
		t.Fatalf("%q %s", res.Reason, res.Message)
	}
	dirs = p.groups.dirs
	if text := procFile(t, onlyChild(t, p), "cgroup"); !strings.Contains(text, groupPrefix) {
		t.Errorf("the child is in %q", text)
	}
}
