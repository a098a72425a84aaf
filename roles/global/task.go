package global

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// task is what a gateway knows of one task it took: enough to answer its
// submitter without asking the home region again.
type task struct {
	c        *Coordinator
	id       core.TaskID
	spec     core.Digest   // of what was submitted, for idempotency
	idem     string        // its idempotency key, "" for none
	accepted chan struct{} // closed when the home has recorded it, or it ended
	finished chan struct{} // closed when result is set

	mu       sync.Mutex
	status   core.TaskStatus
	result   core.TaskResult // valid after finished
	recorded bool            // the home has told that it knows the task
	unheard  bool            // the home has it, and did not say in time how it ended
	refused  error           // why the submitter was told no
	busy     error           // the home is full and has not recorded the task
	release  func()          // gives the submitter's quota back; nil for none
}

var (
	_ dispatch.Owner   = (*task)(nil)
	_ dispatch.Refusee = (*task)(nil)
)

func newTask(c *Coordinator, id core.TaskID, spec core.TaskSpec) *task {
	home, _ := id.Home()
	now := time.Now().UTC()
	return &task{c: c, id: id, accepted: make(chan struct{}), finished: make(chan struct{}),
		status: core.TaskStatus{TaskID: id, Status: core.TaskPending, Type: spec.Type, Region: home, Gateway: c.deps.ID,
			Created: now, Updated: now}}
}

func (t *task) key() jobs.Key { return jobs.Key{Task: t.id} }

// givenUp is what a home hears that did not record the task in time and may do so
// yet. Without a key nobody finds that job any more; with one the submitter comes
// again and joins it.
func (t *task) givenUp() core.Reason {
	if t.idem == "" {
		return core.ReasonCancelled
	}
	return jobs.HandedOver
}

// wait blocks until ch is closed or ctx ends.
func (t *task) wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ends waits up to d for the task's end and reports whether it has come.
func (t *task) ends(ctx context.Context, d time.Duration) bool {
	if t.done() {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.finished:
	case <-timer.C:
	case <-ctx.Done():
	}
	return t.done()
}

func (t *task) done() bool {
	select {
	case <-t.finished:
		return true
	default:
		return false
	}
}

func (t *task) snapshot() core.TaskStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// Started implements dispatch.Owner: the home region has recorded the job.
func (t *task) Started(jobs.Key, core.NodeID, int) { t.take(true) }

// Refused implements dispatch.Refusee: a home that is full says so at once, and so
// does the gateway, while the submitter still waits to hear.
func (t *task) Refused(_ jobs.Key, _ core.NodeID, m *wire.JobReject) {
	var why error
	switch home, _ := t.id.Home(); m.Reason {
	case wire.RefusedFull:
		why = core.Errorf(core.Exhausted, "region", "region %s takes no more tasks now: %s", home, m.Message).
			WithHint("submit again in a few seconds")
	case wire.RefusedDisk:
		why = core.Errorf(core.Full, "region", "region %s can record no more tasks: %s", home, m.Message).
			WithHint("its operator has to make room on the disk; what is running goes on")
	default:
		return
	}
	t.mu.Lock()
	first := !t.recorded && t.busy == nil
	if first {
		t.busy = why
	}
	t.mu.Unlock()
	if first {
		t.take(false)
	}
}

// turnedAway returns why a full home did not record the task, nil if it did.
func (t *task) turnedAway() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recorded {
		return nil
	}
	return t.busy
}

// take lets those who wait for the home's record go on.
func (t *task) take(recorded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recorded = t.recorded || recorded
	select {
	case <-t.accepted:
	default:
		close(t.accepted)
	}
}

// known reports whether the home has recorded the task.
func (t *task) known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.recorded
}

// refuse ends a task that no region has recorded.
func (t *task) refuse(err error) {
	t.mu.Lock()
	t.refused = err
	t.mu.Unlock()
	t.end(core.FailedFor(t.id, core.ReasonInternal, err.Error()))
}

// refusal returns why the submitter was told no.
func (t *task) refusal() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused == nil { // it is about to be told
		return notRecorded(t)
	}
	return t.refused
}

// Verify implements dispatch.Owner. What this very process's region verified a
// moment ago needs no second look.
func (t *task) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	if child == t.c.deps.ID {
		return nil
	}
	return t.c.verify(u, r, output)
}

// Done implements dispatch.Owner.
func (t *task) Done(_ *jobs.Unit, _ core.NodeID, r *wire.JobResult, output []byte) {
	t.take(true) // a result says so too
	t.mu.Lock()
	t.status.Subtasks = r.Subtasks
	t.mu.Unlock()
	if r.Failure != nil {
		t.end(jobs.FailedResult(t.id, r.Failure))
		return
	}
	t.end(core.TaskResult{TaskID: t.id, Status: core.TaskCompleted, Result: output, Proofs: r.Proofs, Workers: r.Workers, Regions: r.Regions})
}

