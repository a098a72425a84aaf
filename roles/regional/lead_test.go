package regional

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

// TestSuccessor: whatever a region was doing when its leader vanished, the next
// one brings every recorded job to the same end.
//
// spec 2.1 2.5
func TestSuccessor(t *testing.T) {
	for name, c := range map[string]struct {
		spec   core.TaskSpec
		before func(t *testing.T, r *rig, w *worker) // what happens before the leader vanishes
		rerun  int                                   // subtasks that the successor has to hand out
	}{
		"nobody had begun": {specOf(numbers(100), `["sum"]`, 5), func(*testing.T, *rig, *worker) {}, 5},
		"two of five were done": {specOf(numbers(100), `["sum"]`, 5), func(t *testing.T, r *rig, w *worker) {
			done := 0
			w.run = func(ctx context.Context, data []byte) *wire.JobResult {
				if done++; done > 2 {
					<-ctx.Done()
					return failed(failureOf(context.Cause(ctx)))
				}
				return w.compute(data)
			}
			r.link(w, 1, nil)
			settle()
		}, 3},
		"one piece": {sample(), func(t *testing.T, r *rig, w *worker) {
			w.block()
			r.link(w, 1, nil)
			settle()
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				j := r.offer(jobID, c.spec)
				c.before(t, r, &worker{id: identity(1)})
				r.depose()
				settle()
				if f := j.failed(); f.Reason != jobs.HandedOver {
					t.Fatalf("the gateway hears %v", f)
				}
				next := r.successor(2)
				defer next.stop()
				w := next.worker(2, 8, nil)
				if got := next.offer(jobID, c.spec).completed(); got != alone(t, c.spec) {
					t.Errorf("it ends with %s", got)
				}
				if n := len(w.offers()); n != c.rerun {
					t.Errorf("%d subtasks were handed out again, want %d", n, c.rerun)
				}
				next.idle()
			})
		})
	}
}

// TestForgedPartIsNotKept: a kept part counts only for the exact input it was
// computed from.
func TestForgedPartIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		spec := specOf(numbers(100), `["sum"]`, 2)
		r.offer(jobID, spec)
		r.depose()
		settle()
		for _, p := range []jobs.Part{{Index: 0, Output: []byte("1"), Proof: prove(identity(1), []byte("other"), []byte("1"))}, {Index: 7}, {Index: -1}} {
			if err := r.journal.Keep(jobID, p, nil); err != nil {
				t.Fatal(err)
			}
		}
		next := r.successor(2)
		defer next.stop()
		next.worker(2, 8, nil)
		if got := next.offer(jobID, spec).completed(); got != alone(t, spec) {
			t.Errorf("it ends with %s", got)
		}
	})
}

// doubtful is a Journal that is not sure to have recorded any part.
type doubtful struct {
	journal.Journal
	kept []int
}

func (j *doubtful) Keep(id core.TaskID, p jobs.Part, recorded func()) error {
	j.kept = append(j.kept, p.Index)
	return j.Journal.Keep(id, p, recorded)
}

func (j *doubtful) Open() []journal.OpenJob {
	open := j.Journal.Open()
	for i := range open {
		open[i].Parts, open[i].Unsure = nil, open[i].Parts
	}
	return open
}

// TestUnsurePartsAreKeptAgain: who leads once more does not run a part again that
// it has the result of, and has that recorded, should it be the next to vanish.
func TestUnsurePartsAreKeptAgain(t *testing.T) {
	j := &doubtful{}
	bubbleWith(t, options{journal: func(under journal.Journal) journal.Journal { j.Journal = under; return j }}, func(t *testing.T, r *rig) {
		spec := specOf(numbers(100), `["sum"]`, 2)
		r.offer(jobID, spec)
		w, done := &worker{id: identity(1)}, 0
		w.run = func(ctx context.Context, data []byte) *wire.JobResult {
			if done++; done > 1 {
				<-ctx.Done()
				return failed(failureOf(context.Cause(ctx)))
			}
			return w.compute(data)
		}
		r.link(w, 1, nil)
		settle()
		r.depose()
		settle()
		next := r.successor(2)
		defer next.stop()
		settle()
		if len(j.kept) != 2 || j.kept[0] != j.kept[1] {
			t.Errorf("kept parts %v", j.kept)
		}
		again := next.worker(2, 8, nil)
		if got := next.offer(jobID, spec).completed(); got != alone(t, spec) || len(again.offers()) != 1 {
			t.Errorf("it ends with %s after %d subtasks", got, len(again.offers()))
		}
	})
}

