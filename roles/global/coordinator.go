package global

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const (
	// acceptTimeout is how long a submitter waits for the home region to record a
	// job before being told to try again: longer than a coordinator may take to
	// answer (jobs.Limits.JobOfferTTL), so that another one has its turn.
	acceptTimeout = 12 * time.Second
	// pollEvery is how often a gateway asks the home of a task that it did not
	// submit itself while somebody waits for the result.
	pollEvery = 250 * time.Millisecond
	// leaderPatience is how long a question waits for a region to have a leader: an
	// election takes about a second, and noticing that it is needed another two.
	leaderPatience = 4 * time.Second
)

// Routes finds and links the node that keeps a region.
type Routes interface {
	// Link makes sure that a coordinator of the region is linked to the gateway's
	// dispatcher and returns it, or core.Unavailable.
	Link(ctx context.Context, region core.RegionID) (core.NodeID, error)
}

// Deps is what a Coordinator works with.
type Deps struct {
	ID         core.NodeID
	Dispatcher *dispatch.Dispatcher // towards regions
	Regions    *CrossRegion
	Routes     Routes
	Own        func() core.RegionID // home of tasks whose id carries none
	Planners   map[core.TaskType]compute.Planner
	Events     *event.Bus
	// Quota returns what a submitter may have open; nil = there is no limit.
	Quota func(submitter string) Quota
	Trace *trace.Ring // where tasks' time goes; it may be nil
}

// Coordinator is the gateway's intake and its answers. It is safe for concurrent
// use.
type Coordinator struct {
	deps   Deps
	log    zerolog.Logger
	tasks  *table
	quotas quotas
	proofs *keys.ProofVerifier
	feeds  feeds // of the tasks that somebody listens to
	// reading has a place for each subtask whose output somebody hears.
	reading chan struct{}
}

// New returns a coordinator that remembers nothing yet.
func New(deps Deps, log zerolog.Logger) *Coordinator {
	return &Coordinator{deps: deps, log: log, tasks: newTable(), quotas: quotas{open: map[string]Quota{}}, proofs: keys.NewProofVerifier(),
		reading: make(chan struct{}, maxReading)}
}

// Submit checks a task, chooses its home and returns once the home has recorded
// it: with the status at that moment, pending, however fast the task may end. The
// same key with the same spec finds the same task, with another spec it is
// core.Exists.
func (c *Coordinator) Submit(ctx context.Context, spec core.TaskSpec, key string) (core.TaskStatus, error) {
	begun := time.Now()
	if err := c.check(spec); err != nil {
		return core.TaskStatus{}, err
	}
	need, kind := c.needs(spec)
	regions := c.deps.Regions.Pick(ctx, need, kind, rand.Uint64())
	id := core.NewTaskID(regions[0], uuid.Must(uuid.NewV7()).String())
	if key != "" {
		key = keyOf(spec.Submitter, key)
		if c.deps.Regions.keyedHomes() {
			regions = keyedHome(regions, key)
		}
		id = keyedID(regions[0], key)
	}
	t := newTask(c, id, spec)
	recorded := t.snapshot()
	c.deps.Trace.Begin(t.id, trace.From(ctx))
	c.span(t.id, "intake", begun)
	defer c.span(t.id, "record", time.Now())
	if old, err := c.tasks.add(t, key, spec); old != nil || err != nil {
		return c.repeated(ctx, old, err)
	}
	err := c.admit(t, spec)
	if err == nil {
		c.deps.Events.Publish(event.Event{Name: event.TaskReceived, TaskID: t.id, Data: core.Global.String()})
		err = c.unique(ctx, t)
	}
	if err == nil {
		err = c.distribute(ctx, t, spec, regions)
	}
	if err != nil {
		t.refuse(err)
		c.tasks.remove(t)
		return core.TaskStatus{}, err
	}
	return recorded, nil
}

// unique refuses a task whose key was used for another one, through whichever
// gateway. The same one goes on: its home knows it and gives its end.
func (c *Coordinator) unique(ctx context.Context, t *task) error {
	if t.idem == "" {
		return nil
	}
	state, err := c.ask(ctx, t.id, wire.QueryStatus)
	switch {
	case errors.Is(err, core.NotFound):
		return nil
	case err != nil:
		return err
	case state.SpecHash != t.spec:
		return keyUsed()
	}
	return nil
}

