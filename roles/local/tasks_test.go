package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const (
	boss  core.NodeID   = "boss"
	waits core.TaskType = "waits" // a task type that ends when the test says so
	talks core.TaskType = "talks" // the same, and it writes "one" and, in the end, "two"
)

// rig is a worker with 4 GiB of memory and two slots.
type rig struct {
	t        *testing.T
	id       *keys.Identity
	tasks    *Tasks
	capacity *compute.Capacity
	told     *event.Subscription
	refuse   error // what Accepts says
	gate     chan struct{}

	mu      sync.Mutex
	ran     int
	without int // ran without a reservation
}

func newRig(t *testing.T) *rig {
	t.Helper()
	bus := event.New(0)
	r := &rig{t: t, id: keys.FromSeed([32]byte{7}), told: bus.Subscribe(0, 4096), gate: make(chan struct{}),
		capacity: compute.NewCapacity(core.Resources{Cores: 2, MemoryMB: 4096, FreeCPU: 100, FreeMemoryMB: 4096}, 2)}
	engine, err := compute.NewEngine(map[core.TaskType]compute.Executor{vector.Type: vector.New(), waits: executor{r}, talks: talker{executor{r}}}, r.capacity, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	r.tasks, err = New(Deps{Signer: r.id, Engine: engine, Capacity: r.capacity, Events: bus, Accepts: func() error { return r.refuse }}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// executor waits at the gate and notes whether it runs inside a reservation.
type executor struct{ r *rig }

func (x executor) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	x.r.mu.Lock()
	x.r.ran++
	if x.r.capacity.Active() == 0 {
		x.r.without++
	}
	x.r.mu.Unlock()
	report.Progress(0.5)
	select {
	case <-x.r.gate:
		return compute.Output{Result: json.RawMessage(`"done"`), Metric: 0.75}, nil
	case <-ctx.Done():
		return compute.Output{}, ctx.Err()
	}
}

// talker also writes.
type talker struct{ executor }

func (x talker) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	report.Output(core.Stdout, []byte("one"))
	report.Output(core.Stderr, []byte("oops"))
	out, err := x.executor.Run(ctx, data, report)
	report.Output(core.Stdout, []byte("two"))
	return out, err
}

// Writes implements compute.Writer.
func (talker) Writes(json.RawMessage) bool { return true }

func (r *rig) names() (out []event.Name) {
	for {
		select {
		case e := <-r.told.C():
			out = append(out, e.Name)
		default:
			return out
		}
	}
}

func task(kind core.TaskType, req core.Requirements) core.TaskSpec {
	return core.TaskSpec{Type: kind, Requirements: req, Data: json.RawMessage(`{"input":[1,2,3,4,5],"operations":["square","sum"]}`)}
}

func offer(id core.TaskID, index int, spec core.TaskSpec) *wire.JobOffer {
	return &wire.JobOffer{Lease: 1, TaskID: id, Index: index, Attempt: 1, Class: wire.ClassSubtask, Task: wire.Head(spec),
		Data: wire.Payload{Inline: spec.Data}, InputHash: core.Sum(spec.Data), TTLMS: 1000}
}

// TestRunsAndSigns: a subtask runs inside its reservation; the result is signed
// over the exact bytes, as the documents' proof.
//
// spec 0.16 0.18 0.27 0.28 0.74 4.52 4.56 4.57
func TestRunsAndSigns(t *testing.T) {
	r := newRig(t)
	spec := task(vector.Type, core.Requirements{CPU: 60, MemoryMB: 3000})
	ticket, no := r.tasks.Take(boss, offer("t", 3, spec))
	if no != nil {
		t.Fatalf("refused: %+v", no)
	}
	if free := r.capacity.Free(); free.FreeCPU != 40 || free.FreeMemoryMB != 1096 {
		t.Errorf("taken work leaves %d %% and %d MiB", free.FreeCPU, free.FreeMemoryMB)
	}
	got := ticket.Run(t.Context(), spec.Data, func(float64) {})
	if got.Failure != nil || string(got.Output.Inline) != "55" || len(got.Proofs) != 1 {
		t.Fatalf("result %+v", got)
	}
	unit := &jobs.Unit{Head: wire.Head(spec), InputHash: core.Sum(spec.Data)}
	if err := jobs.VerifyProof(keys.NewProofVerifier(), unit, r.id.ID(), got, got.Output.Inline, time.Now()); err != nil {
		t.Errorf("the proof: %v", err)
	}
	p := got.Proofs[0]
	if p.OperationType != "compute" || p.NodeID != r.id.ID() || p.ResultMetric != 1 || p.OutputHash != core.Sum([]byte("55")) || len(p.Signature) != 64 {
		t.Errorf("proof %+v", p)
	}
	if err := jobs.VerifyProof(keys.NewProofVerifier(), unit, r.id.ID(), got, []byte("56"), time.Now()); err == nil {
		t.Error("the proof fits another output")
	}
	if r.capacity.Active() != 0 || r.tasks.Active() != 0 {
		t.Errorf("%d reservations and %d subtasks are left", r.capacity.Active(), r.tasks.Active())
	}
	if names := r.names(); !slices.Equal(names, []event.Name{event.TaskAssigned, event.TaskCompleted}) {
		t.Errorf("told %v", names)
	}
}

// TestSignsTogether: subtasks that end at the same time share a signature, and the
// proof of each is good by itself.
func TestSignsTogether(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that both are ready before one signs
	r, spec := newRig(t), task(vector.Type, core.Requirements{})
	unit := &jobs.Unit{Head: wire.Head(spec), InputHash: core.Sum(spec.Data)}
	shared := false
	for range 100 {
		var results [2]*wire.JobResult
		var done sync.WaitGroup
		for i := range results {
			ticket, no := r.tasks.Take(boss, offer("t", i, spec))
			if no != nil {
				t.Fatalf("refused: %+v", no)
			}
			done.Go(func() { results[i] = ticket.Run(t.Context(), spec.Data, func(float64) {}) })
		}
		done.Wait()
		for _, got := range results {
			if err := jobs.VerifyProof(keys.NewProofVerifier(), unit, r.id.ID(), got, got.Output.Inline, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		shared = shared || bytes.Equal(results[0].Proofs[0].Signature, results[1].Proofs[0].Signature)
	}
	if !shared {
		t.Error("of 100 pairs none shares a signature")
	}
}

// TestRefusals: work is refused with the documented reasons, and a refusal
// reserves nothing.
//
// spec 0.18 4.22
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(r *rig)
		edit  func(o *wire.JobOffer)
		want  wire.Refusal
		retry bool
	}{
		{"no room for the CPU now", func(r *rig) { r.hold(core.Requirements{CPU: 50}) }, func(o *wire.JobOffer) { o.Task.Requirements.CPU = 60 }, wire.RefusedBusy, true},
		{"no room for the memory now", func(r *rig) { r.hold(core.Requirements{MemoryMB: 4000}) }, func(o *wire.JobOffer) { o.Task.Requirements.MemoryMB = 200 }, wire.RefusedBusy, true},
		{"no slot now", func(r *rig) { r.hold(core.Requirements{}); r.hold(core.Requirements{}) }, func(*wire.JobOffer) {}, wire.RefusedBusy, true},
		{"more than the machine has", func(*rig) {}, func(o *wire.JobOffer) { o.Task.Requirements.MemoryMB = 5000 }, wire.RefusedUnable, false},
		{"more than the operator gives", func(r *rig) { r.capacity.LimitCPU(50) }, func(o *wire.JobOffer) { o.Task.Requirements.CPU = 51 }, wire.RefusedUnable, false},
		{"out of bounds", func(*rig) {}, func(o *wire.JobOffer) { o.Task.Requirements.CPU = -1 }, wire.RefusedUnable, false},
		{"a whole job", func(*rig) {}, func(o *wire.JobOffer) { o.Class = wire.ClassJob }, wire.RefusedUnable, false},
		{"resting", func(r *rig) { r.refuse = core.Errorf(core.Unavailable, "rest", "on battery") }, func(*wire.JobOffer) {}, wire.RefusedBusy, true},
		{"not ready", func(r *rig) { r.refuse = errors.New("0 of 3 peers") }, func(*wire.JobOffer) {}, wire.RefusedPolicy, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			c.setup(r)
			before := r.capacity.Active()
			o := offer("t", 0, task(vector.Type, core.Requirements{}))
			c.edit(o)
			ticket, no := r.tasks.Take(boss, o)
			if ticket != nil || no == nil || no.Reason != c.want || no.Message == "" || (no.RetryAfterMS > 0) != c.retry {
				t.Fatalf("answered %+v", no)
			}
			no.Lease = o.Lease
			if err := no.Validate(); err != nil {
				t.Errorf("the answer cannot be sent: %v", err)
			}
			if r.capacity.Active() != before {
				t.Errorf("%d reservations instead of %d", r.capacity.Active(), before)
			}
		})
	}
}

