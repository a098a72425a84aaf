package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// buildMetrics registers the documented figures (document 4, "Monitoring") that
// no other package counts. Those of services this version does not have, inference
// and storage, are 0: nothing was inferred and no shard is stored.
func (n *Node) buildMetrics() error {
	for _, c := range n.collectors() {
		if err := n.registerer.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) collectors() []prometheus.Collector {
	gauge := func(name, help string, fn func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, fn)
	}
	return []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tenzro_earned_total",
			Help: "Units of verified work that coordinators credited this node with since it started."},
			func() float64 { return float64(n.tasks.Credits()) }),
		gauge("tenzro_uptime_seconds", "How long this node runs.", func() float64 { return time.Since(n.started).Seconds() }),
		gauge("tenzro_inference_throughput_tokens_per_second", "Tokens per second of model inference on this node.", none),
		gauge("tenzro_storage_shards", "Shards stored on this node.", none),
		gauge("tenzro_storage_lru_hit_rate", "Share of shard reads that the cache answered, 0..1.", none),
		gauge("tenzro_job_queue_depth", "Subtasks that wait for a worker in the region of this node.", func() float64 {
			_, queued, _ := n.region.Load()
			return float64(queued)
		}),
	}
}

func none() float64 { return 0 }