// repeated answers a submission whose key is known: with the first one's task.
func (c *Coordinator) repeated(ctx context.Context, old *task, err error) (core.TaskStatus, error) {
	if err != nil {
		return core.TaskStatus{}, err
	}
	if err := old.wait(ctx, old.accepted); err != nil {
		return core.TaskStatus{}, core.Errorf(core.Timeout, "task", "waiting for task %s to be recorded: %w", old.id, err)
	}
	if !old.known() {
		return core.TaskStatus{}, old.refusal()
	}
	return old.snapshot(), nil
}

func (c *Coordinator) check(spec core.TaskSpec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	now := time.Now()
	if err := spec.CheckDeadline(now); err != nil {
		return err
	}
	planner, ok := c.deps.Planners[spec.Type]
	if !ok {
		return core.Errorf(core.Invalid, "type", "type %.32q is not a task type of this network", spec.Type).
			WithHint(compute.TypesHint(c.deps.Planners))
	}
	if flow, ok := planner.(workflow.Planner); ok {
		return flow.CheckNew(spec.Data, now)
	}
	_, err := planner.Check(spec.Data)
	return err
}

// distribute hands the task to its home and waits for the record.
func (c *Coordinator) distribute(ctx context.Context, t *task, spec core.TaskSpec, regions []core.RegionID) error {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	if _, err := c.link(ctx, regions[0]); err != nil {
		return err
	}
	if err := c.deps.Dispatcher.Submit(c.unit(t, spec, regions), t); err != nil {
		return err
	}
	if t.wait(ctx, t.accepted) != nil {
		c.deps.Dispatcher.Fail(t.key(), &core.Failure{Reason: t.givenUp(), Message: "no region took the task in time"})
		return notRecorded(t)
	}
	if err := t.turnedAway(); err != nil {
		c.deps.Dispatcher.Fail(t.key(), &core.Failure{Reason: core.ReasonCancelled, Message: err.Error()})
		return err
	}
	if !t.known() { // it ended before anybody took it
		return notRecorded(t)
	}
	c.deps.Events.Publish(event.Event{Name: event.TaskDistributed, TaskID: t.id, Data: regions[:1]})
	return nil
}

// link reaches a region, waiting while it changes its leader.
func (c *Coordinator) link(ctx context.Context, region core.RegionID) (core.NodeID, error) {
	for patience := time.Now().Add(leaderPatience); ; {
		id, err := c.deps.Routes.Link(ctx, region)
		if err == nil || core.KindOf(err) != core.Unavailable || ctx.Err() != nil || time.Now().After(patience) {
			return id, err
		}
		c.pause(ctx)
	}
}

func notRecorded(t *task) error {
	home, _ := t.id.Home()
	return core.Errorf(core.Unavailable, "region", "region %s did not record the task in time", home).WithHint("submit again")
}

func (c *Coordinator) unit(t *task, spec core.TaskSpec, regions []core.RegionID) jobs.Unit {
	now := time.Now()
	return jobs.Unit{Key: t.key(), Class: wire.ClassJob, Head: wire.Head(spec), Data: spec.Data,
		InputHash: jobs.InputHash(spec.Data), Weight: 1, Home: regions[0], Gateway: c.deps.ID, Regions: regions, SpecHash: t.spec, Trace: c.deps.Trace.Context(t.id).String(),
		QueueUntil: spec.Until(now), Deadline: spec.Until(now).Add(deadlineGrace)}
}

// deadlineGrace lets the home region, which knows why, end a late job first.
const deadlineGrace = 5 * time.Second

