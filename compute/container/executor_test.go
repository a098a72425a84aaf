package container_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/compute/container/docker/dockertest"
	"github.com/tenzro/tenzro/core"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// rig is an executor over a fake engine, serving.
type rig struct {
	*container.Executor
	changed chan struct{} // told that what is announced changed
}

func serve(t *testing.T, e *dockertest.Engine, change func(*container.Config)) *rig {
	t.Helper()
	images, err := container.ParseImages([]string{someImage})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{changed: make(chan struct{}, 100)}
	cfg := container.Config{On: true, Socket: e.Socket, Images: images, Node: "node-1", MemoryMB: 1024, Changed: func() { r.changed <- struct{}{} }}
	if change != nil {
		change(&cfg)
	}
	if r.Executor, err = container.New(cfg, nil, zerolog.New(zerolog.NewTestWriter(t))); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() { defer close(served); _ = r.Serve(ctx) }()
	t.Cleanup(func() { stop(); <-served })
	return r
}

// ready waits until what is announced changed.
func (r *rig) ready(t *testing.T) *rig {
	t.Helper()
	select {
	case <-r.changed:
	case <-time.After(patience):
		t.Fatal("what is announced did not change")
	}
	return r
}

// engine is a fake with the image of the tests.
func engine(t *testing.T) *dockertest.Engine {
	e := dockertest.New(t)
	e.Add(docker.Image{ID: someImage, OS: "linux", Arch: "amd64"})
	return e
}

func task(rest string) json.RawMessage {
	if rest != "" {
		rest = "," + rest
	}
	return json.RawMessage(`{"image":"` + someImage + `"` + rest + `}`)
}

// failure returns the reason that a task failed for, and fails the test if it did not.
func failure(t *testing.T, err error) *core.Failure {
	t.Helper()
	var f *core.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v, want a failure", err)
	}
	return f
}

