package journal

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// What a region runs for others is theirs: it is no job here. It is recorded all
// the same, so that whoever leads the region next goes on with it.

const (
	// maxTaken and maxTakenBytes bound the subtasks of other regions that are
	// recorded, and their data. They are the same on every member and part of what
	// an entry means: changing one needs a new kind.
	maxTaken      = 4096
	maxTakenBytes = 64 << 20
)

// Taken is a subtask that this region runs for another one.
type Taken struct {
	Home core.RegionID // whose job it is
	// Offer is what was taken, with its data.
	Offer wire.JobOffer
	Data  []byte
	// At is when it was taken; the record is void from the offer's deadline on.
	At time.Time
}

// Key is which subtask it is.
func (t Taken) Key() jobs.Key { return jobs.Key{Task: t.Offer.TaskID, Index: t.Offer.Index} }

// Helping is what a region remembers of the subtasks it runs for others.
// Implementations are safe for concurrent use.
type Helping interface {
	// Take records a subtask, in place of an older record of it; when it returns nil,
	// whoever leads next knows. Too many are core.Exhausted. What is taken twice under
	// one lease is recorded once.
	Take(ctx context.Context, t Taken) error
	// Release forgets one that is not run for that lease any more. It does not wait: a
	// release that is lost leaves a record whose home wants nothing of it. recorded is
	// called once the release is recorded, at once or later, and never when it is not;
	// it must not block or call the journal. nil: nobody wants to know.
	Release(k jobs.Key, lease wire.LeaseID, recorded func())
	// Taken returns those that are recorded and not past their deadline, the oldest
	// first.
	Taken(now time.Time) []Taken
}

var (
	_ Helping = (*Group)(nil)
	_ Helping = (*Memory)(nil)
)

// takenHead is a Taken without its data.
type takenHead struct {
	Home      core.RegionID `json:"home"`
	At        time.Time     `json:"at"`
	Lease     wire.LeaseID  `json:"lease,string"`
	ID        core.TaskID   `json:"id"`
	Index     int           `json:"index"`
	Attempt   int           `json:"attempt"`
	Epoch     uint64        `json:"epoch,string"`
	Task      wire.TaskHead `json:"task"`
	InputHash core.Digest   `json:"inputHash"`
	Deadline  time.Time     `json:"deadline"`
	TTLMS     int64         `json:"ttlMs"`
	Gateway   core.NodeID   `json:"gateway,omitempty"`
	Trace     string        `json:"trace,omitempty"`
}

// releasedHead ends the record of one lease.
type releasedHead struct {
	ID    core.TaskID  `json:"id"`
	Index int          `json:"index"`
	Lease wire.LeaseID `json:"lease,string"`
}

func encodeTaken(t Taken) ([]byte, error) {
	o := &t.Offer
	return appendEntry(nil, entryTaken, takenHead{Home: t.Home, At: t.At.UTC(), Lease: o.Lease, ID: o.TaskID, Index: o.Index, Attempt: o.Attempt,
		Epoch: o.Epoch, Task: o.Task, InputHash: o.InputHash, Deadline: o.Deadline.UTC(), TTLMS: o.TTLMS, Gateway: o.Gateway, Trace: o.Trace}, t.Data)
}

// taken decodes a taken entry.
func (e rawEntry) taken() (Taken, error) {
	var h takenHead
	if err := e.decodeHead(&h); err != nil {
		return Taken{}, err
	}
	t := Taken{Home: h.Home, At: h.At, Data: e.payload(), Offer: wire.JobOffer{Lease: h.Lease, TaskID: h.ID, Index: h.Index, Attempt: h.Attempt,
		Epoch: h.Epoch, Class: wire.ClassSubtask, Task: h.Task, InputHash: h.InputHash, Deadline: h.Deadline, TTLMS: h.TTLMS, Gateway: h.Gateway, Trace: h.Trace}}
	if h.ID == "" || h.Home == "" || h.Index < 0 || h.Lease == 0 || h.Epoch == 0 || h.TTLMS <= 0 || core.Sum(t.Data) != h.InputHash {
		return Taken{}, core.Errorf(core.Corrupt, "journal", "the record of subtask %d of job %.64q of region %.40q does not hold together", h.Index, h.ID, h.Home)
	}
	return t, nil
}

func (e rawEntry) released() (releasedHead, error) {
	var h releasedHead
	err := e.decodeHead(&h)
	if err == nil && (h.ID == "" || h.Index < 0) {
		err = core.Errorf(core.Corrupt, "journal", "a release names job %.64q and subtask %d", h.ID, h.Index)
	}
	return h, err
}

