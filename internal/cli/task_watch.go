package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// taskWatch follows a task's events: as lines, as JSON, or as a bar where a
// terminal can show one.
func (s *shell) taskWatch(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	draw := func(e core.TaskEvent, raw json.RawMessage) {
		if wantJSON {
			fmt.Fprintf(s.Out, "%s\n", compact(raw))
			return
		}
		fmt.Fprintln(s.Out, eventLine(e))
	}
	if !wantJSON && isTerminal(s.Out) {
		bar := newTaskBar(s, id)
		defer bar.stop()
		draw = func(e core.TaskEvent, _ json.RawMessage) { bar.show(e) }
	}
	var last core.TaskEvent
	err = cl.Follow(c.Context, id, 0, func(e core.TaskEvent, raw json.RawMessage) error {
		draw(e, raw)
		last = e
		return nil
	})
	if err != nil {
		return err
	}
	return failureOf(stateAfter(last.Event), last.Failure)
}

// stateAfter is the state of a task whose last event is e.
func stateAfter(e core.EventName) core.TaskState {
	switch e {
	case core.EventCompleted:
		return core.TaskCompleted
	case core.EventCancelled:
		return core.TaskCancelled
	case core.EventExpired:
		return core.TaskExpired
	case core.EventFailed:
		return core.TaskFailed
	case core.EventReceived, core.EventCommitted, core.EventPlanned:
		return core.TaskPending
	}
	return core.TaskRunning
}

// eventLine is an event for people.
func eventLine(e core.TaskEvent) string {
	return strings.TrimRight(fmt.Sprintf("%-20s  %-15s  %s", stamp(e.Time), clean(string(e.Event)), clean(eventDetail(e))), " ")
}

func eventDetail(e core.TaskEvent) string {
	switch {
	case e.Event == core.EventPlanned:
		return fmt.Sprintf("%d subtasks", e.Subtasks)
	case e.Event == core.EventSubtaskDone:
		return fmt.Sprintf("%d of %d done", e.Done, e.Subtasks)
	case e.Event == core.EventAttemptStarted && e.Attempt != nil:
		return fmt.Sprintf("subtask %d, try %d, on %s", e.Attempt.Index, e.Attempt.Attempt, e.Attempt.Worker.Short())
	case e.Event == core.EventAttemptEnded && e.Attempt != nil:
		return fmt.Sprintf("subtask %d, try %d, on %s: %s after %s", e.Attempt.Index, e.Attempt.Attempt, e.Attempt.Worker.Short(),
			e.Attempt.Outcome, duration(e.Attempt.Finished.Sub(e.Attempt.Started)))
	case e.Failure != nil:
		return e.Failure.Error()
	}
	return ""
}

// duration rounds a time for people.
func duration(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// taskBar is a task's progress on a terminal.
type taskBar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	done    chan struct{}
}

// newTaskBar starts to draw on standard error.
func newTaskBar(s *shell, id core.TaskID) *taskBar {
	w := progress.NewWriter()
	w.SetOutputWriter(s.Err)
	w.SetStyle(progress.StyleDefault)
	w.SetTrackerPosition(progress.PositionRight)
	w.SetUpdateFrequency(100 * time.Millisecond)
	w.SetAutoStop(false)
	b := &taskBar{writer: w, tracker: &progress.Tracker{Message: clean(string(id)), Total: 1}, done: make(chan struct{})}
	w.AppendTracker(b.tracker)
	go func() {
		defer close(b.done)
		w.Render()
	}()
	return b
}

func (b *taskBar) show(e core.TaskEvent) {
	b.tracker.UpdateMessage(fmt.Sprintf("%s %s", clean(string(e.TaskID)), clean(string(e.Event))))
	if e.Subtasks > 0 {
		b.tracker.UpdateTotal(int64(e.Subtasks))
	}
	if e.Done > 0 {
		b.tracker.SetValue(int64(e.Done))
	}
	switch {
	case e.Event == core.EventCompleted:
		b.tracker.MarkAsDone()
	case client.Final(e.Event):
		b.tracker.MarkAsErrored()
	}
}

// stop draws the last time.
func (b *taskBar) stop() {
	for !b.writer.IsRenderInProgress() { // Stop before the first drawing would be lost
		select {
		case <-b.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
	b.writer.Stop()
	<-b.done
}

// drawProgress shows a task's events as a bar until ctx ends; whoever waits for
// the result does not depend on it.
func (s *shell) drawProgress(ctx context.Context, cl *client.Client, id core.TaskID) {
	bar := newTaskBar(s, id)
	defer bar.stop()
	_ = cl.Follow(ctx, id, 0, func(e core.TaskEvent, _ json.RawMessage) error {
		bar.show(e)
		return nil
	})
}

func (s *shell) taskWhy(c *ucli.Context) error {
	cl, id, err := s.taskCall(c)
	if err != nil {
		return err
	}
	answer, err := cl.Get(c.Context, client.TaskPath(id)+"/why", nil)
	if err != nil {
		return err
	}
	return show(s, c, answer, drawWhy)
}

func drawWhy(w core.TaskWhy) grid {
	var g grid
	g.add("task", w.TaskID)
	g.add("status", w.Status)
	g.add("because", w.Because)
	for _, h := range w.Helps {
		g.add("would help", h)
	}
	return g
}
