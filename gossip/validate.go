package gossip

import (
	"context"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// cause is why a message was not passed on: the label of the rejected metric.
type cause string

// Those that prove the neighbour who passed the message on did not check it:
// rejected, and his score falls.
const (
	causeSize      cause = "size"      // beyond MaxMessage
	causeMalformed cause = "malformed" // not an envelope, not valid, or beyond its type's limit
	causeForged    cause = "forged"    // signature, network or author is wrong
	causeTopic     cause = "topic"     // a type that this topic does not carry
)

// Those that prove nothing about the neighbour: ignored, and the author gets a
// strike.
const (
	causeRate    cause = "rate"    // the author sends too much
	causeStale   cause = "stale"   // not sealed just now
	causeUnknown cause = "unknown" // a version or type this build does not know
	causeReplay  cause = "replay"  // seen before
	causeRole    cause = "role"    // the author may not say this
)

// opened is a message that passed every check.
type opened struct {
	envelope *wire.Envelope
	body     wire.Body
}

// validate is pubsub's validator for every topic. pubsub has checked its own
// signature before, so the author it names is proved.
func (r *Router) validate(_ context.Context, src peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	if _, own := msg.ValidatorData.(*opened); own {
		return pubsub.ValidationAccept // publish has examined it; pubsub refuses our name from others
	}
	now, author := time.Now(), msg.GetFrom()
	o, why := r.examine(author, msg.GetTopic(), msg.GetData(), now)
	if why == "" {
		msg.ValidatorData = o
		return pubsub.ValidationAccept
	}
	r.metrics.rejected.WithLabelValues(string(why)).Inc()
	r.log.Trace().Str("cause", string(why)).Stringer("author", author).Stringer("peer", src).Msg("gossip message refused")
	switch why {
	case causeSize, causeMalformed, causeForged, causeTopic:
		return pubsub.ValidationReject
	}
	r.authors.strike(author, now)
	return pubsub.ValidationIgnore
}

// examine does the checks in the order of their cost. An empty cause means that
// the message may pass.
func (r *Router) examine(author peer.ID, topic string, raw []byte, now time.Time) (*opened, cause) {
	kind, ours := kindOf(r.cfg.Network, topic)
	switch {
	case !ours:
		return nil, causeTopic
	case len(raw) > MaxMessage:
		return nil, causeSize
	case !r.authors.allow(author, now):
		return nil, causeRate
	}
	e, b, err := wire.Open(raw, r.cfg.Network, now)
	if err != nil {
		why := causeOf(err)
		if why == causeStale {
			r.hearStale(author, raw, now)
		}
		return nil, why
	}
	switch claim := claimed(b); {
	case string(e.From) != author.String() || claim != "" && claim != e.From:
		return nil, causeForged
	case !slices.Contains(kind.Types(), e.Type):
		return nil, causeTopic
	case r.cfg.Allow != nil && !r.cfg.Allow(e.From, e.Type):
		return nil, causeRole
	case r.replay.Seen(e.From, e.ID):
		return nil, causeReplay
	}
	r.authors.hear(author, e.Time, now)
	return &opened{envelope: e, body: b}, ""
}

func causeOf(err error) cause {
	switch core.KindOf(err) {
	case core.Timeout:
		return causeStale
	case core.Denied:
		return causeForged
	case core.Unsupported:
		return causeUnknown
	}
	return causeMalformed
}
