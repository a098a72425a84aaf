package local

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
)

const (
	// maxAssigned is how many tasks that were assigned to this very node may be
	// unfinished.
	maxAssigned = 256
	// maxAssignedBytes bounds their data.
	maxAssignedBytes = 64 << 20
	// maxDirect is how many finished ones are remembered.
	maxDirect = 1000
	// roomRetry is how late it may be noticed that another holder of the machine's
	// capacity let go.
	roomRetry = time.Second
	// resultPoll is how late the end of an assigned task may be noticed.
	resultPoll = 10 * time.Millisecond
)

// assignment is a task that was handed to this node itself (documented POST
// /tasks of a local node), past any region.
type assignment struct {
	id   core.TaskID
	spec core.TaskSpec
}

// newDirect remembers assigned tasks and their results.
func newDirect() journal.Journal {
	return journal.NewMemory(journal.Limits{Open: maxAssigned, OpenBytes: maxAssignedBytes, Finished: maxDirect})
}

// Assigned returns a task that was assigned to this very node.
func (t *Tasks) Assigned(id core.TaskID) (jobs.Job, bool) {
	j, err := t.direct.Get(id)
	return j, err == nil
}

// Assign queues a task on this very node; it runs as soon as there is room. A
// known id is core.Exists, too many unfinished tasks core.Exhausted.
func (t *Tasks) Assign(ctx context.Context, id core.TaskID, spec core.TaskSpec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	job := jobs.NewJob(id, spec, t.deps.Signer.ID(), time.Now().UTC())
	job.Subtasks = 1
	if err := t.direct.Commit(ctx, job); err != nil {
		return err
	}
	t.queue <- assignment{id: id, spec: spec} // never blocks: there is a place for every unfinished task
	return nil
}

// Serve runs assigned tasks, in order, each when there is room for it.
func (t *Tasks) Serve(ctx context.Context) error {
	for ctx.Err() == nil { // or a stopping node might begin what can wait
		select {
		case <-ctx.Done():
		case a := <-t.queue:
			t.runAssigned(ctx, a)
		}
	}
	return ctx.Err()
}

// runAssigned carries one assigned task to its end.
func (t *Tasks) runAssigned(ctx context.Context, a assignment) {
	job, known := t.Assigned(a.id)
	if !known {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, job.Deadline())
	defer cancel()
	res, f := t.await(ctx, a.spec.Requirements)
	if f != nil {
		t.finish(jobs.FailedResult(a.id, f))
		return
	}
	t.note(a.id, func(j jobs.Job) (jobs.Job, error) { return j.To(jobs.Running, time.Now().UTC()) })
	r := t.run(ctx, work{key: jobs.Key{Task: a.id}, attempt: 1, spec: a.spec, input: core.Sum(a.spec.Data)}, res, func(p float64) {
		t.note(a.id, func(j jobs.Job) (jobs.Job, error) {
			j.Partial = p
			return j, nil
		})
	})
	t.finish(assignedResult(a.id, r.Failure, r.Output.Inline, r.Proofs))
}

// await reserves what a task needs as soon as there is room for it.
func (t *Tasks) await(ctx context.Context, req core.Requirements) (*compute.Reservation, *core.Failure) {
	for {
		res, why, err := t.reserve(req)
		switch {
		case err == nil:
			return res, nil
		case why == never:
			return nil, &core.Failure{Reason: core.ReasonNoCapableWorker, Message: err.Error()}
		}
		select {
		case <-ctx.Done():
			return nil, ended(ctx)
		case <-t.freed:
		case <-time.After(roomRetry):
		}
	}
}

// ended says why a task that waited for room will not run.
func ended(ctx context.Context) *core.Failure {
	if context.Cause(ctx) == context.DeadlineExceeded {
		return &core.Failure{Reason: core.ReasonDeadline, Message: "the task's timeout passed while it waited for room"}
	}
	return &core.Failure{Reason: core.ReasonCancelled, Message: "the node stopped while the task waited for room"}
}

func assignedResult(id core.TaskID, f *core.Failure, output []byte, proofs []core.Proof) core.TaskResult {
	if f != nil {
		return jobs.FailedResult(id, f)
	}
	r := core.TaskResult{TaskID: id, Status: core.TaskCompleted, Result: output, Proofs: proofs}
	for _, p := range proofs {
		r.Workers = append(r.Workers, p.NodeID)
	}
	return r
}

// note changes the record of an unfinished task; what the journal refuses (it has
// ended) stays as it is.
func (t *Tasks) note(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) {
	_ = t.direct.Update(id, fn)
}

func (t *Tasks) finish(r core.TaskResult) {
	if _, err := t.direct.End(context.Background(), r, time.Now().UTC()); err != nil {
		t.log.Error().Err(err).Str("task_id", string(r.TaskID)).Msg("the end of an assigned task was not recorded")
	}
}

// Result waits up to wait for the end of an assigned task; core.Conflict when it
// has not come.
func (t *Tasks) Result(ctx context.Context, id core.TaskID, wait time.Duration) (core.TaskResult, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		job, ok := t.Assigned(id)
		switch {
		case !ok:
			return core.TaskResult{}, core.Errorf(core.NotFound, "taskId", "task %.64s was not assigned to this node", id)
		case job.State.Final():
			return job.Result, nil
		}
		select {
		case <-ctx.Done():
			return core.TaskResult{}, core.Errorf(core.Conflict, "taskId", "task %s has not finished yet", id).
				WithHint("ask again, or add ?wait=30s to wait for it")
		case <-time.After(resultPoll):
		}
	}
}

// Writing says whether an assigned task may be writing output.
func (t *Tasks) Writing(_ context.Context, id core.TaskID) (core.OutputState, error) {
	job, err := t.direct.Get(id)
	if err != nil {
		return core.OutputState{}, err
	}
	s := core.OutputState{TaskID: id, Type: job.Spec.Type, Status: job.State.Task(), Subtasks: 1, Running: []int{},
		Writes: t.deps.Engine.MayWrite(job.Spec.Type)}
	if job.State == jobs.Running {
		s.Running = append(s.Running, 0)
	}
	return s, nil
}

// Written returns what an assigned task has written behind from, as soon as there is
// something.
func (t *Tasks) Written(ctx context.Context, id core.TaskID, from core.OutputFrom) (core.OutputPart, error) {
	return t.outputs.read(ctx, "", id, from)
}
