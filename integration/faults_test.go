package integration

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/node"
)

// busy returns a TCP port of loopback that is taken until the test ends.
func busy(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// A node that cannot start says in one line what is wrong and in one what to do,
// and ends with a code that is not zero; nothing is left in its home that a
// later start would stumble over.
//
// spec 0.75 4.66 4.69
func TestFaultsAtStart(t *testing.T) {
	running := testnet.Run(t, "running", "--role=local")
	readable := t.TempDir()
	first := testnet.Launch(t, "first", readable, "--role=local")
	first.AwaitServing()
	first.Term()
	if code := first.Exit(patience); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}
	if err := os.Chmod(filepath.Join(readable, node.KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, home string
		flags      []string
		says, fix  string
	}{
		{"a second node on the same home", running.Home, nil, "another node runs in", "--home"},
		{"a key that others can read", readable, nil, node.KeyFile, "chmod 600"},
		{"a busy API port", "", []string{"--http", "127.0.0.1:" + busy(t)}, "in use", "port"},
		{"a busy metrics port", "", []string{"--metrics", "127.0.0.1:" + busy(t)}, "in use", "port"},
		{"a busy p2p port", "", []string{"--p2p-port", busy(t)}, "in use", "port"},
		{"a bootstrap address that is none", "", []string{"--bootstrap", "example.com:9334"}, "--bootstrap", "correct it"},
		{"an unknown role", "", []string{"--role", "king"}, "king", "global"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			home := tc.home
			if home == "" {
				home = t.TempDir()
			}
			p := testnet.Exec(t, tc.name, t.TempDir(), append(testnet.Flags(home), append([]string{"--role=local"}, tc.flags...)...)...)
			if code := p.Exit(patience); code == 0 {
				t.Errorf("it ended with code 0")
			}
			oneClearLine(t, p.Stderr(), tc.says, tc.fix)
			if p.Stdout() != "" {
				t.Errorf("it printed %q", p.Stdout())
			}
		})
	}
	if r := running.Get("/livez"); r.Status != 200 {
		t.Errorf("the running node answers %d", r.Status)
	}
}

// oneClearLine wants one line that says what is wrong and one that says what to
// do, and nothing else.
func oneClearLine(t *testing.T, stderr, says, fix string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "error: ") || !strings.HasPrefix(lines[1], "fix: ") {
		t.Fatalf("stderr is not one error and one fix:\n%s", stderr)
	}
	if !strings.Contains(lines[0], says) {
		t.Errorf("the error does not say %q: %s", says, lines[0])
	}
	if !strings.Contains(lines[1], fix) {
		t.Errorf("the fix does not say %q: %s", fix, lines[1])
	}
}

// A node whose bootstrap nodes do not answer says so once, goes on, and joins
// when somebody else finds it.
func TestUnreachableBootstrap(t *testing.T) {
	nobody := "/ip4/127.0.0.1/tcp/" + busyButSilent(t) + "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	n := testnet.Run(t, "lonely", "--role=regional", "--region", "here", "--bootstrap", nobody)
	warned := func() (count int) {
		for line := range strings.Lines(n.Stderr()) {
			if strings.Contains(line, `"level":"warn"`) && !strings.Contains(line, `"logger":`) { // the library's own
				count++
			}
		}
		return count
	}
	testnet.Await(t, "the warning", patience, func() error {
		if warned() == 0 {
			return os.ErrNotExist
		}
		return nil
	})
	if log := n.Stderr(); !strings.Contains(log, "bootstrap") {
		t.Errorf("the warning does not speak of bootstrap nodes%s", n.Tail())
	}
	worker := testnet.Run(t, "worker", "--role=local", "--bootstrap", n.Runtime.Bootstrap)
	n.AwaitWorkers(worker)
	if r := n.Completed(n.Submit(documentedTask), patience); string(r.Result) != "55" {
		t.Errorf("the result is %s", r.Result)
	}
	if w := warned(); w != 1 {
		t.Errorf("%d warnings, not one%s", w, n.Tail())
	}
}

// busyButSilent returns a port on which nobody listens.
func busyButSilent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// A node that is told to stop refuses new work, finishes what runs, hands the
// result in, and leaves no runtime.json behind.
func TestDrain(t *testing.T) {
	n := testnet.Three(t, 1)
	worker := n.Locals[0]
	id := n.Global.Submit(slow(0.5, 1)) // well within the time to drain, also under the race detector
	testnet.Await(t, "the worker to be at work", patience, func() error {
		if s := n.Global.Status(id); s.Status != core.TaskRunning {
			return os.ErrNotExist
		}
		return nil
	})
	worker.Term()
	if code := worker.Exit(patience); code != 0 {
		t.Errorf("the worker ended with code %d%s", code, worker.Tail())
	}
	if _, err := os.Stat(filepath.Join(worker.Home, node.RuntimeFile)); !os.IsNotExist(err) {
		t.Errorf("runtime.json is still there: %v", err)
	}
	r := n.Global.Result(id, patience)
	if r.Status != core.TaskCompleted || len(r.Workers) != 1 || r.Workers[0] != worker.ID() {
		t.Errorf("the task is %s: %v, by %v", r.Status, r.Failure, r.Workers)
	}
	if a := n.Regional.Status(id).Attempts; len(a) != 1 {
		t.Errorf("the task needed %d attempts: %+v", len(a), a)
	}

	for _, node := range []*testnet.Node{n.Regional, n.Global} {
		node.Term()
		if code := node.Exit(patience); code != 0 {
			t.Errorf("%s ended with code %d%s", node.Name, code, node.Tail())
		}
	}
}
