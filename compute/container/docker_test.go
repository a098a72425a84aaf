//go:build docker

package container_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/core"
)

// socket is the engine of these tests; DOCKER_HOST may name another.
func socket() string {
	if at, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		return at
	}
	return container.DefaultSocket
}

// build makes an image of the guest, from nothing else, and returns its id.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "DOCKER_HOST=unix://"+socket(), "DOCKER_BUILDKIT=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("go", "build", "-o", filepath.Join(dir, "guest"), "./testdata/guest")
	text := "FROM scratch\nCOPY guest /guest\nVOLUME /data\nUSER 0\nENTRYPOINT [\"/guest\"]\nCMD [\"tell\"]\nHEALTHCHECK --interval=1s CMD [\"/guest\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run("docker", "build", "-q", dir)
}

// worker is an executor over the real engine that has found the image.
func worker(t *testing.T, image string) (*container.Executor, core.NodeID) {
	t.Helper()
	images, err := container.ParseImages([]string{image})
	if err != nil {
		t.Fatal(err)
	}
	node := core.NodeID(fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
	changed := make(chan struct{}, 100)
	x, err := container.New(container.Config{On: true, Socket: socket(), Images: images, Node: node, MemoryMB: 4096,
		Changed: func() { changed <- struct{}{} }}, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); _ = x.Serve(ctx) }()
	t.Cleanup(func() { stop(); <-served })
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("no engine was found: start one, or name its socket in DOCKER_HOST")
	}
	return x, node
}

// left is what the engine has of a node's containers and volumes.
func left(t *testing.T, node core.NodeID) []string {
	t.Helper()
	c, _, err := docker.Open(t.Context(), socket())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	containers, err := c.Containers(t.Context(), "tenzro.node", string(node))
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := c.Volumes(t.Context(), "tenzro.node", string(node))
	if err != nil {
		t.Fatal(err)
	}
	return append(containers, volumes...)
}

func run(t *testing.T, x *container.Executor, ctx context.Context, data string) (container.Result, error) {
	t.Helper()
	out, err := x.Run(ctx, json.RawMessage(data), compute.Report{})
	if err != nil {
		return container.Result{}, err
	}
	if err := x.Validate(json.RawMessage(data), out.Result); err != nil {
		t.Fatal(err)
	}
	r, err := container.DecodeResult(out.Result)
	if err != nil {
		t.Fatal(err)
	}
	return r, nil
}

// TestRealContainerIsHeld has a program in a real container look at what it was given
// and try what it must not be able to.
func TestRealContainerIsHeld(t *testing.T) {
	image := build(t)
	x, node := worker(t, image)
	r, err := run(t, x, t.Context(), `{"image":"`+image+`","args":["tell",7],"env":{"GREETING":"good morning"},"files":{"data/in.txt":"aGVsbG8="}}`)
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("%v, exit code %d, %s", err, r.ExitCode, r.Stderr)
	}
	var told map[string]string
	if err := json.Unmarshal(r.Stdout, &told); err != nil {
		t.Fatalf("%s: %v", r.Stdout, err)
	}
	for what, want := range map[string]string{
		"uid": "65534", "gid": "65534", "Groups": "65534", "pid": "1", "variable": "good morning", "args": "7", "granted": "hello",
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "CapInh": "0000000000000000",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "interfaces": "lo ", "processes": "1",
		"write /tmp": "", "write /data": "", "Max cpu time": "70", "Max core file size": "0", "Max open files": "1024",
	} {
		if told[what] != want && !(what == "Groups" && told[what] == "") {
			t.Errorf("%s is %q, want %q", what, told[what], want)
		}
	}
	for what, want := range map[string]string{
		"dial": "network is unreachable", "lookup": "", "write /": "read-only", "write /etc": "", "write /work": "", "write /dev": "",
		"write /dev/shm": "", "write /proc/sys/kernel": "", "change": "", "execute /tmp": "permission denied", "fill /tmp": "no space left",
	} {
		if told[what] == "" || !strings.Contains(told[what], want) {
			t.Errorf("%s: %q, want an error %q", what, told[what], want)
		}
	}
	if mb, _ := strconv.Atoi(told["filled"]); mb < 1 || mb > 64 {
		t.Errorf("%s MiB were written to /tmp", told["filled"])
	}
	for _, device := range strings.Fields(told["devices"]) {
		if !strings.Contains(" core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ", " "+device+" ") {
			t.Errorf("/dev has %s", device)
		}
	}
	if t.Failed() {
		t.Logf("%s", r.Stdout)
	}
	if all := left(t, node); len(all) > 0 {
		t.Errorf("left behind: %v", all)
	}
}