// unhurried is a Journal that records parts when it is told to.
type unhurried struct {
	journal.Journal
	mu      sync.Mutex
	waiting []func()
}

func (j *unhurried) Keep(id core.TaskID, p jobs.Part, recorded func()) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = append(j.waiting, recorded)
	return j.Journal.Keep(id, p, nil)
}

func (j *unhurried) record() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, recorded := range j.waiting {
		recorded()
	}
	j.waiting = nil
}

// TestNotPaidBeforeItIsRecorded: work earns its receipt when the journal has it, or
// the job's end, and not when it was only accepted: whoever leads next may have it
// computed, and paid, again.
//
// spec 2.34 4.55
func TestNotPaidBeforeItIsRecorded(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(r *rig, j *unhurried, goOn func())
		paid int
	}{
		{"neither yet", func(*rig, *unhurried, func()) {}, 0},
		{"the part is recorded", func(_ *rig, j *unhurried, _ func()) { j.record() }, 1},
		{"the job ends", func(_ *rig, _ *unhurried, goOn func()) { goOn() }, 2},
		{"the term ends", func(r *rig, j *unhurried, _ func()) { r.depose(); settle(); j.record() }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &unhurried{}
			bubbleWith(t, options{journal: func(under journal.Journal) journal.Journal { j.Journal = under; return j }}, func(t *testing.T, r *rig) {
				r.offer(jobID, specOf(numbers(100), `["sum"]`, 2))
				w, taken, on := &worker{id: identity(1)}, 0, make(chan struct{})
				w.run = func(ctx context.Context, data []byte) *wire.JobResult {
					if taken++; taken > 1 {
						select {
						case <-on:
						case <-ctx.Done():
							return failed(failureOf(context.Cause(ctx)))
						}
					}
					return w.compute(data)
				}
				r.link(w, 1, nil)
				settle()
				if got := len(r.conductOf(w.id.ID())); got != 0 {
					t.Errorf("%d parts were paid before any was recorded", got)
				}
				c.then(r, j, func() { close(on) })
				settle()
				if got := len(r.conductOf(w.id.ID())); got != c.paid {
					t.Errorf("%d parts are paid, want %d", got, c.paid)
				}
			})
		})
	}
}

// TestNotLeading: a coordinator that does not lead takes nothing, runs nothing
// and ends nothing, but answers what it knows.
func TestNotLeading(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.offer(jobID, sample())
		r.depose()
		settle()
		if r.v.Leading() || r.v.InProgress() != 0 {
			t.Errorf("leading %v with %d jobs", r.v.Leading(), r.v.InProgress())
		}
		for _, class := range []wire.Class{wire.ClassJob, wire.ClassSubtask} {
			o := offerOf(jobID, sample())
			o.Class = class
			if _, no := r.v.Take(gateway, o); no == nil || no.Reason != wire.RefusedBusy || no.RetryAfterMS == 0 {
				t.Errorf("%s: %+v", class, no)
			}
		}
		if err := r.v.Cancel(t.Context(), jobID); !errors.Is(err, core.Unavailable) {
			t.Errorf("cancel: %v", err)
		}
		if _, err := r.v.Distribute(t.Context(), "other", sample()); !errors.Is(err, core.Unavailable) {
			t.Errorf("distribute: %v", err)
		}
		if s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{TaskID: jobID, Op: wire.QueryStatus}); s.Status == nil || s.Status.Status != core.TaskPending {
			t.Errorf("status: %+v", s)
		}
	})
}

