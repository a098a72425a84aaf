package dispatch

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxAsks bounds the questions that wait for an answer on one link.
	maxAsks = 1024
	// askTimeout is how long an answer may take.
	askTimeout = 10 * time.Second
)

// Ask puts a question about a task to a linked node and waits for the answer. A
// node that is not linked or does not answer is core.Unavailable. The answer's
// Output is inline, whatever its size.
func (d *Dispatcher) Ask(ctx context.Context, child core.NodeID, q wire.JobQuery) (*wire.JobState, error) {
	d.mu.Lock()
	c := d.children[child]
	d.mu.Unlock()
	if c == nil {
		return nil, gone(child)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	state, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := *state
	answer.Output.Inline, err = d.cfg.Blobs.Unpack(ctx, child, state.Output)
	answer.Output.Blob = nil
	return &answer, err
}

func (c *childLink) ask(ctx context.Context, q wire.JobQuery) (*wire.JobState, error) {
	answer := make(chan *wire.JobState, 1)
	c.mu.Lock()
	if len(c.asks) >= maxAsks {
		c.mu.Unlock()
		return nil, core.Errorf(core.Exhausted, "query", "%d questions wait for node %s already", maxAsks, c.link.Peer().Short())
	}
	c.next++
	q.ID = c.next
	c.asks[q.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asks, q.ID)
		c.mu.Unlock()
	}()
	if err := c.link.Send(&q); err != nil {
		return nil, err
	}
	select {
	case s := <-answer:
		if s == nil {
			return nil, gone(c.link.Peer())
		}
		return s, nil
	case <-ctx.Done():
		return nil, core.Errorf(core.Unavailable, "query", "node %s did not answer: %w", c.link.Peer().Short(), ctx.Err())
	}
}

func (c *childLink) answer(m *wire.JobState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.asks[m.ID]; ch != nil {
		delete(c.asks, m.ID)
		ch <- m
	}
}

func (c *childLink) failAsks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, ch := range c.asks {
		delete(c.asks, id)
		ch <- nil
	}
}
