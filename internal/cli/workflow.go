package cli

import (
	"fmt"
	"net/url"
	"strconv"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/jobs/workflow"
)

const workflowSubmitHelp = `FILE holds a graph of tasks as JSON; "-" reads it from standard input:

   {"steps":[
     {"id":"squares","task":{"type":"compute","data":{"input":[1,2,3],"operations":["square"]}}},
     {"id":"total","reduce":{"from":"squares","operations":["sum"]}}]}

Prints the workflow's id, or with --wait its result.`

func (s *shell) workflowCommand() *ucli.Command {
	return &ucli.Command{Name: "workflow", Usage: "submit graphs of tasks and follow them", Subcommands: []*ucli.Command{
		{Name: "submit", Usage: "hand in a workflow", ArgsUsage: "FILE|-", Description: workflowSubmitHelp,
			Flags: nodeFlags(append(waitFlags(), outputFlag())...), Action: s.workflowSubmit},
		{Name: "get", Usage: "show a workflow and its steps", ArgsUsage: "ID", Flags: nodeFlags(outputFlag()), Action: s.workflowGet},
		{Name: "watch", Usage: "follow a workflow until it ends, and print its result", ArgsUsage: "ID",
			Description: "Draws the graph on a terminal, level by level; elsewhere prints a line whenever a step\nchanges. With -o json every change is one line of JSON.",
			Flags:       nodeFlags(outputFlag()), Action: s.workflowWatch},
		{Name: "cancel", Usage: "end a workflow and what runs of it", ArgsUsage: "ID", Flags: nodeFlags(outputFlag()), Action: s.workflowCancel},
		{Name: "list", Usage: "list the newest workflows the node knows", Flags: nodeFlags(outputFlag(),
			&ucli.StringFlag{Name: "status", Usage: "only workflows in this `STATE`: pending, running, completed, failed, cancelled, expired"},
			&ucli.IntFlag{Name: "limit", Usage: "at most `N` workflows, up to 1000", Value: 100}), Action: s.workflowList},
	}}
}

func (s *shell) workflowSubmit(c *ucli.Context) error {
	args, err := arguments(c, "FILE|-")
	if err != nil {
		return err
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	graph, err := s.specFromFile(args[0])
	if err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	status, err := cl.SubmitWorkflow(c.Context, graph)
	if err != nil {
		return err
	}
	id := clean(string(status.TaskID))
	if c.Bool(flagWait) {
		fmt.Fprintf(s.Err, "workflow %s submitted\n", id)
		return s.awaitResult(c, cl, status.TaskID)
	}
	if wantJSON, _ := asJSON(c); wantJSON {
		return showValue(s, c, status, drawTask)
	}
	fmt.Fprintf(s.Err, "submitted; follow it with: tenzro workflow watch %s\n", id)
	_, err = fmt.Fprintln(s.Out, id)
	return err
}

func (s *shell) workflowGet(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.Get(c.Context, client.WorkflowPath(id), nil)
	if err != nil {
		return err
	}
	if wantJSON, _ := asJSON(c); wantJSON {
		return s.printJSON(answer)
	}
	w, err := client.Decode[workflow.Status](answer)
	if err != nil {
		return err
	}
	if err := s.printGrid(drawWorkflow(w)); err != nil || len(w.Steps) == 0 {
		return err
	}
	fmt.Fprintln(s.Out)
	return s.printGrid(drawSteps(w.Steps))
}

func drawWorkflow(w workflow.Status) grid {
	var g grid
	g.add("workflow", w.TaskID)
	g.add("status", w.Status)
	g.add("progress", percent(w.Progress))
	g.add("region", orDash(string(w.Region)))
	g.add("created", stamp(w.Created))
	g.add("updated", stamp(w.Updated))
	if w.Failure != nil {
		g.add("failure", w.Failure.Error())
	}
	return g
}

func drawSteps(steps []workflow.StepStatus) grid {
	g := grid{header: []string{"step", "state", "jobs", "retries", "after", "task", "failure"}}
	for _, st := range steps {
		after := ""
		for i, id := range st.After {
			if i > 0 {
				after += " "
			}
			after += string(id)
		}
		failure := ""
		if st.Failure != nil {
			failure = st.Failure.Error()
		}
		g.add(st.ID, st.State, jobCount(st), st.Retries, orDash(after), orDash(string(st.TaskID)), orDash(failure))
	}
	return g
}

// jobCount is how many of a step's jobs are done, with those on their way.
func jobCount(st workflow.StepStatus) string {
	text := fmt.Sprintf("%d/%d", st.Done, st.Jobs)
	if st.Running > 0 {
		text += fmt.Sprintf("+%d", st.Running)
	}
	return text
}

func (s *shell) workflowCancel(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.CancelWorkflow(c.Context, id)
	if err != nil {
		return err
	}
	return show(s, c, answer, drawTask)
}

func (s *shell) workflowList(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
	if state := c.String("status"); state != "" {
		query.Set("status", state)
	}
	answer, err := cl.Get(c.Context, "/api/v1/workflows", query)
	if err != nil {
		return err
	}
	return show(s, c, answer, func(page core.TaskPage) grid {
		g := grid{header: []string{"workflow", "status", "progress", "steps", "region", "created"}}
		for _, t := range page.Tasks {
			g.add(t.TaskID, t.Status, percent(t.Progress), steps(t), orDash(string(t.Region)), stamp(t.Created))
		}
		return g
	})
}

// steps is the number of steps, as far as it is known where the list comes from.
func steps(t core.TaskStatus) string {
	if t.Subtasks == 0 {
		return "-"
	}
	return strconv.Itoa(t.Subtasks)
}
