package journal

import (
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// machine is what the log's entries build, the same on every member: the open
// jobs in memory and the finished ones in history. Entries are decided here and
// nowhere else: whoever comes second gets core.Exists or core.Conflict.
//
// Beside each open job stands this process's own view of it, which updates
// change and no entry carries.
//
// Replay after a crash: history may be ahead of the snapshot and of the entries
// that come again. Every entry leads to the same end then: an accepted job that
// is in history stays there, an ended one is there already, a forgotten one is
// deleted again.
type machine struct {
	log  zerolog.Logger
	hist *history

	mu          sync.Mutex
	open        map[core.TaskID]*openJob
	bytes       int // of the open jobs' data
	coming      int // jobs on their way into the log
	comingBytes int
	taken       takenTable // of other regions' jobs
	group       string
	applied     uint64
	broken      error // why it stopped applying; for ever
}

// openJob is one job that is not final. accepted and parts are what the log
// says; live and mine are this process's own.
type openJob struct {
	accepted jobs.Job
	parts    map[int]jobs.Part
	live     jobs.Job
	mine     map[int]held  // not in the log, as far as this process knows
	ending   chan struct{} // closed when the End that is under way is over
}

// held is a part that this process was given to keep.
type held struct {
	part  jobs.Part
	epoch uint64 // in which it was proposed last
}

var _ raft.BatchingFSM = (*machine)(nil)

func newMachine(hist *history, log zerolog.Logger) *machine {
	return &machine{log: log, hist: hist, open: map[core.TaskID]*openJob{}, taken: newTakenTable()}
}

func newOpenJob(j jobs.Job) *openJob {
	return &openJob{accepted: j, live: own(&j), parts: map[int]jobs.Part{}, mine: map[int]held{}}
}

// reset empties what a replay of the log builds again.
func (m *machine) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open, m.bytes, m.applied, m.group = map[core.TaskID]*openJob{}, 0, 0, ""
	m.taken = newTakenTable()
}

func (m *machine) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

func (m *machine) fail(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		m.broken = err
		m.log.Error().Err(err).Msg("the journal stops: an entry of its log cannot be applied")
	}
	return m.broken
}

