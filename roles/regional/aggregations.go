package regional

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxAggregations bounds the aggregations watched; when there are more, those
	// that were silent longest are dropped.
	maxAggregations = 1024
	// maxPromises bounds the members remembered, in the same way.
	maxPromises = 1 << 14
	// sweepPeriod is how late it may be noticed that an aggregation fell silent.
	sweepPeriod = time.Second
	// channelBuffer is how many announcements may wait.
	channelBuffer = 1024
)

// AggregationDeps is what Aggregations watch with; all are required.
type AggregationDeps struct {
	Region  func() core.RegionID // which region this node keeps
	Channel roles.Channel        // of that region
	// CapacityOf returns what a worker has free, false for one that is not there.
	CapacityOf func(core.NodeID) (core.Capacity, bool)
	Events     *event.Bus
}

// AggregationChange is the data of aggregation_state_changed.
type AggregationChange struct {
	core.AggregationState
	State string `json:"state"` // formed or dissolved
}

// Aggregations watches the aggregations that local nodes of the region form. It
// guarantees that one is shown only while its proposer and every other member
// say, each for itself and within three periods, that they are in it, so that no
// node can be claimed that did not join; that a node is in one at a time; and
// that its memory is bounded. It is safe for concurrent use.
type Aggregations struct {
	deps  AggregationDeps
	log   zerolog.Logger
	shown atomic.Pointer[[]core.AggregationState] // sorted by id, without capacity
}

// NewAggregations returns a watcher that sees nothing until Serve.
func NewAggregations(deps AggregationDeps, log zerolog.Logger) *Aggregations {
	return &Aggregations{deps: deps, log: log}
}

// Serve watches until ctx ends. It knows every aggregation that lives after one
// period; nothing is shown while it does not run.
func (a *Aggregations) Serve(ctx context.Context) error {
	in, stop := a.deps.Channel.Subscribe(channelBuffer)
	defer stop()
	defer a.shown.Store(nil)
	w := newWatch()
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, open := <-in:
			if !open {
				return core.Errorf(core.Unavailable, "aggregations", "the region's channel was closed")
			}
			if v, ok := m.Body.(*wire.AggregationVote); ok && m.Genuine(a.deps.Region()) {
				w.hear(time.Now(), v)
			}
			if len(in) > 0 {
				continue // what many say at once is shown once
			}
		case <-sweep.C:
			w.expire(time.Now())
		}
		a.show(w, time.Now())
	}
}

// States returns what is formed now, sorted by id. The capacity of an aggregation
// is the mean of what its members have free, as theirs are shares of different
// machines.
func (a *Aggregations) States() []core.AggregationState {
	shown := a.shown.Load()
	if shown == nil {
		return []core.AggregationState{}
	}
	out := slices.Clone(*shown)
	for i := range out {
		out[i].Nodes = slices.Clone(out[i].Nodes)
		out[i].Capacity = a.capacity(out[i].Nodes)
	}
	return out
}

// capacity returns the mean free capacity of those members that are there.
func (a *Aggregations) capacity(nodes []core.NodeID) (mean core.Capacity) {
	n := 0.0
	for _, id := range nodes {
		if c, ok := a.deps.CapacityOf(id); ok {
			mean.CPU, mean.Memory, mean.Storage = mean.CPU+c.CPU, mean.Memory+c.Memory, mean.Storage+c.Storage
			n++
		}
	}
	if n > 0 {
		mean.CPU, mean.Memory, mean.Storage = mean.CPU/n, mean.Memory/n, mean.Storage/n
	}
	return mean
}

// show publishes what changed since the last time.
func (a *Aggregations) show(w *watch, now time.Time) {
	if !w.changed {
		return
	}
	w.changed = false
	var before []core.AggregationState
	if old := a.shown.Load(); old != nil {
		before = *old
	}
	after := w.confirmed(now)
	a.shown.Store(&after)
	for _, s := range missing(before, after) {
		a.tell(s, roles.VoteDissolved)
	}
	for _, s := range missing(after, before) {
		a.tell(s, roles.VoteFormed)
	}
}

func (a *Aggregations) tell(s core.AggregationState, state string) {
	s.Nodes, s.Capacity = slices.Clone(s.Nodes), a.capacity(s.Nodes)
	a.deps.Events.Publish(event.Event{Name: event.AggregationStateChanged, Data: AggregationChange{AggregationState: s, State: state}})
	a.log.Info().Str("aggregation_id", s.ID).Int("members", len(s.Nodes)).Str("state", state).Msg("aggregation changed")
}

