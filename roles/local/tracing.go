package local

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// traced exports a subtask that has ended: all of it, and the engine's part.
func (t *Tasks) traced(span trace.Active, o *wire.JobOffer, r *wire.JobResult) {
	now, ran := time.Now(), time.Duration(r.RunUS)*time.Microsecond
	s := core.Span{Name: "subtask", At: core.AtWorker, Node: t.deps.Signer.ID(), Subtask: &o.Index, Attempt: o.Attempt, Note: noteOf(r)}
	engine := s
	engine.Name, engine.Start, engine.TookUS = "execute", now.Add(-ran).UTC(), r.RunUS
	span.Within(o.TaskID, engine)
	span.End(o.TaskID, s, now)
}

// noteOf says how a subtask ended.
func noteOf(r *wire.JobResult) string {
	if r.Failure != nil {
		return string(r.Failure.Reason)
	}
	return jobs.OutcomeOK
}
