package gossip

import (
	"errors"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	published *prometheus.CounterVec // kind
	delivered *prometheus.CounterVec // kind
	rejected  *prometheus.CounterVec // cause: see validate.go, and pubsub's own below
	dropped   *prometheus.CounterVec // where: subscriber, topic, peer
}

// newMetrics registers with reg; nil keeps them unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_gossip_" + name, Help: help}, []string{label}))
	}
	return &metrics{
		published: counter("published_total", "Messages this node published, by kind of topic.", "kind"),
		delivered: counter("delivered_total", "Messages handed to subscribers of this node, by kind of topic.", "kind"),
		rejected:  counter("rejected_total", "Messages that were not passed on, by cause.", "cause"),
		dropped:   counter("dropped_total", "Messages lost for want of room, by where: subscriber, topic or peer.", "where"),
	}
}

// register returns c, or the equal collector that reg has already.
func register(reg prometheus.Registerer, c *prometheus.CounterVec) *prometheus.CounterVec {
	if reg == nil {
		return c
	}
	var twice prometheus.AlreadyRegisteredError
	if errors.As(reg.Register(c), &twice) {
		if old, ok := twice.ExistingCollector.(*prometheus.CounterVec); ok {
			return old
		}
	}
	return c
}

// tracer counts what pubsub does on its own.
type tracer struct{ m *metrics }

var _ pubsub.RawTracer = (*tracer)(nil)

// RejectMessage implements pubsub.RawTracer. Our validator counts its own.
func (t *tracer) RejectMessage(_ *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationFailed, pubsub.RejectValidationIgnored:
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		t.m.rejected.WithLabelValues("busy").Inc()
	case pubsub.RejectMissingSignature, pubsub.RejectInvalidSignature, pubsub.RejectUnexpectedSignature, pubsub.RejectUnexpectedAuthInfo, pubsub.RejectSelfOrigin:
		t.m.rejected.WithLabelValues(string(causeForged)).Inc()
	default:
		t.m.rejected.WithLabelValues("banned").Inc()
	}
}

// UndeliverableMessage implements pubsub.RawTracer.
func (t *tracer) UndeliverableMessage(*pubsub.Message) { t.m.dropped.WithLabelValues("topic").Inc() }

// DropRPC implements pubsub.RawTracer.
func (t *tracer) DropRPC(*pubsub.RPC, peer.ID) { t.m.dropped.WithLabelValues("peer").Inc() }

// The rest of pubsub.RawTracer is of no interest here.

// OnNewOutboundStream implements pubsub.RawTracer.
func (t *tracer) OnNewOutboundStream(peer.ID, protocol.ID) {}

// OnClosedOutboundStream implements pubsub.RawTracer.
func (t *tracer) OnClosedOutboundStream(peer.ID) {}

// Join implements pubsub.RawTracer.
func (t *tracer) Join(string) {}

// Leave implements pubsub.RawTracer.
func (t *tracer) Leave(string) {}

// Graft implements pubsub.RawTracer.
func (t *tracer) Graft(peer.ID, string) {}

// Prune implements pubsub.RawTracer.
func (t *tracer) Prune(peer.ID, string) {}

// ValidateMessage implements pubsub.RawTracer.
func (t *tracer) ValidateMessage(*pubsub.Message) {}

// DeliverMessage implements pubsub.RawTracer.
func (t *tracer) DeliverMessage(*pubsub.Message) {}

// DuplicateMessage implements pubsub.RawTracer.
func (t *tracer) DuplicateMessage(*pubsub.Message) {}

// ThrottlePeer implements pubsub.RawTracer.
func (t *tracer) ThrottlePeer(peer.ID) {}

// RecvRPC implements pubsub.RawTracer.
func (t *tracer) RecvRPC(*pubsub.RPC) {}

// SendRPC implements pubsub.RawTracer.
func (t *tracer) SendRPC(*pubsub.RPC, peer.ID) {}