// TestRealContainerEnds has programs that end in every way, and nothing left of any.
func TestRealContainerEnds(t *testing.T) {
	image := build(t)
	x, node := worker(t, image)
	in := func(rest string) string { return `{"image":"` + image + `",` + rest + `}` }
	stdin := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789abcdef", 100_000)))
	for name, c := range map[string]struct {
		data   string
		reason core.Reason
		want   func(container.Result) bool
	}{
		"copies":    {in(`"args":["cat"],"stdin":"` + stdin + `"`), "", func(r container.Result) bool { return len(r.Stdout) == 1_600_000 && string(r.Stderr) == "copied" }},
		"input":     {in(`"args":["cat"],"input":{"a": [1, 2]}`), "", func(r container.Result) bool { return string(r.Stdout) == `{"a": [1, 2]}` }},
		"no input":  {in(`"args":["cat"]`), "", func(r container.Result) bool { return len(r.Stdout) == 0 && r.ExitCode == 0 }},
		"unread":    {in(`"args":["exit",0],"stdin":"` + stdin + `"`), "", func(r container.Result) bool { return r.ExitCode == 0 }},
		"command":   {in(`"command":["/guest","exit"],"args":[3]`), "", func(r container.Result) bool { return r.ExitCode == 3 }},
		"exit code": {in(`"args":["exit",42]`), "", func(r container.Result) bool { return r.ExitCode == 42 }},
		"processes": {in(`"args":["fork"],"limits":{"pids":50}`), "", func(r container.Result) bool {
			n, err := strconv.Atoi(string(r.Stdout))
			return err == nil && n > 0 && n < 50 && strings.Contains(string(r.Stderr), "resource temporarily unavailable")
		}},
		"memory":           {in(`"args":["memory"],"limits":{"memoryMB":64}`), core.ReasonMemoryLimit, nil},
		"output":           {in(`"args":["output"]`), core.ReasonOutputLimit, nil},
		"loop":             {in(`"args":["loop"],"limits":{"timeoutMs":3000}`), core.ReasonDeadline, nil},
		"closed and loops": {in(`"args":["closed"],"limits":{"timeoutMs":3000}`), core.ReasonDeadline, nil},
		"no such program":  {in(`"command":["/nothing"]`), core.ReasonInvalidInput, nil},
		"not a program":    {in(`"command":["/etc"]`), core.ReasonInvalidInput, nil},
		"other image":      {strings.Replace(in(`"args":["cat"]`), image[:12], "sha256:00000", 1), core.ReasonInternal, nil},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			r, err := run(t, x, t.Context(), c.data)
			t.Logf("%.2f s, %v", time.Since(begun).Seconds(), err)
			var f *core.Failure
			switch errors.As(err, &f); {
			case c.reason != "" && (f == nil || f.Reason != c.reason):
				t.Errorf("%v, want reason %s", err, c.reason)
			case c.reason == "" && (err != nil || !c.want(r)):
				t.Errorf("exit code %d, %d bytes out, %.300q, %v", r.ExitCode, len(r.Stdout), r.Stderr, err)
			}
			if all := left(t, node); len(all) > 0 {
				t.Errorf("left behind: %v", all)
			}
		})
	}
}

// TestRealContainerCancelled: the end of its context ends a container at once.
func TestRealContainerCancelled(t *testing.T) {
	image := build(t)
	x, node := worker(t, image)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	begun := time.Now()
	_, err := run(t, x, ctx, `{"image":"`+image+`","args":["loop"]}`)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	if all := left(t, node); len(all) > 0 {
		t.Errorf("left behind: %v", all)
	}
}

// TestRealLeftoversAreSwept: what a node that was killed left runs no longer once it is
// there again.
func TestRealLeftoversAreSwept(t *testing.T) {
	image := build(t)
	_, node := worker(t, image)
	c, _, err := docker.Open(t.Context(), socket())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	labels := map[string]string{"tenzro.node": string(node)}
	id, err := c.Create(t.Context(), "tenzro-left", docker.Spec{Image: image, Cmd: []string{"loop"}, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Start(t.Context(), id), c.CreateVolume(t.Context(), "tenzro-left-files", labels)); err != nil {
		t.Fatal(err)
	}
	if all := left(t, node); len(all) != 2 {
		t.Fatalf("there are %v", all)
	}
	worker(t, image) // of the same name: the node again
	for deadline := time.Now().Add(30 * time.Second); len(left(t, node)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", left(t, node))
		}
	}
}