// missing returns what of list is not in other; both are in the order of byID.
func missing(list, other []core.AggregationState) (out []core.AggregationState) {
	for _, s := range list {
		i, found := slices.BinarySearchFunc(other, s, byID)
		if !found || !slices.Equal(other[i].Nodes, s.Nodes) {
			out = append(out, s)
		}
	}
	return out
}

// byID orders by id, and by proposer where a hostile node took another's id.
func byID(a, b core.AggregationState) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(a.Nodes[0], b.Nodes[0]))
}

// watch is what the nodes of a region have said of their aggregations, without
// a clock and bounded.
type watch struct {
	claims   *simplelru.LRU[core.NodeID, claim]   // by proposer
	promises *simplelru.LRU[core.NodeID, promise] // by member
	changed  bool                                 // what is confirmed may have changed
}

// claim is a proposer's word that it formed an aggregation.
type claim struct {
	id      string
	members []core.NodeID // the proposer first
	at      time.Time
}

// promise is a node's word that it is in one.
type promise struct {
	id       string
	proposer core.NodeID
	at       time.Time
}

func newWatch() *watch {
	w := &watch{}
	// They fail for sizes below 1 only.
	w.claims, _ = simplelru.NewLRU(maxAggregations, func(core.NodeID, claim) { w.changed = true })
	w.promises, _ = simplelru.NewLRU(maxPromises, func(core.NodeID, promise) { w.changed = true })
	return w
}

// hear takes a vote that its voter signed.
func (w *watch) hear(now time.Time, v *wire.AggregationVote) {
	switch {
	case roles.Forms(v):
		old, known := w.claims.Peek(v.Voter)
		w.changed = w.changed || !known || old.id != v.ID || !slices.Equal(old.members, v.Members)
		w.claims.Add(v.Voter, claim{v.ID, slices.Clone(v.Members), now})
		w.promises.Remove(v.Voter) // it is in its own
	case len(v.Members) == 1 && roles.Promises(v, v.Members[0]):
		old, known := w.promises.Peek(v.Voter)
		next := promise{v.ID, v.Members[0], now}
		w.changed = w.changed || !known || old.id != next.id || old.proposer != next.proposer
		w.promises.Add(v.Voter, next)
		w.claims.Remove(v.Voter) // a member does not keep one of its own
	case v.Outcome == roles.VoteDissolved:
		w.dissolve(v)
	}
}

// dissolve takes back what v's voter said. One that did not say it is in an
// aggregation ends none.
func (w *watch) dissolve(v *wire.AggregationVote) {
	if c, ok := w.claims.Peek(v.Voter); ok && c.id == v.ID {
		w.claims.Remove(v.Voter)
	}
	if p, ok := w.promises.Peek(v.Voter); ok && p.id == v.ID {
		w.promises.Remove(v.Voter)
		if c, ok := w.claims.Peek(p.proposer); ok && c.id == p.id && slices.Contains(c.members, v.Voter) {
			w.claims.Remove(p.proposer)
		}
	}
}

// expire forgets what was not said again for three periods.
func (w *watch) expire(now time.Time) {
	for _, id := range w.claims.Keys() {
		if c, _ := w.claims.Peek(id); stale(c.at, now) {
			w.claims.Remove(id)
		}
	}
	for { // the order of promises is that of their age
		id, p, ok := w.promises.GetOldest()
		if !ok || !stale(p.at, now) {
			return
		}
		w.promises.Remove(id)
	}
}

func stale(at, now time.Time) bool { return !now.Before(at.Add(roles.AggregationSilence)) }

// confirmed returns the claims that all their members promised, sorted by id.
func (w *watch) confirmed(now time.Time) []core.AggregationState {
	out := []core.AggregationState{}
	for _, c := range w.claims.Values() {
		if !stale(c.at, now) && w.agreed(c, now) {
			out = append(out, core.AggregationState{ID: c.id, Nodes: c.members})
		}
	}
	slices.SortFunc(out, byID)
	return out
}

// agreed reports whether every member but the proposer says it is in c.
func (w *watch) agreed(c claim, now time.Time) bool {
	for _, id := range c.members[1:] {
		if p, ok := w.promises.Peek(id); !ok || p.id != c.id || p.proposer != c.members[0] || stale(p.at, now) {
			return false
		}
	}
	return true
}
