package global

import (
	"sync"

	"github.com/tenzro/tenzro/core"
)

// Quota is what one submitter may have unfinished at this gateway at once; zero
// fields are no limit.
type Quota struct {
	Tasks int
	Bytes int64 // of their data
}

// quotas counts the unfinished tasks of each submitter.
type quotas struct {
	mu   sync.Mutex
	open map[string]Quota // only of those who have some
}

// take counts a task in, or refuses it as core.Exhausted. The returned function
// counts it out again and must be called once.
func (q *quotas) take(submitter string, size int64, most Quota) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	has := q.open[submitter]
	switch {
	case most.Tasks > 0 && has.Tasks >= most.Tasks:
		return nil, core.Errorf(core.Exhausted, "quota", "%d tasks of %.64q have not ended; that is all it may have open", has.Tasks, submitter).
			WithHint("wait until some have ended, or cancel them")
	case most.Bytes > 0 && has.Bytes+size > most.Bytes && has.Tasks > 0:
		return nil, core.Errorf(core.Exhausted, "quota", "the open tasks of %.64q have %d bytes of data; %d are all it may have", submitter, has.Bytes, most.Bytes).
			WithHint("wait until some have ended, or cancel them")
	}
	q.add(submitter, 1, size)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.add(submitter, -1, -size)
	}, nil
}

func (q *quotas) add(submitter string, tasks int, size int64) {
	has := q.open[submitter]
	if has.Tasks, has.Bytes = has.Tasks+tasks, has.Bytes+size; has.Tasks == 0 {
		delete(q.open, submitter)
		return
	}
	q.open[submitter] = has
}

// admit counts a new task of its submitter until it ends.
func (c *Coordinator) admit(t *task, spec core.TaskSpec) error {
	if c.deps.Quota == nil {
		return nil
	}
	release, err := c.quotas.take(spec.Submitter, int64(len(spec.Data)), c.deps.Quota(spec.Submitter))
	t.mu.Lock()
	t.release = release
	t.mu.Unlock()
	return err
}
