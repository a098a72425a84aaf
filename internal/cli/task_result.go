package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const (
	flagWait      = "wait"
	flagWaitLimit = "wait-timeout"

	waitQuiet  = 30 * time.Second       // one question to the node
	waitPause  = 200 * time.Millisecond // before the next question, should a node not wait
	lastEvents = 500 * time.Millisecond // for the bar to get to its end
)

func waitFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.BoolFlag{Name: flagWait, Usage: "wait for the task's end and print its result"},
		&ucli.DurationFlag{Name: flagWaitLimit, Usage: "stop waiting after `TIME`; the task goes on", DefaultText: "no limit but the task's own"},
	}
}

func (s *shell) taskResultCommand() *ucli.Command {
	return &ucli.Command{Name: "result", Usage: "print a task's result", ArgsUsage: "ID",
		Description: "Prints the result alone; -o json adds who computed it and the proofs.",
		Flags:       nodeFlags(append(waitFlags(), outputFlag())...), Action: s.taskResult}
}

func (s *shell) taskResult(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	if c.Bool(flagWait) {
		return s.awaitResult(c, cl, id)
	}
	answer, err := cl.Result(c.Context, id, 0)
	if errors.Is(err, core.Conflict) {
		return core.Errorf(core.Conflict, "result", "%w", err).WithHint("add --wait, or follow it with: tenzro task watch " + string(id))
	}
	if err != nil {
		return err
	}
	return s.printResult(c, answer)
}

// awaitResult waits for the end of a task and prints it. Whatever ends the wait
// early leaves the task alone, and says so.
func (s *shell) awaitResult(c *ucli.Context, cl *client.Client, id core.TaskID) error {
	ctx := c.Context
	if limit := c.Duration(flagWaitLimit); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	answer, err := s.poll(ctx, cl, id)
	switch {
	case c.Context.Err() != nil:
		return core.Errorf(core.Conflict, "wait", "stopped waiting; task %s goes on", id).
			WithHint(fmt.Sprintf("tenzro task result --wait %s waits again, tenzro task cancel %s ends it", id, id))
	case ctx.Err() != nil:
		return core.Errorf(core.Timeout, "wait", "task %s has not ended after %s; it goes on", id, c.Duration(flagWaitLimit)).
			WithHint(fmt.Sprintf("tenzro task result --wait %s waits again, tenzro task cancel %s ends it", id, id))
	case err != nil:
		return err
	}
	return s.printResult(c, answer)
}

// poll asks for the result until there is one, and draws the progress when a
// terminal is there to show it.
func (s *shell) poll(ctx context.Context, cl *client.Client, id core.TaskID) (json.RawMessage, error) {
	if isTerminal(s.Err) {
		defer s.drawing(ctx, cl, id)()
	}
	return s.await(ctx, cl, id)
}

// await asks for the result until there is one.
func (s *shell) await(ctx context.Context, cl *client.Client, id core.TaskID) (json.RawMessage, error) {
	for {
		begun := time.Now()
		answer, err := cl.Result(ctx, id, waitQuiet)
		if err == nil || ctx.Err() != nil || !errors.Is(err, core.Conflict) {
			return answer, err
		}
		if time.Since(begun) < waitPause {
			pause(ctx, waitPause)
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drawing starts to draw a task's progress and returns how to stop.
func (s *shell) drawing(ctx context.Context, cl *client.Client, id core.TaskID) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.drawProgress(ctx, cl, id)
	}()
	return func() {
		select { // the result is there; the last events are about to come
		case <-done:
		case <-time.After(lastEvents):
		}
		cancel()
		<-done
	}
}

// printResult prints a task's end; one without a result is an error.
func (s *shell) printResult(c *ucli.Context, answer json.RawMessage) error {
	result, err := client.Decode[core.TaskResult](answer)
	if err != nil {
		return err
	}
	failure := failureOf(result.Status, result.Failure)
	wantJSON, err := asJSON(c)
	switch {
	case err != nil:
		return err
	case wantJSON:
		err = s.printJSON(answer)
	case failure == nil:
		_, err = fmt.Fprintf(s.Out, "%s\n", compact(result.Result))
	}
	return errors.Join(err, failure)
}
