package otlp

import "github.com/prometheus/client_golang/prometheus"

// metrics counts spans.
type metrics struct {
	exported prometheus.Counter
	dropped  *prometheus.CounterVec
}

// newMetrics registers the counters; a nil registerer is legal.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		exported: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_trace_spans_exported_total",
			Help: "Spans that the collector took."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenzro_trace_spans_dropped_total",
			Help: "Spans that were lost: queue (too many at once), collector (it did not take them), stop (the node ended)."}, []string{"cause"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.exported, m.dropped} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) taken(n int) { m.exported.Add(float64(n)) }

func (m *metrics) lost(cause string, n int) { m.dropped.WithLabelValues(cause).Add(float64(n)) }
