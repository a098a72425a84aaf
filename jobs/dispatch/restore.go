package dispatch

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/wire"
)

// Restore takes up work that another node of this one's group took and recorded:
// ticket.Run is called at once with the recorded data, and the coordinator that
// announces its epoch next on any link is told that the lease is held here. When
// none has adopted it within the lease's TTL, or at the offer's deadline, the work
// ends. It takes the place of what is held under the same lease by a ticket that is
// over, of which nothing is heard any more. It is false, and nothing is called, for a
// lease that is held otherwise.
func (h *Holdings) Restore(ctx context.Context, o *wire.JobOffer, data []byte, t *Ticket) bool {
	here, there := Pipe("", "") // it came over a link that is gone
	_, _ = here.Close(), there.Close()
	p := h.Puller(there)
	now := time.Now()
	r := &running{p: p, offer: o, started: now, ttl: time.Duration(o.TTLMS) * time.Millisecond, accepted: true, over: t.Over}
	key := keyOf(p, o)
	h.mu.Lock()
	if old := h.active[key]; old != nil {
		if !old.past() {
			h.mu.Unlock()
			return false
		}
		h.release(key, old)
		old.replaced, old.p = true, p // it ends by itself; its context's end would be one of the work
	}
	h.active[key] = r
	h.held[classAt(o.Class)]++
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.timer = time.AfterFunc(min(time.Until(o.Deadline), r.ttl), func() { h.orphaned(p, r) })
	h.mu.Unlock()
	go func() {
		defer r.cancel(nil)
		result := t.Run(r.ctx, data, func(f float64) { p.report(r, f) })
		p.finish(r, result, r.ctx.Err() == nil)
	}()
	return true
}
