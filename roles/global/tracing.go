package global

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/wire"
)

// span remembers that something took from begun until now.
func (c *Coordinator) span(id core.TaskID, name string, begun time.Time) {
	c.deps.Trace.Add(id, core.Span{Name: name, At: core.AtGateway, Node: c.deps.ID, Start: begun.UTC()}, time.Now())
}

// whole is all of a task that has ended, as this gateway saw it.
func (c *Coordinator) whole(t *task) core.Span {
	s := t.snapshot()
	return core.Span{Name: "task", At: core.AtGateway, Node: c.deps.ID, Start: s.Created,
		TookUS: max(0, s.Updated.Sub(s.Created).Microseconds()), Note: string(s.Status)}
}

// traced exports a task that has ended.
func (c *Coordinator) traced(t *task) { c.deps.Trace.End(t.id, c.whole(t)) }

// Trace returns where a task's time went: what this gateway saw of it, and what
// its home tells, workers included.
func (c *Coordinator) Trace(ctx context.Context, id core.TaskID) (core.Trace, error) {
	own := core.Trace{TaskID: id, Spans: c.deps.Trace.Spans(id)}
	if name := c.deps.Trace.Context(id); name != (trace.Context{}) {
		own.TraceID = name.ID()
	}
	if t := c.tasks.get(id); t != nil && t.done() {
		own.Spans = append(own.Spans, c.whole(t))
	}
	home, err := c.homeTrace(ctx, id)
	if err != nil && len(own.Spans) == 0 {
		return core.Trace{}, err
	}
	own.TraceID = cmp.Or(own.TraceID, home.TraceID)
	own.Spans, own.Incomplete = append(own.Spans, home.Spans...), err != nil
	slices.SortStableFunc(own.Spans, func(a, b core.Span) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(b.TookUS, a.TookUS)) })
	return own, nil
}

func (c *Coordinator) homeTrace(ctx context.Context, id core.TaskID) (core.Trace, error) {
	answer, err := c.query(ctx, c.home(id), wire.JobQuery{TaskID: id, Op: wire.QueryTrace})
	if err != nil {
		return core.Trace{}, err
	}
	told, err := wire.DecodeTrace(answer, id)
	if err != nil {
		return core.Trace{}, core.Errorf(core.Corrupt, "trace", "region %s answered something else: %w", c.home(id), err)
	}
	return told, nil
}
