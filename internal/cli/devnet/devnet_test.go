package devnet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// behaviour tells the test binary what to be when it is started as a node.
const behaviour = "FAKE_NODE"

// TestMain lets the test binary be a node, and a devnet that is killed.
func TestMain(m *testing.M) {
	how := os.Getenv(behaviour)
	switch {
	case how == "":
		goleak.VerifyTestMain(m)
	case os.Args[1] == "run":
		os.Exit(fakeNode(how))
	default:
		os.Exit(parent())
	}
}

// flagValue returns the value of a flag in the fake's own command line.
func flagValue(name string) string {
	i := slices.Index(os.Args, "--"+name)
	if i < 0 || i+1 >= len(os.Args) {
		return ""
	}
	return os.Args[i+1]
}

// fakeNode keeps a node's side of the contract: runtime.json, /readyz, the
// documented state, one task.
func fakeNode(how string) int {
	home, role, region := flagValue("home"), flagValue("role"), flagValue("region")
	id := core.NodeID("id-of-" + filepath.Base(home))
	if how == "dies" && role == "aggregator" {
		fmt.Fprintln(os.Stderr, "error: port is in use")
		return 1
	}
	if role != "global" && flagValue("bootstrap") != "/bootstrap/of/id-of-global-1" {
		fmt.Fprintln(os.Stderr, "wrong bootstrap", flagValue("bootstrap"))
		return 1
	}
	answer := func(path string, body any) {
		http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(body) })
	}
	answer("/readyz", map[string]string{})
	if role == "regional" {
		answer("/network/state", core.RegionalState{Nodes: make([]core.NodeState, 2)})
	} else {
		answer("/network/state", core.GlobalState{Regions: []core.RegionState{{ID: "eu-west"}, {ID: "us-east"}}})
	}
	result := core.TaskResult{TaskID: "t1", Status: core.TaskCompleted, Result: json.RawMessage("55"), Regions: []core.RegionID{"eu-west"},
		Workers: []core.NodeID{"id-of-eu-west-worker-1", "id-of-eu-west-worker-2"}}
	if how == "fails" {
		result = core.TaskResult{TaskID: "t1", Status: core.TaskFailed, Failure: &core.Failure{Reason: core.ReasonDeadline, Message: "late"}}
	}
	answer("/api/v1/tasks", core.TaskStatus{TaskID: "t1", Status: core.TaskPending})
	answer("/api/v1/tasks/t1/result", result)
	srv := httptest.NewServer(http.DefaultServeMux)
	runtime, err := json.Marshal(client.Runtime{PID: os.Getpid(), PeerID: id, HTTP: srv.URL, Region: core.RegionID(region), Bootstrap: "/bootstrap/of/" + string(id)})
	if err != nil || os.WriteFile(filepath.Join(home, client.RuntimeFile), runtime, 0o600) != nil {
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return 0
}

