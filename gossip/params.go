package gossip

import (
	"net"
	"net/netip"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/tenzro/tenzro/core"
)

const (
	// MaxMessage is the largest message, and the largest frame between two nodes.
	MaxMessage = 64 << 10
	// validateQueue holds the messages of all topics that wait for their check.
	// pubsub's default of 32 lets one busy topic starve the others.
	validateQueue = 4096
	// outboundQueue bounds the frames that wait for one slow neighbour.
	outboundQueue = 256
	// seenTTL is how long pubsub recognises a message; beyond it the envelope is
	// stale anyway.
	seenTTL = 180 * time.Second
)

// Below these scores a neighbour gets no gossip, nothing of ours, and no ear.
const (
	gossipThreshold   = -50
	publishThreshold  = -100
	graylistThreshold = -200
)

const (
	// newsMemory is how long it counts to have brought news first.
	newsMemory = 10 * time.Minute
	// crimeMemory is how long bad messages count, and scores of neighbours that
	// left are kept: long enough that neither patience nor a reconnect washes them
	// away, short enough that a repaired node is heard again.
	crimeMemory = time.Hour
)

// protocolName keeps networks apart on the wire, as every protocol of a node.
func protocolName(net core.NetworkID) protocol.ID {
	return protocol.ID("/tenzro/" + string(net) + "/meshsub/1.2.0")
}

// options turns the configuration into pubsub's. Nothing of the package's
// globals is changed: two networks may run in one process.
func (r *Router) options() []pubsub.Option {
	own := protocolName(r.cfg.Network)
	features := func(f pubsub.GossipSubFeature, p protocol.ID) bool {
		return p == own && pubsub.GossipSubDefaultFeatures(f, pubsub.GossipSubID_v12)
	}
	return []pubsub.Option{
		pubsub.WithGossipSubProtocols([]protocol.ID{own}, features),
		pubsub.WithGossipSubParams(meshParams(r.cfg.Small)),
		pubsub.WithPeerScore(r.scoreParams(), thresholds()),
		pubsub.WithPeerScoreInspect(r.keepScores, scoreInterval),
		pubsub.WithRawTracer(&tracer{r.metrics}),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithDefaultValidator(r.validate, pubsub.WithValidatorInline(true)),
		pubsub.WithSubscriptionFilter(newFilter(r.cfg.Network)),
		pubsub.WithValidateQueueSize(validateQueue),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
		pubsub.WithMaxMessageSize(MaxMessage),
		pubsub.WithSeenMessagesTTL(seenTTL),
		// A coordinator has thousands of peers in a topic; the mesh is enough.
		pubsub.WithFloodPublish(false),
	}
}

// meshParams are how many neighbours a topic's mesh has: fewer mean less traffic,
// more mean that losing some does not matter.
func meshParams(small bool) pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dscore, p.Dout = 6, 5, 12, 4, 2
	if small {
		p.D, p.Dlo, p.Dhi, p.Dscore, p.Dout = 4, 3, 6, 3, 1
	}
	return p
}

func thresholds() *pubsub.PeerScoreThresholds {
	return &pubsub.PeerScoreThresholds{GossipThreshold: gossipThreshold, PublishThreshold: publishThreshold,
		GraylistThreshold: graylistThreshold, OpportunisticGraftThreshold: 1}
}

func (r *Router) scoreParams() *pubsub.PeerScoreParams {
	p := &pubsub.PeerScoreParams{
		Topics:           map[string]*pubsub.TopicScoreParams{},
		TopicScoreCap:    20,
		AppSpecificScore: r.appScore, AppSpecificWeight: 1,
		BehaviourPenaltyWeight: -5, BehaviourPenaltyThreshold: 6, BehaviourPenaltyDecay: pubsub.ScoreParameterDecay(crimeMemory),
		DecayInterval: pubsub.DefaultDecayInterval, DecayToZero: pubsub.DefaultDecayToZero,
		RetainScore: crimeMemory, SeenMsgTTL: seenTTL,
	}
	if !r.cfg.PrivateRanges {
		// Many names behind one public address are one operator, or a Sybil.
		p.IPColocationFactorWeight, p.IPColocationFactorThreshold = -1, 16
		p.IPColocationFactorWhitelist = privateRanges()
	}
	return p
}

// topicScore are the parameters of every topic. P1 and P2 reward a little for
// staying and for bringing news first. P3, the penalty for bringing too little,
// is off: on topics of a message per minute it prunes honest quiet neighbours.
// P4 grows with the square of the invalid messages: five are the end.
func topicScore() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight:      1,
		TimeInMeshWeight: 0.01, TimeInMeshQuantum: time.Second, TimeInMeshCap: 300,
		FirstMessageDeliveriesWeight: 0.5, FirstMessageDeliveriesDecay: pubsub.ScoreParameterDecay(newsMemory), FirstMessageDeliveriesCap: 20,
		InvalidMessageDeliveriesWeight: -10, InvalidMessageDeliveriesDecay: pubsub.ScoreParameterDecay(crimeMemory),
	}
}

// appScore is P5: what the node's reputation is worth here, less its strikes. A
// good name helps little, so that it cannot pay for bad messages; a bad one costs
// in full, and one too low for work is below gossipThreshold.
func (r *Router) appScore(p peer.ID) float64 {
	score := -r.authors.strikes(p, time.Now())
	if r.cfg.Reputation == nil {
		return score
	}
	switch rep := r.cfg.Reputation(core.NodeID(p.String())); {
	case rep < excludedBelow:
		return score + gossipThreshold - 10
	case rep < neutral:
		return score + float64(rep-neutral)
	default:
		return score + float64(rep-neutral)/5
	}
}

// The marks of the reputation scale (document 4): where everybody starts, and
// under which nobody gets work.
const (
	neutral       = 50
	excludedBelow = 20
)

// privateRanges are addresses that many honest nodes share or may have at once:
// colocation does not count there.
func privateRanges() []*net.IPNet {
	var out []*net.IPNet
	for _, s := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
		"::1/128", "fc00::/7", "fe80::/10"} {
		p := netip.MustParsePrefix(s)
		out = append(out, &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	return out
}