// Ended implements dispatch.Owner: the gateway waits no longer. How a task ends
// that its home has recorded, only the home says, and is asked from now on: what
// was not heard here in time may have ended well.
func (t *task) Ended(_ *jobs.Unit, f *core.Failure) {
	t.mu.Lock()
	t.unheard = t.recorded
	t.mu.Unlock()
	t.end(jobs.FailedResult(t.id, f))
	if t.leftToHome() {
		t.c.tasks.remove(t)
	}
}

// leftToHome reports whether the gateway stopped waiting for the home's word.
func (t *task) leftToHome() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unheard
}

// end sets the result once.
func (t *task) end(r core.TaskResult) {
	t.mu.Lock()
	if t.status.Status.Final() {
		t.mu.Unlock()
		return
	}
	t.status.Status, t.status.Failure, t.status.Updated = r.Status, r.Failure, time.Now().UTC()
	t.status.ResultLen, t.status.Subtasks = len(r.Result), max(1, t.status.Subtasks)
	if r.Status == core.TaskCompleted {
		t.status.Progress = 1
	}
	t.result = r
	release := t.release
	t.mu.Unlock()
	if release != nil {
		release()
	}
	t.take(false)
	close(t.finished)
	t.c.traced(t)
	t.c.tasks.ended(t)
	if t.leftToHome() {
		return
	}
	name := event.TaskCompleted
	if r.Status != core.TaskCompleted {
		name = event.TaskFailed
	}
	t.c.deps.Events.Publish(event.Event{Name: name, TaskID: t.id, Data: core.Global.String()})
}

const (
	// maxFinished is how many ended tasks a gateway remembers; older ones are asked
	// of their home.
	maxFinished = 10_000
	// maxFinishedBytes bounds their results.
	maxFinishedBytes = 64 << 20
	// maxKeys is how many idempotency keys are remembered.
	maxKeys = 10_000
)

// table is the tasks of one gateway.
type table struct {
	mu    sync.Mutex
	tasks map[core.TaskID]*task
	keys  map[string]*task
	order []keyUse              // of keys, oldest first
	open  map[core.RegionID]int // tasks that have not ended, by home
	final []*task               // ended tasks, oldest first
	bytes int                   // of their results
}

// keyUse is an idempotency key and the task it was used for.
type keyUse struct {
	key string
	id  core.TaskID
}

func newTable() *table {
	return &table{tasks: map[core.TaskID]*task{}, keys: map[string]*task{}, open: map[core.RegionID]int{}}
}

// add makes a task known. A known key returns its task instead, or core.Exists
// when that was submitted with another spec.
func (b *table) add(t *task, key string, spec core.TaskSpec) (*task, error) {
	if key != "" {
		t.spec = digest(spec)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.keys[key]; key != "" && old != nil {
		if old.spec != t.spec {
			return nil, keyUsed()
		}
		return old, nil
	}
	b.tasks[t.id] = t
	b.open[t.status.Region]++
	if key != "" {
		t.idem = key
		b.keys[key] = t
		if b.order = append(b.order, keyUse{key, t.id}); len(b.order) > maxKeys {
			b.forgetKey(b.order[0])
			b.order = b.order[1:]
		}
	}
	return nil, nil
}

// remove forgets a task that no region took: its key may be used again.
func (b *table) remove(t *task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(t)
}

// forget drops a task and its key, which would keep the result in memory. A later
// task with the id, which may be made of the key, stays.
func (b *table) forget(t *task) {
	if b.tasks[t.id] != t {
		return
	}
	delete(b.tasks, t.id)
	b.forgetKey(keyUse{t.idem, t.id})
}

// forgetKey forgets one use of a key; a later use of the same key stays.
func (b *table) forgetKey(u keyUse) {
	if t := b.keys[u.key]; t != nil && t.id == u.id {
		delete(b.keys, u.key)
	}
}

// get returns a task that its home has recorded. One that it has not may be known
// there all the same, through another gateway and the same key.
func (b *table) get(id core.TaskID) *task {
	b.mu.Lock()
	t := b.tasks[id]
	b.mu.Unlock()
	if t == nil || !t.known() {
		return nil
	}
	return t
}

// ended counts a task as final and forgets the oldest ones beyond the bounds.
func (b *table) ended(t *task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	home := t.status.Region
	if b.open[home]--; b.open[home] == 0 {
		delete(b.open, home)
	}
	b.final = append(b.final, t)
	b.bytes += len(t.result.Result)
	for len(b.final) > 1 && (len(b.final) > maxFinished || b.bytes > maxFinishedBytes) {
		b.bytes -= len(b.final[0].result.Result)
		b.forget(b.final[0])
		b.final[0], b.final = nil, b.final[1:]
	}
}

// waits reports whether a task of the home region has not ended.
func (b *table) waits(home core.RegionID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[home] > 0
}

// digest identifies what was submitted, whatever the order it was written in.
func digest(s core.TaskSpec) core.Digest {
	head, err := json.Marshal(wire.Head(s))
	if err != nil { // a struct of strings and numbers always encodes
		return core.Digest{}
	}
	return core.Sum(append(head, s.Data...))
}
