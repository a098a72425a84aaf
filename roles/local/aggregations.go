package local

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

const (
	// DefaultProposal is how long a proposal waits for members when nobody says.
	DefaultProposal = time.Minute
	// MinProposal is the shortest a proposal may wait: a vote takes some round trips.
	MinProposal = 100 * time.Millisecond
	// MaxProposal is the longest: who has voted is bound until it ends.
	MaxProposal = 10 * time.Minute

	// maxSkew is how far a proposer's clock may be ahead.
	maxSkew = time.Minute
	// maxPending bounds the proposals remembered while this node cannot join one.
	maxPending = 32
	// channelBuffer is how many announcements may wait: every member of a few dozen
	// aggregations may speak at once.
	channelBuffer = 256
	// publishTimeout bounds one publication, for which the loop waits.
	publishTimeout = 2 * time.Second
	// lookAgain is the pause before what did not work is tried again.
	lookAgain = time.Second
)

// Why an aggregation failed or ended: AggregationEvent.Reason.
const (
	endedTimeout   = "timeout"    // too few joined in time, or the proposer never said how it went
	endedDissolved = "dissolved"  // another member said so
	endedNotNeeded = "not_needed" // it was formed without this node
	endedSilent    = "silent"     // a member missed three announcements
	endedLeft      = "left"       // this node left
)

// errNotServing says that Serve does not run: there is nothing to leave then.
var errNotServing = core.Errorf(core.Unavailable, "aggregations", "this node does not take part in aggregations now").
	WithHint("give it the local role and try again")

// AggregationDeps is what Aggregations work with; all are required, and the
// functions must be quick.
type AggregationDeps struct {
	ID      core.NodeID
	Region  func() core.RegionID           // "" while none is chosen
	Offers  func() core.Resources          // what this node brings along
	Tier    func() core.Tier               // what it is alone
	TierOf  func(core.Resources) core.Tier // what summed resources are
	Idle    func() bool                    // whether it is willing to join others
	Channel roles.Channel                  // of its region
	Events  *event.Bus
}

// AggregationEvent is the data of the events aggregation_proposed (this node
// proposed, or joined another's proposal), aggregation_succeeded and
// aggregation_failed. Every proposed is followed by exactly one failed, with at
// most one succeeded between them.
type AggregationEvent struct {
	ID         string        `json:"id"`
	Proposer   core.NodeID   `json:"proposer"`
	TargetTier core.Tier     `json:"targetTier"`
	Members    []core.NodeID `json:"members,omitempty"` // the proposer first; only once it is formed
	Reason     string        `json:"reason,omitempty"`  // failed: timeout, dissolved, not_needed, silent or left
}

// Aggregations lets this node act together with others of its region as one of a
// higher tier: the documents' NodeAggregator. A node is in one aggregation, or on
// the way to one, at a time. It guarantees that the sum of what the members
// signed reaches the tier, that none of them is superfluous, and that an
// aggregation with a silent member ends. It is safe for concurrent use.
type Aggregations struct {
	deps  AggregationDeps
	log   zerolog.Logger
	calls chan call
	with  atomic.Pointer[string] // id of the formed aggregation

	mu    sync.Mutex
	ended chan struct{} // closed while Serve does not run

	// Serve's own:
	group   *group                      // nil: in none
	pending []*wire.AggregationProposal // of others, oldest first, one per proposer
}

// call is work for the loop that owns the state; done gets exactly one answer.
type call struct {
	do   func(context.Context) error
	done chan error
}

// NewAggregations returns aggregations that begin with Serve.
func NewAggregations(deps AggregationDeps, log zerolog.Logger) *Aggregations {
	ended := make(chan struct{})
	close(ended)
	return &Aggregations{deps: deps, log: log, calls: make(chan call), ended: ended}
}

