package cli

import (
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

func (s *shell) taskCommand() *ucli.Command {
	return &ucli.Command{Name: "task", Usage: "submit tasks and get their results", Subcommands: []*ucli.Command{
		s.taskSubmitCommand(),
		{Name: "get", Usage: "show where a task is", ArgsUsage: "ID", Flags: nodeFlags(outputFlag()), Action: s.taskGet},
		s.taskResultCommand(),
		s.taskListCommand(),
		{Name: "watch", Usage: "show what happens to a task until it ends", ArgsUsage: "ID",
			Flags: nodeFlags(outputFlag()), Action: s.taskWatch},
		s.taskLogsCommand(),
		{Name: "why", Usage: "say why a task waits, runs or failed, and what would help", ArgsUsage: "ID",
			Flags: nodeFlags(outputFlag()), Action: s.taskWhy},
		{Name: "trace", Usage: "draw where a task's time went", ArgsUsage: "ID", Flags: nodeFlags(outputFlag()), Action: s.taskTrace},
		{Name: "cancel", Usage: "end a task", ArgsUsage: "ID", Flags: nodeFlags(outputFlag()), Action: s.taskCancel},
	}}
}

// taskCall is what every command about one task starts with.
func (s *shell) taskCall(c *ucli.Context) (*client.Client, core.TaskID, error) {
	args, err := arguments(c, "ID")
	if err != nil {
		return nil, "", err
	}
	id, err := core.ParseTaskID(args[0])
	if err != nil {
		return nil, "", usagef("`tenzro task list` shows the ids this node knows", "%v", err)
	}
	if _, err := asJSON(c); err != nil {
		return nil, "", err
	}
	cl, err := s.connect(c)
	return cl, id, err
}

func (s *shell) taskGet(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.Get(c.Context, client.TaskPath(id), nil)
	if err != nil {
		return err
	}
	if err := show(s, c, answer, drawTask); err != nil {
		return err
	}
	return s.showAttempts(c, answer)
}

func drawTask(t core.TaskStatus) grid {
	var g grid
	g.add("task", t.TaskID)
	g.add("status", t.Status)
	g.add("progress", percent(t.Progress))
	g.add("type", t.Type)
	g.add("region", orDash(string(t.Region)))
	g.add("subtasks", t.Subtasks)
	g.add("created", stamp(t.Created))
	g.add("updated", stamp(t.Updated))
	if t.Failure != nil {
		g.add("failure", t.Failure.Error())
	}
	return g
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func (s *shell) taskCancel(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.Cancel(c.Context, id)
	if err != nil {
		return err
	}
	return show(s, c, answer, drawTask)
}

// failureOf returns the error of a task that ended in state, nil for a
// completed one.
func failureOf(state core.TaskState, failure *core.Failure) error {
	switch {
	case state == core.TaskCompleted:
		return nil
	case failure != nil:
		return failure
	}
	return &core.Failure{Reason: core.Reason(state), Message: "the task ended without a result"}
}
