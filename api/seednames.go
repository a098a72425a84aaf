package api

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// seedNames shows the eight documented metrics a second time under the names
// the documents gave them (document 4, "Monitoring"), for dashboards made for
// those.
type seedNames struct{ prometheus.Gatherer }

// seedName returns the documented name of a metric, "" for none.
func seedName(own string) string {
	switch own {
	case "tenzro_operations_total":
		return "trinity_operations_total"
	case "tenzro_earned_total":
		return "trinity_earned_tri_total"
	case "tenzro_uptime_seconds":
		return "trinity_uptime_seconds"
	case "tenzro_peers_connected":
		return "trinity_peers_connected"
	case "tenzro_inference_throughput_tokens_per_second":
		return "trinity_inference_throughput_tokens_per_second"
	case "tenzro_storage_shards":
		return "trinity_storage_shards_total"
	case "tenzro_storage_lru_hit_rate":
		return "trinity_storage_lru_hit_rate"
	case "tenzro_job_queue_depth":
		return "trinity_job_queue_depth"
	}
	return ""
}

// Gather implements prometheus.Gatherer. Families stay sorted by name.
func (g seedNames) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.Gatherer.Gather()
	for _, f := range families {
		if name := seedName(f.GetName()); name != "" {
			families = append(families, &dto.MetricFamily{Name: &name, Help: f.Help, Type: f.Type, Unit: f.Unit, Metric: f.Metric})
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families, err
}
