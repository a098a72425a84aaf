package dispatch

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// Holdings is what a node holds for one region: the work it took from any of the
// region's coordinators and the results that none has confirmed. It outlives the
// links, so that the coordinator that leads next can adopt it. Whatever link a
// piece of work belongs to, it counts once in the window.
type Holdings struct {
	region  core.RegionID
	taker   Taker
	window  Window
	blobs   *Blobs
	metrics *Metrics
	log     zerolog.Logger

	mu     sync.Mutex
	epoch  uint64 // the highest that a coordinator of the region announced
	active map[holdKey]*running
	held   [2]int // active by class
	links  int    // with an epoch
	kept   kept
}

// holdKey names a lease: across all links in a region with epochs, on its link
// without.
type holdKey struct {
	of    *Puller // nil in an epoch
	lease wire.LeaseID
}

// NewHoldings returns empty holdings of taker for a region, whose name an Adopt
// must carry; without a name, for one link.
func NewHoldings(region core.RegionID, taker Taker, window Window, blobs *Blobs, m *Metrics, log zerolog.Logger) *Holdings {
	return &Holdings{region: region, taker: taker, window: window, blobs: blobs, metrics: m, log: log,
		active: map[holdKey]*running{}, kept: newKept()}
}

// Epoch returns the highest epoch that a coordinator of the region announced.
func (h *Holdings) Epoch() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// Idle reports whether nothing is held: no work, and no result that is not
// confirmed.
func (h *Holdings) Idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.expire(time.Now())
	return len(h.active) == 0 && h.kept.order.Len() == 0
}

// Linked reports whether a coordinator of the region has announced its epoch on a
// link that is still there.
func (h *Holdings) Linked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links > 0
}

// Puller returns the executing side of one more link to the region; it starts in
// Serve.
func (h *Holdings) Puller(link Link) *Puller {
	return &Puller{Holdings: h, link: link, log: h.log.With().Str("coordinator", string(link.Peer())).Logger()}
}

func keyOf(p *Puller, o *wire.JobOffer) holdKey {
	if o.Epoch > 0 {
		p = nil
	}
	return holdKey{p, o.Lease}
}

// admit counts an offer as held, at once: its credit is used up, its place must
// not be granted again, and a revocation may be the next message. nil means that
// it is not for us to take, and why.
func (p *Puller) admit(o *wire.JobOffer) (r *running, why string) {
	h, class := p.Holdings, classAt(o.Class)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.open[class] > 0 { // an offer nobody asked for must not widen the window
		p.open[class]--
	}
	key := keyOf(p, o)
	switch {
	case o.Epoch != h.epoch || o.Epoch != p.epoch:
		return nil, "stale"
	case h.active[key] != nil:
		return nil, "duplicate"
	case p.Closing:
		return nil, "unasked"
	}
	r = &running{p: p, offer: o, started: time.Now(), ttl: time.Duration(o.TTLMS) * time.Millisecond}
	h.active[key] = r
	h.held[class]++
	return r, ""
}

// release takes a piece of work off the books, on which another may be in its place.
// Called with mu held.
func (h *Holdings) release(key holdKey, r *running) {
	r.stopTimer()
	if h.active[key] != r {
		return
	}
	delete(h.active, key)
	h.held[classAt(r.offer.Class)]--
}

// abandon settles what belonged to a link that has ended: work that another
// coordinator may adopt goes on for as long as its lease, everything else that
// does not survive ends.
func (p *Puller) abandon() {
	h := p.Holdings
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.epoch > 0 {
		h.links--
	}
	for _, r := range h.active {
		if r.p != p || r.cancel == nil {
			continue
		}
		left := time.Until(r.offer.Deadline)
		switch {
		case r.survives:
			r.timer = time.AfterFunc(left, func() { r.cancel(context.DeadlineExceeded) })
		case r.offer.Epoch == 0:
			r.cancel(errLinkLost)
		default:
			r.timer = time.AfterFunc(min(left, r.ttl), func() { h.orphaned(p, r) })
		}
	}
}

