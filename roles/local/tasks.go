package local

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const (
	// busyRetryMS is when a coordinator may offer again after "busy".
	busyRetryMS = 50
	// restRetryMS is the same of a node that takes no work for a while.
	restRetryMS = 1000
	// maxRewardsSeen bounds the memory that keeps a reward from counting twice.
	maxRewardsSeen = 1 << 16
)

// Deps is what Tasks works with.
type Deps struct {
	Signer   keys.Signer
	Engine   *compute.Engine
	Capacity *compute.Capacity
	Events   *event.Bus
	// Accepts says whether outside work is taken now (readiness, roles, resources);
	// the error tells why not.
	Accepts func() error
	// Rests says why nothing is taken until that changes, empty when it is: coordinators
	// count the node as unable meanwhile. It may be nil.
	Rests func() string
	Price core.Amount // asked for a million operations
	Trace trace.Sink  // where spans of subtasks go; it may be nil
}

// Tasks runs the subtasks of this node. It is safe for concurrent use.
type Tasks struct {
	deps    Deps
	log     zerolog.Logger
	credits atomic.Int64
	queue   chan assignment
	freed   chan struct{} // capacity 1: a reservation of ours ended
	seen    *lru.Cache[jobs.Key, struct{}]
	direct  journal.Journal // of tasks assigned to this very node
	outputs *outputs        // what running subtasks write
	proofs  *keys.ProofSigner

	mu     sync.Mutex
	active int
}

var _ dispatch.Taker = (*Tasks)(nil)

// New returns a task manager that is idle.
func New(deps Deps, log zerolog.Logger) (*Tasks, error) {
	seen, err := lru.New[jobs.Key, struct{}](maxRewardsSeen)
	if err != nil {
		return nil, err
	}
	return &Tasks{deps: deps, log: log, queue: make(chan assignment, maxAssigned), freed: make(chan struct{}, 1),
		seen: seen, direct: newDirect(), outputs: newOutputs(), proofs: keys.NewProofSigner(deps.Signer)}, nil
}

// Credits returns the units of work that coordinators credited this node with
// since it started.
func (t *Tasks) Credits() int64 { return t.credits.Load() }

// Active returns how many subtasks are running.
func (t *Tasks) Active() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.active
}

// Window is what this node asks its coordinators for.
func (t *Tasks) Window() dispatch.Window {
	return dispatch.Window{
		Size: func(class wire.Class) int {
			if class == wire.ClassJob || t.deps.Accepts() != nil {
				return 0
			}
			_, slots := t.deps.Capacity.Slots()
			return slots
		},
		Free: func() (int, int64) {
			free := t.deps.Capacity.Free()
			return free.FreeCPU, free.FreeMemoryMB
		},
		Rests: t.deps.Rests,
		Price: t.deps.Price,
	}
}

// Take implements dispatch.Taker: a subtask is taken when the machine has room
// for it now. Nobody may ask for its output; see Of.
func (t *Tasks) Take(_ core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	return t.take("", o)
}

// take takes a subtask from a region.
func (t *Tasks) take(region core.RegionID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	if o.Class != wire.ClassSubtask {
		return nil, &wire.JobReject{Reason: wire.RefusedUnable, Message: "a local node takes subtasks, not jobs"}
	}
	if err := t.deps.Accepts(); err != nil {
		if errors.Is(err, core.Unavailable) { // it will pass
			return nil, &wire.JobReject{Reason: wire.RefusedBusy, Message: err.Error(), RetryAfterMS: restRetryMS}
		}
		return nil, &wire.JobReject{Reason: wire.RefusedPolicy, Message: err.Error()}
	}
	res, why, err := t.reserve(o.Task.Requirements)
	switch why {
	case never:
		return nil, &wire.JobReject{Reason: wire.RefusedUnable, Message: err.Error()}
	case notNow:
		return nil, &wire.JobReject{Reason: wire.RefusedBusy, Message: err.Error(), RetryAfterMS: busyRetryMS}
	}
	span := trace.Start(t.deps.Trace, o.Trace, o.Index, o.Attempt, time.Now())
	run := func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		result := t.run(ctx, work{jobs.Key{Task: o.TaskID, Index: o.Index}, region, o.Attempt, o.Task.Spec(data), o.InputHash}, res, progress)
		t.traced(span, o, result)
		return result
	}
	return &dispatch.Ticket{Run: run, Cancel: res.Release}, nil
}

// obstacle is why a task has no room.
type obstacle uint8

const (
	nothing obstacle = iota
	notNow           // others use what it needs
	never            // the idle machine has less than it needs
)

