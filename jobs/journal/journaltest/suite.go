// Package journaltest is what every implementation of journal.Journal must pass,
// as one function for its tests.
//
// It is not a fake: journal.Memory is the one that tests and small nodes use. It
// says nothing about durability or bounds, which an implementation tests itself.
//
// It guarantees that a journal which passes Run can take the place of any other.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
)

// Run holds a journal to the contract. open returns an empty one with room for
// at least 100 open and 100 final jobs; it is called once for every case.
func Run(t *testing.T, open func(t *testing.T) journal.Journal) {
	for name, check := range map[string]func(*testing.T, journal.Journal){
		"a committed job can be read":        committed,
		"an id is taken once":                taken,
		"a job that began is refused":        begun,
		"unknown ids are not found":          unknown,
		"updates change what they say":       updates,
		"a failed update changes nothing":    failedUpdate,
		"an update neither ends nor renames": forbiddenUpdate,
		"every end":                          ends,
		"an end is for ever":                 endsOnce,
		"lists newest first":                 lists,
		"a list continues":                   pages,
		"who takes over sees what is open":   openJobs,
		"what is returned is a copy":         copies,
		"concurrent use":                     concurrent,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

// NewJob returns a job in state Received whose id and age tell it from others:
// a higher n was created later.
func NewJob(n int) jobs.Job {
	created := time.Date(2026, 11, 20, 9, 0, n, 0, time.UTC)
	id := core.TaskID(fmt.Sprintf("us-east-0190b5a4-7e3c-7cc0-8000-%012d", n))
	return jobs.NewJob(id, core.TaskSpec{Type: "compute", Data: []byte(`{"n":1}`)}, "gateway", created)
}

func commit(t *testing.T, j journal.Journal, n int) jobs.Job {
	t.Helper()
	job := NewJob(n)
	if err := j.Commit(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	return job
}

func get(t *testing.T, j journal.Journal, id core.TaskID) jobs.Job {
	t.Helper()
	job, err := j.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func completed(id core.TaskID) core.TaskResult {
	return core.TaskResult{TaskID: id, Status: core.TaskCompleted, Result: []byte("55")}
}

func committed(t *testing.T, j journal.Journal) {
	want := commit(t, j, 1)
	got := get(t, j, want.ID)
	if got.State != jobs.Committed || string(got.Spec.Data) != string(want.Spec.Data) || got.Gateway != want.Gateway || !got.Created.Equal(want.Created) {
		t.Errorf("got %+v", got)
	}
}

func taken(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	if err := j.Commit(context.Background(), NewJob(1)); !errors.Is(err, core.Exists) {
		t.Errorf("committing an open id again: %v", err)
	}
	if _, err := j.End(context.Background(), completed(job.ID), job.Created); err != nil {
		t.Fatal(err)
	}
	if err := j.Commit(context.Background(), NewJob(1)); !errors.Is(err, core.Exists) {
		t.Errorf("committing a final id again: %v", err)
	}
	if got := get(t, j, job.ID); got.State != jobs.Completed {
		t.Errorf("the job is %s now", got.State)
	}
}

func begun(t *testing.T, j journal.Journal) {
	job := NewJob(1)
	job.State = jobs.Running
	if err := j.Commit(context.Background(), job); !errors.Is(err, core.Conflict) {
		t.Errorf("got %v", err)
	}
	if _, err := j.Get(job.ID); !errors.Is(err, core.NotFound) {
		t.Errorf("it is there: %v", err)
	}
}

func unknown(t *testing.T, j journal.Journal) {
	commit(t, j, 1)
	_, getErr := j.Get("nobody")
	_, endErr := j.End(context.Background(), completed("nobody"), time.Now())
	updateErr := j.Update("nobody", func(job jobs.Job) (jobs.Job, error) {
		t.Error("an unknown job is updated")
		return job, nil
	})
	for name, err := range map[string]error{"get": getErr, "end": endErr, "update": updateErr} {
		if !errors.Is(err, core.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func updates(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	at := job.Created.Add(time.Second)
	err := j.Update(job.ID, func(job jobs.Job) (jobs.Job, error) {
		job.Subtasks = 3
		job.Attempts = append(job.Attempts, core.Attempt{Worker: "w1"})
		return job.To(jobs.Running, at)
	})
	if got := get(t, j, job.ID); err != nil || got.State != jobs.Running || got.Subtasks != 3 || len(got.Attempts) != 1 || !got.Updated.Equal(at) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func failedUpdate(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	add := func(job jobs.Job) (jobs.Job, error) {
		job.Attempts = append(job.Attempts, core.Attempt{Worker: "w1"})
		return job, nil
	}
	if err := j.Update(job.ID, add); err != nil {
		t.Fatal(err)
	}
	why := errors.New("no")
	err := j.Update(job.ID, func(job jobs.Job) (jobs.Job, error) {
		job.Subtasks, job.Attempts[0].Worker = 9, "w2"
		return job, why
	})
	if got := get(t, j, job.ID); !errors.Is(err, why) || got.Subtasks != 0 || got.Attempts[0].Worker != "w1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func forbiddenUpdate(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	for name, fn := range map[string]func(jobs.Job) (jobs.Job, error){
		"rename": func(job jobs.Job) (jobs.Job, error) { job.ID = "other"; return job, nil },
		"end":    func(job jobs.Job) (jobs.Job, error) { return job.End(completed(job.ID), job.Created) },
	} {
		if err := j.Update(job.ID, fn); !errors.Is(err, core.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := get(t, j, job.ID); got.State != jobs.Committed || got.ID != job.ID {
		t.Errorf("the job is %+v now", got)
	}
}

func ends(t *testing.T, j journal.Journal) {
	for i, c := range []struct {
		result core.TaskResult
		want   jobs.State
	}{
		{core.TaskResult{Status: core.TaskCompleted, Result: []byte("55")}, jobs.Completed},
		{core.FailedFor("", core.ReasonOverflow, "too big"), jobs.Failed},
		{jobs.FailedResult("", &core.Failure{Reason: core.ReasonCancelled}), jobs.Cancelled},
		{jobs.FailedResult("", &core.Failure{Reason: core.ReasonDeadline}), jobs.Expired},
	} {
		job := commit(t, j, i)
		c.result.TaskID = job.ID
		at := job.Created.Add(time.Minute)
		got, err := j.End(context.Background(), c.result, at)
		if err != nil || got.State != c.want || got.Spec.Data != nil || !got.Updated.Equal(at) {
			t.Errorf("%s: got %+v, %v", c.want, got, err)
		}
		if kept := get(t, j, job.ID); kept.State != c.want || string(kept.Result.Result) != string(c.result.Result) || !reflect.DeepEqual(kept.Result.Failure, c.result.Failure) {
			t.Errorf("%s: kept %+v", c.want, kept)
		}
	}
}

func endsOnce(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	ctx := context.Background()
	if _, err := j.End(ctx, completed(job.ID), job.Created); err != nil {
		t.Fatal(err)
	}
	for _, again := range []core.TaskResult{completed(job.ID), core.FailedFor(job.ID, core.ReasonInternal, "late")} {
		if _, err := j.End(ctx, again, job.Created); !errors.Is(err, core.Conflict) {
			t.Errorf("ending it again as %s: %v", again.Status, err)
		}
	}
	err := j.Update(job.ID, func(job jobs.Job) (jobs.Job, error) { job.Done++; return job, nil })
	if !errors.Is(err, core.Conflict) {
		t.Errorf("updating a final job: %v", err)
	}
	if got := get(t, j, job.ID); got.State != jobs.Completed || got.Done != 0 {
		t.Errorf("the job is %+v now", got)
	}
}

func copies(t *testing.T, j journal.Journal) {
	job := commit(t, j, 1)
	err := j.Update(job.ID, func(job jobs.Job) (jobs.Job, error) {
		job.Attempts = append(job.Attempts, core.Attempt{Worker: "w1"})
		return job, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	get(t, j, job.ID).Attempts[0].Worker = "changed"
	j.List(journal.Filter{Limit: 1})[0].Attempts[0].Worker = "changed"
	ended, err := j.End(context.Background(), completed(job.ID), job.Created)
	if err != nil {
		t.Fatal(err)
	}
	ended.Attempts[0].Worker = "changed"
	if got := get(t, j, job.ID).Attempts[0].Worker; got != "w1" {
		t.Errorf("a reader changed the record: %s", got)
	}
}

// concurrent has many goroutines commit, update, end and read the same jobs: of
// the rivals for one job exactly one commits and one ends it. The race detector
// watches.
func concurrent(t *testing.T, j journal.Journal) {
	const rivals, many = 4, 20
	var mu sync.Mutex
	wins := map[string]int{}
	won := func(what string, err error, otherwise core.Kind) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			wins[what]++
		case !errors.Is(err, otherwise):
			t.Errorf("%s: %v", what, err)
		}
	}
	var wg sync.WaitGroup
	for range rivals {
		wg.Go(func() {
			for n := range many {
				job := NewJob(n)
				won("commit", j.Commit(context.Background(), job), core.Exists)
				for range 3 {
					err := j.Update(job.ID, func(job jobs.Job) (jobs.Job, error) {
						job.Attempts = append(job.Attempts, core.Attempt{})
						job.Attempts[len(job.Attempts)-1].Outcome = "ok"
						return job, nil
					})
					won("update", err, core.Conflict)
				}
				for _, seen := range j.List(journal.Filter{Limit: 5}) {
					for _, a := range seen.Attempts {
						_ = a.Outcome
					}
				}
				_, err := j.End(context.Background(), completed(job.ID), job.Created)
				won("end", err, core.Conflict)
				if got, err := j.Get(job.ID); err != nil || got.State != jobs.Completed {
					t.Errorf("after the end: %s, %v", got.State, err)
				}
			}
		})
	}
	wg.Wait()
	attempts := 0
	for _, job := range j.List(journal.Filter{Limit: many}) {
		attempts += len(job.Attempts)
	}
	if wins["commit"] != many || wins["end"] != many || wins["update"] != attempts {
		t.Errorf("%v for %d jobs with %d attempts recorded", wins, many, attempts)
	}
}
