package regional

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// traced begins to remember a job's time as part of the trace that it names, or of a
// new one.
func (v *Validator) traced(job jobs.Job) {
	if v.deps.Trace == nil {
		return
	}
	c, ok := trace.Parse(job.Trace)
	if !ok {
		c = trace.New()
	}
	v.deps.Trace.Begin(job.ID, c)
}

// span remembers that something about a whole job took from begun until now.
func (v *Validator) span(id core.TaskID, name string, begun time.Time) {
	v.deps.Trace.Add(id, core.Span{Name: name, At: core.AtRegion, Node: v.deps.Signer.ID(), Start: begun.UTC()}, time.Now())
}

// workerSpans remembers what a worker says about the time it took for a subtask.
// Its clock is not trusted: the stretches end when the result is here. The worker
// exports its own.
func (v *Validator) workerSpans(r *wire.JobResult, worker core.NodeID, now time.Time) {
	if v.deps.Trace == nil {
		return
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	took := min(us(max(0, r.TookUS)), core.MaxTimeout)
	run := min(us(max(0, r.RunUS)), took)
	begun, index := now.Add(-took).UTC(), r.Index
	engine := begun.Add(took - run)
	v.deps.Trace.Remember(r.TaskID, core.Span{Name: "prepare", At: core.AtWorker, Node: worker, Start: begun, Subtask: &index, Attempt: r.Attempt}, engine)
	v.deps.Trace.Remember(r.TaskID, core.Span{Name: "execute", At: core.AtWorker, Node: worker, Start: engine, Subtask: &index, Attempt: r.Attempt}, now)
}

// lease is one attempt of a job's record; now is its end while it has none.
func lease(a core.Attempt, now time.Time) core.Span {
	end, note := a.Finished, a.Outcome
	if a.Outcome == "" {
		end, note = now, "running"
	}
	return core.Span{Name: "lease", At: core.AtRegion, Node: a.Worker, Start: a.Started,
		TookUS: max(0, end.Sub(a.Started).Microseconds()), Subtask: &a.Index, Attempt: a.Attempt, Note: note}
}

// leased exports the attempt that has just ended.
func (v *Validator) leased(id core.TaskID, j jobs.Job, index int, worker core.NodeID) {
	for i := len(j.Attempts) - 1; i >= 0; i-- {
		if a := j.Attempts[i]; a.Index == index && a.Worker == worker && a.Outcome != "" {
			v.deps.Trace.Lease(id, lease(a, a.Finished))
			return
		}
	}
}

// traceEnd exports a job that has ended, and the attempts that ended with it.
func (v *Validator) traceEnd(job jobs.Job) {
	for _, a := range job.Attempts {
		if a.Outcome != "" && a.Outcome != jobs.OutcomeOK && a.Finished.Equal(job.Updated) {
			v.deps.Trace.Lease(job.ID, lease(a, a.Finished))
		}
	}
	v.deps.Trace.End(job.ID, core.Span{Name: "job", At: core.AtRegion, Node: v.deps.Signer.ID(), Start: job.Created,
		TookUS: max(0, job.Updated.Sub(job.Created).Microseconds()), Note: string(job.State.Task())})
}

// trace returns where a job's time went: what was remembered, and the leases of
// its record, all that a coordinator knows which did not see the beginning.
func (v *Validator) trace(id core.TaskID) (core.Trace, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return core.Trace{}, err
	}
	out := core.Trace{TaskID: id, Spans: append([]core.Span{}, v.deps.Trace.Spans(id)...)}
	c := v.deps.Trace.Context(id)
	if c == (trace.Context{}) { // or it began before this coordinator led
		c, _ = trace.Parse(job.Trace)
	}
	if c != (trace.Context{}) {
		out.TraceID = c.ID()
	}
	now := time.Now().UTC()
	for _, a := range job.Attempts {
		out.Spans = append(out.Spans, lease(a, now))
	}
	if len(job.Attempts) > 0 {
		first := job.Attempts[0].Started
		out.Spans = append(out.Spans, core.Span{Name: "queue", At: core.AtRegion, Node: v.deps.Signer.ID(), Start: job.Created,
			TookUS: max(0, first.Sub(job.Created).Microseconds())})
	}
	return out, nil
}
