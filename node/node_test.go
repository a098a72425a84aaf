package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/registry"
)

// TestStandalone: one node of every type is a network: it takes a task, computes
// it, verifies the proof and pays itself. It has all that the documents name, and
// earns from the first paid work on.
//
// spec 0.5 0.11 0.16 4.9 4.11 4.42 4.43 4.44 4.45 4.46 4.47 4.48 4.49 4.52 4.57
func TestStandalone(t *testing.T) {
	t.Parallel()
	n, _ := run(t, config(t, "global", "regional", "local"))
	if got := rows(n); !slices.Equal(got, []string{"global", "local", "regional"}) {
		t.Fatalf("parts %v", got)
	}
	if s := n.Status(); s.State != core.Online || s.Type != "global" || s.CreditsEarned != "0" {
		t.Errorf("at the start: %+v", s)
	}
	got := answers55(t, n)
	if len(got.Proofs) != 1 || !slices.Equal(got.Workers, []core.NodeID{n.ID()}) || !slices.Equal(got.Regions, []core.RegionID{n.ownRegion()}) {
		t.Errorf("result %+v", got)
	}
	await(t, "the pay", func() error {
		if s := n.Status(); s.State != core.Earning || s.CreditsEarned == "0" {
			return fmt.Errorf("state %s with %s credits", s.State, s.CreditsEarned)
		}
		return nil
	})
	if h := n.Health(); h.State != core.Earning || h.Version != "test" || !slices.Equal(h.Roles, []string{"global", "regional", "local"}) {
		t.Errorf("it says of itself %+v", h)
	}
	eightMeanings(t, n)
}

// eightMeanings wants every documented metric on the gatherer.
func eightMeanings(t *testing.T, n *Node) {
	t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, least := range map[string]float64{"tenzro_operations_total": 1, "tenzro_earned_total": 1, "tenzro_uptime_seconds": 0.001, "tenzro_peers_connected": 0,
		"tenzro_inference_throughput_tokens_per_second": 0, "tenzro_storage_shards": 0, "tenzro_storage_lru_hit_rate": 0, "tenzro_job_queue_depth": 0} {
		if v, ok := values[name]; !ok || v < least {
			t.Errorf("metric %s is %v, %v", name, v, ok)
		}
	}
}

// TestSyncing: a node without peers takes no outside work until it has some.
//
// spec 4.9 4.10 4.62
func TestSyncing(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "regional", "local")
	c.P2P.Standalone = false
	n, _ := run(t, c)
	if s := n.Status(); s.State != core.Syncing || s.MinPeers != 1 {
		t.Errorf("alone it is %s and needs %d peers", s.State, s.MinPeers)
	}
	wantKind(t, "ready", n.Ready(), core.Unavailable)
	if err := n.acceptsWork(); !errors.Is(err, core.Unavailable) || n.tasks.Window().Size("subtask") != 0 {
		t.Errorf("outside work: %v", err)
	}
	c2 := config(t, "global")
	c2.P2P.Standalone, c2.P2P.Bootstrap = false, []string{bootstrapAddr(n.host.Addrs())}
	other, _ := run(t, c2)
	for _, node := range []*Node{n, other} {
		await(t, "a peer", node.Ready)
		if s := node.Status(); s.State != core.Online || s.Peers != 1 {
			t.Errorf("with a peer: %s, %d peers", s.State, s.Peers)
		}
	}
	views := n.Peers()
	if len(views) != 1 || views[0].ID != other.ID() || views[0].Direction != "inbound" || *views[0].Reputation != registry.StartScore {
		t.Errorf("peers %+v", views)
	}
}

// TestHomeIsLocked: a second node on the same home is refused with one clear
// line, and free once the first one has ended.
func TestHomeIsLocked(t *testing.T) {
	c := config(t, "global")
	_, stop := run(t, c)
	n, err := New(c, zerolog.Nop())
	if n != nil {
		t.Error("there is a second node")
	}
	wantKind(t, "a second node", err, core.Exists)
	if text := err.Error(); !strings.Contains(text, c.Home) || strings.Contains(text, "\n") {
		t.Errorf("the message is %q", text)
	}
	stop()
	build(t, c)
}

