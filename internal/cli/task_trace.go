package cli

import (
	"fmt"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// fallWidth is how many columns the whole time of a task has.
const fallWidth = 40

func (s *shell) taskTrace(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.Get(c.Context, client.TaskPath(id)+"/trace", nil)
	if err != nil {
		return err
	}
	if err := show(s, c, answer, drawTrace); err != nil {
		return err
	}
	told, err := client.Decode[core.Trace](answer)
	if err == nil && told.Incomplete {
		fmt.Fprintln(s.Err, "incomplete: the home region did not answer")
	}
	return err
}

// drawTrace is a waterfall: time goes to the right.
func drawTrace(t core.Trace) grid {
	g := grid{header: []string{"at", "span", "subtask", "node", "after", "took", "", "note"}}
	if len(t.Spans) == 0 {
		return g
	}
	from, to := t.Spans[0].Start, t.Spans[0].Start
	for _, sp := range t.Spans {
		if sp.Start.Before(from) {
			from = sp.Start
		}
		if end := sp.Start.Add(took(sp)); end.After(to) {
			to = end
		}
	}
	for _, sp := range t.Spans {
		subtask := "-"
		if sp.Subtask != nil {
			subtask = fmt.Sprintf("%d/%d", *sp.Subtask, sp.Attempt)
		}
		after := sp.Start.Sub(from)
		g.add(sp.At, sp.Name, subtask, orDash(sp.Node.Short()), duration(after), duration(took(sp)), fall(after, took(sp), to.Sub(from)), orDash(sp.Note))
	}
	return g
}

func took(s core.Span) time.Duration { return time.Duration(s.TookUS) * time.Microsecond }

// fall draws a stretch of the whole, at least one column of it.
func fall(after, took, whole time.Duration) string {
	if whole <= 0 {
		whole = 1
	}
	column := func(d time.Duration) int {
		return int(min(max(float64(d)/float64(whole), 0), 1) * fallWidth)
	}
	begin := min(column(after), fallWidth-1)
	end := max(begin+1, column(after+took))
	return "|" + strings.Repeat(" ", begin) + strings.Repeat("=", end-begin) + strings.Repeat(" ", fallWidth-end) + "|"
}
