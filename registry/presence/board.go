package presence

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/wire"
)

// Board is where announcements are posted and read: gossip, or a fake of it.
// A region of "" is everybody's board.
type Board interface {
	Health(ctx context.Context, region core.RegionID, m *wire.Health) error
	Ad(ctx context.Context, region core.RegionID, m *wire.WorkerCapabilities) error
	Summary(ctx context.Context, m *wire.RegionSummary) error
	// Listen returns what others post: summaries of all regions, and the ads
	// posted in region. The function ends both.
	Listen(region core.RegionID, buffer int) (<-chan Summary, <-chan Ad, func(), error)
}

// Summary and Ad are announcements as they are read.
type (
	Summary = gossip.Message[*wire.RegionSummary]
	Ad      = gossip.Message[*wire.WorkerCapabilities]
)

// Provider makes the DHT lead to this node. *p2p.Host implements it.
type Provider interface {
	Provide(ctx context.Context, key string) error
	Unprovide(key string)
}

// Discovery finds nodes by what the DHT says. *p2p.Host implements it.
type Discovery interface {
	FindProviders(ctx context.Context, key string, limit int) ([]core.NodeID, error)
	// RTT measures one round trip, connecting first if needed.
	RTT(ctx context.Context, id core.NodeID) (time.Duration, error)
}

// NewBoard returns the gossip of r as a Board.
func NewBoard(r *gossip.Router) Board { return board{r} }

type board struct{ r *gossip.Router }

// Health implements Board.
func (b board) Health(ctx context.Context, region core.RegionID, m *wire.Health) error {
	return post(ctx, b.r, gossip.Health, region, m)
}

// Ad implements Board.
func (b board) Ad(ctx context.Context, region core.RegionID, m *wire.WorkerCapabilities) error {
	return post(ctx, b.r, gossip.Capabilities, region, m)
}

// Summary implements Board.
func (b board) Summary(ctx context.Context, m *wire.RegionSummary) error {
	return post(ctx, b.r, gossip.Capabilities, gossip.Global, m)
}

func post[T wire.Body](ctx context.Context, r *gossip.Router, kind gossip.Kind, region core.RegionID, m T) error {
	topic, err := gossip.Join[T](r, kind, region)
	if err != nil {
		return err
	}
	return topic.Publish(ctx, m)
}

// Listen implements Board.
func (b board) Listen(region core.RegionID, buffer int) (<-chan Summary, <-chan Ad, func(), error) {
	summaries, err := gossip.Join[*wire.RegionSummary](b.r, gossip.Capabilities, gossip.Global)
	if err != nil {
		return nil, nil, nil, err
	}
	ads, err := gossip.Join[*wire.WorkerCapabilities](b.r, gossip.Capabilities, region)
	if err != nil {
		return nil, nil, nil, err
	}
	s, endSummaries := summaries.Subscribe(buffer)
	a, endAds := ads.Subscribe(buffer)
	return s, a, func() { endSummaries(); endAds() }, nil
}
