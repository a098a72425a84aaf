package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// maxEventLine bounds one line of a stream in bytes.
	maxEventLine = 1 << 20
	// silence is how long a stream may say nothing, keep-alives included.
	silence = 45 * time.Second
	// comeBack is the pause before a stream that broke off is opened again.
	comeBack = 250 * time.Millisecond
	// patience is how many times in a row that may fail.
	patience = 20
)

// Follow calls fn with every event of a task behind event number after, in order
// and each once, until the task has ended. A stream that breaks off is taken up
// where it was.
func (c *Client) Follow(ctx context.Context, id core.TaskID, after uint64, fn func(core.TaskEvent, json.RawMessage) error) error {
	failed := patience // who was never reached is not waited for
	for {
		last, over, err := c.stream(ctx, id, after, fn)
		if last > after {
			after, failed = last, 0
		}
		switch {
		case over:
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

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stream reads events until the task or the connection ends. It returns the
// number of the last one and whether none can follow. That fn fails ends it too.
func (c *Client) stream(ctx context.Context, id core.TaskID, after uint64, fn func(core.TaskEvent, json.RawMessage) error) (last uint64, over bool, err error) {
	known := ""
	if last = after; after > 0 {
		known = strconv.FormatUint(after, 10)
	}
	over, err = c.listen(ctx, TaskPath(id)+"/events", nil, known, func(m message) (bool, error) {
		e, err := Decode[core.TaskEvent](m.data)
		if err != nil {
			return false, err
		}
		if err := fn(e, m.data); err != nil {
			return true, err
		}
		last = e.ID
		return Final(e.Event), nil
	})
	return last, over, err
}

// message is one of a stream of server-sent events.
type message struct {
	id, event string
	data      json.RawMessage
}

// listen reads a stream until it ends or fn says that it is over. after is the id of
// the last message that is known, empty for none.
func (c *Client) listen(ctx context.Context, path string, query url.Values, after string, fn func(message) (over bool, err error)) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, c.connectError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxEventLine)) // what is missing shows as the status alone
		return false, problem(resp, answer)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEventLine)
	var m message
	for lines.Scan() {
		quiet.Reset(silence)
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = json.RawMessage(value)
		case "":
			if m.data == nil {
				continue
			}
			if over, err := fn(m); over || err != nil {
				return over, err
			}
			m = message{}
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return false, core.Errorf(core.Unavailable, "events", "the stream broke off: %w", err).WithHint("try again, or ask another gateway")
	}
	return false, nil
}

// Final reports whether an event is a task's last.
func Final(e core.EventName) bool {
	switch e {
	case core.EventCompleted, core.EventFailed, core.EventCancelled, core.EventExpired:
		return true
	}
	return false
}