func (r *rig) hold(req core.Requirements) *compute.Reservation {
	r.t.Helper()
	res, err := r.capacity.Reserve(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

// TestNothingRunsWithoutReservation: an input that could not be read gives the
// place back, and a reservation that is gone runs nothing.
//
// spec 0.18
func TestNothingRunsWithoutReservation(t *testing.T) {
	r := newRig(t)
	spec := task(waits, core.Requirements{CPU: 100})
	ticket, no := r.tasks.Take(boss, offer("t", 0, spec))
	if no != nil {
		t.Fatalf("refused: %+v", no)
	}
	ticket.Cancel()
	if r.capacity.Active() != 0 {
		t.Error("the place was not given back")
	}
	close(r.gate)
	if got := ticket.Run(t.Context(), spec.Data, func(float64) {}); got.Failure == nil || got.Proofs != nil || r.ran != 0 {
		t.Errorf("it ran %d times and gives %+v", r.ran, got)
	}
}

// TestTaskFailures: what went wrong is told with its reason, never with a proof;
// a revoked lease with the coordinator's.
func TestTaskFailures(t *testing.T) {
	revoked, cancel := context.WithCancelCause(t.Context())
	cancel(&core.Failure{Reason: core.ReasonOverflow, Message: "another subtask overflowed"})
	for _, c := range []struct {
		name string
		ctx  context.Context
		kind core.TaskType
		data string
		want core.Reason
	}{
		{"bad input", t.Context(), vector.Type, `{"input":[],"operations":["mean"]}`, core.ReasonInvalidInput},
		{"a value out of range", t.Context(), vector.Type, `{"input":[9223372036854775807],"operations":["square"]}`, core.ReasonOverflow},
		{"a type it has not", t.Context(), "vsa", `{}`, core.ReasonInternal},
		{"a revoked lease", revoked, waits, `{}`, core.ReasonOverflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			spec := core.TaskSpec{Type: c.kind, Data: json.RawMessage(c.data)}
			ticket, no := r.tasks.Take(boss, offer("t", 0, spec))
			if no != nil {
				t.Fatalf("refused: %+v", no)
			}
			got := ticket.Run(c.ctx, spec.Data, func(float64) {})
			if got.Failure == nil || got.Failure.Reason != c.want || got.Failure.Message == "" || got.Proofs != nil || got.Output.Inline != nil {
				t.Errorf("result %+v, failure %v", got, got.Failure)
			}
			if r.capacity.Active() != 0 || r.tasks.Active() != 0 {
				t.Error("the place was not given back")
			}
			if names := r.names(); !slices.Equal(names, []event.Name{event.TaskAssigned, event.TaskFailed}) {
				t.Errorf("told %v", names)
			}
		})
	}
}

// TestRewardsCountOnce: a receipt counts once, whoever repeats it and however
// often, and only for the worker it names.
//
// spec 4.11 4.22
func TestRewardsCountOnce(t *testing.T) {
	r := newRig(t)
	me := r.id.ID()
	receipt := func(to core.NodeID, entries ...wire.Reward) *wire.JobReward {
		return &wire.JobReward{Coordinator: boss, Worker: to, Entries: entries}
	}
	entry := func(id core.TaskID, index int, units int64) wire.Reward {
		return wire.Reward{TaskID: id, Index: index, Units: units}
	}
	for _, c := range []struct {
		name string
		from core.NodeID
		m    *wire.JobReward
		want int64 // in total
	}{
		{"the first", boss, receipt(me, entry("a", 0, 10)), 10},
		{"the same again", boss, receipt(me, entry("a", 0, 10)), 10},
		{"the same with more units", boss, receipt(me, entry("a", 0, 1000)), 10},
		{"the same from another", "second boss", receipt(me, entry("a", 0, 10)), 10},
		{"another's", boss, receipt("somebody", entry("b", 0, 10)), 10},
		{"several, one twice", boss, receipt(me, entry("a", 1, 1), entry("a", 1, 1), entry("b", 0, 5), entry("a", 0, 10)), 16},
	} {
		r.tasks.Credited(c.from, c.m)
		if got := r.tasks.Credits(); got != c.want {
			t.Errorf("%s: %d credits, want %d", c.name, got, c.want)
		}
	}
}

// TestWindow: a node asks for as many subtasks as it has slots, for none while it
// takes no work, and never for whole jobs.
func TestWindow(t *testing.T) {
	r := newRig(t)
	w := r.tasks.Window()
	r.hold(core.Requirements{CPU: 30, MemoryMB: 96})
	if cpu, memory := w.Free(); cpu != 70 || memory != 4000 {
		t.Errorf("free are %d %% and %d MiB", cpu, memory)
	}
	if n, whole := w.Size(wire.ClassSubtask), w.Size(wire.ClassJob); n != 2 || whole != 0 {
		t.Errorf("asks for %d subtasks and %d jobs", n, whole)
	}
	r.refuse = errors.New("draining")
	if n := w.Size(wire.ClassSubtask); n != 0 {
		t.Errorf("a node that takes no work asks for %d subtasks", n)
	}
}

// TestKeepsNoJobs: a local node is nobody's home.
func TestKeepsNoJobs(t *testing.T) {
	r := newRig(t)
	s := r.tasks.Answer(t.Context(), boss, &wire.JobQuery{ID: 4, TaskID: "t", Op: wire.QueryStatus})
	if err := s.Validate(); err != nil || s.ID != 4 || !errors.Is(s.Fault.Err(), core.NotFound) {
		t.Errorf("answered %+v, %v", s, err)
	}
	r.tasks.Judged(boss, &wire.JobVerify{TaskID: "t", Message: "another output"}) // is logged, moves nothing
	if r.tasks.Credits() != 0 {
		t.Error("a verdict paid")
	}
}
