package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
)

// step runs step i, whose predecessors have ended well.
func (r *Runner) step(ctx context.Context, i int) *core.Failure {
	s := &r.plan.steps[i]
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, &core.Failure{Reason: core.ReasonDeadline,
			Message: fmt.Sprintf("the step's timeout of %s passed before it was done", s.timeout)})
		defer cancel()
	}
	held := core.MaxTaskBytes // nobody knows yet how much there is to read
	if len(s.data.Sources()) == 0 && s.over.From == "" {
		held = 0
	}
	if f := take(ctx, r.room.inputs, held); f != nil {
		return f
	}
	defer func() { r.room.inputs.Release(int64(held)) }()
	w, f := r.prepare(ctx, i)
	if f != nil {
		return f
	}
	more := held - min(held, w.size())
	r.room.inputs.Release(int64(more))
	held -= more
	r.begin(i, w.jobs())
	return r.each(ctx, i, w)
}

// work is what the jobs of a step are made of.
type work struct {
	data template.Template // only $item and $index are left open
	list [][]byte          // of a map
	one  bool              // no map: one job
}

func (w *work) jobs() int {
	if w.one {
		return 1
	}
	return len(w.list)
}

// size is how many bytes it holds.
func (w *work) size() (n int) {
	for _, item := range w.list {
		n += len(item)
	}
	return n + len(w.data.Text)
}

// element returns the data of the job of one element.
func (w *work) element(index int) (json.RawMessage, *core.Failure) {
	data := w.data.Text
	if !w.one {
		var err error
		if data, err = w.data.Element(w.list[index], index); err != nil {
			return nil, invalid("%v", err)
		}
	}
	if err := deliverable(data); err != nil {
		return nil, invalid("its data, put together, is not possible: %v", err)
	}
	return data, nil
}

// each runs the jobs of a step. The first that fails ends the others.
func (r *Runner) each(ctx context.Context, i int, w *work) (failure *core.Failure) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var once sync.Once
	fail := func(f *core.Failure) {
		once.Do(func() { failure = f })
		stop(&core.Failure{Reason: core.ReasonCancelled, Message: "another element of the step failed"})
	}
	limit := make(chan struct{}, MaxJobs) // goroutines, those that wait for a retry included
	for index := range w.jobs() {
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			fail(failureOf(context.Cause(ctx)))
			break
		}
		wg.Go(func() {
			defer func() { <-limit }()
			if _, f := r.job(ctx, i, index, w); f != nil {
				fail(f)
			}
		})
	}
	wg.Wait()
	return failure
}

// job runs the job of one element with its retries.
func (r *Runner) job(ctx context.Context, i, index int, w *work) (json.RawMessage, *core.Failure) {
	for try := 0; ; try++ {
		result, f := r.try(ctx, i, index, try, w)
		if f == nil {
			return result, nil
		}
		if !mends(f.Reason) || try >= r.plan.steps[i].retries || ctx.Err() != nil {
			return nil, f
		}
		r.note(i, func(s *stepRun) {
			s.Retries++
			s.waiting++
			s.settle()
		})
		pause(ctx, backoff(try))
		r.note(i, func(s *stepRun) {
			s.waiting--
			s.settle()
		})
		if ctx.Err() != nil {
			return nil, failureOf(context.Cause(ctx))
		}
	}
}

// mends says whether a failure for this reason may not come again.
func mends(reason core.Reason) bool {
	return !reason.Certain() && reason != core.ReasonCancelled
}

// backoff is the pause after a try: 1, 2, 4, 8 and then always 15 seconds.
func backoff(try int) time.Duration { return min(time.Second<<min(try, 4), 15*time.Second) }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// settle tells a step that only waits for retries from one that runs.
func (s *stepRun) settle() {
	switch {
	case s.State != StepRunning && s.State != StepRetrying:
	case s.Running == 0 && s.waiting > 0:
		s.State = StepRetrying
	default:
		s.State = StepRunning
	}
}

// try runs one job once.
func (r *Runner) try(ctx context.Context, i, index, try int, w *work) (json.RawMessage, *core.Failure) {
	size := len(w.data.Text)
	if !w.one {
		size += len(w.list[index])
	}
	size = min(size, core.MaxTaskBytes)
	if f := take(ctx, r.room.jobs, size); f != nil {
		return nil, f
	}
	defer r.room.jobs.Release(int64(size))
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, failureOf(context.Cause(ctx))
	}
	spec, f := r.spec(ctx, i, index, w)
	if f != nil {
		return nil, f
	}
	id := JobID(r.home, r.id, r.plan.steps[i].id, index, try)
	r.started(i, id)
	result := r.steps.Run(ctx, id, spec, func(share float64) { r.note(i, func(s *stepRun) { s.Progress = share }) })
	f = failed(result)
	r.tried(i, index, try, id, f)
	return result.Result, f
}

// spec is the task of one element. A deadline goes into its timeout: an offer has one
// of them.
func (r *Runner) spec(ctx context.Context, i, index int, w *work) (spec core.TaskSpec, f *core.Failure) {
	spec = r.plan.steps[i].spec
	spec.Data, f = w.element(index)
	spec.TimeoutMS, spec.Deadline = r.timeout(ctx, i).Milliseconds(), time.Time{}
	return spec, f
}

// timeout is how long a job of step i may take: what its task says, else the
// step, and hardly longer than what ctx leaves.
func (r *Runner) timeout(ctx context.Context, i int) time.Duration {
	s := &r.plan.steps[i]
	now := time.Now()
	limit := s.spec.Until(now).Sub(now)
	if s.spec.TimeoutMS == 0 && s.spec.Deadline.IsZero() && s.timeout > 0 {
		limit = core.MaxTimeout
	}
	if until, has := ctx.Deadline(); has {
		limit = min(limit, until.Sub(now)+grace)
	}
	return min(max(limit, time.Millisecond), core.MaxTimeout)
}

// grace lets the deadline of the step or the workflow, whose reason is the better
// one, come before that of the job.
const grace = 5 * time.Second

// failed returns why a job has no value.
func failed(r core.TaskResult) *core.Failure {
	switch {
	case r.Status == core.TaskCompleted:
		return nil
	case r.Failure != nil:
		return r.Failure
	}
	return &core.Failure{Reason: core.ReasonInternal, Message: "its job ended without a result and without a reason"}
}

func (r *Runner) started(i int, id core.TaskID) {
	r.note(i, func(s *stepRun) {
		s.Running++
		s.settle()
		if !s.Map {
			s.TaskID = id
		}
	})
}

func (r *Runner) tried(i, index, try int, id core.TaskID, f *core.Failure) {
	r.note(i, func(s *stepRun) {
		s.Running--
		switch {
		case f == nil:
			s.Done++
			s.tries[index] = uint8(try)
		case f.Reason != core.ReasonCancelled:
			s.TaskID = id
		}
	})
}