// takenTable is the records of a machine or a Memory, with their bounds. It has no
// clock: an entry carries its own time.
type takenTable struct {
	by    map[jobs.Key]Taken
	bytes int
}

func newTakenTable() takenTable { return takenTable{by: map[jobs.Key]Taken{}} }

// take adds a record; those that are void by its time go first.
func (t *takenTable) take(r Taken) error {
	t.expire(r.At)
	if old, known := t.by[r.Key()]; known {
		if old.Offer.Lease == r.Offer.Lease {
			return nil
		}
		t.drop(r.Key())
	}
	if len(t.by) >= maxTaken || t.bytes+len(r.Data) > maxTakenBytes {
		return core.Errorf(core.Exhausted, "journal", "%d subtasks of other regions with %d MiB are recorded already", len(t.by), t.bytes>>20)
	}
	t.by[r.Key()] = r
	t.bytes += len(r.Data)
	return nil
}

func (t *takenTable) drop(k jobs.Key) {
	t.bytes -= len(t.by[k].Data)
	delete(t.by, k)
}

func (t *takenTable) release(k jobs.Key, lease wire.LeaseID) {
	if r, known := t.by[k]; known && r.Offer.Lease == lease {
		t.drop(k)
	}
}

func (t *takenTable) expire(now time.Time) {
	for k, r := range t.by {
		if !now.Before(r.Offer.Deadline) {
			t.drop(k)
		}
	}
}

// list returns the records that are not void at a time, the oldest first.
func (t *takenTable) list(now time.Time) []Taken {
	out := slices.Collect(maps.Values(t.by))
	out = slices.DeleteFunc(out, func(r Taken) bool { return !now.Before(r.Offer.Deadline) })
	slices.SortFunc(out, func(a, b Taken) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Offer.TaskID, b.Offer.TaskID), cmp.Compare(a.Offer.Index, b.Offer.Index))
	})
	return out
}

// Take implements Helping. Errors are those of Commit.
func (g *Group) Take(ctx context.Context, t Taken) error {
	data, err := encodeTaken(t)
	if err != nil {
		return err
	}
	if err := g.space.check(&g.cfg); err != nil {
		return err
	}
	return g.propose(ctx, data)
}

// Release implements Helping.
func (g *Group) Release(k jobs.Key, lease wire.LeaseID, recorded func()) {
	done := func(err error) {
		switch {
		case err != nil:
			g.log.Debug().Err(err).Str("task_id", string(k.Task)).Int("subtask", k.Index).Msg("a release is not recorded; it expires")
		case recorded != nil:
			recorded()
		}
	}
	if err := g.proposeRelease(k, lease, done); err != nil {
		done(err)
	}
}

// proposeRelease calls done, unless it fails itself.
func (g *Group) proposeRelease(k jobs.Key, lease wire.LeaseID, done func(error)) error {
	data, err := appendEntry(nil, entryReleased, releasedHead{ID: k.Task, Index: k.Index, Lease: lease}, nil)
	if err != nil {
		return err
	}
	run, lead, err := g.leading()
	if err != nil {
		return err
	}
	return run.gate.put(&proposal{term: lead, data: data, done: done})
}

// Taken implements Helping.
func (g *Group) Taken(now time.Time) []Taken {
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	return g.m.taken.list(now)
}

// releaseVoid has every member forget what is past its deadline.
func (g *Group) releaseVoid(ctx context.Context) {
	now := g.cfg.Now()
	g.m.mu.Lock()
	var void []Taken
	for _, r := range g.m.taken.by {
		if !now.Before(r.Offer.Deadline) {
			void = append(void, r)
		}
	}
	g.m.mu.Unlock()
	if _, _, err := g.leading(); err != nil || ctx.Err() != nil {
		return
	}
	for _, r := range void {
		g.Release(r.Key(), r.Offer.Lease, nil)
	}
}

// Take implements Helping.
func (m *Memory) Take(_ context.Context, t Taken) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken.take(t)
}

// Release implements Helping.
func (m *Memory) Release(k jobs.Key, lease wire.LeaseID, recorded func()) {
	m.mu.Lock()
	m.taken.release(k, lease)
	m.mu.Unlock()
	if recorded != nil {
		recorded()
	}
}

// Taken implements Helping.
func (m *Memory) Taken(now time.Time) []Taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken.list(now)
}