// TestFailedNewLeavesNothingOpen: after an error ports and lock are free again.
func TestFailedNewLeavesNothingOpen(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	for name, spoil := range map[string]func(*Config){
		"a busy http port":    func(c *Config) { c.HTTP.Addr = busy.Addr().String() },
		"a busy metrics port": func(c *Config) { c.HTTP.MetricsAddr = busy.Addr().String() },
		"an open api":         func(c *Config) { c.HTTP.Addr, c.HTTP.Auth = "0.0.0.0:0", "none" },
		"a bad bootstrap":     func(c *Config) { c.P2P.Bootstrap = []string{"over there"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, "global")
			c.P2P.Port = port
			bad := c
			spoil(&bad)
			n, err := New(bad, zerolog.Nop())
			var e *core.Error
			if n != nil || !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "\n") {
				t.Fatalf("built %v with %v", n, err)
			}
			build(t, c) // the same home and p2p port
		})
	}
}

// TestNewRefusals: a home that cannot be used, a key others can read and a role
// that is too big are one clear line each.
func TestNewRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, c *Config)
		want  core.Kind
	}{
		{"a home that is a file", func(_ *testing.T, c *Config) { c.Home = file }, core.Denied},
		{"no home", func(_ *testing.T, c *Config) { c.Home = "" }, core.Invalid},
		{"a key that others can read", func(t *testing.T, c *Config) {
			build(t, Config{Home: c.Home, Network: c.Network, P2P: c.P2P, HTTP: c.HTTP}).close()
			if err := os.Chmod(filepath.Join(c.Home, KeyFile), 0o644); err != nil {
				t.Fatal(err)
			}
		}, core.Denied},
		{"a role for a bigger machine", func(_ *testing.T, c *Config) {
			c.Roles = core.RoleSet{{Name: "giant", Minimum: core.Minimum{Cores: 1 << 15}}}
		}, core.Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t, "global")
			c.spoil(t, &cfg)
			n, err := New(cfg, zerolog.Nop())
			if n != nil {
				t.Fatal("it was built")
			}
			wantKind(t, "building", err, c.want)
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the message is %q", err)
			}
		})
	}
}

