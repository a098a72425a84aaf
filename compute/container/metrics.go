package container

import "github.com/prometheus/client_golang/prometheus"

// metrics count the containers of this node.
type metrics struct {
	running prometheus.Gauge
	images  prometheus.Gauge
	swept   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenzro_containers", Help: "Containers that run or are about to."}),
		images: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenzro_container_images", Help: "Images that can be run now; 0 while no container engine can be used."}),
		swept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenzro_containers_swept_total", Help: "Containers removed that an earlier run of this node, or a failed removal, left."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.running, m.images, m.swept} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
