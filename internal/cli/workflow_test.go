package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
)

func picture() workflow.Status {
	return workflow.Status{TaskStatus: core.TaskStatus{TaskID: "us-east-1", Status: core.TaskRunning, Progress: 0.5}, Steps: []workflow.StepStatus{
		{ID: "squares", State: workflow.StepRunning, Map: true, Jobs: 100, Done: 42, Running: 8},
		{ID: "load", State: workflow.StepDone, Jobs: 1, Done: 1},
		{ID: "total", State: workflow.StepRetrying, Level: 1, Retries: 2},
		{ID: "most", State: workflow.StepRunning, Level: 1, Progress: 0.25},
		{ID: "last", State: workflow.StepWaiting, Level: 2},
	}}
}

// TestDrawGraph: a row for each level, in it what can run at the same time.
func TestDrawGraph(t *testing.T) {
	got := strings.Join(drawGraph(picture(), 79, 20), "\n")
	want := `[===============               ] 50% running  us-east-1
   ▶ squares 42/100+8   ✔ load
 > ↻ total (2 tried again)   ▶ most 25%
 > · last`
	if got != want {
		t.Errorf("drawn:\n%s\nwant:\n%s", got, want)
	}
}

// TestDrawGraphFits: whatever the terminal and the graph, the picture fits, and
// hostile names do no harm.
func TestDrawGraphFits(t *testing.T) {
	w := picture()
	w.Failure = &core.Failure{Reason: "overflow", Message: "x"}
	for i := range 300 {
		w.Steps = append(w.Steps, workflow.StepStatus{ID: workflow.StepID(fmt.Sprintf("step\x1b[31m-%d", i)), State: workflow.StepState([]string{"done", "failed", "waiting", "\x1b[2J"}[i%4]), Level: i % 60})
	}
	w.Steps = append(w.Steps, workflow.StepStatus{ID: "far", Level: 1 << 40}, workflow.StepStatus{ID: "below", Level: -1})
	for _, size := range [][2]int{{20, 5}, {79, 22}, {200, 100}, {1, 3}} {
		lines := drawGraph(w, size[0], size[1])
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if utf8.RuneCountInString(l) > size[0] || strings.Contains(l, "\x1b") {
				t.Errorf("%v: line %q", size, l)
			}
		}
	}
	if got := drawGraph(w, 79, 5); !strings.Contains(got[4], "more levels") {
		t.Errorf("a graph that is cut off ends with %q", got[4])
	}
}

// TestGraphViewDrawsOver: each picture takes the place of the one before.
func TestGraphViewDrawsOver(t *testing.T) {
	var out bytes.Buffer
	v := &graphView{out: &out, size: func() (int, int, error) { return 0, 0, errors.New("no size") }}
	v.show(nil, picture())
	if got := out.String(); strings.Contains(got, "\x1b[4A") || strings.Count(got, "\n") != 4 {
		t.Errorf("first %q", got)
	}
	out.Reset()
	v.show(nil, picture())
	if got := out.String(); !strings.HasPrefix(got, "\x1b[4A\r\x1b[K") || !strings.HasSuffix(got, "\n\x1b[J") {
		t.Errorf("second %q", got)
	}
}

// TestLineViewTellsChanges: nothing is said twice.
func TestLineViewTellsChanges(t *testing.T) {
	var out bytes.Buffer
	v := &lineView{out: &out, seen: map[workflow.StepID]string{}}
	w := picture()
	v.show(nil, w)
	v.show(nil, w)
	w.Steps[0].Done, w.Steps[0].Running = 100, 0
	w.Steps[0].State = workflow.StepDone
	v.show(nil, w)
	want := `running    squares 42/100+8
done       load
retrying   total (2 tried again)
running    most 25%
workflow us-east-1: running
done       squares 100/100
`
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestMisses: a node that was reached may be away for ten seconds; one that says no, or
// never answered, is not asked again.
func TestMisses(t *testing.T) {
	away, no := core.Errorf(core.Unavailable, "node", "no answer"), core.Errorf(core.NotFound, "taskId", "unknown")
	var reached misses
	for i := range maxMissed {
		if !reached.pardon(away) {
			t.Fatalf("miss %d is the last", i)
		}
	}
	if reached.pardon(away) {
		t.Errorf("%d misses are pardoned", maxMissed+1)
	}
	never, refused := misses(maxMissed), misses(0)
	if never.pardon(away) || refused.pardon(no) {
		t.Error("who never answered, or refused, is asked again")
	}
}