// orphaned ends work that nobody has adopted since its link was lost.
func (h *Holdings) orphaned(p *Puller, r *running) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.p == p {
		r.cancel(errLinkLost)
	}
}

// adopt moves everything that is held in epochs to the link of the coordinator
// that leads now, and claims it there. One of a lower epoch than the last is not
// heard.
func (p *Puller) adopt(m *wire.Adopt) {
	h := p.Holdings
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.region != "" && m.Region != h.region {
		h.metrics.dropped(p.link.Peer(), "foreign")
		return
	}
	if m.Epoch < h.epoch {
		h.metrics.dropped(p.link.Peer(), "stale")
		return
	}
	if p.epoch == 0 {
		h.links++
	}
	h.epoch, p.epoch = m.Epoch, m.Epoch
	claims := h.moveTo(p)
	p.open[classAt(wire.ClassSubtask)] = max(0, p.open[classAt(wire.ClassSubtask)]-len(claims))
	finished := h.kept.list(time.Now())
	for _, k := range finished {
		claims = append(claims, k.claim)
	}
	h.metrics.claimed("made", len(claims))
	// Under the lock, so that no result overtakes its claim.
	p.claim(m.Epoch, claims)
	for _, k := range finished {
		_ = p.link.Send(k.result)
	}
	if len(claims) > 0 {
		p.log.Info().Uint64("epoch", m.Epoch).Int("running", len(claims)-len(finished)).Int("finished", len(finished)).Msg("claimed what is held here")
	}
}

// moveTo makes p the link of all running work that can be claimed and returns the
// claims, lowest lease first. Called with mu held.
func (h *Holdings) moveTo(p *Puller) (claims []wire.ClaimedLease) {
	now := time.Now()
	for key, r := range h.active {
		if key.of != nil || !r.accepted || r.offer.Class != wire.ClassSubtask {
			continue
		}
		r.stopTimer()
		r.p, r.renewAt = p, now.Add(r.ttl/3)
		claims = append(claims, claimed(r.offer, r.progress, false))
	}
	slices.SortFunc(claims, func(a, b wire.ClaimedLease) int { return cmp.Compare(a.Lease, b.Lease) })
	return claims
}

func claimed(o *wire.JobOffer, progress float64, finished bool) wire.ClaimedLease {
	return wire.ClaimedLease{Lease: o.Lease, TaskID: o.TaskID, Index: o.Index, Attempt: o.Attempt, Epoch: o.Epoch, InputHash: o.InputHash,
		Progress: progress, Finished: finished}
}

// claim sends claims in as many messages as they need, at least one.
func (p *Puller) claim(epoch uint64, claims []wire.ClaimedLease) {
	for {
		n := min(len(claims), wire.MaxClaims)
		_ = p.link.Send(&wire.Claim{Epoch: epoch, Leases: claims[:n:n], More: n < len(claims)})
		if claims = claims[n:]; len(claims) == 0 {
			return
		}
	}
}

// revoked ends work at the wish of the coordinator it belongs to.
func (p *Puller) revoked(m *wire.LeaseRevoke) {
	h := p.Holdings
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.active[holdKey{lease: m.Lease}]
	if r == nil {
		r = h.active[holdKey{p, m.Lease}]
	}
	switch {
	case r != nil && r.p == p:
		r.cancel(&core.Failure{Reason: m.Reason, Message: "the coordinator revoked the lease"})
	case r != nil || p.epoch != h.epoch:
		h.metrics.dropped(p.link.Peer(), "stale")
	default:
		h.kept.revoke(m.Lease)
	}
}

// judged hears what a coordinator made of a result, which need not be kept then.
func (p *Puller) judged(m *wire.JobVerify) {
	p.mu.Lock()
	p.kept.confirm(jobs.Key{Task: m.TaskID, Index: m.Index})
	p.mu.Unlock()
	p.taker.Judged(p.link.Peer(), m)
}
