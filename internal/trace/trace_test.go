package trace

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestParse: a traceparent of W3C Trace Context, and those that it says to ignore.
func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"the standard's example", good, true},
		{"not sampled", good[:54] + "0", true},
		{"a later version with more", "cc" + good[2:] + "-what-the-future-will-be", true},
		{"version 0 with more", good + "-x", false},
		{"a later version that runs on", "cc" + good[2:] + "x", false},
		{"the version that is none", "ff" + good[2:], false},
		{"no trace", "00-" + strings.Repeat("0", 32) + good[35:], false},
		{"no parent", good[:36] + strings.Repeat("0", 16) + good[52:], false},
		{"upper case", strings.ToUpper(good), false},
		{"no hex", "00-" + strings.Repeat("g", 32) + good[35:], false},
		{"cut", good[:54], false},
		{"empty", "", false},
		{"other separators", strings.ReplaceAll(good, "-", "_"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := Parse(tt.text)
			if ok != tt.ok {
				t.Fatalf("%+v, %v", c, ok)
			}
			if again, _ := Parse(c.String()); ok && again != c {
				t.Errorf("%+v became %+v", c, again)
			}
			if from := From(With(t.Context(), tt.text)); (from == c) != ok || from == (Context{}) {
				t.Errorf("in a request: %+v", from)
			}
		})
	}
	if a, b := From(context.Background()), New(); a == b || len(a.String()) != Len {
		t.Errorf("new ones: %s %s", a, b)
	}
}

// FuzzParse: whatever is taken is written so that others take it too.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := Parse(s); ok {
			if again, ok := Parse(c.String()); !ok || again != c {
				t.Errorf("%q became %q", s, c)
			}
		}
	})
}

// TestRing: the last tasks and the first spans of each are remembered.
func TestRing(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	r := NewRing(3, nil)
	for i := range 5 {
		id := core.TaskID(fmt.Sprint("t", i))
		r.Begin(id, Context{Flags: byte(i)})
		r.Begin(id, Context{Flags: 99}) // it has a name
		for range MaxSpans + 5 {
			r.Add(id, core.Span{Name: "x", Start: at}, at.Add(time.Millisecond))
		}
	}
	r.Add("t0", core.Span{Name: "late", Start: at}, at)
	for i, want := range []int{0, 0, MaxSpans, MaxSpans, MaxSpans} {
		id := core.TaskID(fmt.Sprint("t", i))
		if spans := r.Spans(id); len(spans) != want || want > 0 && (spans[0].TookUS != 1000 || r.Context(id).Flags != byte(i)) {
			t.Errorf("%s has %d spans, %v", id, len(spans), r.Context(id))
		}
	}
	if len(r.tasks) != 3 {
		t.Errorf("%d tasks are remembered", len(r.tasks))
	}
	var none *Ring
	none.Begin("a", New())
	none.Add("a", core.Span{}, at)
	if none.Spans("a") != nil || none.Context("a") != (Context{}) {
		t.Error("a nil ring remembers")
	}
}

// BenchmarkJob is what one job of one subtask costs on a region: a name and five
// spans.
func BenchmarkJob(b *testing.B) {
	r, now := NewRing(0, nil), time.Now()
	ids := make([]core.TaskID, 4096)
	for i := range ids {
		ids[i] = core.NewTaskID("us-east", fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a%04d", i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := ids[i%len(ids)]
		r.Begin(id, Context{Flags: 1})
		for range 5 {
			r.Add(id, core.Span{Name: "commit", At: core.AtRegion, Start: now}, now)
		}
	}
}

// taken is a Sink that keeps what it takes.
type taken []Span

func (t *taken) Take(s Span) { *t = append(*t, s) }

// TestExport: every span of a task hangs below the one that gave it, across the
// nodes; what its submitter does not want exported is not, and a span of a lease has
// the same name at both ends.
func TestExport(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	var out taken
	gateway, region := NewRing(3, &out), NewRing(3, &out)
	submitter, _ := Parse(good)
	gateway.Begin("t", submitter)
	gateway.Add("t", core.Span{Name: "intake", Start: at}, at)
	offered, ok := Parse(gateway.Context("t").String())
	if !ok || offered.Parent == submitter.Parent || offered.Trace != submitter.Trace {
		t.Fatalf("offered %v", offered)
	}
	region.Begin("t", offered)
	one := 1
	sub := Start(region.Sink(), region.Context("t").String(), 1, 2, at)
	sub.Within("t", core.Span{Name: "execute"})
	sub.End("t", core.Span{Name: "subtask"}, at)
	region.Lease("t", core.Span{Name: "lease", Subtask: &one, Attempt: 2})
	region.Remember("t", core.Span{Name: "told", Start: at}, at)
	for range 2 {
		region.End("t", core.Span{Name: "job"})
	}
	gateway.End("t", core.Span{Name: "task"})
	var names []string
	ids := map[string]Span{}
	for _, s := range out {
		names, ids[s.Name] = append(names, s.Name), s
	}
	if got := strings.Join(names, " "); got != "intake execute subtask lease job task" {
		t.Errorf("exported %s", got)
	}
	for name, above := range map[string]string{"intake": "task", "job": "task", "lease": "job", "subtask": "lease", "execute": "subtask"} {
		if ids[name].Context.Parent != ids[above].ID || ids[name].Trace != submitter.Trace {
			t.Errorf("%s is below %x, not %s", name, ids[name].Context.Parent, above)
		}
	}
	if ids["task"].Context.Parent != submitter.Parent || len(region.Spans("t")) != 1 {
		t.Errorf("the task is below %x; the region remembers %v", ids["task"].Context.Parent, region.Spans("t"))
	}
	out = nil
	submitter.Flags = 0
	gateway.Begin("silent", submitter)
	gateway.Add("silent", core.Span{Name: "intake", Start: at}, at)
	gateway.End("silent", core.Span{Name: "task"})
	Start(&out, gateway.Context("silent").String(), 0, 1, at).End("silent", core.Span{}, at)
	Start(nil, good, 0, 1, at).End("t", core.Span{}, at)
	NewRing(1, nil).End("unknown", core.Span{})
	if len(out) != 0 {
		t.Errorf("exported %v", out)
	}
}
