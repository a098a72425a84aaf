package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const flagAll = "all"

// maxAll bounds what `task list --all` collects.
const maxAll = 100_000

func (s *shell) taskListCommand() *ucli.Command {
	return &ucli.Command{Name: "list", Usage: "list the newest tasks of the network", Flags: nodeFlags(outputFlag(),
		&ucli.StringFlag{Name: "status", Usage: "only tasks in this `STATE`: pending, running, completed, failed, cancelled, expired"},
		&ucli.StringFlag{Name: "type", Usage: "only tasks of this `TYPE`"},
		&ucli.StringFlag{Name: "region", Usage: "only tasks whose home is this `REGION`"},
		&ucli.IntFlag{Name: "limit", Usage: "at most `N` tasks at once, up to 1000", Value: 100},
		&ucli.StringFlag{Name: "after", Usage: "go on behind this `CURSOR`, which the list before gave"},
		&ucli.BoolFlag{Name: flagAll, Usage: "all pages"}), Action: s.taskList}
}

func (s *shell) taskList(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
	for _, name := range []string{"status", "type", "region", "after"} {
		if v := c.String(name); v != "" {
			query.Set(name, v)
		}
	}
	page, err := listPages(c, cl, query)
	if err != nil {
		return err
	}
	if err := showValue(s, c, page, drawTasks); err != nil {
		return err
	}
	s.listNotes(page)
	return nil
}

// listPages asks for one page, or with --all for those behind it too.
func listPages(c *ucli.Context, cl *client.Client, query url.Values) (core.TaskPage, error) {
	var all core.TaskPage
	for {
		var page core.TaskPage
		if err := cl.GetInto(c.Context, "/api/v1/tasks", query, &page); err != nil {
			return all, err
		}
		page.Tasks = append(all.Tasks, page.Tasks...)
		all.Incomplete = appendMissing(all.Incomplete, page.Incomplete)
		page.Incomplete = all.Incomplete
		if all = page; page.Next == "" || !c.Bool(flagAll) || len(all.Tasks) >= maxAll || page.Next == query.Get("after") {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

func appendMissing(list, more []core.RegionID) []core.RegionID {
	for _, r := range more {
		if !strings.Contains(","+joined(list)+",", ","+string(r)+",") {
			list = append(list, r)
		}
	}
	return list
}

func joined(regions []core.RegionID) string {
	words := make([]string, len(regions))
	for i, r := range regions {
		words[i] = string(r)
	}
	return strings.Join(words, ",")
}

func drawTasks(page core.TaskPage) grid {
	g := grid{header: []string{"task", "status", "progress", "type", "region", "created"}}
	for _, t := range page.Tasks {
		g.add(t.TaskID, t.Status, percent(t.Progress), t.Type, orDash(string(t.Region)), stamp(t.Created))
	}
	return g
}

// listNotes says on stderr what a list does not show.
func (s *shell) listNotes(page core.TaskPage) {
	if len(page.Incomplete) > 0 {
		fmt.Fprintf(s.Err, "incomplete: these regions did not answer: %s\n", clean(joined(page.Incomplete)))
	}
	if page.Next != "" {
		fmt.Fprintf(s.Err, "there are more: add --all, or --after %s\n", clean(page.Next))
	}
}

// showAttempts adds the attempts to a task that was shown as a table.
func (s *shell) showAttempts(c *ucli.Context, answer json.RawMessage) error {
	if wantJSON, err := asJSON(c); wantJSON || err != nil {
		return err
	}
	status, err := client.Decode[core.TaskStatus](answer)
	if err != nil || len(status.Attempts) == 0 {
		return err
	}
	fmt.Fprintln(s.Out)
	return s.printGrid(drawAttempts(status.Attempts))
}

func drawAttempts(attempts []core.Attempt) grid {
	g := grid{header: []string{"subtask", "try", "node", "started", "took", "outcome"}}
	for _, a := range attempts {
		outcome, took := "running", "-"
		if a.Outcome != "" {
			outcome, took = a.Outcome, duration(a.Finished.Sub(a.Started))
		}
		g.add(a.Index, a.Attempt, a.Worker.Short(), stamp(a.Started), took, outcome)
	}
	return g
}
