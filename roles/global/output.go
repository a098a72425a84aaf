package global

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxReading bounds the subtasks that all listeners of a gateway together hear at
	// once, maxReadingOne those that one does. What has no room is heard later, as far
	// as it is kept.
	maxReading    = 256
	maxReadingOne = 32
	// readPause is how long a subtask is left alone after it said something, so that
	// one which says little, and often, takes few messages.
	readPause = 20 * time.Millisecond
	// lastPatience is how long the last words are waited for once a task has ended.
	lastPatience = 3 * time.Second
)

// Writers is where output comes from: a task's home, or this very node.
type Writers interface {
	// Writing says which subtasks of a task may be writing.
	Writing(ctx context.Context, id core.TaskID) (core.OutputState, error)
	// Written returns what one has written behind from, as soon as there is something,
	// and after a few seconds with nothing.
	Written(ctx context.Context, id core.TaskID, from core.OutputFrom) (core.OutputPart, error)
}

var _ Writers = (*Coordinator)(nil)

// Writing asks a task's home which subtasks may be writing.
func (c *Coordinator) Writing(ctx context.Context, id core.TaskID) (core.OutputState, error) {
	answer, err := c.query(ctx, c.home(id), wire.JobQuery{TaskID: id, Op: wire.QueryOutput})
	if err != nil {
		return core.OutputState{}, err
	}
	state, err := wire.DecodeOutputState(answer, id)
	if err != nil {
		return state, core.Errorf(core.Corrupt, "output", "region %s answered something else: %w", c.home(id), err)
	}
	return state, nil
}

// Written asks a task's home what a subtask has written behind from.
func (c *Coordinator) Written(ctx context.Context, id core.TaskID, from core.OutputFrom) (core.OutputPart, error) {
	answer, err := c.query(ctx, c.home(id), wire.JobQuery{TaskID: id, Op: wire.QueryOutput, Output: &from})
	if err != nil {
		return core.OutputPart{}, err
	}
	part, err := wire.DecodeOutputPart(answer, from)
	if err != nil {
		return part, core.Errorf(core.Corrupt, "output", "region %s answered something else: %w", c.home(id), err)
	}
	return part, nil
}

// Output calls fn with what a task writes, as q says, until the task has ended, ctx
// does or fn fails. While fn works nothing more is asked for. A task that writes no
// output is core.NotFound.
func (c *Coordinator) Output(ctx context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	return c.Listen(ctx, c, id, q, fn)
}

// Listen is Output with another source than the task's home.
func (c *Coordinator) Listen(ctx context.Context, src Writers, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	l := &listener{src: src, id: id, q: q, fn: fn, room: c.reading, known: core.OutputCursor{}, reading: map[int]bool{},
		states: make(chan heardState), parts: make(chan heardPart), reached: time.Now()}
	for i, from := range q.After {
		l.known[i] = from
	}
	ctx, cancel := context.WithCancel(ctx)
	defer l.asking.Wait()
	defer cancel()
	l.asking.Go(func() { l.poll(ctx) })
	for {
		over, err := l.next(ctx)
		if over || err != nil {
			return err
		}
	}
}

// listener hears one task. All but ask and poll is called by its owner, who alone
// touches what is below.
type listener struct {
	src    Writers
	id     core.TaskID
	q      core.OutputQuery
	fn     func(core.OutputEvent) error
	room   chan struct{}
	states chan heardState
	parts  chan heardPart
	asking sync.WaitGroup

	known   core.OutputCursor
	reading map[int]bool
	waiting []int             // subtasks that there was no room for yet
	told    *core.OutputState // the last one; nil before the first
	reached time.Time         // when the source answered last
	ended   time.Time         // when the task was first seen to have ended
}

type heardState struct {
	core.OutputState
	err error
}

type heardPart struct {
	subtask int
	part    core.OutputPart
	last    bool // the reader of the subtask ends
}

// poll asks again and again where the task is.
func (l *listener) poll(ctx context.Context) {
	for {
		state, err := l.src.Writing(ctx, l.id)
		select {
		case l.states <- heardState{state, err}:
		case <-ctx.Done():
			return
		}
		rest(ctx, pollEvery)
	}
}

// ask asks a subtask for what is behind from, until its run is over or nobody
// answers for it.
func (l *listener) ask(ctx context.Context, from core.OutputFrom) {
	defer func() { <-l.room }()
	from.Now = !l.q.Follow
	for last := false; !last; {
		part, err := l.src.Written(ctx, l.id, from)
		last = err != nil || part.Over || from.Now && len(part.Pieces) == 0
		select {
		case l.parts <- heardPart{from.Subtask, part, last}:
		case <-ctx.Done():
			return
		}
		from = behind(from, part)
		rest(ctx, readPause)
	}
}

