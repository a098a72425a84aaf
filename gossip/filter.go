package gossip

import (
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
)

const (
	// maxTopicsPerPeer bounds what one neighbour may subscribe to: a gateway with
	// all kinds in a dozen regions stays below.
	maxTopicsPerPeer = 64
	maxFilterPeers   = 16_384
)

// filter lets in only subscriptions to topics of our network, and only so many
// per neighbour: pubsub itself would keep every name it is told. pubsub calls it
// from its one loop.
type filter struct {
	net   core.NetworkID
	peers *simplelru.LRU[peer.ID, map[string]bool] // at most maxTopicsPerPeer names each
}

var _ pubsub.SubscriptionFilter = (*filter)(nil)

func newFilter(net core.NetworkID) *filter {
	peers, _ := simplelru.NewLRU[peer.ID, map[string]bool](maxFilterPeers, nil) // fails for sizes below 1 only
	return &filter{net: net, peers: peers}
}

// CanSubscribe implements pubsub.SubscriptionFilter.
func (f *filter) CanSubscribe(topic string) bool {
	_, ours := kindOf(f.net, topic)
	return ours
}

// FilterIncomingSubscriptions implements pubsub.SubscriptionFilter.
func (f *filter) FilterIncomingSubscriptions(from peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	if len(subs) > maxTopicsPerPeer {
		return nil, pubsub.ErrTooManySubscriptions
	}
	topics, ok := f.peers.Get(from)
	if !ok {
		topics = map[string]bool{}
		f.peers.Add(from, topics)
	}
	return pubsub.FilterSubscriptions(subs, f.CanSubscribe), f.count(topics, subs)
}

// count keeps topics up to date and fails when there would be too many.
func (f *filter) count(topics map[string]bool, subs []*pb.RPC_SubOpts) error {
	for _, s := range subs {
		switch name := s.GetTopicid(); {
		case !s.GetSubscribe():
			delete(topics, name)
		case f.CanSubscribe(name):
			if len(topics) >= maxTopicsPerPeer && !topics[name] {
				return pubsub.ErrTooManySubscriptions
			}
			topics[name] = true
		}
	}
	return nil
}