// Status returns a snapshot of a task, wherever it was submitted: what its home
// knows, attempts included; while the home does not answer, what is known here.
func (c *Coordinator) Status(ctx context.Context, id core.TaskID) (core.TaskStatus, error) {
	t := c.tasks.get(id)
	if t != nil && t.done() { // the end is known here: the home only adds to it
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	state, err := c.ask(ctx, id, wire.QueryStatus)
	switch {
	case err != nil && t == nil:
		return core.TaskStatus{}, err
	case err != nil && t.leftToHome():
		return core.TaskStatus{}, err
	case err != nil || t != nil && t.done() && !t.leftToHome() && !state.Status.Status.Final():
		return t.snapshot(), nil
	}
	return *state.Status, nil
}

// Result waits up to wait for a task's end; core.Conflict when it has not come.
func (c *Coordinator) Result(ctx context.Context, id core.TaskID, wait time.Duration) (core.TaskResult, error) {
	if t := c.tasks.get(id); t != nil {
		if !t.ends(ctx, wait) {
			return core.TaskResult{}, notFinished(id)
		}
		if !t.leftToHome() {
			return t.result, nil
		}
	}
	deadline, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return c.poll(ctx, deadline, id)
}

func notFinished(id core.TaskID) error {
	return core.Errorf(core.Conflict, "taskId", "task %s has not finished yet", id).
		WithHint("ask again, or add ?wait=30s to wait for it")
}

// poll asks the home until the task has ended or the wait is over.
func (c *Coordinator) poll(ctx, until context.Context, id core.TaskID) (core.TaskResult, error) {
	for {
		state, err := c.ask(ctx, id, wire.QueryResult)
		if err != nil {
			return core.TaskResult{}, err
		}
		if state.Result != nil {
			return *state.Result, nil
		}
		select {
		case <-until.Done():
			return core.TaskResult{}, notFinished(id)
		case <-time.After(pollEvery):
		}
	}
}

// Cancel asks the home to end a task.
func (c *Coordinator) Cancel(ctx context.Context, id core.TaskID) (core.TaskStatus, error) {
	state, err := c.ask(ctx, id, wire.QueryCancel)
	if err != nil {
		return core.TaskStatus{}, err
	}
	return *state.Status, nil
}

// Waits reports whether a task that this gateway handed to a region has not
// ended, as far as is known here.
func (c *Coordinator) Waits(home core.RegionID) bool { return c.tasks.waits(home) }

// ask puts a question to the home region of a task. The answer has its value
// unpacked into Result.Result. While the region changes its leader it asks again.
func (c *Coordinator) ask(ctx context.Context, id core.TaskID, op wire.QueryOp) (*wire.JobState, error) {
	home, ok := id.Home()
	if !ok {
		home = c.deps.Own()
	}
	state, err := c.askLeader(ctx, home, wire.JobQuery{TaskID: id, Op: op})
	if err != nil {
		return nil, err
	}
	if state.Fault != nil {
		return nil, state.Fault.Err()
	}
	if state.Status == nil || state.Status.TaskID != id || state.Result != nil && state.Result.TaskID != id {
		return nil, core.Errorf(core.Corrupt, "taskId", "region %s answered about another task than %s", home, id)
	}
	if state.Result != nil {
		result := *state.Result
		result.Result = state.Output.Inline
		state.Result = &result
	}
	return state, nil
}

// askLeader asks whoever leads a region, again when that changes meanwhile.
func (c *Coordinator) askLeader(ctx context.Context, home core.RegionID, q wire.JobQuery) (*wire.JobState, error) {
	for patience := time.Now().Add(leaderPatience); ; {
		node, err := c.link(ctx, home)
		if err != nil {
			return nil, err
		}
		state, err := c.deps.Dispatcher.Ask(ctx, node, q)
		if err == nil || core.KindOf(err) != core.Unavailable || ctx.Err() != nil || time.Now().After(patience) {
			return state, err
		}
		c.pause(ctx)
	}
}

// pause waits a moment before the next try.
func (c *Coordinator) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(pollEvery):
	}
}

// verify judges a region's result: its first proof ties the job's input to the
// output, signed by a worker of the region or by the region itself.
func (c *Coordinator) verify(u *jobs.Unit, r *wire.JobResult, output []byte) error {
	if len(r.Proofs) == 0 {
		return core.Errorf(core.Corrupt, "proof", "the region's result carries no proof")
	}
	if !json.Valid(output) {
		return core.Errorf(core.Corrupt, "output", "the region's result is not JSON")
	}
	return jobs.VerifyProof(c.proofs, u, r.Proofs[0].NodeID, r, output, time.Now())
}