// behind is what is known after a part.
func behind(known core.OutputFrom, part core.OutputPart) core.OutputFrom {
	if part.Run != known.Run {
		known.Run, known.Stdout, known.Stderr = part.Run, 0, 0
	}
	for _, p := range part.Pieces {
		*known.Known(p.Stream) = p.Offset + int64(len(p.Data))
	}
	return known
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// next takes one thing that was heard and reports whether it was the last.
func (l *listener) next(ctx context.Context) (over bool, err error) {
	select {
	case s := <-l.states:
		return l.state(ctx, s)
	case p := <-l.parts:
		if err := l.part(p); err != nil {
			return false, err
		}
		l.begin(ctx)
		return l.over()
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// state takes where the task is. That nobody can be reached is an error only after a
// while.
func (l *listener) state(ctx context.Context, s heardState) (over bool, err error) {
	switch {
	case s.err == nil:
		l.reached = time.Now()
	case errors.Is(s.err, core.Unavailable) && time.Since(l.reached) < feedPatience:
		return false, nil
	default:
		return false, s.err
	}
	first := l.told == nil
	if err := l.check(s.OutputState); err != nil {
		return false, err
	}
	if first || l.told.Status != s.Status || l.told.Subtasks != s.Subtasks {
		e := core.OutputEvent{Event: core.OutputTask, TaskID: l.id, Status: s.Status, Subtasks: s.Subtasks}
		if err := l.emit(e); err != nil {
			return false, err
		}
	}
	if s.Status.Final() && l.ended.IsZero() {
		l.ended = time.Now()
	}
	l.told = &s.OutputState
	if first || l.q.Follow {
		l.waiting = s.Running
		if l.q.Subtask != nil && !s.Status.Final() { // only so many are named
			l.waiting = []int{*l.q.Subtask}
		}
	}
	l.begin(ctx)
	return l.over()
}

// check refuses what cannot be heard.
func (l *listener) check(s core.OutputState) error {
	switch {
	case !s.Writes:
		return core.Errorf(core.NotFound, "taskId", "task %s is of type %s, and tasks like it write no output", l.id, s.Type).
			WithHint("its result is what it computed; the steps of a workflow are tasks of their own")
	case l.q.Subtask != nil && s.Subtasks > 0 && *l.q.Subtask >= s.Subtasks:
		return core.Errorf(core.Invalid, "subtask", "task %s has no subtask %d; it has %d, from 0 on", l.id, *l.q.Subtask, s.Subtasks)
	}
	return nil
}

// begin reads those that wait and are not read, as far as there is room.
func (l *listener) begin(ctx context.Context) {
	for len(l.waiting) > 0 && len(l.reading) < maxReadingOne {
		i := l.waiting[0]
		if !l.reading[i] {
			select {
			case l.room <- struct{}{}:
			default:
				return
			}
			l.read(ctx, i)
		}
		l.waiting = l.waiting[1:]
	}
}

// read begins to hear a subtask, for which there is room.
func (l *listener) read(ctx context.Context, i int) {
	l.reading[i] = true
	from := l.known[i]
	from.Subtask = i
	l.asking.Go(func() { l.ask(ctx, from) })
}

// part hands on what a subtask wrote.
func (l *listener) part(p heardPart) error {
	if p.last {
		delete(l.reading, p.subtask)
	}
	if p.part.Run == 0 { // nobody answered
		return nil
	}
	known := l.known[p.subtask]
	known.Subtask = p.subtask
	again := known.Run != 0 && known.Run != p.part.Run
	known = behind(known, core.OutputPart{Run: p.part.Run})
	l.known[p.subtask] = known
	if again {
		e := core.OutputEvent{Event: core.OutputRestart, Subtask: &p.subtask, Attempt: p.part.Attempt}
		if err := l.emit(e); err != nil {
			return err
		}
	}
	for _, piece := range p.part.Pieces {
		*known.Known(piece.Stream) = piece.Offset + int64(len(piece.Data))
		l.known[p.subtask] = known
		if l.q.Stream != "" && l.q.Stream != piece.Stream {
			continue
		}
		e := core.OutputEvent{Event: core.OutputData, Subtask: &p.subtask, Attempt: p.part.Attempt,
			Stream: piece.Stream, Offset: &piece.Offset, Data: piece.Data}
		if err := l.emit(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) emit(e core.OutputEvent) error {
	e.Cursor = l.known
	return l.fn(e)
}

// over tells the end, once nothing can follow.
func (l *listener) over() (bool, error) {
	switch {
	case l.told == nil:
		return false, nil
	case !l.q.Follow:
		return len(l.reading)+len(l.waiting) == 0, nil
	case l.ended.IsZero() || len(l.reading) > 0 && time.Since(l.ended) < lastPatience:
		return false, nil
	}
	return true, l.emit(core.OutputEvent{Event: core.OutputEnd, TaskID: l.id, Status: l.told.Status, Subtasks: l.told.Subtasks, Note: endNote})
}

// endNote is what a listener is told in the end: what was written before he came, or
// too fast for him, is not lost.
const endNote = "the task has ended; what it wrote is in its result, if it has one"