// reserve takes a task's share of the machine or says why there is none.
func (t *Tasks) reserve(req core.Requirements) (*compute.Reservation, obstacle, error) {
	idle := t.deps.Capacity.Active() == 0
	res, err := t.deps.Capacity.Reserve(req)
	switch {
	case err == nil:
		return res, nothing, nil
	case !errors.Is(err, core.Exhausted) || idle && t.deps.Capacity.Active() == 0:
		return nil, never, err
	}
	return nil, notNow, err
}

// work is a subtask to run.
type work struct {
	key     jobs.Key
	region  core.RegionID // it came from
	attempt int
	spec    core.TaskSpec
	input   core.Digest
}

// run computes one subtask and signs the result.
func (t *Tasks) run(ctx context.Context, w work, res *compute.Reservation, progress func(float64)) *wire.JobResult {
	t.started(w.key.Task)
	begun := time.Now()
	out, err := t.compute(ctx, w, res, progress)
	ran := time.Since(begun).Microseconds()
	res.Release()
	t.ended(w.key.Task, err)
	if err != nil {
		return &wire.JobResult{Failure: failureOf(ctx, err), RunUS: ran}
	}
	proof := core.Proof{OperationType: string(w.spec.Type), Timestamp: time.Now().UnixMilli(),
		InputHash: w.input, OutputHash: core.Sum(out.Result), ResultMetric: out.Metric}
	t.proofs.Sign(&proof, t.deps.Capacity.Active() > 0)
	return &wire.JobResult{Output: wire.Payload{Inline: out.Result}, Proofs: []core.Proof{proof}, RunUS: ran}
}

// compute has the engine run a subtask, and keeps what it writes for who listens.
func (t *Tasks) compute(ctx context.Context, w work, res *compute.Reservation, progress func(float64)) (compute.Output, error) {
	report := compute.Report{OnProgress: progress}
	if t.deps.Engine.MayWrite(w.spec.Type) {
		log := t.outputs.begin(w.key, w.region, w.attempt)
		defer log.end()
		report.OnOutput = log.write
	}
	return t.deps.Engine.Run(ctx, w.spec, res, report)
}

// failureOf prefers the reason the coordinator gave for ending the lease.
func failureOf(ctx context.Context, err error) *core.Failure {
	var revoked, f *core.Failure
	if errors.As(context.Cause(ctx), &revoked) {
		return revoked
	}
	if errors.As(err, &f) {
		return f
	}
	return &core.Failure{Reason: core.ReasonInternal, Message: err.Error()}
}

func (t *Tasks) started(id core.TaskID) {
	t.mu.Lock()
	t.active++
	t.mu.Unlock()
	t.deps.Events.Publish(event.Event{Name: event.TaskAssigned, TaskID: id, Data: core.Local.String()})
}

func (t *Tasks) ended(id core.TaskID, err error) {
	t.mu.Lock()
	t.active--
	t.mu.Unlock()
	name := event.TaskCompleted
	if err != nil {
		name = event.TaskFailed
	}
	t.deps.Events.Publish(event.Event{Name: name, TaskID: id, Data: core.Local.String()})
	select {
	case t.freed <- struct{}{}:
	default:
	}
}

// Answer implements dispatch.Taker: a local node is nobody's home.
func (t *Tasks) Answer(_ context.Context, _ core.NodeID, q *wire.JobQuery) *wire.JobState {
	err := core.Errorf(core.NotFound, "taskId", "task %.64s is not kept here: local nodes keep no jobs", q.TaskID)
	return &wire.JobState{ID: q.ID, Fault: wire.FaultOf(err)}
}

// Credited implements dispatch.Taker: each subtask counts once, whoever repeats
// its receipt.
func (t *Tasks) Credited(_ core.NodeID, m *wire.JobReward) {
	if m.Worker != t.deps.Signer.ID() {
		return
	}
	for _, e := range m.Entries {
		if known, _ := t.seen.ContainsOrAdd(jobs.Key{Task: e.TaskID, Index: e.Index}, struct{}{}); !known {
			t.credits.Add(e.Units)
		}
	}
}

// Judged implements dispatch.Taker.
func (t *Tasks) Judged(from core.NodeID, m *wire.JobVerify) {
	if !m.Accepted {
		t.log.Error().Str("coordinator", string(from)).Str("task_id", string(m.TaskID)).Str("cause", m.Message).
			Msg("a result of this node was refused: reputation falls; check the machine with `tenzro doctor`")
	}
}
