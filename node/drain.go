package node

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

const (
	// drainTime is how long running work may go on after the node was told to stop.
	drainTime = 10 * time.Second
	// verdictTime is how long a result may be on its way to whoever asked for it
	// before a stopping node gives it up: a big one has to be fetched.
	verdictTime = 2 * time.Second
)

// drain waits until nothing runs here and every result has been heard, at most
// drainTime. The jobs of a region that others keep too go on there.
func (n *Node) drain(ctx context.Context) {
	n.draining.Store(true)
	n.keeper.handOver()
	n.leaveGroup(ctx)
	n.log.Info().Int("subtasks", n.tasks.Active()).Int("jobs", n.validator.InProgress()).Msg("stopping; running work may finish")
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n.tasks.Active() > 0 || n.validator.InProgress() > 0 || n.links.unheard.count(time.Now()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			n.log.Warn().Int("subtasks", n.tasks.Active()).Int("jobs", n.validator.InProgress()).Msg("stopping with work unfinished")
			return
		case <-tick.C:
		}
	}
}

// unheard is the work taken for coordinators whose verdict has not come back
// yet, with the time until which it is waited for.
type unheard struct {
	mu    sync.Mutex
	until map[jobs.Key]time.Time // zero while the work is running
}

// count returns how many verdicts may still come.
func (u *unheard) count(now time.Time) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(now)
	return len(u.until)
}

// forget drops what came too late, for example because the link is gone. Called
// with mu held.
func (u *unheard) forget(now time.Time) {
	maps.DeleteFunc(u.until, func(_ jobs.Key, t time.Time) bool { return !t.IsZero() && now.After(t) })
}

func (u *unheard) begun(k jobs.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.until) >= regionCredits {
		u.forget(time.Now())
	}
	u.until[k] = time.Time{}
}

func (u *unheard) sent(k jobs.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.until[k] = time.Now().Add(verdictTime)
}

func (u *unheard) heard(k jobs.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.until, k)
}

// heedful is a taker that notes which of its results were heard.
type heedful struct {
	dispatch.Taker
	unheard *unheard
}

// Take implements dispatch.Taker.
func (h heedful) Take(from core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	ticket, no := h.Taker.Take(from, o)
	if no != nil {
		return nil, no
	}
	run, cancel, k := ticket.Run, ticket.Cancel, jobs.Key{Task: o.TaskID, Index: o.Index}
	h.unheard.begun(k) // now: the input may have to be fetched before Run
	ticket.Cancel = func() {
		h.unheard.heard(k)
		cancel()
	}
	ticket.Run = func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		result := run(ctx, data, progress)
		if result == nil || ctx.Err() != nil { // nobody waits for it
			h.unheard.heard(k)
		} else {
			h.unheard.sent(k)
		}
		return result
	}
	return ticket, nil
}

// Judged implements dispatch.Taker.
func (h heedful) Judged(from core.NodeID, m *wire.JobVerify) {
	h.unheard.heard(jobs.Key{Task: m.TaskID, Index: m.Index})
	h.Taker.Judged(from, m)
}
