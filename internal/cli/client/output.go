package client

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"github.com/tenzro/tenzro/core"
)

// Output calls fn with what a task writes, as q says. It returns once the task has
// ended, or without q.Follow once all that is there was told. A stream that breaks off
// is taken up where it was. A task that writes no
// output is core.NotFound.
func (c *Client) Output(ctx context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	query := url.Values{"follow": {strconv.FormatBool(q.Follow)}}
	if q.Subtask != nil {
		query.Set("subtask", strconv.Itoa(*q.Subtask))
	}
	if q.Stream != "" {
		query.Set("stream", string(q.Stream))
	}
	last, failed := "", patience // who was never reached is not waited for
	for {
		over, err := c.listen(ctx, TaskPath(id)+"/output", query, last, func(m message) (bool, error) {
			e, err := Decode[core.OutputEvent](m.data)
			if err != nil {
				return false, err
			}
			e.Event = core.OutputEventName(m.event)
			if err := fn(e); err != nil {
				return true, err
			}
			if failed = 0; m.id != "" {
				last = m.id
			}
			return e.Event == core.OutputEnd, nil
		})
		switch {
		case over || err == nil && !q.Follow:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (!errors.Is(err, core.Unavailable) || failed == patience):
			return err
		case err != nil:
			failed++
		}
		if err := rest(ctx, comeBack); err != nil {
			return err
		}
	}
}
