package disk

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	damaged prometheus.Counter
}

// newMetrics registers the metrics; a nil registerer is legal.
func newMetrics(s *Store, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{damaged: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenzro_objects_damaged_total",
		Help: "Objects whose bytes on disk were not theirs any more."})}
	if reg == nil {
		return m, nil
	}
	gauge := func(name, help string, read func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(read())
		})
	}
	for _, c := range []prometheus.Collector{m.damaged,
		gauge("tenzro_objects", "Objects on this node, copies included.", func() int64 { return int64(len(s.objects)) }),
		gauge("tenzro_objects_bytes", "What the objects of this node count, each at least 4 KiB.", func() int64 { return s.bytes })} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
