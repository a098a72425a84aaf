package regional

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
)

// term is the time in which this node leads the region.
type term struct{ ctx context.Context }

// orphanLook is how often a leader looks for jobs that were recorded although
// recording them seemed to fail.
const orphanLook = 5 * time.Second

// orphanTime is for how long it looks: a log that stalls may still take, much
// later, what Commit gave up on.
const orphanTime = time.Minute

// Lead runs the region's jobs until ctx ends: those that are open in the journal
// from where they are, and what is offered from then on. The epoch is higher than
// any before. It returns when nothing of the region runs here any more; nothing
// that this node did not finish has ended by that.
func (v *Validator) Lead(ctx context.Context, epoch uint64) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &term{ctx: ctx}
	if err := v.deps.Dispatcher.Lead(v.deps.Region(), epoch); err != nil {
		v.log.Error().Err(err).Msg("cannot lead the region")
		return
	}
	v.takeUp(t)
	v.resume(t)
	v.mu.Lock()
	v.term = t // not before: a job that is offered again joins what was resumed, with its parts
	v.mu.Unlock()
	v.changed(true)
	v.log.Info().Uint64("epoch", epoch).Str("region", string(v.deps.Region())).Int("jobs", v.InProgress()).Msg("leading the region")
	tick := time.NewTicker(orphanLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			v.adoptOrphans(t)
		}
	}
	stop()
	v.retire()
	v.log.Info().Uint64("epoch", epoch).Str("region", string(v.deps.Region())).Msg("not leading the region any more")
}

// Leading reports whether this node leads the region.
func (v *Validator) Leading() bool { return v.current() != nil }

// current returns the term in which this node leads, nil when it does not.
func (v *Validator) current() *term {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.term
}

func (v *Validator) changed(leading bool) {
	if v.deps.Changed != nil {
		v.deps.Changed(leading)
	}
}

// resume goes on with every open job that does not run here.
func (v *Validator) resume(t *term) {
	for _, o := range v.deps.Journal.Open() {
		if x := v.takeOver(t, o); x != nil {
			x.keep(o.Unsure, nil)
			x.begin.Do(func() { x.launch(o, v.deps.Dispatcher.Resume) })
		}
	}
	v.deps.Dispatcher.Resumed(v.owed)
}

// takeOver makes the execution of an open job, nil when there is one or the job has
// ended since it was seen open: an execution leaves v.runs after that was recorded.
func (v *Validator) takeOver(t *term, o journal.OpenJob) *execution {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.runs[o.Job.ID] != nil {
		return nil
	}
	if job, err := v.deps.Journal.Get(o.Job.ID); err != nil || job.State.Final() {
		return nil
	}
	v.traced(o.Job)
	x := newExecution(v, t, o.Job)
	close(x.recorded)
	v.runs[o.Job.ID] = x
	return x
}

func (v *Validator) adoptOrphans(t *term) {
	v.mu.Lock()
	unsure := time.Now().Before(v.unsure)
	v.mu.Unlock()
	if unsure {
		v.resume(t)
	}
}

// retire lets go of everything without ending anything.
func (v *Validator) retire() {
	v.mu.Lock()
	runs := v.runs
	v.term, v.runs = nil, map[core.TaskID]*execution{}
	v.mu.Unlock()
	v.changed(false)
	v.deps.Dispatcher.Retire()
	for _, x := range runs {
		x.abandon()
	}
}
