package regional

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

// What a region tells about its jobs besides their status.

// see answers the questions that are not about a task's status, nil for others.
func (v *Validator) see(q *wire.JobQuery) *wire.JobState {
	var answer any
	var err error
	switch q.Op {
	case wire.QueryList:
		answer, err = v.list(*q.List)
	case wire.QueryEvents:
		answer, err = v.history(q.TaskID, q.After)
	case wire.QueryWhy:
		answer, err = v.Why(q.TaskID)
	case wire.QueryTrace:
		answer, err = v.trace(q.TaskID)
	default:
		return nil
	}
	state := &wire.JobState{ID: q.ID}
	if err == nil {
		state.Output.Inline, err = json.Marshal(answer)
	}
	state.Fault = wire.FaultOf(err)
	return state
}

// list returns the jobs that f chooses as their submitters see them, without
// attempts.
func (v *Validator) list(f core.TaskFilter) (wire.TaskList, error) {
	out := wire.TaskList{Tasks: []core.TaskStatus{}}
	if f.Region != "" && f.Region != v.deps.Region() {
		return out, nil
	}
	chosen := journal.Filter{State: f.Status, Type: f.Type, Except: taskWorkflowRecord, Limit: min(f.Limit, core.MaxTaskList+1)}
	if f.After != "" {
		at, err := core.ParseCursor(f.After)
		if err != nil {
			return out, err
		}
		chosen.After = journal.Cursor{Created: at.Created, ID: at.ID}
	}
	for _, job := range v.deps.Journal.List(chosen) {
		status := v.status(job)
		status.Attempts = nil
		out.Tasks = append(out.Tasks, status)
	}
	return out, nil
}

func (v *Validator) history(id core.TaskID, after uint64) (core.TaskEvents, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return core.TaskEvents{}, err
	}
	return job.History(after), nil
}

// Why says why a job is where it is and what would help.
func (v *Validator) Why(id core.TaskID) (core.TaskWhy, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return core.TaskWhy{}, err
	}
	s := jobs.Situation{Now: time.Now(), Region: v.deps.Region()}
	if !v.Leading() {
		s.Blocked = "the coordinator that was asked does not lead it"
	}
	if !job.State.Final() {
		s.Facts = v.deps.Dispatcher.Facts(id, job.Subtasks)
	}
	if job.Spec.Type == workflow.Type {
		s.Steps = v.stepping(job)
	}
	return job.Why(s), nil
}

// maxExplained is of how many tasks under way one is chosen to explain a workflow.
const maxExplained = 32

// stepping says where the steps of a workflow are, and why one of their tasks is not
// further: rather one of which nothing runs.
func (v *Validator) stepping(job jobs.Job) *jobs.Steps {
	steps, flow := v.stepStates(job)
	out := &jobs.Steps{All: len(steps)}
	for _, s := range steps {
		if s.State == workflow.StepDone {
			out.Done++
		}
	}
	if flow == nil {
		return out
	}
	open := flow.underWay()
	out.Open = len(open)
	for _, id := range open[:min(len(open), maxExplained)] {
		task, err := v.deps.Journal.Get(id)
		if err != nil {
			continue
		}
		facts := v.deps.Dispatcher.Facts(id, task.Subtasks)
		if stuck := facts.Leased == 0; stuck || out.Why.TaskID == "" {
			out.Why = task.Why(jobs.Situation{Now: time.Now(), Region: v.deps.Region(), Facts: facts})
			if stuck {
				break
			}
		}
	}
	return out
}
