//go:build !portable

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenzro/tenzro/core"
)

// escape is what a guest asks its handler to try; a result of "" means that it
// worked.
type escape struct{ What, Path string }

// escapes is a handler that tries to leave.
func escapes(ctx context.Context, req []byte, _ func(core.Stream, []byte)) ([]byte, error) {
	var e escape
	if err := json.Unmarshal(req, &e); err != nil {
		return nil, err
	}
	try := map[string]func(string) error{
		"read":    func(p string) error { _, err := os.ReadFile(p); return err },
		"list":    func(p string) error { _, err := os.ReadDir(p); return err },
		"write":   func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"rename":  func(p string) error { return os.Rename(filepath.Join(Granted(ctx), "own"), p) },
		"symlink": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"chmod":   func(p string) error { return os.Chmod(p, 0o777) },
		"fchmod":  fchmod,
		"times":   func(p string) error { return os.Chtimes(p, time.Unix(1, 0), time.Unix(1, 0)) },
		"granted": func(string) error { return errors.New(Granted(ctx)) },
		"listen":  func(string) error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
		"dial":    func(p string) error { _, err := net.Dial("tcp", p); return err },
		"unix":    func(string) error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
		"exec":    func(p string) error { return exec.Command(p).Run() },
		"replace": func(p string) error { return syscall.Exec(p, []string{p}, nil) },
		"fork": func(string) error {
			_, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			return errnoErr(errno)
		},
		"signal":    func(p string) error { pid, _ := strconv.Atoi(p); return syscall.Kill(pid, 0) },
		"ptrace":    func(p string) error { pid, _ := strconv.Atoi(p); return unix.PtraceAttach(pid) },
		"namespace": func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":     func(p string) error { return unix.Mount("none", p, "tmpfs", 0, "") },
		"memfd":     func(string) error { _, err := unix.MemfdCreate("x", 0); return err },
		"limits": func(string) error {
			return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
		},
		"nice":  func(string) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 0) },
		"group": func(string) error { _, err := unix.Setsid(); return err },
		"bpf":   func(string) error { _, _, errno := unix.Syscall(unix.SYS_BPF, 0, 0, 0); return errnoErr(errno) },
		"uring": func(string) error {
			_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
			return errnoErr(errno)
		},
		"files": func(string) error {
			var open []int
			for fd := range 256 {
				if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
					open = append(open, fd)
				}
			}
			return fmt.Errorf("%v", open)
		},
		"environment": func(string) error { return fmt.Errorf("%q", os.Environ()) },
		"many files": func(string) error {
			for range 2 * maxFiles {
				if _, err := unix.Dup(0); err != nil {
					return err
				}
			}
			return nil
		},
	}[e.What]
	if try == nil {
		return nil, fmt.Errorf("do not know how to %s", e.What)
	}
	if err := try(e.Path); err != nil {
		return []byte(err.Error()), nil
	}
	return []byte{}, nil
}

// fchmod changes the mode of a file that can be opened.
func fchmod(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chmod(0o777)
}

func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// withWall skips a test on machines that lack a protection.
func withWall(t *testing.T, name string) {
	t.Helper()
	for _, p := range Active() {
		if p.Name == name && !p.Active {
			t.Skipf("this machine has no %s wall: %s", name, p.Detail)
		}
	}
}

