package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/storage/storagetest"
)

// network is a whole network as small as it can be: every interface the server
// needs, answering with the documents' own examples. Tests change its fields
// before they send requests.
type network struct {
	mu     sync.Mutex
	err    error // answered by every method that may fail
	task   core.TaskStatus
	result core.TaskResult
	global core.GlobalState
	region core.RegionalState
	local  core.LocalStatus
	active map[core.NodeType]bool
	top    core.NodeType
	steps  []workflow.StepStatus
	roles  []string
	mode   string
	ready  error
	waits  bool          // Result waits for its context or the whole wait
	began  chan struct{} // gets a value when Result begins, if not nil
	gate   chan struct{} // if not nil, Submit says on began that it begins and takes a value from here to go on

	keys    []string // idempotency keys seen
	specs   []core.TaskSpec
	traces  []trace.Context   // those of tasks
	filters []core.TaskFilter // lists asked for
	next    string            // where they go on
	silent  []core.RegionID   // regions missing in them
	events  []core.TaskEvent
	ended   bool          // no more events follow
	grew    chan struct{} // closed when events or ended change

	heard  core.OutputQuery      // asked for last
	output chan core.OutputEvent // what Output tells until it is closed; nil for nothing

	calls int // calls that would have started something
}

var (
	_ api.Tasks     = (*network)(nil)
	_ api.Workflows = (*network)(nil)
	_ api.Insight   = (*network)(nil)
	_ api.Global    = globalRole{}
	_ api.Regional  = regionalRole{}
	_ api.Local     = localRole{}
	_ api.Node      = nodeRole{}
	_ api.Roles     = (*network)(nil)
)

// newNetwork answers with the values of the documents' API reference.
func newNetwork() *network {
	free := func(c, m, s float64) core.Capacity { return core.Capacity{CPU: c, Memory: m, Storage: s} }
	node := core.NodeState{ID: "node123", Type: "local", Tier: core.TierAggregator, Capacity: free(0.8, 0.6, 0.7), ActiveTaskCount: 2}
	return &network{
		task:   core.TaskStatus{TaskID: "abc123", Status: core.TaskPending, Type: "compute"},
		result: core.TaskResult{TaskID: "abc123", Status: core.TaskCompleted, Result: json.RawMessage("55")},
		global: core.GlobalState{Regions: []core.RegionState{
			{ID: "us-east", Capacity: free(0.7, 0.8, 0.5), PerformanceScore: 0.9},
			{ID: "eu-west", Capacity: free(0.6, 0.7, 0.8), PerformanceScore: 0.85}},
			GlobalCapacity: free(0.65, 0.75, 0.6), TotalValidators: 10, ActiveValidators: 8},
		region: core.RegionalState{Nodes: []core.NodeState{node,
			{ID: "node456", Type: "local", Tier: core.TierTrainer, Capacity: free(0.9, 0.8, 0.85), ActiveTaskCount: 1}},
			Aggregations:         []core.AggregationState{{ID: "agg123", Nodes: []core.NodeID{"node123", "node456"}, Capacity: free(0.95, 0.9, 0.95)}},
			TotalTasksInProgress: 5, AverageTaskDuration: 2500},
		local:  core.LocalStatus{NodeState: node, AggregatedWith: "agg123"},
		active: map[core.NodeType]bool{core.Global: true, core.Regional: true, core.Local: true},
		top:    core.Global,
		roles:  []string{"global", "regional", "local"},
		mode:   "hybrid",
	}
}

// as makes n a node of exactly one type.
func (n *network) as(t core.NodeType) *network {
	n.top, n.active = t, map[core.NodeType]bool{t: true}
	return n
}

func (n *network) started() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
}

