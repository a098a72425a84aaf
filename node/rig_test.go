package node

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/wire"
)

// TestMain fails the package when a goroutine is left behind, and lets the test
// binary be the sandbox child of its nodes.
func TestMain(m *testing.M) {
	if sandbox.Main(map[string]sandbox.Handler{wasm.HandlerName: wasm.NewGuest(wasm.GuestConfig{}).Handle}) {
		return
	}
	goleak.VerifyTestMain(m,
		// Global goroutines of dependencies, started when they are imported or first
		// used, which have no end.
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/v2/writer.(*MirrorWriter).logRoutine"),
	)
}

const (
	east     core.RegionID = "us-east"
	patience               = time.Minute
)

// config is a small node on loopback that needs nobody.
func config(t *testing.T, roles ...string) Config {
	t.Helper()
	c := Config{Home: t.TempDir(), Network: "testnet", Version: "test",
		P2P:  P2PConfig{ListenIPs: []string{"127.0.0.1"}, WSPort: p2p.Off, LANPort: p2p.Off, Standalone: true},
		HTTP: HTTPConfig{Addr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0"}, Compute: ComputeConfig{Slots: 4}}
	if len(roles) > 0 {
		c.Roles = roleSet(t, roles...)
	}
	return c
}

func roleSet(t *testing.T, names ...string) core.RoleSet {
	t.Helper()
	set, err := core.ParseRoles(names...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// build is a node that does not run; what it holds is freed with the test.
func build(t *testing.T, c Config) *Node {
	t.Helper()
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unbuild(t, n) })
	return n
}

// unbuild runs a node to its end at once, which closes everything it opened.
func unbuild(t *testing.T, n *Node) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Run(ended); err != nil {
		t.Errorf("closing the node: %v", err)
	}
}

// run starts a node and returns what stops it; the test's end does so too.
func run(t *testing.T, c Config) (n *Node, stop func()) {
	t.Helper()
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return n, start(t, n)
}

// start runs a node that was built and returns what stops it.
func start(t *testing.T, n *Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	t.Cleanup(stop)
	await(t, "the node to serve", func() error {
		_, err := os.Stat(n.path(RuntimeFile))
		return err
	})
	return stop
}

// await repeats check until it passes.
func await(t *testing.T, what string, check func() error) {
	t.Helper()
	start := time.Now()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Since(start) > patience {
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// sample is the documents' task without requirements that a small machine lacks.
func sample() core.TaskSpec {
	return core.TaskSpec{Type: vector.Type, Data: json.RawMessage(`{"input":[1,2,3,4,5],"operations":["square","sum"]}`)}
}

// answers55 submits sample through the node's gateway and wants 55.
func answers55(t *testing.T, n *Node) core.TaskResult {
	t.Helper()
	g := gatewayTasks{n.coordinator, n}
	s, err := g.Submit(t.Context(), sample(), "")
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	got, err := g.Result(t.Context(), s.TaskID, patience)
	if err != nil || string(got.Result) != "55" {
		t.Fatalf("result %+v, %v", got, err)
	}
	return got
}

// unitOf is a task as one subtask.
func unitOf(spec core.TaskSpec) *jobs.Unit {
	return &jobs.Unit{Key: jobs.Key{Task: "t"}, Class: wire.ClassSubtask, Head: wire.Head(spec), Data: spec.Data}
}

// rows are the parts of the catalog that run, with their services.
func rows(n *Node) (out []string) {
	for _, h := range n.tree.Health() {
		if slices.Contains([]string{"regional", "global", "local", "feedback"}, h.Name) {
			out = append(out, h.Name)
		}
	}
	slices.Sort(out)
	return out
}

// wantKind fails the test unless err is of a kind and has a hint.
func wantKind(t *testing.T, what string, err error, want core.Kind) {
	t.Helper()
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != want || e.Hint == "" {
		t.Errorf("%s: %v (%v), want %s with a hint", what, err, core.KindOf(err), want)
	}
}
