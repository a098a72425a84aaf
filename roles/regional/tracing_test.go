package regional

import (
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/wire"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceOfAJob: a region tells where a job's time went, its workers' too, under
// the name that the offer carried, and passes that name on.
//
// spec 2.34
func TestTraceOfAJob(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.v.deps.Trace = trace.NewRing(0, nil)
		w := r.worker(1, 1, nil)
		context, ok := trace.Parse(traceparent)
		if !ok {
			t.Fatal("the example is none")
		}
		j := r.offer(jobID, specOf(numbers(100), `["sum"]`, 2))
		j.completed()
		w.mu.Lock()
		for _, o := range w.taken {
			if o.Trace == traceparent || o.Trace != r.v.deps.Trace.Context(jobID).String() || o.Trace[:36] != traceparent[:36] {
				t.Errorf("the worker was offered trace %q", o.Trace)
			}
		}
		w.mu.Unlock()
		told := r.traceOf(jobID)
		var names []string
		for _, s := range told.Spans {
			names = append(names, s.At+" "+s.Name)
		}
		slices.Sort(names)
		want := []string{"region commit", "region lease", "region lease", "region merge", "region plan", "region queue",
			"worker execute", "worker execute", "worker prepare", "worker prepare"}
		if !slices.Equal(names, want) || told.TraceID != context.ID() {
			t.Errorf("trace %s: %v", told.TraceID, names)
		}
	})
}

// TestTraceGoesOn: whoever leads next goes on with the trace that a job came with.
func TestTraceGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.offer(jobID, sample()) // nobody is there to run it
		r.depose()
		settle()
		next := r.successor(2)
		defer next.stop()
		if told := next.traceOf(jobID); told.TraceID != traceparent[3:35] {
			t.Errorf("without spans of its own the next leader says trace %q", told.TraceID)
		}
		next.depose()
		settle()
		last := newRig(t, east, 1003, options{epoch: 3, journal: func(journal.Journal) journal.Journal { return r.journal },
			edit: func(d *Deps) { d.Trace = trace.NewRing(0, nil) }})
		defer last.stop()
		w := last.worker(1, 1, nil)
		time.Sleep(time.Second)
		if o := w.offers(); len(o) != 1 || o[0].Trace[:36] != traceparent[:36] || o[0].Trace == traceparent {
			t.Errorf("the worker was offered %+v", o)
		}
		if told := last.traceOf(jobID); told.TraceID != traceparent[3:35] || len(told.Spans) < 4 {
			t.Errorf("the last leader tells %+v", told)
		}
	})
}

// traceOf is what the region tells of a job's time.
func (r *rig) traceOf(id core.TaskID) core.Trace {
	r.t.Helper()
	told, err := wire.DecodeTrace(r.asked(wire.JobQuery{TaskID: id, Op: wire.QueryTrace}).Output.Inline, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return told
}

// TestWorkerSpansAreBounded: a worker that claims impossible times does no harm.
func TestWorkerSpansAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.v.deps.Trace = trace.NewRing(0, nil)
		r.v.deps.Trace.Begin(jobID, trace.New())
		for _, us := range [][2]int64{{-1, -1}, {1 << 62, 1 << 62}, {5, 1 << 40}} {
			r.v.workerSpans(&wire.JobResult{TaskID: jobID, Attempt: 1, TookUS: us[0], RunUS: us[1]}, "w", time.Now())
		}
		for _, s := range r.v.deps.Trace.Spans(jobID) {
			if s.TookUS < 0 || s.TookUS > core.MaxTimeout.Microseconds() || s.At != core.AtWorker {
				t.Errorf("span %+v", s)
			}
		}
	})
}