// Serve proposes, votes and keeps what was formed until ctx ends; then it leaves.
func (a *Aggregations) Serve(ctx context.Context) error {
	in, stop := a.deps.Channel.Subscribe(channelBuffer)
	defer stop()
	defer a.begin()()
	defer a.quit(context.WithoutCancel(ctx))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		a.settle(ctx, time.Now())
		if at := a.due(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, open := <-in:
			if !open {
				return core.Errorf(core.Unavailable, "aggregations", "the region's channel was closed")
			}
			a.hear(ctx, time.Now(), m)
		case c := <-a.calls:
			c.done <- c.do(ctx)
		case <-timer.C:
		}
	}
}

// begin lets calls in and returns what keeps them out again.
func (a *Aggregations) begin() func() {
	ended := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = ended
	return func() { close(ended) }
}

// AggregatedWith returns the id of the aggregation this node is in, "" for none.
func (a *Aggregations) AggregatedWith() string {
	if id := a.with.Load(); id != nil {
		return *id
	}
	return ""
}

// Propose asks the region's idle nodes to form an aggregation of tier target and
// returns its id at once; how it went is told by events. timeout is MinProposal
// to MaxProposal, 0 takes DefaultProposal. It is core.Invalid when this node
// alone is of that tier, core.Conflict while it is in or on the way to another
// aggregation.
func (a *Aggregations) Propose(ctx context.Context, target core.Tier, timeout time.Duration) (proposalID string, err error) {
	if timeout == 0 {
		timeout = DefaultProposal
	}
	if timeout < MinProposal || timeout > MaxProposal {
		return "", core.Errorf(core.Invalid, "timeout", "timeout is %s; it must be %s to %s", timeout, MinProposal, MaxProposal)
	}
	err = a.ask(ctx, func(ctx context.Context) (err error) {
		proposalID, err = a.propose(ctx, target, timeout)
		return err
	})
	return proposalID, err
}

// Leave ends the aggregation this node is in, its proposal or its promise, and
// tells the others; the error says that they will only learn it from silence. It
// is no error to be in none. Only a later proposal can make it join again.
func (a *Aggregations) Leave(ctx context.Context) error {
	if err := a.ask(ctx, a.quit); err != nil && !errors.Is(err, errNotServing) { // Serve leaves when it ends
		return err
	}
	return nil
}

// ask runs do on Serve's loop.
func (a *Aggregations) ask(ctx context.Context, do func(context.Context) error) error {
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	c := call{do: do, done: make(chan error, 1)}
	select {
	case a.calls <- c:
		return <-c.done // at once: publications are bounded
	case <-ended:
		return errNotServing
	case <-ctx.Done():
		return core.Errorf(core.Timeout, "aggregations", "waiting for the aggregations: %w", ctx.Err())
	}
}

func (a *Aggregations) propose(ctx context.Context, target core.Tier, timeout time.Duration) (string, error) {
	offers, region := a.deps.Offers(), a.deps.Region()
	switch own := max(a.deps.Tier(), a.deps.TierOf(offers)); {
	case target > core.TierTrainer:
		return "", core.Errorf(core.Invalid, "targetTier", "targetTier %s is unknown", target)
	case target <= own:
		return "", core.Errorf(core.Invalid, "targetTier", "this node alone is of tier %s", own).WithHint("propose a higher tier")
	case a.group != nil:
		return "", core.Errorf(core.Conflict, "aggregation", "this node is in or on the way to aggregation %s", a.group.id).
			WithHint("wait until it has ended")
	case region == "":
		return "", core.Errorf(core.Unavailable, "region", "this node has no region yet").WithHint("try again in a few seconds")
	}
	unique, err := uuid.NewV7()
	if err != nil {
		return "", core.Errorf(core.Internal, "aggregation", "making an id: %w", err)
	}
	p := &wire.AggregationProposal{ID: string(core.NewTaskID(region, unique.String())), Proposer: a.deps.ID, Region: region,
		Target: target, Offers: offers, Expires: time.Now().Add(timeout).UTC()}
	if err := a.publish(ctx, p); err != nil {
		return "", err
	}
	a.enter(newProposal(p))
	return p.ID, nil
}

