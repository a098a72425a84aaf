package sim

import (
	"context"
	"errors"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

const (
	callTime = 15 * time.Second // a client waits for one answer
	giveUp   = 60 * time.Second // and tries to submit
)

// answered says what a call to a gateway came to.
type answered uint8

const (
	noAnswer answered = iota // the gateway is down, or died meanwhile
	good
	bad // an error came back
)

// ask calls a gateway as a client over HTTP does: what a process answers that has
// died meanwhile, nobody hears.
func (s *sim) ask(ctx context.Context, g *gateway, fn func(ctx context.Context, l *gateLife) error) (answered, error) {
	l := g.now()
	if l == nil {
		return noAnswer, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	stop := context.AfterFunc(l.port.ctx, cancel)
	defer stop()
	err := fn(ctx, l)
	switch {
	case l.port.down():
		return noAnswer, nil
	case err != nil:
		return bad, err
	}
	return good, nil
}

// client submits one task, may cancel it, and waits for its end.
func (s *sim) client(ctx context.Context, t Task) {
	wait(ctx, t.At-s.since(time.Now()))
	timeout := t.Spec.Timeout()
	s.hist.Add(history.Event{Kind: history.Sent, Key: t.Key, Want: t.Want, Timeout: timeout, Parts: max(1, t.Spec.Parallelism)})
	id := s.submit(ctx, t)
	if id == "" {
		return
	}
	if t.Cancel > 0 {
		wait(ctx, t.Cancel)
		s.cancel(ctx, t, id)
	}
	s.await(ctx, t, id)
}

// submit tries one gateway after the other until one takes the task.
func (s *sim) submit(ctx context.Context, t Task) core.TaskID {
	begun := time.Now()
	for n := t.Gateway; ctx.Err() == nil && time.Since(begun) < giveUp; n++ {
		g := s.gateways[n%len(s.gateways)]
		var status core.TaskStatus
		got, err := s.ask(ctx, g, func(ctx context.Context, l *gateLife) (err error) {
			status, err = l.c.Submit(ctx, t.Spec, s.bug.key(t.Key, n))
			return err
		})
		switch {
		case got == good:
			s.logf("%s is %s at %s", t.Key, status.TaskID, g.name)
			s.hist.Add(history.Event{Kind: history.Acked, Key: t.Key, Task: status.TaskID, Node: g.name})
			return status.TaskID
		case errors.Is(err, core.Exists), errors.Is(err, core.Invalid), errors.Is(err, core.Corrupt):
			s.violated("%s refuses %s: %v", g.name, t.Key, err)
			return ""
		}
		s.hist.Add(history.Event{Kind: history.Doubtful, Key: t.Key, Node: g.name, Note: note(err)})
		wait(ctx, 300*time.Millisecond)
	}
	s.hist.Add(history.Event{Kind: history.Refused, Key: t.Key, Note: "no gateway took it in time"})
	return ""
}

func note(err error) string {
	if err == nil {
		return "no answer"
	}
	return err.Error()
}

// cancel asks for the task's end until somebody says how it ended.
func (s *sim) cancel(ctx context.Context, t Task, id core.TaskID) {
	for n := t.Gateway; ctx.Err() == nil; n++ {
		g := s.gateways[n%len(s.gateways)]
		var status core.TaskStatus
		got, err := s.ask(ctx, g, func(ctx context.Context, l *gateLife) (err error) {
			status, err = l.c.Cancel(ctx, id)
			return err
		})
		switch {
		case got == good && !status.Status.Final():
			s.violated("%s says that %s is cancelled and %s", g.name, id, status.Status)
			return
		case got == good:
			s.logf("%s is cancelled: %s", id, status.Status)
			s.mu.Lock()
			s.cancelled[id] = status.Status
			s.mu.Unlock()
			return
		case errors.Is(err, core.Conflict):
			return // it has ended
		case errors.Is(err, core.NotFound):
			s.hist.Add(history.Event{Kind: history.Unknown, Key: t.Key, Task: id, Node: g.name, Note: note(err)})
			return
		}
		wait(ctx, 300*time.Millisecond)
	}
}

// await asks for the result until it is there.
func (s *sim) await(ctx context.Context, t Task, id core.TaskID) {
	for n := t.Gateway; ctx.Err() == nil; n++ {
		if s.result(ctx, s.gateways[n%len(s.gateways)], t, id, 10*time.Second) {
			return
		}
		wait(ctx, 300*time.Millisecond)
	}
}

// result asks one gateway how a task ended and writes the answer down.
func (s *sim) result(ctx context.Context, g *gateway, t Task, id core.TaskID, patience time.Duration) bool {
	var r core.TaskResult
	got, err := s.ask(ctx, g, func(ctx context.Context, l *gateLife) (err error) {
		r, err = l.c.Result(ctx, id, patience)
		return err
	})
	switch {
	case got == good:
		e := history.Event{Kind: history.Ended, Key: t.Key, Task: id, Node: g.name, State: r.Status, Result: string(r.Result)}
		if r.Failure != nil {
			e.Reason = r.Failure.Reason
		}
		s.hist.Add(e)
		s.logf("%s says that %s ended: %s %s", g.name, id, r.Status, e.Reason)
		return true
	case errors.Is(err, core.NotFound):
		s.hist.Add(history.Event{Kind: history.Unknown, Key: t.Key, Task: id, Node: g.name, Note: note(err)})
		return true
	}
	return false
}
