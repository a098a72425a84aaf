// Package journal is the record of jobs: what a region has promised and how it
// ended.
//
// It is not a queue and decides nothing; package jobs says which transitions
// exist. Journal is the contract. Group keeps it on the disks of a majority of the
// region's coordinators, as a Raft group with a leader; Memory remembers as long as
// the process lives.
//
// It guarantees that a committed job stays readable until it is final, that a
// final job never changes again, and that memory is bounded: new jobs are
// refused and the oldest final ones forgotten beyond the configured counts and
// sizes. What it returns is the caller's own.
package journal

import (
	"cmp"
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// Journal is what a region remembers of its jobs. Implementations are safe for
// concurrent use.
type Journal interface {
	// Commit records a new job; when it returns nil the submitter may be told. A
	// known id is core.Exists, too many open jobs core.Exhausted, a job that has
	// begun already core.Conflict.
	Commit(ctx context.Context, job jobs.Job) error
	// Update applies fn to an open job; when fn fails, or wants to end or rename
	// the job (core.Conflict), nothing changes. fn must not call the journal. An
	// update need not survive the process: only Commit and End do where the
	// implementation is durable.
	Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error
	// End makes a job final; ending it twice is core.Conflict.
	End(ctx context.Context, result core.TaskResult, now time.Time) (jobs.Job, error)
	// Keep records the accepted result of one subtask of an open job, so that
	// whoever takes the job over need not run it again. It does not wait: what is
	// lost costs a repetition, not the job. A part that is kept already stays. Who
	// takes a job over keeps what is Unsure again. recorded is called once the part
	// is recorded, at once or later, and never when it is not; it must not block or
	// call the journal. nil: nobody wants to know.
	Keep(id core.TaskID, part jobs.Part, recorded func()) error
	// Get returns a job, or core.NotFound.
	Get(id core.TaskID) (jobs.Job, error)
	// List returns the jobs that f lets through, newest first and then by id.
	List(f Filter) []jobs.Job
	// Open returns every job that is not final, oldest first and then by id, with
	// the parts that were kept: what a node that takes over has to do.
	Open() []OpenJob
}

// OpenJob is a job that somebody has to bring to its end.
type OpenJob struct {
	Job   jobs.Job
	Parts []jobs.Part // that are recorded; in no order
	// Unsure are parts that this process was given to keep and does not know to be
	// recorded: the term in which it proposed them may have ended before. No index
	// is in both.
	Unsure []jobs.Part
}

// Filter chooses jobs; a zero field lets everything through.
type Filter struct {
	State core.TaskState
	Type  core.TaskType
	// Except hides the jobs of a type; Type wins over it.
	Except core.TaskType
	// After continues a list behind the job it names, which need not exist any more.
	After Cursor
	// Limit is how many jobs are returned at most; 0 or less is none.
	Limit int
}

// Cursor is a place in a list.
type Cursor struct {
	Created time.Time
	ID      core.TaskID
}

// before says whether a list that continues at c shows the job.
func (c Cursor) before(j *jobs.Job) bool {
	return c.ID == "" || cmp.Or(j.Created.Compare(c.Created), cmp.Compare(c.ID, j.ID)) < 0
}

// match says whether f lets a job through.
func (f Filter) match(j *jobs.Job) bool {
	return f.kind(j.Spec.Type) && (f.State == "" || j.State.Task() == f.State) && f.After.before(j)
}

// kind says whether f lets jobs of a type through.
func (f Filter) kind(t core.TaskType) bool {
	return t == f.Type || f.Type == "" && (f.Except == "" || t != f.Except)
}
