package p2p

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the host's own; libp2p adds its under libp2p_*.
type metrics struct {
	peers      prometheus.Gauge
	sessions   prometheus.Gauge
	resumes    *prometheus.CounterVec // result: resumed, lost
	violations *prometheus.CounterVec // reason: a closed set, see sessionwire.go
	bans       *prometheus.CounterVec // offence: see Offence
	lanFrames  *prometheus.CounterVec // type, verdict
}

// newMetrics registers with reg; nil keeps them unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_p2p_" + name, Help: help}, labels))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
	}
	return &metrics{
		peers:      gauge("tenzro_peers_connected", "Authenticated peers of this network that are connected."),
		sessions:   gauge("tenzro_p2p_sessions", "Sessions that are open, connected or waiting to resume."),
		resumes:    counter("session_resumes_total", "Broken sessions by how they went on.", "result"),
		violations: counter("session_violations_total", "Sessions ended because the peer broke the protocol, by rule.", "reason"),
		bans:       counter("bans_total", "Peers that were banned for what they sent, by what it was last.", "offence"),
		lanFrames:  counter("lan_frames_total", "Datagrams of local discovery by type and what became of them.", "type", "verdict"),
	}
}

// register returns c, or the equal collector that reg has already.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if old, ok := twice.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}
