package global

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/wire"
)

// TestTrace: a task is traced under the name its submitter gave, which its home is
// told; the gateway joins what it saw with what the home tells, and says when that
// is missing.
//
// spec 2.34
func TestTrace(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	linked(t, func(t *testing.T, r *rig, g *region) {
		r.c.deps.Trace = trace.NewRing(0, nil)
		r.ctx = trace.With(r.ctx, parent)
		id, o := r.accepted(g, sample(), "")
		if c, ok := trace.Parse(o.Trace); !ok || o.Trace == parent || c.ID() != "4bf92f3577b34da6a3ce929d0e0e4736" || !c.Sampled() {
			t.Errorf("the home was offered trace %q: not the same below a span of the gateway", o.Trace)
		}
		g.send(g.result(o))
		names := func() (out []string, told core.Trace) {
			told, err := r.c.Trace(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range told.Spans {
				out = append(out, s.Name)
			}
			slices.Sort(out)
			return out, told
		}
		g.answers(func(q *wire.JobQuery) *wire.JobState {
			return answer(core.Trace{TaskID: q.TaskID, TraceID: "another", Spans: []core.Span{{Name: "commit", At: core.AtRegion, Start: time.Now()}}})
		})
		if got, told := names(); !slices.Equal(got, []string{"commit", "intake", "record", "task"}) || told.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || told.Incomplete {
			t.Errorf("%v of %+v", got, told)
		}
		_ = g.Close()
		if got, told := names(); !slices.Equal(got, []string{"intake", "record", "task"}) || !told.Incomplete {
			t.Errorf("without the home %v of %+v", got, told)
		}
		if _, err := r.c.Trace(t.Context(), core.NewTaskID(east, "01890a5d-ac96-774b-bcce-b302099a8057")); !errors.Is(err, core.Unavailable) {
			t.Errorf("of another task: %v", err)
		}
	})
}