// Apply implements raft.FSM.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. Every answer is an error or nil, and to
// a batch of entries one for each of them.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	refuse := func(err error) []any {
		for i := range out {
			out[i] = err
		}
		return out
	}
	if err := m.failed(); err != nil {
		return refuse(err)
	}
	b := &batch{m: m, c: m.hist.begin(), seen: map[core.TaskID]*openJob{}}
	for i, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		answers, err := b.applyAll(l)
		if err != nil {
			b.c.b.Close()
			return refuse(m.fail(err))
		}
		if out[i] = answers; len(answers) == 1 {
			out[i] = answers[0]
		}
	}
	last := logs[len(logs)-1].Index
	if err := b.c.commit(last); err != nil {
		return refuse(m.fail(err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, do := range b.do {
		do()
	}
	m.applied = last
	return out
}

// batch is what entries change: history first, memory when that is written, so
// that a job is always in one of the two.
type batch struct {
	m    *machine
	c    *change
	seen map[core.TaskID]*openJob // what this batch made of a job; nil: ended
	do   []func()                 // under m.mu
}

// applyAll applies one entry of the log, which may hold several. The error is one
// that the journal cannot go on with.
func (b *batch) applyAll(l *raft.Log) ([]error, error) {
	b.c.replay = b.m.hist.mayHold(l.Index)
	e, err := splitEntry(l.Data)
	if err != nil {
		return nil, err
	}
	entries, err := e.entries(l.Data)
	if err != nil {
		return nil, err
	}
	answers := make([]error, len(entries))
	for i, data := range entries {
		answers[i] = b.apply(data)
		if k := core.KindOf(answers[i]); answers[i] != nil && (k == core.Corrupt || k == core.Unsupported || k == core.Internal) {
			return nil, answers[i]
		}
	}
	return answers, nil
}

func (b *batch) apply(data []byte) error {
	e, err := splitEntry(data)
	if err != nil {
		return err
	}
	switch e.kind {
	case entryFounded:
		return b.founded(e)
	case entryAccepted:
		return b.accepted(e)
	case entryPart:
		return b.part(e)
	case entryEnded:
		return b.ended(e, data)
	case entryTaken:
		return b.taken(e)
	case entryReleased:
		return b.released(e)
	}
	return b.forgot(e)
}

// find returns an open job. Only the goroutine that applies adds and removes
// jobs, so it may look without the lock.
func (b *batch) find(id core.TaskID) *openJob {
	if j, ok := b.seen[id]; ok {
		return j
	}
	return b.m.open[id]
}

func (b *batch) founded(e rawEntry) error {
	var h foundedHead
	if err := e.decodeHead(&h); err != nil {
		return err
	}
	b.c.dirty, b.c.meta.Group = true, h.Group
	b.do = append(b.do, func() { b.m.group = h.Group })
	return nil
}

func (b *batch) accepted(e rawEntry) error {
	j, err := e.job()
	if err != nil {
		return err
	}
	known, err := b.c.has(j.ID)
	if err != nil {
		return err
	}
	if known || b.find(j.ID) != nil {
		return exists(j.ID)
	}
	o := newOpenJob(j)
	b.seen[j.ID] = o
	b.do = append(b.do, func() {
		b.m.open[j.ID] = o
		b.m.bytes += len(j.Spec.Data)
	})
	return nil
}

func (b *batch) part(e rawEntry) error {
	id, p, err := e.part()
	if err != nil {
		return err
	}
	o := b.find(id)
	if o == nil {
		return nil // it ended meanwhile
	}
	b.do = append(b.do, func() {
		if _, known := o.parts[p.Index]; !known {
			o.parts[p.Index] = p
		}
		delete(o.mine, p.Index)
	})
	return nil
}

func (b *batch) ended(e rawEntry, data []byte) error {
	j, err := e.job()
	if err != nil {
		return err
	}
	o := b.find(j.ID)
	if o == nil {
		known, err := b.c.has(j.ID)
		if err != nil {
			return err
		}
		if !known {
			return unknown(j.ID)
		}
		return core.Errorf(core.Conflict, "taskId", "task %s has ended already", j.ID)
	}
	j.Created = o.accepted.Created
	if err := b.c.put(&j, data); err != nil {
		return err
	}
	b.seen[j.ID] = nil
	b.do = append(b.do, func() {
		delete(b.m.open, j.ID)
		b.m.bytes -= len(o.accepted.Spec.Data)
	})
	return nil
}

// taken and released concern memory alone.
func (b *batch) taken(e rawEntry) error {
	t, err := e.taken()
	if err != nil {
		return err
	}
	// Applied at once and not with the batch: whether there is room depends on those
	// before it, and the answer is told.
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.m.taken.take(t)
}

func (b *batch) released(e rawEntry) error {
	h, err := e.released()
	if err != nil {
		return err
	}
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.taken.release(jobs.Key{Task: h.ID, Index: h.Index}, h.Lease)
	return nil
}

func (b *batch) forgot(e rawEntry) error {
	var h forgotHead
	if err := e.decodeHead(&h); err != nil {
		return err
	}
	return b.c.forget(place(h.Created, h.ID))
}

func exists(id core.TaskID) error {
	return core.Errorf(core.Exists, "taskId", "task %s exists already", id)
}

func unknown(id core.TaskID) error {
	return core.Errorf(core.NotFound, "taskId", "task %.64s is not known here", id).
		WithHint("check the id; finished tasks are forgotten after a while")
}

// Snapshot implements raft.FSM: the open jobs; history is only flushed.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	if m.broken != nil {
		defer m.mu.Unlock()
		return nil, m.broken
	}
	s := &snapshot{hist: m.hist, head: snapshotHead{Group: m.group, Applied: m.applied, Jobs: len(m.open)}}
	for _, o := range m.open {
		s.open = append(s.open, OpenJob{Job: o.accepted, Parts: parts(o.parts)})
	}
	s.taken = slices.Collect(maps.Values(m.taken.by))
	s.head.Taken = len(s.taken)
	m.mu.Unlock()
	c := m.hist.begin()
	c.dirty = true
	return s, c.commit(s.head.Applied)
}

func parts(m map[int]jobs.Part) []jobs.Part { return slices.Collect(maps.Values(m)) }