// join promises to be part of p and reports whether others could be told.
func (a *Aggregations) join(ctx context.Context, p *wire.AggregationProposal) bool {
	if a.vote(ctx, p.ID, roles.VoteJoin, p.Proposer) != nil {
		return false
	}
	a.enter(newPromise(p))
	return true
}

func (a *Aggregations) enter(g *group) {
	a.group = g
	a.tell(event.AggregationProposed, g, "")
}

// settle does what is due.
func (a *Aggregations) settle(ctx context.Context, now time.Time) {
	switch g := a.group; {
	case g == nil:
	case g.phase == formed && g.silent(now):
		a.withdraw(ctx, endedSilent)
	case g.phase == formed && g.proposer == a.deps.ID && !now.Before(g.next):
		a.announce(ctx, now)
	case g.phase == proposed && !now.Before(g.ends):
		a.withdraw(ctx, endedTimeout)
	case g.phase == promised && !now.Before(g.ends):
		a.end(endedTimeout)
	}
	if a.group == nil {
		a.joinPending(ctx, now)
	}
}

// due returns when settle has something to do, zero for never.
func (a *Aggregations) due() time.Time {
	switch {
	case a.group != nil:
		return a.group.due()
	case len(a.pending) > 0:
		return time.Now().Add(lookAgain)
	}
	return time.Time{}
}

// joinPending joins the oldest suitable proposal that still waits.
func (a *Aggregations) joinPending(ctx context.Context, now time.Time) {
	a.forget(now, a.deps.ID) // it never joins its own
	if len(a.pending) == 0 || !a.deps.Idle() {
		return
	}
	own := a.deps.Tier()
	i := slices.IndexFunc(a.pending, func(p *wire.AggregationProposal) bool { return p.Target > own })
	if i >= 0 && a.join(ctx, a.pending[i]) {
		a.pending = slices.Delete(a.pending, i, i+1)
	}
}

// announce says, as the proposer, that the aggregation lives.
func (a *Aggregations) announce(ctx context.Context, now time.Time) {
	g := a.group
	g.next = now.Add(roles.AggregationPeriod)
	if a.vote(ctx, g.id, roles.VoteFormed, g.members...) != nil {
		g.next = now.Add(lookAgain)
	}
}

func (a *Aggregations) succeed() {
	g := a.group
	id := g.id
	a.with.Store(&id)
	a.tell(event.AggregationSucceeded, g, "")
}

// quit leaves whatever this node is in.
func (a *Aggregations) quit(ctx context.Context) error {
	a.pending = nil
	if a.group == nil {
		return nil
	}
	return a.withdraw(ctx, endedLeft)
}

// withdraw ends the group and tells the others.
func (a *Aggregations) withdraw(ctx context.Context, reason string) error {
	err := a.vote(ctx, a.group.id, roles.VoteDissolved)
	a.end(reason)
	return err
}

// end ends the group here.
func (a *Aggregations) end(reason string) {
	g := a.group
	a.group = nil
	a.with.Store(nil)
	a.tell(event.AggregationFailed, g, reason)
}

func (a *Aggregations) vote(ctx context.Context, id, outcome string, members ...core.NodeID) error {
	return a.publish(ctx, &wire.AggregationVote{ID: id, Voter: a.deps.ID, Outcome: outcome, Offers: a.deps.Offers(), Members: members})
}

func (a *Aggregations) publish(ctx context.Context, m wire.Body) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := a.deps.Channel.Publish(ctx, m)
	if err != nil {
		a.log.Warn().Err(err).Str("type", string(m.Type())).Msg("others could not be told about an aggregation")
	}
	return err
}

func (a *Aggregations) tell(name event.Name, g *group, reason string) {
	data := AggregationEvent{ID: g.id, Proposer: g.proposer, TargetTier: g.target, Reason: reason}
	if g.phase == formed {
		data.Members = slices.Clone(g.members)
	}
	a.deps.Events.Publish(event.Event{Name: name, Data: data})
	a.log.Info().Str("aggregation_id", g.id).Str("proposer", string(g.proposer)).Stringer("tier", g.target).
		Int("members", len(data.Members)).Str("reason", reason).Msg(string(name))
}
