package regional

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/wire"
)

// traced begins to remember a job's time under the name that its offer carries, or
// a new one, and returns the present.
func (v *Validator) traced(o *wire.JobOffer) time.Time {
	if v.deps.Trace != nil {
		c, ok := trace.Parse(o.Trace)
		if !ok {
			c = trace.New()
		}
		v.deps.Trace.Begin(o.TaskID, c)
	}
	return time.Now()
}

// span remembers that something about a whole job took from begun until now.
func (v *Validator) span(id core.TaskID, name string, begun time.Time) {
	v.deps.Trace.Add(id, core.Span{Name: name, At: core.AtRegion, Node: v.deps.Signer.ID(), Start: begun.UTC()}, time.Now())
}

// workerSpans remembers what a worker says about the time it took for a subtask.
// Its clock is not trusted: the stretches end when the result is here.
func (v *Validator) workerSpans(r *wire.JobResult, worker core.NodeID, now time.Time) {
	if v.deps.Trace == nil {
		return
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	took := min(us(max(0, r.TookUS)), core.MaxTimeout)
	run := min(us(max(0, r.RunUS)), took)
	begun, index := now.Add(-took).UTC(), r.Index
	engine := begun.Add(took - run)
	v.deps.Trace.Add(r.TaskID, core.Span{Name: "prepare", At: core.AtWorker, Node: worker, Start: begun, Subtask: &index, Attempt: r.Attempt}, engine)
	v.deps.Trace.Add(r.TaskID, core.Span{Name: "execute", At: core.AtWorker, Node: worker, Start: engine, Subtask: &index, Attempt: r.Attempt}, now)
}

// trace returns where a job's time went: what was remembered, and the leases of
// its record. A region that did not see the beginning knows the leases only.
func (v *Validator) trace(id core.TaskID) (core.Trace, error) {
	job, err := v.deps.Journal.Get(id)
	if err != nil {
		return core.Trace{}, err
	}
	out := core.Trace{TaskID: id, Spans: append([]core.Span{}, v.deps.Trace.Spans(id)...)}
	if c := v.deps.Trace.Context(id); c != (trace.Context{}) {
		out.TraceID = c.ID()
	}
	now := time.Now().UTC()
	for _, a := range job.Attempts {
		end, note := a.Finished, a.Outcome
		if a.Outcome == "" {
			end, note = now, "running"
		}
		out.Spans = append(out.Spans, core.Span{Name: "lease", At: core.AtRegion, Node: a.Worker, Start: a.Started,
			TookUS: max(0, end.Sub(a.Started).Microseconds()), Subtask: &a.Index, Attempt: a.Attempt, Note: note})
	}
	if len(job.Attempts) > 0 {
		first := job.Attempts[0].Started
		out.Spans = append(out.Spans, core.Span{Name: "queue", At: core.AtRegion, Node: v.deps.Signer.ID(), Start: job.Created,
			TookUS: max(0, first.Sub(job.Created).Microseconds())})
	}
	return out, nil
}