// TestRun has programs that end in every way. Each container passes the contract of the
// fake engine, which refuses one that lacks a protection, and none is left.
func TestRun(t *testing.T) {
	block := func(ctx context.Context, _ dockertest.Process) dockertest.Exit {
		<-ctx.Done()
		return dockertest.Exit{}
	}
	for name, c := range map[string]struct {
		data    string
		program dockertest.Program
		want    string // the result
		reason  core.Reason
		message string
	}{
		"streams": {`"stdin":"aGVsbG8="`, func(_ context.Context, p dockertest.Process) dockertest.Exit {
			_, _ = io.Copy(p.Stdout, p.Stdin)
			_, _ = io.WriteString(p.Stderr, "!")
			return dockertest.Exit{Code: 7}
		}, `{"stdout":"aGVsbG8=","stderr":"IQ==","exitCode":7}`, "", ""},
		"words": {`"command":["run",1],"args":["-l",2.50],"env":{"B":"2","A":"1"}`, func(_ context.Context, p dockertest.Process) dockertest.Exit {
			fmt.Fprint(p.Stdout, p.Spec.Entrypoint, p.Spec.Cmd, p.Spec.Env)
			return dockertest.Exit{}
		}, `{"stdout":"W3J1biAxXSBbLWwgMi41MF0gW0E9MSBCPTJd","stderr":"","exitCode":0}`, "", ""}, // [run 1] [-l 2.50] [A=1 B=2]
		"files": {`"files":{"data/in.txt":"aW4=","x":""}`, func(_ context.Context, p dockertest.Process) dockertest.Exit {
			fmt.Fprintf(p.Stdout, "%s", p.Files)
			return dockertest.Exit{}
		}, `{"stdout":"bWFwW2RhdGEvaW4udHh0OmluIHg6XQ==","stderr":"","exitCode":0}`, "", ""}, // map[data/in.txt:in x:]
		"output": {``, func(_ context.Context, p dockertest.Process) dockertest.Exit {
			_, _ = io.WriteString(p.Stderr, "much")
			for line := make([]byte, 1<<20); ; {
				if _, err := p.Stdout.Write(line); err != nil {
					return dockertest.Exit{}
				}
			}
		}, "", core.ReasonOutputLimit, "much"},
		"memory": {``, func(_ context.Context, p dockertest.Process) dockertest.Exit {
			_, _ = io.WriteString(p.Stderr, "almost done")
			return dockertest.Exit{Code: 137, OOM: true}
		}, "", core.ReasonMemoryLimit, "more than 256 MiB of memory: almost done"},
		"a child's memory": {``, func(context.Context, dockertest.Process) dockertest.Exit { return dockertest.Exit{OOM: true} },
			`{"stdout":"","stderr":"","exitCode":0}`, "", ""},
		"time":        {`"limits":{"timeoutMs":50}`, block, "", core.ReasonDeadline, "still running"},
		"more memory": {`"limits":{"memoryMB":1025}`, block, "", core.ReasonInternal, "gives containers 1024 MiB"},
		"bad code":    {``, func(context.Context, dockertest.Process) dockertest.Exit { return dockertest.Exit{Code: 1000} }, "", core.ReasonInternal, "exit code 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine(t)
			e.Add(docker.Image{ID: someImage, OS: "linux", Arch: "amd64", Config: struct {
				Volumes map[string]struct{} `json:"Volumes"`
			}{map[string]struct{}{"/data": {}, "/work/": {}, "/work": {}, "/tmp": {}}}})
			e.Program = c.program
			x := serve(t, e, nil).ready(t)
			out, err := x.Run(t.Context(), task(c.data), compute.Report{})
			if c.reason != "" {
				if f := failure(t, err); f.Reason != c.reason || !strings.Contains(f.Message, c.message) {
					t.Errorf("%v, want %s: %s", f, c.reason, c.message)
				}
			} else if err != nil || string(out.Result) != c.want || out.Metric != 1 || x.Validate(task(c.data), out.Result) != nil {
				t.Errorf("%s, %v, want %s", out.Result, err, c.want)
			}
			if lacks := e.Complaints(); len(lacks) > 0 {
				t.Errorf("the engine refused: %v", lacks)
			}
			if left := e.Left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestOutputIsTold: what a container writes is told while it runs: this one goes on only
// when it has been heard.
func TestOutputIsTold(t *testing.T) {
	e := engine(t)
	heard := make(chan struct{})
	e.Program = func(ctx context.Context, p dockertest.Process) dockertest.Exit {
		_, _ = io.WriteString(p.Stderr, "begun")
		select {
		case <-heard:
			_, _ = io.WriteString(p.Stdout, "done")
		case <-ctx.Done():
		}
		return dockertest.Exit{}
	}
	var told []string
	report := compute.Report{OnOutput: func(s core.Stream, piece []byte) {
		if told = append(told, string(s)+" "+string(piece)); len(told) == 1 {
			close(heard)
		}
	}}
	out, err := serve(t, e, nil).ready(t).Run(t.Context(), task(`"limits":{"timeoutMs":60000}`), report)
	if err != nil || string(out.Result) != `{"stdout":"ZG9uZQ==","stderr":"YmVndW4=","exitCode":0}` {
		t.Fatalf("%s, %v", out.Result, err)
	}
	if got := strings.Join(told, ", "); got != "stderr begun, stdout done" {
		t.Errorf("told %q", got)
	}
}

// TestLimits: what a task may have goes to the engine, and never more than the node has.
func TestLimits(t *testing.T) {
	e := engine(t)
	var got docker.HostConfig
	e.Program = func(_ context.Context, p dockertest.Process) dockertest.Exit {
		got = p.Spec.HostConfig
		return dockertest.Exit{}
	}
	x := serve(t, e, func(c *container.Config) { c.CPU = 50 }).ready(t)
	for limits, want := range map[string][3]int64{
		`{}`:                                   {256 << 20, 1e9, 64},
		`{"memoryMB":100,"cpus":0.5,"pids":7}`: {100 << 20, 5e8, 7},
		`{"cpus":64}`:                          {256 << 20, 2e9, 64}, // half of four
	} {
		if _, err := x.Run(t.Context(), task(`"limits":`+limits), compute.Report{}); err != nil {
			t.Fatal(err)
		}
		if have := [3]int64{got.Memory, got.NanoCPUs, got.PidsLimit}; have != want || got.MemorySwap != got.Memory {
			t.Errorf("%s: %v, want %v", limits, have, want)
		}
	}
}

// TestCancelled: when its context ends a container is killed and removed before Run
// returns.
func TestCancelled(t *testing.T) {
	e := engine(t)
	ctx, cancel := context.WithCancel(t.Context())
	e.Program = func(ctx context.Context, _ dockertest.Process) dockertest.Exit {
		cancel()
		<-ctx.Done()
		return dockertest.Exit{}
	}
	x := serve(t, e, nil).ready(t)
	if _, err := x.Run(ctx, task(`"files":{"a":""}`), compute.Report{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left := e.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestOff: without the operator's word there is nothing to announce and nothing runs.
func TestOff(t *testing.T) {
	x, err := container.New(container.Config{Socket: "/nothing", MemoryMB: 1024}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Run(t.Context(), task(""), compute.Report{})
	if f := failure(t, err); f.Reason != core.ReasonInternal || !strings.Contains(f.Message, "not switched them on") || len(x.Runtimes()) != 0 {
		t.Errorf("%v, %v", f, x.Runtimes())
	}
}

// TestOnlyAllowedImages: an image that is there and not on the list is not run, and one
// that was swapped under its name neither.
func TestOnlyAllowedImages(t *testing.T) {
	e := engine(t)
	other := "sha256:" + strings.Repeat("0", 64)
	e.Add(docker.Image{ID: other, OS: "linux", Arch: "amd64", RepoDigests: []string{"tools/other@" + other}})
	x := serve(t, e, nil).ready(t)
	_, err := x.Run(t.Context(), json.RawMessage(`{"image":"`+other+`"}`), compute.Report{})
	if f := failure(t, err); f.Reason != core.ReasonInternal || !strings.Contains(f.Message, "does not allow it") {
		t.Errorf("%v", f)
	}
	e.Swap(someImage, docker.Image{ID: other, OS: "linux", Arch: "amd64"})
	_, err = x.Run(t.Context(), task(""), compute.Report{})
	if f := failure(t, err); f.Reason != core.ReasonInternal || !strings.Contains(f.Message, "another image under that id") {
		t.Errorf("%v", f)
	}
	x.ready(t) // it is withdrawn
	if got := x.Runtimes(); len(got) != 0 {
		t.Errorf("announces %v", got)
	}
}

// TestImagesAnnounced: a node announces the images that it has of those that are allowed,
// by repository digest and by id, and not those that are other than they should be.
func TestImagesAnnounced(t *testing.T) {
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	e := engine(t)
	e.Add(docker.Image{ID: digest("1"), OS: "linux", Arch: "amd64", RepoDigests: []string{"tools/a@" + digest("a")}})
	e.Add(docker.Image{ID: digest("2"), OS: "windows", RepoDigests: []string{"tools/b@" + digest("b")}})
	e.Swap("tools/c@"+digest("c"), docker.Image{ID: digest("3"), OS: "linux", Arch: "amd64", RepoDigests: []string{"tools/c@" + digest("d")}})
	e.Add(docker.Image{ID: digest("f"), OS: "linux", Arch: "arm64"})
	images, err := container.ParseImages([]string{someImage, "tools/a@" + digest("a"), "tools/b@" + digest("b"), "tools/c@" + digest("c"), digest("e"), digest("f")})
	if err != nil {
		t.Fatal(err)
	}
	x := serve(t, e, func(c *container.Config) { c.Images = images }).ready(t)
	if got := fmt.Sprint(x.Runtimes()); got != "[container container/5f5e5d5c5b5a5958 container/aaaaaaaaaaaaaaaa]" {
		t.Errorf("announces %s", got)
	}
	if _, err := x.Run(t.Context(), json.RawMessage(`{"image":"elsewhere/a@`+digest("a")+`"}`), compute.Report{}); err != nil {
		t.Errorf("by another name: %v", err)
	}
	h, err := container.Find(t.Context(), e.Socket, images)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for ref, want := range map[string]string{"tools/b@" + digest("b"): "windows", "tools/c@" + digest("c"): "another digest", digest("e"): "does not have it",
		digest("f"): `made for "arm64", and the engine runs on "amd64"`} {
		if err := h.Missing[ref]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", ref, err, want)
		}
	}
}

// TestPull: only where the operator says so the engine fetches what is missing.
func TestPull(t *testing.T) {
	for _, pull := range []bool{false, true} {
		e := engine(t)
		name := "tools/a@sha256:" + strings.Repeat("a", 64)
		e.Pulls = map[string]docker.Image{name: {ID: "sha256:" + strings.Repeat("1", 64), OS: "linux", Arch: "amd64", RepoDigests: []string{name}}}
		var asked atomic.Int64
		e.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/images/create" {
				asked.Add(1)
			}
			return false
		}
		images, err := container.ParseImages([]string{someImage, name, "tools/gone@sha256:" + strings.Repeat("b", 64)})
		if err != nil {
			t.Fatal(err)
		}
		x := serve(t, e, func(c *container.Config) { c.Images, c.Pull = images, pull }).ready(t)
		if pull {
			x.ready(t)
		}
		if has := len(x.Runtimes()) == 3; has != pull || (asked.Load() == 2) != pull {
			t.Errorf("pull %v: announces %v, asked %d times", pull, x.Runtimes(), asked.Load())
		}
	}
}

// TestUnfitEngine: an engine that cannot keep a limit is not used, and the reason is told.
func TestUnfitEngine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*dockertest.Engine)
		want   string
	}{
		"memory":          {func(e *dockertest.Engine) { e.Info.MemoryLimit = false }, "limits of memory"},
		"swap":            {func(e *dockertest.Engine) { e.Info.SwapLimit = false }, "limits of swap"},
		"processes":       {func(e *dockertest.Engine) { e.Info.PidsLimit = false }, "limits of processes"},
		"processors":      {func(e *dockertest.Engine) { e.Info.CPUQuota = false }, "limits of CPU time"},
		"no seccomp":      {func(e *dockertest.Engine) { e.Info.SecurityOptions = nil }, "seccomp"},
		"no profile":      {func(e *dockertest.Engine) { e.Info.SecurityOptions = []string{"name=seccomp,profile=unconfined"} }, "seccomp"},
		"other system":    {func(e *dockertest.Engine) { e.Info.OSType = "windows" }, "Linux containers"},
		"old":             {func(e *dockertest.Engine) { e.Version.APIVersion = "1.40" }, "1.41 is needed"},
		"no version":      {func(e *dockertest.Engine) { e.Version.APIVersion = "new" }, "version of its API"},
		"new, older kept": {func(e *dockertest.Engine) { e.Version.APIVersion, e.Version.MinAPIVersion = "1.60", "1.44" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine(t)
			c.change(e)
			h, err := container.Find(t.Context(), e.Socket, nil)
			if err == nil {
				h.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestSweep: what an earlier run of this node left is removed when it is there again; what
// is another's stays.
func TestSweep(t *testing.T) {
	e := engine(t)
	c, _, err := docker.Open(t.Context(), e.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"node-1", "node-2"} {
		if err := c.CreateVolume(t.Context(), "tenzro-"+name, map[string]string{"tenzro.node": name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CreateVolume(t.Context(), "precious", map[string]string{"tenzro.node": "node-1"}); err != nil {
		t.Fatal(err)
	}
	x := serve(t, e, nil).ready(t)
	await(t, func() bool { return fmt.Sprint(e.Left()) == "[precious tenzro-node-2]" })
	// A container that could not be removed is tried again, and by then the node knows
	// nothing of it.
	var refuse atomic.Bool
	refuse.Store(true)
	e.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && refuse.Swap(false) {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	if _, err := x.Run(t.Context(), task(""), compute.Report{}); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return len(e.Left()) == 2 })
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen")
		}
	}
}
