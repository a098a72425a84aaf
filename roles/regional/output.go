package regional

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// maxListening bounds the questions for output that wait here for an answer: each
// may wait wire.OutputWait.
const maxListening = 1024

// output answers wire.QueryOutput. A region keeps nothing of what its workers write:
// it says who may be writing, and passes questions on to them.
func (v *Validator) output(ctx context.Context, q *wire.JobQuery) *wire.JobState {
	state := &wire.JobState{ID: q.ID}
	var err error
	if q.Output != nil {
		state.Output.Inline, err = v.written(ctx, q)
	} else {
		state.Output.Inline, err = v.writing(q.TaskID)
	}
	if state.Fault = wire.FaultOf(err); err != nil {
		state.Output = wire.Payload{}
	}
	return state
}

// writing says which subtasks of a job run.
func (v *Validator) writing(id core.TaskID) (json.RawMessage, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return nil, err
	}
	if !job.State.Final() && !v.Leading() {
		return nil, core.Errorf(core.Unavailable, "taskId", "this coordinator does not lead region %s, which runs task %s", v.deps.Region(), id).
			WithHint("try again in a second")
	}
	s := core.OutputState{TaskID: id, Type: job.Spec.Type, Status: job.State.Task(), Subtasks: job.Subtasks, Running: []int{}}
	s.Writes = v.writes(job)
	if s.Writes && !job.State.Final() {
		s.Running = v.deps.Dispatcher.Running(id, job.Subtasks, core.MaxWritersShown)
	}
	return json.Marshal(s)
}

// writes reports whether the subtasks of a job write output. It may be asked often: the
// data of one that runs is read once.
func (v *Validator) writes(job jobs.Job) bool {
	planner := v.deps.Planners[job.Spec.Type]
	if may := compute.MayWrite(planner); !may || job.State.Final() {
		return may // what has ended has no data any more
	}
	v.mu.Lock()
	x := v.runs[job.ID]
	v.mu.Unlock()
	if x == nil {
		return compute.Writes(planner, job.Spec.Data)
	}
	x.looked.Do(func() { x.writes = compute.Writes(planner, job.Spec.Data) })
	return x.writes
}

// written asks whoever runs a subtask, or ran it last.
func (v *Validator) written(ctx context.Context, q *wire.JobQuery) (json.RawMessage, error) {
	if v.listening.Add(1) > maxListening {
		v.listening.Add(-1)
		return nil, core.Errorf(core.Exhausted, "output", "%d listeners wait for output in region %s already", maxListening, v.deps.Region())
	}
	defer v.listening.Add(-1)
	writer, known := v.writer(jobs.Key{Task: q.TaskID, Index: q.Output.Subtask})
	if !known {
		return nil, core.Errorf(core.NotFound, "subtask", "subtask %d of task %s does not run here", q.Output.Subtask, q.TaskID)
	}
	state, err := v.deps.Dispatcher.Ask(ctx, writer, *q)
	switch {
	case err != nil:
		return nil, err
	case state.Fault != nil:
		return nil, state.Fault.Err()
	}
	if _, err := wire.DecodeOutputPart(state.Output.Inline, *q.Output); err != nil {
		return nil, core.Errorf(core.Corrupt, "output", "node %s answered something else: %w", writer.Short(), err)
	}
	return state.Output.Inline, nil
}

// writer returns who runs a subtask, of this region's jobs or of another's that it
// helps; else who ran one of its own last.
func (v *Validator) writer(k jobs.Key) (core.NodeID, bool) {
	if child, _, ok := v.deps.Dispatcher.Holder(k); ok {
		return child, true
	}
	job, err := v.deps.Journal.Get(k.Task)
	if err != nil {
		return "", false
	}
	for i := len(job.Attempts) - 1; i >= 0; i-- {
		if job.Attempts[i].Index == k.Index {
			return job.Attempts[i].Worker, true
		}
	}
	return "", false
}