func (n *network) Submit(ctx context.Context, spec core.TaskSpec, key string) (core.TaskStatus, error) {
	n.started()
	if n.gate != nil {
		n.began <- struct{}{}
		<-n.gate
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys, n.specs, n.traces = append(n.keys, key), append(n.specs, spec), append(n.traces, trace.From(ctx))
	return n.task, n.err
}

func (n *network) Status(context.Context, core.TaskID) (core.TaskStatus, error) { return n.task, n.err }

func (n *network) Result(ctx context.Context, _ core.TaskID, wait time.Duration) (core.TaskResult, error) {
	if n.began != nil {
		n.began <- struct{}{}
	}
	if !n.waits {
		return n.result, n.err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return core.TaskResult{}, ctx.Err()
	case <-timer.C:
		return core.TaskResult{}, core.Errorf(core.Conflict, "task", "task is running")
	}
}

func (n *network) Cancel(context.Context, core.TaskID) (core.TaskStatus, error) {
	n.started()
	return n.task, n.err
}

func (n *network) List(_ context.Context, f core.TaskFilter) (core.TaskPage, error) {
	n.mu.Lock()
	n.filters = append(n.filters, f)
	n.mu.Unlock()
	if f.Status != "" && f.Status != n.task.Status {
		return core.TaskPage{}, n.err
	}
	return core.TaskPage{Tasks: []core.TaskStatus{n.task}, Next: n.next, Incomplete: n.silent}, n.err
}

// Events tells what is behind after of n.events, and waits when that is nothing.
func (n *network) Events(ctx context.Context, _ core.TaskID, after uint64, wait time.Duration) (core.TaskEvents, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		n.mu.Lock()
		out, grew := core.TaskEvents{Events: []core.TaskEvent{}, Final: n.ended}, n.grew
		for _, e := range n.events {
			if e.ID > after {
				out.Events = append(out.Events, e)
			}
		}
		err := n.err
		n.mu.Unlock()
		if err != nil || len(out.Events) > 0 || out.Final || wait == 0 {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, nil
		case <-grew:
		}
	}
}

func (n *network) Why(_ context.Context, id core.TaskID) (core.TaskWhy, error) {
	return core.TaskWhy{TaskID: id, Status: core.TaskPending, Because: "it waits", Helps: []string{"wait"}}, n.err
}

func (n *network) Trace(_ context.Context, id core.TaskID) (core.Trace, error) {
	return core.Trace{TaskID: id, TraceID: "4bf9", Spans: []core.Span{{Name: "task", At: core.AtGateway}}}, n.err
}

