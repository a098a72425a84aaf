package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
)

// Metrics counts what crosses links. The nil *Metrics counts nothing.
type Metrics struct {
	// Blame hears of messages that a peer should not have sent; it must not block.
	// Set it before the first link; nil blames nobody.
	Blame func(peer core.NodeID, o p2p.Offence, n int)

	messages *prometheus.CounterVec
	frames   prometheus.Counter
	drops    *prometheus.CounterVec
	results  *prometheus.CounterVec
	claims   *prometheus.CounterVec
}

// NewMetrics registers the counters; a nil registerer is legal.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_job_messages_total",
			Help: "Messages of the job protocol by direction."}, []string{"direction"}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_job_frames_sent_total",
			Help: "Frames of the job protocol that were sent; one frame carries up to 64 messages."}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_job_messages_dropped_total",
			Help: "Messages that were not understood or not expected, by cause."}, []string{"cause"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_job_results_total",
			Help: "Results that arrived, by verdict: accepted, rejected, failed, late."}, []string{"verdict"}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_job_claims_total",
			Help: "Leases that were claimed when a leader changed or a link was made again: made by this worker; adopted, refused, repaid by this coordinator."},
			[]string{"outcome"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.messages, m.frames, m.drops, m.results, m.claims} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) sent(n int) {
	if m != nil {
		m.frames.Inc()
		m.messages.WithLabelValues("out").Add(float64(n))
	}
}

// received counts the messages of one frame. As many unknown as known ones cost
// the peer nothing: a newer version may send one beside each that it sent before.
func (m *Metrics) received(from core.NodeID, n, unknown int) {
	if m == nil {
		return
	}
	m.messages.WithLabelValues("in").Add(float64(n))
	if unknown > 0 {
		m.drops.WithLabelValues("unknown_type").Add(float64(unknown))
	}
	if unknown > n {
		m.blame(from, p2p.Unknown, unknown-n)
	}
}

// unsent counts a message of this node that does not encode.
func (m *Metrics) unsent() {
	if m != nil {
		m.drops.WithLabelValues("encode").Inc()
	}
}

// dropped counts a message of a peer that is not acted upon.
func (m *Metrics) dropped(from core.NodeID, cause string) {
	if m != nil {
		m.drops.WithLabelValues(cause).Inc()
		m.blame(from, offence(cause), 1)
	}
}

func (m *Metrics) blame(from core.NodeID, o p2p.Offence, n int) {
	if m.Blame != nil {
		m.Blame(from, o, n)
	}
}

// offence says how grave it is to send what is dropped for a cause. What a change
// of leaders or another version brings about in good faith is the lightest.
func offence(cause string) p2p.Offence {
	switch cause {
	case "malformed":
		return p2p.Malformed
	case "forged":
		return p2p.Forged
	case "unexpected", "foreign":
		return p2p.Misplaced
	}
	return p2p.Unknown
}

func (m *Metrics) claim(outcome string) { m.claimed(outcome, 1) }

func (m *Metrics) claimed(outcome string, n int) {
	if m != nil {
		m.claims.WithLabelValues(outcome).Add(float64(n))
	}
}

func (m *Metrics) verdict(v string) {
	if m != nil {
		m.results.WithLabelValues(v).Inc()
	}
}
