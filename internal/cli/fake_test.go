package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/storage/storagetest"
)

// fakeNode is a node behind the real API: the bodies are the contract, only
// what happens behind them is scripted. A task ends as its first operation says:
// "slow" never, "fail" without a result, anything else with 55.
type fakeNode struct {
	mu    sync.Mutex
	tasks []core.TaskStatus
	roles []string
	mode  string
	ready error

	second  string // state of the region's second coordinator
	removed bool   // it is none any more

	objects storagetest.Memory

	// output tells what a task writes; nil for a type that writes none.
	output func(q core.OutputQuery, tell func(core.OutputEvent) error) error

	value json.RawMessage // of a completed task; nil is 55
	hold  chan struct{}   // the result is there when it is closed; nil is at once

	asked func() // called when a result is asked for that is not there yet; nil for nothing
}

func newFakeNode() *fakeNode {
	return &fakeNode{roles: []string{"global", "local"}, mode: "hybrid", second: "waiting"}
}

// fakeObjects puts nothing in place: tasks are shown as they came.
type fakeObjects struct{ *storagetest.Memory }

func (fakeObjects) Resolve(_ context.Context, spec core.TaskSpec) (core.TaskSpec, error) {
	return spec, nil
}

// serve returns the URL of the node's API.
func (f *fakeNode) serve(t testing.TB, cfg api.Config) string {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	srv, err := api.New(cfg, api.Deps{
		Tasks: f, Workflows: f, Insight: f, Node: fakeSelf{f}, Roles: f, Modes: f, Coordinators: f, Events: event.New(0), Objects: fakeObjects{&f.objects},
		Global:   func() api.Global { return f },
		Regional: func() api.Regional { return nil },
		Local:    func() api.Local { return nil },
		Highest:  func() core.NodeType { return core.Global },
	}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(srv.Handler())
	t.Cleanup(listener.Close)
	return listener.URL
}

// submitWorkflow takes a graph that is right; it ends as the first operation of its
// first step says, "slow" and "fail" as for a task.
func (f *fakeNode) submitWorkflow(spec core.TaskSpec) (core.TaskStatus, error) {
	if _, err := (workflow.Planner{Tasks: map[core.TaskType]compute.Planner{vector.Type: anyData{}}}).Check(spec.Data); err != nil {
		return core.TaskStatus{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status := core.TaskStatus{TaskID: core.TaskID("flow-" + string(rune('1'+len(f.tasks)))), Status: core.TaskCompleted, Progress: 1, Type: workflow.Type,
		Region: "us-east", Subtasks: 3, Created: time.Unix(1_800_000_000, 0).UTC(), Updated: time.Unix(1_800_000_001, 0).UTC()}
	switch text := string(spec.Data); {
	case strings.Contains(text, `"slow"`):
		status.Status, status.Progress = core.TaskRunning, 0.5
	case strings.Contains(text, `"fail"`):
		status.Status, status.Progress = core.TaskFailed, 0.5
		status.Failure = &core.Failure{Reason: core.ReasonOverflow, Message: `step "b": overflow: too large`}
	}
	f.tasks = append(f.tasks, status)
	pending := status
	pending.Status, pending.Progress, pending.Failure = core.TaskPending, 0, nil
	return pending, nil
}

// anyData is a planner that finds nothing wrong.
type anyData struct{ vector.Vector }

func (anyData) Check(json.RawMessage) (compute.Cost, error) { return compute.Cost{MaxShards: 1}, nil }

// Workflow shows a graph of three steps in two levels.
func (f *fakeNode) Workflow(ctx context.Context, id core.TaskID) (workflow.Status, error) {
	t, err := f.Status(ctx, id)
	if err != nil {
		return workflow.Status{}, err
	}
	if t.Type != workflow.Type {
		return workflow.Status{}, core.Errorf(core.NotFound, "taskId", "task %s is not a workflow", id).WithHint("see it with: tenzro task get " + string(id))
	}
	last, done := workflow.StepDone, 1
	var failure *core.Failure
	switch t.Status {
	case core.TaskRunning:
		last, done = workflow.StepRunning, 0
	case core.TaskFailed:
		last, done, failure = workflow.StepFailed, 0, &core.Failure{Reason: core.ReasonOverflow, Message: "too large"}
	case core.TaskCancelled:
		last, done = workflow.StepCancelled, 0
	}
	return workflow.Status{TaskStatus: t, Steps: []workflow.StepStatus{
		{ID: "squares", State: workflow.StepDone, Type: vector.Type, Map: true, Jobs: 3, Done: 3, Retries: 1, Progress: 1},
		{ID: "a", State: workflow.StepDone, Type: vector.Type, Jobs: 1, Done: 1, Progress: 1, TaskID: "us-east-1"},
		{ID: "b", State: last, Type: vector.Type, Level: 1, After: []workflow.StepID{"squares", "a"}, Jobs: 1, Done: done, Running: map[bool]int{true: 1}[last == workflow.StepRunning],
			TaskID: "us-east-2", Failure: failure}}}, nil
}

func (f *fakeNode) Submit(_ context.Context, spec core.TaskSpec, _ string) (core.TaskStatus, error) {
	if spec.Type == workflow.Type {
		return f.submitWorkflow(spec)
	}
	var data struct {
		Input      json.RawMessage `json:"input"`
		Operations []any           `json:"operations"`
	}
	if err := json.Unmarshal(spec.Data, &data); spec.Type == vector.Type && (err != nil || len(data.Operations) == 0) {
		return core.TaskStatus{}, core.Errorf(core.Invalid, "data.operations", "data.operations is missing").WithHint("name an operation")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status := core.TaskStatus{TaskID: core.TaskID("task-" + string(rune('1'+len(f.tasks)))), Status: core.TaskRunning, Type: spec.Type,
		Region: "us-east", Subtasks: 2, Created: time.Unix(1_800_000_000, 0).UTC(), Updated: time.Unix(1_800_000_001, 0).UTC()}
	if spec.Type != vector.Type {
		data.Operations = []any{"other"}
	}
	switch data.Operations[0] {
	case "slow":
		status.Progress = 0.5
	case "fail":
		status.Status, status.Failure = core.TaskFailed, &core.Failure{Reason: core.ReasonNoCapableWorker, Message: "nobody has tier trainer"}
	default:
		status.Status, status.Progress = core.TaskCompleted, 1
	}
	f.tasks = append(f.tasks, status)
	pending := status
	pending.Status, pending.Progress, pending.Failure = core.TaskPending, 0, nil
	return pending, nil
}

// Region implements api.Coordinators: a leader, and one that waits unless it was
// admitted.
func (f *fakeNode) Region(context.Context) (api.RegionStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := api.RegionStatus{Region: "us-east", Journal: "disk", Leader: "node-a", Epoch: 3, Open: 2, Finished: 5,
		Members: []api.RegionMember{{ID: "node-a", State: "voter", Leader: true, Self: true}}}
	if !f.removed {
		s.Members = append(s.Members, api.RegionMember{ID: "node-b", State: f.second})
	}
	return s, nil
}

// Admit implements api.Coordinators.
func (f *fakeNode) Admit(_ context.Context, id core.NodeID) error {
	if id != "node-b" {
		return core.Errorf(core.NotFound, "nodeId", "node %s did not ask", id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.second = "learner"
	return nil
}

// Remove implements api.Coordinators.
func (f *fakeNode) Remove(context.Context, core.NodeID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = true
	return nil
}

func (f *fakeNode) find(id core.TaskID) (*core.TaskStatus, error) {
	for i := range f.tasks {
		if f.tasks[i].TaskID == id {
			return &f.tasks[i], nil
		}
	}
	return nil, core.Errorf(core.NotFound, "taskId", "task %s is not known here", id)
}

func (f *fakeNode) Status(_ context.Context, id core.TaskID) (core.TaskStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.find(id)
	if err != nil {
		return core.TaskStatus{}, err
	}
	return *t, nil
}

func (f *fakeNode) Result(ctx context.Context, id core.TaskID, wait time.Duration) (core.TaskResult, error) {
	t, err := f.Status(ctx, id)
	if err != nil {
		return core.TaskResult{}, err
	}
	if !t.Status.Final() {
		if f.asked != nil {
			f.asked()
		}
		pause(ctx, wait)
		return core.TaskResult{}, core.Errorf(core.Conflict, "result", "task %s has not ended", id)
	}
	if f.hold != nil {
		<-f.hold
	}
	r := core.TaskResult{TaskID: id, Status: t.Status, Failure: t.Failure}
	if t.Status == core.TaskCompleted {
		r.Result, r.Regions, r.Workers = json.RawMessage("55"), []core.RegionID{"us-east"}, []core.NodeID{"12D3KooWworker"}
		if f.value != nil {
			r.Result = f.value
		}
	}
	return r, nil
}

func (f *fakeNode) Cancel(_ context.Context, id core.TaskID) (core.TaskStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.find(id)
	if err != nil {
		return core.TaskStatus{}, err
	}
	if t.Status.Final() {
		return core.TaskStatus{}, core.Errorf(core.Conflict, "cancel", "task %s has ended already", id)
	}
	t.Status = core.TaskCancelled
	return *t, nil
}

func (f *fakeNode) List(_ context.Context, q core.TaskFilter) (core.TaskPage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := core.TaskPage{Tasks: []core.TaskStatus{}}
	passed := q.After == ""
	for _, t := range slices.Backward(f.tasks) {
		at := core.Cursor{Created: t.Created, ID: t.TaskID}.String()
		switch {
		case !passed:
			passed = at == q.After
		case q.Status != "" && t.Status != q.Status, q.Type != "" && t.Type != q.Type, q.Region != "" && t.Region != q.Region:
		case len(page.Tasks) == q.Limit:
			last := page.Tasks[q.Limit-1]
			page.Next = core.Cursor{Created: last.Created, ID: last.TaskID}.String()
			return page, nil
		default:
			page.Tasks = append(page.Tasks, t)
		}
	}
	if q.Region == "eu-west" {
		page.Incomplete = []core.RegionID{"eu-west"}
	}
	return page, nil
}

// Events tells the life of a task with one attempt; one that has not ended yet is
// cut off, which makes a client come back, and ends then.
func (f *fakeNode) Events(_ context.Context, id core.TaskID, after uint64, _ time.Duration) (core.TaskEvents, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.find(id)
	if err != nil {
		return core.TaskEvents{}, err
	}
	a := core.Attempt{Attempt: 1, Worker: "12D3KooWworker", Started: t.Created}
	ended := a
	ended.Finished, ended.Outcome = t.Updated, "ok"
	all := []core.TaskEvent{{Event: core.EventReceived, Time: t.Created}, {Event: core.EventPlanned, Subtasks: 2},
		{Event: core.EventAttemptStarted, Time: a.Started, Attempt: &a}}
	if t.Status.Final() {
		all = append(all, core.TaskEvent{Event: core.EventAttemptEnded, Time: ended.Finished, Attempt: &ended},
			core.TaskEvent{Event: core.EventSubtaskDone, Time: t.Updated, Done: 1, Subtasks: 2},
			core.TaskEvent{Event: core.EventName(t.Status), Time: t.Updated, Failure: t.Failure})
	}
	out := core.TaskEvents{Events: []core.TaskEvent{}, Final: t.Status.Final()}
	for i, e := range all {
		if e.ID, e.TaskID = uint64(i+1), id; e.ID > after {
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}

func (f *fakeNode) Why(ctx context.Context, id core.TaskID) (core.TaskWhy, error) {
	t, err := f.Status(ctx, id)
	return core.TaskWhy{TaskID: id, Status: t.Status, Because: "it waits: no worker is linked", Helps: []string{"start a worker", "wait"}}, err
}

func (f *fakeNode) Trace(ctx context.Context, id core.TaskID) (core.Trace, error) {
	t, err := f.Status(ctx, id)
	index := 1
	return core.Trace{TaskID: id, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Spans: []core.Span{
		{Name: "task", At: core.AtGateway, Start: t.Created, TookUS: 1_000_000, Note: "completed"},
		{Name: "lease", At: core.AtRegion, Node: "12D3KooWworker", Start: t.Created.Add(250 * time.Millisecond), TookUS: 500_000, Subtask: &index, Attempt: 2, Note: "ok"},
		{Name: "merge", At: core.AtRegion, Start: t.Created.Add(999 * time.Millisecond), TookUS: 12}}}, err
}

func (f *fakeNode) NetworkState(context.Context) (core.GlobalState, error) {
	half := core.Capacity{CPU: 0.5, Memory: 0.25, Storage: 1}
	return core.GlobalState{Regions: []core.RegionState{{ID: "us-east", Capacity: half, PerformanceScore: 0.875}}, GlobalCapacity: half}, nil
}

// fakeSelf answers about the node itself.
type fakeSelf struct{ *fakeNode }

func (fakeSelf) Status() api.NodeStatus {
	return api.NodeStatus{ID: "12D3KooWself", Version: "v1.2.3", Network: "main", Region: "us-east", Type: "global", Roles: []string{"global", "local"},
		Tier: core.TierAggregator, Mode: "hybrid", State: core.Online, UptimeS: 3725, Peers: 4, MinPeers: 3, Addrs: []string{"/ip4/192.0.2.9/tcp/9334/p2p/12D3KooWself"},
		HTTP: "127.0.0.1:8080", CreditsEarned: "0", ActiveTasks: 1}
}

func (f *fakeNode) Peers() []api.Peer {
	reputation := 50
	return []api.Peer{{ID: "12D3KooWpeer", Addrs: []string{"/ip4/192.0.2.1/tcp/9334"}, Direction: "inbound", Roles: []string{"regional"},
		Region: "us-east", RTTMS: 1.25, Reputation: &reputation}}
}

func (f *fakeNode) Parameters() core.Parameters { return core.Parameters{Network: "testnet"} }

func (f *fakeNode) Profile() api.Profile {
	charge := 40
	return api.Profile{OS: "linux", Power: api.Power{OnBattery: true, ChargePercent: &charge, Celsius: 71.4}, Arch: "amd64", CPUModel: "Example CPU \x1b[31m", Tier: core.TierAggregator,
		Resources: core.Resources{Cores: 2, CPUScore: 1.5, MemoryMB: 4096, DiskMB: 10240, FreeCPU: 75, FreeMemoryMB: 2048, FreeDiskMB: 5120},
		TaskTypes: []string{"compute"}, EligibleRoles: []string{"local"}, Capabilities: []string{"compute"}}
}

func (f *fakeNode) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready
}

func (f *fakeNode) Roles() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.roles)
}

func (f *fakeNode) SetRoles(_ context.Context, names []string) error {
	if slices.Contains(names, "storage") {
		return core.Errorf(core.Denied, "role", "role storage needs 100 GB of disk").WithHint("add a disk")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roles = names
	return nil
}

func (f *fakeNode) Mode() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode
}

func (f *fakeNode) SetMode(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = name
	return nil
}

func (f *fakeNode) notReady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = errors.New("1 of 3 peers")
}

func (f *fakeNode) Output(_ context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	if f.output == nil {
		return core.Errorf(core.NotFound, "taskId", "task %s is of type compute, and tasks like it write no output", id)
	}
	return f.output(q, fn)
}