// Output tells what comes from output.
func (n *network) Output(ctx context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	n.mu.Lock()
	n.heard = q
	output, err := n.output, n.err
	n.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		select {
		case e, more := <-output:
			if !more {
				n.mu.Lock()
				defer n.mu.Unlock()
				return n.err
			}
			if err := fn(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *network) Workflow(context.Context, core.TaskID) (workflow.Status, error) {
	return workflow.Status{TaskStatus: n.task, Steps: n.steps}, n.err
}

func (n *network) Roles() []string { return n.roles }

func (n *network) SetRoles(_ context.Context, names []string) error {
	n.started()
	if n.err == nil {
		n.roles = names
	}
	return n.err
}

func (n *network) Mode() string { return n.mode }

func (n *network) SetMode(_ context.Context, name string) error {
	n.started()
	if n.err == nil {
		n.mode = name
	}
	return n.err
}

type globalRole struct{ *network }

func (g globalRole) NetworkState(context.Context) (core.GlobalState, error) { return g.global, g.err }

type regionalRole struct{ *network }

func (r regionalRole) Distribute(_ context.Context, _ core.TaskID, spec core.TaskSpec) (int, error) {
	r.started()
	return 5, r.err
}

func (r regionalRole) AcceptResult(context.Context, core.TaskID, core.NodeID, json.RawMessage) error {
	r.started()
	return r.err
}

func (r regionalRole) NetworkState(context.Context) (core.RegionalState, error) {
	return r.region, r.err
}

type localRole struct{ *network }

func (l localRole) Assign(context.Context, core.TaskID, core.TaskSpec) error {
	l.started()
	return l.err
}

func (l localRole) Status(context.Context) (core.LocalStatus, error) { return l.local, l.err }

func (l localRole) Aggregate(context.Context, core.Tier, time.Duration) (string, error) {
	l.started()
	return "proposal123", l.err
}

type nodeRole struct{ *network }

func (n nodeRole) Status() api.NodeStatus {
	return api.NodeStatus{ID: "node123", Version: "1.2.3", Network: "testnet", Type: n.top.String(), State: core.Online, CreditsEarned: "0"}
}
func (n nodeRole) Ready() error                { return n.ready }
func (n nodeRole) Peers() []api.Peer           { return []api.Peer{{ID: "node456", Direction: "inbound"}} }
func (n nodeRole) Parameters() core.Parameters { return core.Parameters{Network: "testnet"} }

func (n nodeRole) Profile() api.Profile { return api.Profile{OS: "linux", Tier: core.TierAggregator} }

type coordinators struct{ *network }

func (c coordinators) Region(context.Context) (api.RegionStatus, error) {
	return api.RegionStatus{Region: "us-east", Journal: "disk", Leader: "node123", Epoch: 7, Open: 1, Finished: 2,
		Members: []api.RegionMember{{ID: "node123", State: "voter", Leader: true, Self: true}}}, c.err
}

func (c coordinators) Admit(context.Context, core.NodeID) error {
	c.started()
	return c.err
}

func (c coordinators) Remove(context.Context, core.NodeID) error {
	c.started()
	return c.err
}

// deps hands the network to a server as package node would.
func (n *network) deps() api.Deps {
	return api.Deps{
		Tasks:     n,
		Workflows: n,
		Insight:   n,
		Objects:   objects{n, &storagetest.Memory{}},
		Global: func() api.Global {
			if n.active[core.Global] {
				return globalRole{n}
			}
			return nil
		},
		Regional: func() api.Regional {
			if n.active[core.Regional] {
				return regionalRole{n}
			}
			return nil
		},
		Local: func() api.Local {
			if n.active[core.Local] {
				return localRole{n}
			}
			return nil
		},
		Node:         nodeRole{n},
		Roles:        n,
		Modes:        n,
		Coordinators: coordinators{n},
		Events:       event.New(0),
		Highest:      func() core.NodeType { return n.top },
	}
}

// newServer builds a server on loopback over n; change may be nil.
func newServer(t testing.TB, n *network, change func(*api.Config, *api.Deps)) *api.Server {
	t.Helper()
	cfg := api.Config{Addr: "127.0.0.1:0"}
	deps := n.deps()
	registry := prometheus.NewRegistry()
	deps.Registerer, deps.Gatherer = registry, registry
	if change != nil {
		change(&cfg, &deps)
	}
	s, err := api.New(cfg, deps, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send plays one request; headers are "Name: value" lines.
func send(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	req.Host, req.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:4000"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// problem decodes an error answer and checks what every one must have.
func problem(t *testing.T, w *httptest.ResponseRecorder) api.Problem {
	t.Helper()
	var p api.Problem
	dec := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("status %d: body is no problem: %v: %s", w.Code, err, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	if p.Status != w.Code || p.Type != "about:blank" || p.Title != http.StatusText(w.Code) || p.Detail == "" || p.Code == "" {
		t.Errorf("incomplete problem for status %d: %+v", w.Code, p)
	}
	if p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("requestId %q, header %q", p.RequestID, w.Header().Get("X-Request-Id"))
	}
	return p
}

func tokensPath(t *testing.T) string { return filepath.Join(t.TempDir(), "tokens.json") }

const sample = `{"type":"compute","requirements":{"minTier":"aggregator","cpu":80,"memoryMB":1024},"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`

// panicking has a bug.
type panicking struct{ *network }

func (panicking) Status(context.Context, core.TaskID) (core.TaskStatus, error) { panic("boom") }