// TestEscapes has a guest that controls its child try to reach the machine.
func TestEscapes(t *testing.T) {
	withWall(t, "system calls")
	withWall(t, "files")
	dir, outside := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(dir, "own"), filepath.Join(outside, "other")} {
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// A descriptor that this process was born with, as far as a child can tell.
	inherited, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	t.Setenv("TENZRO_TEST_SECRET", "secret")

	p := serve(t, Config{Warm: 1, Jobs: 1 << 20, Dir: dir})
	parent := strconv.Itoa(os.Getpid())
	const denied, refused = "permission denied", "operation not permitted"
	for _, c := range []struct{ what, path, want string }{
		{"granted", "", dir},
		{"read", filepath.Join(dir, "own"), ""},
		{"write", filepath.Join(dir, "new"), ""},
		{"list", dir, ""},
		{"read", "/etc/passwd", denied},
		{"read", "/proc/self/environ", denied},
		{"read", "/proc/" + parent + "/environ", denied},
		{"read", dir + strings.Repeat("/..", 20) + "/etc/passwd", denied},
		{"list", "/", denied},
		{"write", filepath.Join(outside, "new"), denied},
		{"write", filepath.Join(outside, "other"), denied},
		{"write", "/proc/" + parent + "/oom_score_adj", denied},
		{"rename", filepath.Join(outside, "own"), "denied|cross-device"},
		{"symlink", filepath.Join(dir, "link"), refused},
		{"chmod", filepath.Join(outside, "other"), refused},
		{"chmod", filepath.Join(dir, "own"), refused},
		{"fchmod", filepath.Join(dir, "own"), refused},
		{"times", filepath.Join(outside, "other"), refused},
		{"listen", "", refused},
		{"dial", listener.Addr().String(), refused},
		{"unix", "", refused},
		{"exec", "/bin/true", denied + "|" + refused},
		{"replace", "/bin/true", refused},
		{"replace", "/proc/self/exe", refused},
		{"fork", "", refused},
		{"signal", parent, refused},
		{"ptrace", parent, refused},
		{"namespace", "", refused},
		{"mount", dir, refused},
		{"memfd", "", refused},
		{"limits", "", refused},
		{"nice", "", refused},
		{"group", "", refused},
		{"bpf", "", refused},
		{"uring", "", refused},
		{"files", "", "[0 1 2 3 4]"},
		{"environment", "", `["GOMAXPROCS=2" "GOTRACEBACK=none"]`},
		{"many files", "", "too many open files"},
	} {
		t.Run(c.what+" "+strings.TrimPrefix(c.path, dir), func(t *testing.T) {
			req, err := json.Marshal(escape{c.what, c.path})
			if err != nil {
				t.Fatal(err)
			}
			res := run(t, p, Job{Handler: "escape", Request: req})
			if res.Reason != OK {
				t.Fatalf("%q %s", res.Reason, res.Message)
			}
			got := string(res.Response)
			ok := c.want == "" && got == ""
			for want := range strings.SplitSeq(c.want, "|") {
				ok = ok || want != "" && strings.Contains(got, want)
			}
			if !ok {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestNoDirectory: without a granted directory there are no files at all.
func TestNoDirectory(t *testing.T) {
	withWall(t, "files")
	p := serve(t, Config{Warm: 1})
	for what, path := range map[string]string{"read": "/etc/passwd", "list": os.TempDir(), "write": filepath.Join(t.TempDir(), "x")} {
		req, _ := json.Marshal(escape{what, path})
		if res := run(t, p, Job{Handler: "escape", Request: req}); !strings.Contains(string(res.Response), "denied") {
			t.Errorf("%s %s: %q %q", what, path, res.Response, res.Message)
		}
	}
}

// TestChildFromOutside looks at a child as the system sees it.
func TestChildFromOutside(t *testing.T) {
	p := serve(t, Config{Warm: -1})
	job := make(chan Result, 1)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{}, 1)
	go func() {
		res, _ := p.Run(ctx, Job{Handler: "stream and wait", Output: func(core.Stream, []byte) { started <- struct{}{} }})
		job <- res
	}()
	<-started
	pid := onlyChild(t, p)
	status := procFile(t, pid, "status")
	for field, want := range map[string]string{
		"NoNewPrivs": "1", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "Seccomp": "2",
	} {
		if got := statusField(status, field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if got := strings.TrimSpace(procFile(t, pid, "oom_score_adj")); got != firstToGo {
		t.Errorf("oom_score_adj is %s", got)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		if policy, err := unix.SchedGetAttr(tid, 0); err == nil && policy.Policy != unix.SCHED_IDLE {
			t.Errorf("thread %d has scheduling policy %d", tid, policy.Policy)
		}
		if prio, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && 20-prio != lowest {
			t.Errorf("thread %d has nice %d", tid, 20-prio)
		}
	}
	if pgid, err := unix.Getpgid(pid); err != nil || pgid != pid {
		t.Errorf("process group %d of child %d (%v)", pgid, pid, err)
	}
	ours, err1 := os.Readlink("/proc/self/ns/net")
	theirs, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if network := protection("network"); network.Active && err1 == nil && err2 == nil && ours == theirs {
		t.Errorf("the child is in our network namespace %s", ours)
	}
	cancel()
	if res := <-job; res.Reason != Cancelled {
		t.Errorf("%q %s", res.Reason, res.Message)
	}
}

func protection(name string) Protection {
	for _, p := range Active() {
		if p.Name == name {
			return p
		}
	}
	return Protection{}
}

func onlyChild(t *testing.T, p *Pool) int {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for g := range p.all {
		return g.proc.Pid
	}
	t.Fatal("there is no child")
	return 0
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

func statusField(status, field string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestActive: the list is complete and says something about each wall.
func TestActive(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Active() {
		t.Logf("%+v", p)
		if p.Detail == "" || seen[p.Name] {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
	}
	for _, name := range []string{"process", "files", "system calls", "network", "privileges", "limits", "priority", "control groups"} {
		if !seen[name] {
			t.Errorf("nothing is said of %q", name)
		}
	}
}

func addSystemGuests(all map[string]Handler) { all["escape"] = escapes }

// BenchmarkGauge is the part of a job's cost that goes into its limits and its
// account.
func BenchmarkGauge(b *testing.B) {
	g := newGauge(os.Getpid(), nil)
	defer g.Close()
	for b.Loop() {
		g.most, g.cpu = 0, 0
		_, _ = g.refs.WriteString("5")
		g.used()
		g.look()
		g.used()
		g.held()
	}
}

// TestRestless: a guest that goes on after its job was answered, which only one
// that broke out can, is ended although nobody asked for a job.
func TestRestless(t *testing.T) {
	p := serve(t, Config{Warm: 1})
	if res := run(t, p, Job{Handler: "linger"}); res.Reason != OK {
		t.Fatalf("%q %s", res.Reason, res.Message)
	}
	p.mu.Lock()
	pid := p.idle[len(p.idle)-1].proc.Pid
	p.mu.Unlock()
	limit, tick := time.After(2*time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case now := <-tick.C:
			p.sweep(now)
		case <-limit:
			t.Fatal("the child goes on")
		}
	}
}

// TestSweep ends idle children beyond those that are kept, when they are old.
func TestSweep(t *testing.T) {
	p := serve(t, Config{Warm: 1, Max: 3})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() { run(t, p, Job{Handler: "hold", Request: make([]byte, 1)}) })
	}
	group.Wait()
	p.sweep(time.Now())
	if p.idleCount() == 0 {
		t.Error("nothing is idle")
	}
	p.sweep(time.Now().Add(2 * idleLimit))
	settled(t, p)
}