// stubborn is a Journal that cannot record ends, or says that it could not record
// a job although it did.
type stubborn struct {
	journal.Journal
	ends    int // how many fail
	commits int
}

func (j *stubborn) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	if j.ends > 0 {
		j.ends--
		return jobs.Job{}, core.Errorf(core.Exhausted, "journal", "the disk is full")
	}
	return j.Journal.End(ctx, r, now)
}

func (j *stubborn) Commit(ctx context.Context, job jobs.Job) error {
	err := j.Journal.Commit(ctx, job)
	if j.commits > 0 && err == nil {
		j.commits--
		return core.Errorf(core.Unavailable, "journal", "the majority was lost")
	}
	return err
}

// TestEndIsRepeated: a job whose end cannot be recorded ends as soon as it can.
func TestEndIsRepeated(t *testing.T) {
	disk := &stubborn{ends: 10}
	bubbleWith(t, options{journal: func(j journal.Journal) journal.Journal { disk.Journal = j; return disk }}, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil)
		start := time.Now()
		if got := r.offer(jobID, sample()).completed(); got != "55" || disk.ends != 0 {
			t.Errorf("it ends with %s", got)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// TestUnsureCommit: a job that was recorded although the journal could not say so
// is refused, and run all the same.
func TestUnsureCommit(t *testing.T) {
	majority := &stubborn{commits: 1}
	bubbleWith(t, options{journal: func(j journal.Journal) journal.Journal { majority.Journal = j; return majority }}, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil)
		if _, no := r.take(jobID, sample()); no == nil || no.Reason != wire.RefusedBusy {
			t.Fatalf("got %+v", no)
		}
		time.Sleep(2 * orphanLook)
		if got, err := r.v.Result(jobID); err != nil || string(got.Result) != "55" {
			t.Errorf("it ends as %+v, %v", got, err)
		}
		if got := r.offer(jobID, sample()).completed(); got != "55" {
			t.Errorf("offered again it ends with %s", got)
		}
	})
}

// TestOtherTaskUnderOneID: an id that was made of an idempotency key names one
// task, open or ended.
func TestOtherTaskUnderOneID(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		take := func(hash string) *wire.JobReject {
			o := offerOf(jobID, sample())
			o.SpecHash = core.Sum([]byte(hash))
			ticket, no := r.v.Take(gateway, o)
			if no != nil {
				return no
			}
			if no = ticket.Prepare(r.ctx, sample().Data); no == nil {
				r.wg.Go(func() { ticket.Run(r.ctx, sample().Data, func(float64) {}) })
			}
			return no
		}
		if no := take("one"); no != nil {
			t.Fatalf("refused: %+v", no)
		}
		for range 2 {
			if no := take("one"); no != nil {
				t.Errorf("the same again: %+v", no)
			}
			if no := take("two"); no == nil || no.Reason != wire.RefusedInvalid {
				t.Errorf("another: %+v", no)
			}
			r.link(&worker{id: identity(1), run: (&worker{id: identity(1)}).honest}, 1, nil)
			settle()
		}
	})
}

func (w *worker) honest(_ context.Context, data []byte) *wire.JobResult { return w.compute(data) }

// slow is a Journal that lets something happen while a record is made.
type slow struct {
	journal.Journal
	commit func()                                        // before Commit returns
	end    func(id core.TaskID)                          // before End
	open   func(all []journal.OpenJob) []journal.OpenJob // what Open returns
}

func (j *slow) Commit(ctx context.Context, job jobs.Job) error {
	err := j.Journal.Commit(ctx, job)
	if j.commit != nil {
		j.commit()
	}
	return err
}

func (j *slow) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	if j.end != nil {
		j.end(r.TaskID)
	}
	return j.Journal.End(ctx, r, now)
}

func (j *slow) Open() []journal.OpenJob {
	if j.open != nil {
		return j.open(j.Journal.Open())
	}
	return j.Journal.Open()
}

func withSlow(t *testing.T, j *slow, test func(t *testing.T, r *rig)) {
	bubbleWith(t, options{journal: func(inner journal.Journal) journal.Journal { j.Journal = inner; return j }}, test)
}