// parent starts a network, prints its process ids and waits to be killed.
func parent() int {
	n, err := Start(context.Background(), plan(os.Args[1]), os.Args[0], os.Environ(), os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, node := range n.Nodes() {
		fmt.Print(node.PID, " ")
	}
	fmt.Println()
	n.Wait(context.Background())
	return 0
}

func plan(home string) Plan {
	return Plan{Globals: 1, Regions: []string{"us-east", "eu-west"}, Locals: 2, Network: "devnet", Home: home}
}

func environ(how string) []string {
	return append(os.Environ(), behaviour+"="+how, "TENZRO_HTTP=must-not-reach-the-nodes")
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && runtime.GOOS != "linux"
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return state[0] != 'Z'
}

// TestNetwork: every node is a process of its own, the answer names the ones
// that computed it, and Close leaves none.
func TestNetwork(t *testing.T) {
	n, err := Start(context.Background(), plan(t.TempDir()), os.Args[0], environ("works"), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := n.Submit(context.Background())
	if err != nil || string(answer.Result) != "55" || answer.Status != core.TaskCompleted || answer.TaskID != "t1" {
		t.Errorf("answer %+v, error %v", answer, err)
	}
	nodes := n.Nodes()
	names := []string{}
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	want := "global-1 us-east eu-west us-east-worker-1 us-east-worker-2 eu-west-worker-1 eu-west-worker-2"
	if strings.Join(names, " ") != want {
		t.Errorf("nodes %v, want %s", names, want)
	}
	if answer.Gateway != (Process{"id-of-global-1", nodes[0].PID}) || len(answer.Regions) != 1 || answer.Regions[0] != (RegionProcess{"eu-west", "id-of-eu-west", nodes[2].PID}) ||
		len(answer.Workers) != 2 || answer.Workers[1] != (Process{"id-of-eu-west-worker-2", nodes[6].PID}) {
		t.Errorf("answer %+v of %+v", answer, nodes)
	}
	n.Close()
	for _, node := range nodes {
		if alive(node.PID) {
			t.Errorf("%s, process %d, still runs", node.Name, node.PID)
		}
	}
}

// TestWaitTellsOfDeaths: a node that ends is told once, the others go on.
func TestWaitTellsOfDeaths(t *testing.T) {
	var progress bytes.Buffer
	n, err := Start(context.Background(), plan(t.TempDir()), os.Args[0], environ("works"), &progress)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	victim := n.processes[3]
	if err := syscall.Kill(victim.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-victim.done
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	n.Wait(ctx)
	if got := strings.Count(progress.String(), "node us-east-worker-1 ended (signal: killed)"); got != 1 || n.processes[0].ended() {
		t.Errorf("told %d times: %s", got, progress.String())
	}
}

// TestNodeThatDies: the error quotes what the node said, and nothing is left.
func TestNodeThatDies(t *testing.T) {
	home := t.TempDir()
	_, err := Start(context.Background(), plan(home), os.Args[0], environ("dies"), t.Output())
	if err == nil || !strings.Contains(err.Error(), "node us-east-worker-1 ended (exit status 1)") || !strings.Contains(err.Error(), "error: port is in use") {
		t.Errorf("error %v", err)
	}
	text, readErr := os.ReadFile(filepath.Join(home, "global-1", client.RuntimeFile))
	var r client.Runtime
	if readErr != nil || json.Unmarshal(text, &r) != nil || alive(r.PID) {
		t.Errorf("global node of %s still runs (%v)", text, readErr)
	}
}

func TestSampleThatFails(t *testing.T) {
	n, err := Start(context.Background(), plan(t.TempDir()), os.Args[0], environ("fails"), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var failure *core.Failure
	if _, err := n.Submit(context.Background()); !errors.As(err, &failure) || failure.Reason != core.ReasonDeadline {
		t.Errorf("error %v", err)
	}
}

// TestInterrupted: giving up while nodes start leaves nothing either.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Start(ctx, plan(t.TempDir()), os.Args[0], environ("works"), t.Output()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestKilledParent: SIGKILL gives no chance to clean up; the kernel does it.
func TestKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	cmd := exec.Command(os.Args[0], t.TempDir())
	cmd.Env, cmd.Stderr = environ("works"), t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no process ids: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	pids := strings.Fields(line)
	if len(pids) != 7 {
		t.Fatalf("process ids %q", line)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if every(ctx, 10*time.Millisecond, func() (bool, error) { return !alive(pid), nil }) != nil {
			t.Errorf("process %d outlived its parent", pid)
		}
	}
}

func TestPlanRefusals(t *testing.T) {
	tests := map[string]struct {
		change func(*Plan)
		op     string
	}{
		"no global":      {func(p *Plan) { p.Globals = 0 }, "--globals"},
		"no worker":      {func(p *Plan) { p.Locals = 0 }, "--globals"},
		"no region":      {func(p *Plan) { p.Regions = nil }, "--globals"},
		"too many":       {func(p *Plan) { p.Locals = 40 }, "--locals"},
		"overflow":       {func(p *Plan) { p.Locals = 1 << 62 }, "--locals"},
		"region twice":   {func(p *Plan) { p.Regions = []string{"a", "a"} }, "--regions"},
		"region name":    {func(p *Plan) { p.Regions = []string{"../a"} }, "--regions"},
		"network's name": {func(p *Plan) { p.Network = "a b" }, "--network"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := plan(t.TempDir())
			tt.change(&p)
			_, err := Start(context.Background(), p, os.Args[0], nil, t.Output())
			var known *core.Error
			if !errors.As(err, &known) || known.Op != tt.op || known.Hint == "" {
				t.Errorf("error %#v", err)
			}
		})
	}
}

// TestSampleIsTheDocumentedOne: field by field.
func TestSampleIsTheDocumentedOne(t *testing.T) {
	var spec core.TaskSpec
	if err := json.Unmarshal([]byte(Sample), &spec); err != nil {
		t.Fatal(err)
	}
	r := spec.Requirements
	if spec.Validate() != nil || spec.Type != "compute" || r.MinTier != core.TierAggregator || r.CPU != 80 || r.MemoryMB != 1024 ||
		string(spec.Data) != `{"input":[1,2,3,4,5],"operations":["square","sum"]}` {
		t.Errorf("sample %+v", spec)
	}
}
