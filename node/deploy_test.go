package node

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestDeployFiles: the shipped Prometheus job scrapes a node's metrics every 15 s,
// and the shipped dashboard shows all eight documented figures.
//
// spec 4.50
func TestDeployFiles(t *testing.T) {
	prometheus, err := os.ReadFile("../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"scrape_interval: 15s", "localhost:9090"} {
		if !strings.Contains(string(prometheus), want) {
			t.Errorf("prometheus.yml lacks %q", want)
		}
	}
	dashboard, err := os.ReadFile("../deploy/grafana/tenzro.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(dashboard) {
		t.Fatal("the dashboard is not JSON")
	}
	for _, metric := range []string{"tenzro_operations_total", "tenzro_earned_total", "tenzro_uptime_seconds", "tenzro_peers_connected",
		"tenzro_inference_throughput_tokens_per_second", "tenzro_storage_shards", "tenzro_storage_lru_hit_rate", "tenzro_job_queue_depth"} {
		if !strings.Contains(string(dashboard), metric) {
			t.Errorf("the dashboard lacks %s", metric)
		}
	}
}
