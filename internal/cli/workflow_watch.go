package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/jobs/workflow"
)

const (
	// watchEvery is the pause between two looks at a workflow.
	watchEvery = 500 * time.Millisecond
	// maxMissed is how many looks in a row may fail because the node does not answer.
	maxMissed = 20
)

// misses counts looks that failed.
type misses int

// pardon reports whether another look may follow one that failed.
func (m *misses) pardon(err error) bool {
	*m++
	return errors.Is(err, core.Unavailable) && *m <= maxMissed
}

// workflowWatch asks again and again, shows what changed, and ends with the
// result as `task result` does.
func (s *shell) workflowWatch(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	view := s.view(c)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	missed := misses(maxMissed) // who was never reached is not waited for
	for {
		answer, err := cl.Get(c.Context, client.WorkflowPath(id), nil)
		if err != nil && !missed.pardon(err) {
			return err
		}
		if err == nil {
			missed = 0
			now, err := client.Decode[workflow.Status](answer)
			if err != nil {
				return err
			}
			view.show(answer, now)
			if now.Status.Final() {
				return s.endWatch(c, cl, now)
			}
		}
		select {
		case <-ticker.C:
		case <-c.Context.Done():
			return context.Cause(c.Context)
		}
	}
}

// endWatch prints the result of a workflow that has ended.
func (s *shell) endWatch(c *ucli.Context, cl *client.Client, w workflow.Status) error {
	if w.Status != core.TaskCompleted {
		return failureOf(w.Status, w.Failure)
	}
	answer, err := poll(c.Context, cl, w.TaskID) // the gateway may learn of the end a moment later
	if err != nil {
		return err
	}
	if wantJSON, _ := asJSON(c); wantJSON {
		_, err = fmt.Fprintf(s.Out, "%s\n", compact(answer))
		return err
	}
	return s.printResult(c, answer)
}

// viewer shows how a workflow goes on.
type viewer interface {
	show(answer json.RawMessage, w workflow.Status)
}

// view picks what fits where the output goes: JSON lines, a drawing on a terminal,
// or a line per change.
func (s *shell) view(c *ucli.Context) viewer {
	wantJSON, _ := asJSON(c)
	switch f, _ := s.Err.(*os.File); {
	case wantJSON:
		return &jsonView{out: s.Out}
	case isTerminal(s.Err):
		return &graphView{out: s.Err, size: func() (int, int, error) { return term.GetSize(int(f.Fd())) }}
	}
	return &lineView{out: s.Err, seen: map[workflow.StepID]string{}}
}

// jsonView prints each answer that differs from the last as one line.
type jsonView struct {
	out  io.Writer
	last string
}

func (v *jsonView) show(answer json.RawMessage, _ workflow.Status) {
	if text := string(compact(answer)); text != v.last {
		v.last = text
		fmt.Fprintln(v.out, text)
	}
}

// lineView prints a line for each step that changed.
type lineView struct {
	out    io.Writer
	seen   map[workflow.StepID]string
	status string
}

func (v *lineView) show(_ json.RawMessage, w workflow.Status) {
	for _, st := range w.Steps {
		text := stepText(st)
		if last, known := v.seen[st.ID]; text != last && (known || st.State != workflow.StepWaiting) {
			fmt.Fprintf(v.out, "%-9s  %s\n", clean(string(st.State)), text)
		}
		v.seen[st.ID] = text
	}
	if now := clean(string(w.Status)); now != v.status {
		v.status = now
		fmt.Fprintf(v.out, "workflow %s: %s\n", clean(string(w.TaskID)), now)
	}
}

// stepText is a step in a few words.
func stepText(st workflow.StepStatus) string {
	text := clean(string(st.ID))
	switch {
	case st.Map && st.State != workflow.StepWaiting && st.State != workflow.StepSkipped:
		text += " " + jobCount(st)
	case st.State == workflow.StepRunning && st.Progress > 0:
		text += " " + percent(st.Progress)
	}
	if st.Retries > 0 {
		text += fmt.Sprintf(" (%d tried again)", st.Retries)
	}
	if st.Failure != nil {
		text += ": " + clean(st.Failure.Error())
	}
	return text
}

