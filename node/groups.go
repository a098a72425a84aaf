package node

import (
	"context"
	"sync"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/wire"
)

// serveGroups takes part in the aggregations of the node's region from the moment
// it knows which that is.
func (n *Node) serveGroups(ctx context.Context) error {
	for n.homeRegion() == "" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	channel, err := n.channel(n.homeRegion())
	if err != nil {
		return err
	}
	groups := local.NewAggregations(local.AggregationDeps{ID: n.identity.ID(), Region: n.homeRegion, Tier: n.tier,
		Offers:  n.offered,
		TierOf:  func(r core.Resources) core.Tier { return compute.Profile{Resources: r}.Tier() },
		Idle:    func() bool { return n.tasks.Active() == 0 && n.acceptsWork() == nil },
		Channel: channel, Events: n.events}, n.log)
	n.setGroups(groups)
	defer n.setGroups(nil)
	return groups.Serve(ctx)
}

func (n *Node) setGroups(g *local.Aggregations) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = g
}

// leaveGroup tells the aggregation this node is in that it stops, while there is
// still somebody to tell; otherwise the others learn it from its silence.
func (n *Node) leaveGroup(ctx context.Context) {
	n.mu.Lock()
	groups := n.groups
	n.mu.Unlock()
	if groups == nil {
		return
	}
	if err := groups.Leave(ctx); err != nil {
		n.log.Info().Err(err).Msg("leaving the aggregation without telling the others")
	}
}

// groupStates are the aggregations the region knows of.
func (n *Node) groupStates() []core.AggregationState {
	n.mu.Lock()
	formed := n.formed
	n.mu.Unlock()
	if formed == nil {
		return nil
	}
	return formed.States()
}

// channel carries the aggregations of a region over gossip.
func (n *Node) channel(region core.RegionID) (roles.Channel, error) {
	proposals, err := gossip.Join[*wire.AggregationProposal](n.router, gossip.Capabilities, region)
	if err != nil {
		return nil, err
	}
	votes, err := gossip.Join[*wire.AggregationVote](n.router, gossip.Capabilities, region)
	if err != nil {
		return nil, err
	}
	return &gossipChannel{proposals: proposals, votes: votes}, nil
}

// gossipChannel is a roles.Channel over the two message types of one topic.
type gossipChannel struct {
	proposals *gossip.Topic[*wire.AggregationProposal]
	votes     *gossip.Topic[*wire.AggregationVote]
}

var _ roles.Channel = (*gossipChannel)(nil)

// Publish implements roles.Channel.
func (c *gossipChannel) Publish(ctx context.Context, m wire.Body) error {
	switch m := m.(type) {
	case *wire.AggregationProposal:
		return c.proposals.Publish(ctx, m)
	case *wire.AggregationVote:
		return c.votes.Publish(ctx, m)
	}
	return core.Errorf(core.Unsupported, "aggregation", "%s is not a message about aggregations", m.Type())
}

// Subscribe implements roles.Channel.
func (c *gossipChannel) Subscribe(buffer int) (<-chan roles.Announcement, func()) {
	proposals, stopProposals := c.proposals.Subscribe(buffer)
	votes, stopVotes := c.votes.Subscribe(buffer)
	out := make(chan roles.Announcement, max(1, buffer))
	var pumps sync.WaitGroup
	pumps.Go(func() { pump(out, proposals) })
	pumps.Go(func() { pump(out, votes) })
	stop := sync.OnceFunc(func() {
		stopProposals()
		stopVotes()
		pumps.Wait()
		close(out)
	})
	return out, stop
}

// pump passes messages on until its subscription ends; a full channel loses them.
func pump[T wire.Body](out chan<- roles.Announcement, in <-chan gossip.Message[T]) {
	for m := range in {
		select {
		case out <- roles.Announcement{From: m.From, Body: m.Body}:
		default:
		}
	}
}