// TestRuntimeFile: runtime.json says where the node is while it serves, and at no
// other time.
func TestRuntimeFile(t *testing.T) {
	c := config(t, "global", "regional")
	c.Region = east
	n, stop := run(t, c)
	read := func() (r Runtime) {
		t.Helper()
		text, err := os.ReadFile(n.path(RuntimeFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := read()
	if r.PID != os.Getpid() || r.PeerID != n.ID() || r.Network != "testnet" || r.Region != east || !slices.Equal(r.Roles, []string{"global", "regional"}) {
		t.Errorf("runtime %+v", r)
	}
	for what, addr := range map[string]string{"http": r.HTTP, "metrics": r.Metrics} {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		conn.Close()
	}
	if !strings.HasPrefix(r.Bootstrap, "/ip4/127.0.0.1/tcp/") || !strings.HasSuffix(r.Bootstrap, "/p2p/"+string(n.ID())) || !slices.Contains(r.Addrs, r.Bootstrap) {
		t.Errorf("bootstrap %s of %v", r.Bootstrap, r.Addrs)
	}
	if err := n.SetRoles(t.Context(), []string{"global"}); err != nil {
		t.Fatal(err)
	}
	if r := read(); !slices.Equal(r.Roles, []string{"global"}) {
		t.Errorf("after a change of roles it says %v", r.Roles)
	}
	stop()
	if left, err := filepath.Glob(filepath.Join(c.Home, "runtime*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestSetRoles: parts of a node come and go while it runs, its ad follows, and the
// region it keeps takes the configured name when it becomes a regional node.
//

// TestDrain: a node that was told to stop lets running work finish, takes none,
// and says why.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "regional", "local")
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	await(t, "the node to serve", n.Ready)
	spec := sample()
	spec.Requirements.MemoryMB = core.MaxMemoryMB
	g := gatewayTasks{n.coordinator, n}
	var s core.TaskStatus
	await(t, "a task that waits", func() (err error) {
		s, err = g.Submit(t.Context(), spec, "")
		return err
	})
	cancel()
	await(t, "the drain", func() error {
		if !n.draining.Load() {
			return errors.New("not yet")
		}
		return nil
	})
	_, submitted := g.Submit(t.Context(), sample(), "")
	_, distributed := n.regionalView().Distribute(t.Context(), "task-1", sample())
	for what, err := range map[string]error{"submitting": submitted, "distributing": distributed, "ready": n.Ready(),
		"assigning": n.localView().Assign(t.Context(), "task-1", sample())} {
		wantKind(t, what, err, core.Unavailable)
	}
	if size := n.links.regionWindow("job", "subtask").Size("job"); size != 0 || n.tasks.Window().Size("subtask") != 0 {
		t.Errorf("it asks for %d jobs", size)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with %v while a task was open", err)
	default:
	}
	if _, err := g.Cancel(t.Context(), s.TaskID); err != nil { // questions are answered until the end
		t.Errorf("cancelling while it drains: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// TestLocalViewRefusals: a task for this very node is checked before it waits.
func TestLocalViewRefusals(t *testing.T) {
	n, _ := run(t, config(t, "local"))
	for name, spec := range map[string]core.TaskSpec{"an unknown type": {Type: "dreaming", Data: json.RawMessage(`{}`)},
		"a deadline in the past": {Type: "compute", Data: sample().Data, Deadline: time.Now().Add(-time.Hour)},
		"bad data":               {Type: "compute", Data: json.RawMessage(`{"input":[],"operations":["guess"]}`)}} {
		if err := n.localView().Assign(t.Context(), "task-1", spec); !errors.Is(err, core.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := n.localView().Assign(t.Context(), "task-1", sample()); err != nil {
		t.Fatal(err)
	}
	if got, err := (gatewayTasks{n.coordinator, n}).Result(t.Context(), "task-1", patience); err != nil || string(got.Result) != "55" {
		t.Errorf("result %+v, %v", got, err)
	}
	if s, err := (gatewayTasks{n.coordinator, n}).Status(t.Context(), "task-1"); err != nil || s.Status != core.TaskCompleted {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := n.SetRoles(t.Context(), []string{"feedback"}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a node that does not compute", n.localView().Assign(t.Context(), "task-2", sample()), core.Denied)
}

// TestJudge: an invalid proof costs ten points and the cooldown, a lost lease one,
// verified work earns one; below 20 a node is not let in.
//
// spec 4.59 4.60 4.61 4.64
func TestJudge(t *testing.T) {
	n := build(t, config(t, "regional"))
	evidence := func(i int) core.Digest { return core.Sum([]byte{byte(i)}) }
	const child core.NodeID = "child"
	for i, c := range []struct {
		conduct dispatch.Conduct
		score   int
		trusted bool
	}{{dispatch.Delivered, 51, true}, {dispatch.LostLease, 50, true}, {dispatch.Lied, 40, false}, {dispatch.Lied, 30, false}, {dispatch.Lied, 20, false}, {dispatch.Lied, 10, false}} {
		n.judge(child, c.conduct, evidence(i))
		n.judge(child, c.conduct, evidence(i)) // the same evidence counts once
		now := time.Now()
		if got := n.reputation.Score(child); got != c.score || n.reputation.Trusted(child, now) != c.trusted {
			t.Errorf("after step %d the score is %d, trusted %v", i, got, n.reputation.Trusted(child, now))
		}
		if cooled := n.reputation.Trusted(child, now.Add(registry.Cooldown)); cooled != (c.score >= registry.ExcludeBelow) {
			t.Errorf("after step %d and the cooldown: trusted %v", i, cooled)
		}
		if err := n.admit(child); (err != nil) != (c.score < registry.ExcludeBelow) {
			t.Errorf("after step %d it is let in: %v", i, err)
		}
	}
	if len(n.announcer.reputations) == 0 {
		t.Error("others are not told that it fell")
	}
}