// graphView draws the whole graph over what it drew before: a row for each level,
// in it the steps that may run at the same time.
type graphView struct {
	out   io.Writer
	size  func() (width, height int, err error)
	lines int // drawn last
}

func (v *graphView) show(_ json.RawMessage, w workflow.Status) {
	width, height, err := v.size()
	if err != nil || width < 20 || height < 5 {
		width, height = 80, 24
	}
	lines := drawGraph(w, width-1, height-2)
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	for _, l := range lines {
		b.WriteString("\r\x1b[K" + l + "\n")
	}
	b.WriteString("\x1b[J") // what is left of a taller drawing
	v.lines = len(lines)
	fmt.Fprint(v.out, b.String())
}

// drawGraph is the picture: at most height lines of at most width characters.
func drawGraph(w workflow.Status, width, height int) []string {
	lines := []string{cut(fmt.Sprintf("%s %s  %s", bar(w.Progress), clean(string(w.Status)), clean(string(w.TaskID))), width)}
	levels := levelsOf(w.Steps)
	for i, level := range levels {
		if len(lines) == height-1 && i < len(levels)-1 {
			return append(lines, cut(fmt.Sprintf("   ... %d more levels", len(levels)-i), width))
		}
		lines = append(lines, drawLevel(i, level, width))
	}
	return lines
}

// levelsOf groups the steps by how many others stand before them.
func levelsOf(steps []workflow.StepStatus) [][]workflow.StepStatus {
	var levels [][]workflow.StepStatus
	for _, st := range steps {
		if st.Level < 0 || st.Level >= workflow.MaxSteps { // no graph has such a level
			continue
		}
		for len(levels) <= st.Level {
			levels = append(levels, nil)
		}
		levels[st.Level] = append(levels[st.Level], st)
	}
	return levels
}

// drawLevel is one row: all steps when they fit, else those that do something and
// how many there are of the others.
func drawLevel(i int, level []workflow.StepStatus, width int) string {
	join := "   "
	if i > 0 {
		join = " > "
	}
	var words []string
	for _, st := range level {
		words = append(words, mark(st.State)+" "+stepText(st))
	}
	line := join + strings.Join(words, "   ")
	if len([]rune(line)) <= width {
		return line
	}
	counts := countStates(level)
	line = join + counts
	for at, st := range level {
		if st.State != workflow.StepRunning && st.State != workflow.StepRetrying && st.State != workflow.StepFailed {
			continue
		}
		more := line + "   " + words[at]
		if len([]rune(more)) > width {
			break
		}
		line = more
	}
	return cut(line, width)
}

func countStates(level []workflow.StepStatus) string {
	var parts []string
	for _, state := range []workflow.StepState{workflow.StepDone, workflow.StepRunning, workflow.StepRetrying, workflow.StepWaiting,
		workflow.StepFailed, workflow.StepCancelled, workflow.StepSkipped} {
		n := 0
		for _, st := range level {
			if st.State == state {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d %s", mark(state), n, state))
		}
	}
	return strings.Join(parts, ", ")
}

// mark is the sign of a state.
func mark(s workflow.StepState) string {
	switch s {
	case workflow.StepDone:
		return "✔"
	case workflow.StepRunning:
		return "▶"
	case workflow.StepRetrying:
		return "↻"
	case workflow.StepFailed:
		return "✘"
	case workflow.StepCancelled, workflow.StepSkipped:
		return "-"
	}
	return "·"
}

// cut shortens a line to so many characters.
func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(slices.Concat(r[:max(0, width-1)], []rune("…")))
	}
	return s
}

// bar draws a share of 0..1.
func bar(share float64) string {
	const width = 30
	done := int(min(max(share, 0), 1) * width)
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", width-done) + "] " + percent(share)
}
