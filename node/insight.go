package node

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

var _ api.Insight = gatewayTasks{}

// assignedPoll is how often a task that was assigned to this very node is looked
// at while somebody listens.
const assignedPoll = 100 * time.Millisecond

// Events implements api.Insight.
func (g gatewayTasks) Events(ctx context.Context, id core.TaskID, after uint64, wait time.Duration) (core.TaskEvents, error) {
	job, ok := g.n.tasks.Assigned(id)
	if !ok {
		return g.Coordinator.Events(ctx, id, after, wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		news := job.History(after)
		if len(news.Events) > 0 || news.Final {
			return news, nil
		}
		select {
		case <-ctx.Done():
			return news, nil
		case <-time.After(assignedPoll):
		}
		if job, ok = g.n.tasks.Assigned(id); !ok {
			return news, nil // it was forgotten; the next question tells
		}
	}
}

// Why implements api.Insight.
func (g gatewayTasks) Why(ctx context.Context, id core.TaskID) (core.TaskWhy, error) {
	job, ok := g.n.tasks.Assigned(id)
	if !ok {
		return g.Coordinator.Why(ctx, id)
	}
	s := jobs.Situation{Now: time.Now(), Region: g.n.ownRegion(), Assigned: true}
	return job.Why(s), nil
}

// Trace implements api.Insight. Of a task that was assigned to this very node
// there is only how long it took.
func (g gatewayTasks) Trace(ctx context.Context, id core.TaskID) (core.Trace, error) {
	job, ok := g.n.tasks.Assigned(id)
	if !ok {
		return g.Coordinator.Trace(ctx, id)
	}
	whole := core.Span{Name: "task", At: core.AtWorker, Node: g.n.identity.ID(), Start: job.Created,
		TookUS: job.Updated.Sub(job.Created).Microseconds(), Note: string(job.State.Task())}
	return core.Trace{TaskID: id, Spans: []core.Span{whole}}, nil
}

// Output implements api.Insight.
func (g gatewayTasks) Output(ctx context.Context, id core.TaskID, q core.OutputQuery, fn func(core.OutputEvent) error) error {
	if _, ok := g.n.tasks.Assigned(id); ok {
		return g.Listen(ctx, g.n.tasks, id, q, fn)
	}
	return g.Coordinator.Output(ctx, id, q, fn)
}