// TestRecordedJobIsRun: a job whose offer is withdrawn in the moment in which it
// is recorded is run: it would be open for ever otherwise.
//
// spec 2.1
func TestRecordedJobIsRun(t *testing.T) {
	for range 20 { // of two things that are ready Go takes either
		j := &slow{}
		withSlow(t, j, func(t *testing.T, r *rig) {
			ctx, withdraw := context.WithCancelCause(t.Context())
			j.commit = func() { withdraw(&core.Failure{Reason: jobs.LeaseExpired}) }
			r.worker(1, 1, nil)
			ticket, no := r.v.Take(gateway, offerOf(jobID, sample()))
			if no != nil {
				t.Fatalf("refused: %+v", no)
			}
			if no := ticket.Prepare(ctx, sample().Data); no != nil {
				t.Fatalf("recorded and refused: %+v", no)
			}
			if got := ticket.Run(ctx, sample().Data, func(float64) {}); got.Failure == nil && string(got.Output.Inline) != "55" {
				t.Errorf("who is not waited for hears %+v", got)
			}
			settle()
			if got, err := r.v.Result(jobID); err != nil || string(got.Result) != "55" {
				t.Errorf("it ends as %+v, %v", got, err)
			}
			r.idle()
		})
	}
}

// TestEndOfATermEndsNoJob: a job that begins while its coordinator stops leading
// finds no board any more; that is no reason for it to fail.
//
// spec 2.5
func TestEndOfATermEndsNoJob(t *testing.T) {
	j := &slow{}
	withSlow(t, j, func(t *testing.T, r *rig) {
		const late = jobID + "-late"
		release := make(chan struct{})
		j.end = func(id core.TaskID) {
			if id == jobID {
				<-release // a disk that hangs: the term cannot be wound up
			}
		}
		r.worker(1, 1, nil)
		r.offer(jobID, sample())
		settle()
		ticket, no := r.take(late, sample())
		if no != nil {
			t.Fatalf("refused: %+v", no)
		}
		r.depose()
		settle()
		r.wg.Go(func() { ticket.Run(r.ctx, sample().Data, func(float64) {}) })
		settle()
		close(release)
		settle()
		if job, err := r.journal.Get(late); err != nil || job.State.Final() {
			t.Errorf("it is %s (%v), %v", job.State, job.Result.Failure, err)
		}
		next := r.successor(2)
		defer next.stop()
		next.worker(2, 1, nil)
		if got := next.offer(late, sample()).completed(); got != "55" {
			t.Errorf("it ends with %s", got)
		}
	})
}

// TestEndedJobIsNotResumed: a leader that looks for jobs it may have overlooked
// leaves alone those that end meanwhile.
func TestEndedJobIsNotResumed(t *testing.T) {
	j := &slow{}
	withSlow(t, j, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		var seen []journal.OpenJob
		j.commit = func() { seen = append(seen, j.Journal.Open()...) }
		j.open = func(all []journal.OpenJob) []journal.OpenJob { return append(all, seen...) }
		if got := r.offer(jobID, sample()).completed(); got != "55" || len(seen) != 1 {
			t.Fatalf("it ends with %s", got)
		}
		r.v.leave(&execution{}, core.Errorf(core.Unavailable, "journal", "nobody knows"))
		time.Sleep(2 * orphanLook)
		if n := len(w.offers()); n != 1 {
			t.Errorf("it was handed out %d times", n)
		}
		r.idle()
	})
}

// TestLateOrphan: a job that the log takes long after Commit gave up is run.
func TestLateOrphan(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil)
		r.v.leave(&execution{}, core.Errorf(core.Unavailable, "journal", "nobody knows"))
		time.Sleep(4 * orphanLook)
		if err := r.journal.Commit(t.Context(), jobs.NewJob(jobID, sample(), gateway, time.Now())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * orphanLook)
		if got, err := r.v.Result(jobID); err != nil || string(got.Result) != "55" {
			t.Errorf("it ends as %+v, %v", got, err)
		}
	})
}
