package journal

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// Limits bounds a Memory journal. Zero fields take the defaults.
type Limits struct {
	// Open is how many jobs may be unfinished. Default 10,000.
	Open int
	// OpenBytes bounds the data of those. Default 256 MiB.
	OpenBytes int
	// Finished is how many final jobs are remembered. Default 10,000.
	Finished int
	// FinishedBytes bounds the results of those, with their evidence. The newest is
	// kept whatever its size. Default 64 MiB.
	FinishedBytes int
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	set(&l.Open, 10_000)
	set(&l.OpenBytes, 256<<20)
	set(&l.Finished, 10_000)
	set(&l.FinishedBytes, 64<<20)
	return l
}

// Memory is a Journal in memory.
type Memory struct {
	limits Limits

	mu    sync.Mutex
	jobs  map[core.TaskID]*jobs.Job
	parts map[core.TaskID]map[int]jobs.Part // of the jobs not in final
	open  int                               // bytes of data of the jobs not in final
	final []core.TaskID                     // oldest first
	bytes int                               // of the results in final
	taken takenTable
}

var _ Journal = (*Memory)(nil)

// NewMemory returns an empty journal.
func NewMemory(limits Limits) *Memory {
	return &Memory{limits: limits.withDefaults(), jobs: map[core.TaskID]*jobs.Job{}, parts: map[core.TaskID]map[int]jobs.Part{}, taken: newTakenTable()}
}

// Commit implements Journal.
func (m *Memory) Commit(_ context.Context, job jobs.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.jobs[job.ID]; known {
		return core.Errorf(core.Exists, "taskId", "task %s exists already", job.ID)
	}
	if open := len(m.jobs) - len(m.final); open >= m.limits.Open {
		return core.Errorf(core.Exhausted, "journal", "%d jobs are open here already", open).
			WithHint("submit again in a few seconds")
	}
	if m.open+len(job.Spec.Data) > m.limits.OpenBytes {
		return core.Errorf(core.Exhausted, "journal", "the open jobs here have %d MiB of data already", m.open>>20).
			WithHint("submit again in a few seconds")
	}
	job, err := job.To(jobs.Committed, job.Created)
	if err != nil {
		return err
	}
	job.Attempts = slices.Clone(job.Attempts)
	m.jobs[job.ID] = &job
	m.open += len(job.Spec.Data)
	return nil
}

// Update implements Journal.
func (m *Memory) Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.get(id)
	if err != nil {
		return err
	}
	if j.State.Final() {
		return core.Errorf(core.Conflict, "taskId", "task %s is %s already", id, j.State.Task())
	}
	next, err := fn(own(j))
	switch {
	case err != nil:
		return err
	case next.ID != id || next.State.Final():
		return core.Errorf(core.Conflict, "taskId", "an update cannot rename or end task %s", id)
	}
	m.open += len(next.Spec.Data) - len(j.Spec.Data)
	*j = next
	return nil
}

// End implements Journal.
func (m *Memory) End(_ context.Context, result core.TaskResult, now time.Time) (jobs.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.get(result.TaskID)
	if err != nil {
		return jobs.Job{}, err
	}
	next, err := j.End(result, now)
	if err != nil {
		return jobs.Job{}, err
	}
	m.open -= len(j.Spec.Data)
	delete(m.parts, next.ID)
	*j = next
	m.final = append(m.final, next.ID)
	m.bytes += size(j)
	m.trim()
	return own(j), nil
}

// Get implements Journal.
func (m *Memory) Get(id core.TaskID) (jobs.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.get(id)
	if err != nil {
		return jobs.Job{}, err
	}
	return own(j), nil
}

// own returns a copy of j that no update reaches.
func own(j *jobs.Job) jobs.Job {
	out := *j
	out.Attempts = slices.Clone(j.Attempts)
	return out
}

// Keep implements Journal.
func (m *Memory) Keep(id core.TaskID, part jobs.Part, recorded func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.get(id)
	if err != nil {
		return err
	}
	if j.State.Final() {
		return core.Errorf(core.Conflict, "taskId", "task %s is %s already", id, j.State.Task())
	}
	kept := m.parts[id]
	if kept == nil {
		kept = map[int]jobs.Part{}
		m.parts[id] = kept
	}
	if _, known := kept[part.Index]; !known {
		kept[part.Index] = part
	}
	if recorded != nil {
		recorded()
	}
	return nil
}

// Open implements Journal.
func (m *Memory) Open() []OpenJob {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []OpenJob
	for id, j := range m.jobs {
		if !j.State.Final() {
			out = append(out, OpenJob{Job: own(j), Parts: slices.Collect(maps.Values(m.parts[id]))})
		}
	}
	slices.SortFunc(out, func(a, b OpenJob) int {
		return cmp.Or(a.Job.Created.Compare(b.Job.Created), cmp.Compare(a.Job.ID, b.Job.ID))
	})
	return out
}

// List implements Journal.
func (m *Memory) List(f Filter) []jobs.Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []*jobs.Job
	for _, j := range m.jobs {
		if f.match(j) {
			found = append(found, j)
		}
	}
	slices.SortFunc(found, func(a, b *jobs.Job) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	out := make([]jobs.Job, 0, max(0, min(f.Limit, len(found))))
	for _, j := range found[:cap(out)] {
		out = append(out, own(j))
	}
	return out
}

func (m *Memory) get(id core.TaskID) (*jobs.Job, error) {
	j := m.jobs[id]
	if j == nil {
		return nil, core.Errorf(core.NotFound, "taskId", "task %.64s is not known here", id).
			WithHint("check the id; finished tasks are forgotten after a while")
	}
	return j, nil
}

// size is about how many bytes a final job keeps; the bound need not be exact.
func size(j *jobs.Job) int {
	const attempt, proof, name = 256, 320, 64
	evidence := 0
	for _, p := range j.Result.Proofs {
		evidence += proof + len(p.Inclusion)
	}
	return len(j.Result.Result) + attempt*len(j.Attempts) + evidence + name*(len(j.Result.Workers)+len(j.Result.Regions))
}

// trim forgets the oldest final jobs beyond the limits.
func (m *Memory) trim() {
	n := 0
	for n < len(m.final)-1 && (len(m.final)-n > m.limits.Finished || m.bytes > m.limits.FinishedBytes) {
		id := m.final[n]
		m.bytes -= size(m.jobs[id])
		delete(m.jobs, id)
		n++
	}
	m.final = m.final[n:]
}
