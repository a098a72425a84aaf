package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/internal/service"
)

// TestNodeAnswers: this node, its machine, its peers; lists are never null.
func TestNodeAnswers(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	tests := map[string]string{
		"/api/v1/node": `{"id":"node123","version":"1.2.3","network":"testnet","region":"","type":"global","roles":[],"tier":"","mode":"","state":"online",` +
			`"startedAt":"0001-01-01T00:00:00Z","uptimeS":0,"peers":0,"minPeers":0,"addrs":[],"http":"","metrics":"","creditsEarned":"0","activeTasks":0,"queued":0}`,
		"/api/v1/node/profile": `{"os":"linux","arch":"","cpuModel":"","resources":{"cores":0,"cpuScore":0,"memoryMB":0,"diskMB":0,"freeCpu":0,"freeMemoryMB":0,"freeDiskMB":0},` +
			`"accelerators":[],"power":{"onBattery":false},"tier":"aggregator","capabilities":[],"eligibleRoles":[],"taskTypes":[]}`,
		"/api/v1/peers": `{"peers":[{"id":"node456","addrs":[],"direction":"inbound"}]}`,
		"/api/v1/roles": `{"roles":["global","regional","local"]}`,
		"/api/v1/mode":  `{"mode":"hybrid"}`,
		"/livez":        `{"status":"ok"}`,
		"/readyz":       `{"status":"ready"}`,
		"/health":       `{"status":"ok","checks":[{"name":"live","status":"ok"},{"name":"ready","status":"ok"}]}`,
	}
	for path, want := range tests {
		w := send(s, "GET", path, "")
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", path, w.Code, got, want)
		}
	}
}

// TestStatesWithoutLists: an empty network answers [] where the documents have
// lists.
func TestStatesWithoutLists(t *testing.T) {
	n := newNetwork()
	n.global.Regions, n.region.Nodes, n.region.Aggregations = nil, nil, nil
	s := newServer(t, n, nil)
	for path, want := range map[string]string{"/global/network/state": `{"regions":[],`, "/regional/network/state": `{"nodes":[],"aggregations":[],`} {
		if got := send(s, "GET", path, "").Body.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestNotReady: a node that takes no outside work lives, and says why it is not
// ready.
func TestNotReady(t *testing.T) {
	n := newNetwork()
	n.ready = errors.New("2 of 3 peers are connected")
	s := newServer(t, n, func(_ *api.Config, d *api.Deps) {
		d.Services = func() []service.Health {
			return []service.Health{{Name: "net/dht", State: service.BackingOff, LastError: "dial 10.0.0.7: refused"}, {Name: "jobs", State: service.Running}}
		}
	})
	if w := send(s, "GET", "/livez", ""); w.Code != 200 {
		t.Errorf("livez: %d", w.Code)
	}
	w := send(s, "GET", "/readyz", "")
	if p := problem(t, w); w.Code != 503 || !strings.Contains(p.Detail, "2 of 3 peers") || w.Header().Get("Retry-After") == "" {
		t.Errorf("readyz: %d %+v", w.Code, p)
	}
	want := `{"status":"degraded","checks":[{"name":"live","status":"ok"},{"name":"ready","status":"fail","detail":"2 of 3 peers are connected"},` +
		`{"name":"net/dht","status":"fail","detail":"failed and will be started again"},{"name":"jobs","status":"ok"}]}`
	if w := send(s, "GET", "/health", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
}

// TestPanicIsAnswered: one broken handler costs one request, not the node.
func TestPanicIsAnswered(t *testing.T) {
	n := newNetwork()
	s := newServer(t, n, func(_ *api.Config, d *api.Deps) { d.Tasks = nil; d.Tasks = panicking{n} })
	if w := send(s, "GET", "/tasks/abc", ""); w.Code != 500 || strings.Contains(problem(t, w).Detail, "boom") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w := send(s, "GET", "/metrics", ""); !strings.Contains(w.Body.String(), `tenzro_http_requests_total{class="5xx",route="GET /tasks/{taskId}"} 1`) ||
		!strings.Contains(w.Body.String(), "tenzro_http_in_flight 1") {
		t.Errorf("metrics after a panic: %s", w.Body)
	}
}

// TestMetrics: requests are counted by route pattern, never by what was sent.
//
// spec 4.41
func TestMetrics(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	for _, path := range []string{"/tasks/one", "/tasks/two", "/nothing/one", "/nothing/two"} {
		send(s, "GET", path, "")
	}
	send(s, "GET", "/livez", "", "Host: evil")
	got := send(s, "GET", "/metrics", "").Body.String()
	for _, want := range []string{`tenzro_http_requests_total{class="2xx",route="GET /tasks/{taskId}"} 2`,
		`tenzro_http_requests_total{class="4xx",route="unmatched"} 3`, `tenzro_http_refused_total{reason="host"} 1`,
		`tenzro_http_request_seconds_count{route="GET /tasks/{taskId}"} 2`, "tenzro_http_in_flight 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "one") || strings.Contains(got, "evil") {
		t.Error("a label carries what a client sent")
	}
}

// TestSeedNames: on request the documented metrics also have the names the
// documents gave them.
//
// spec 4.42 4.43 4.44 4.45 4.46 4.47 4.48 4.49
func TestSeedNames(t *testing.T) {
	names := map[string]string{
		"tenzro_operations_total":                       "trinity_operations_total",
		"tenzro_earned_total":                           "trinity_earned_tri_total",
		"tenzro_uptime_seconds":                         "trinity_uptime_seconds",
		"tenzro_peers_connected":                        "trinity_peers_connected",
		"tenzro_inference_throughput_tokens_per_second": "trinity_inference_throughput_tokens_per_second",
		"tenzro_storage_shards":                         "trinity_storage_shards_total",
		"tenzro_storage_lru_hit_rate":                   "trinity_storage_lru_hit_rate",
		"tenzro_job_queue_depth":                        "trinity_job_queue_depth",
	}
	registry := prometheus.NewRegistry()
	for own := range names {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: own, Help: "x"})
		g.Set(7)
		registry.MustRegister(g)
	}
	for _, on := range []bool{true, false} {
		s := newServer(t, newNetwork(), func(c *api.Config, d *api.Deps) { c.SeedNames, d.Gatherer = on, registry })
		got := send(s, "GET", "/metrics", "").Body.String()
		for own, documented := range names {
			if !strings.Contains(got, "\n"+own+" 7\n") || strings.Contains(got, "\n"+documented+" 7\n") != on {
				t.Errorf("seed names %v: %s as %s in\n%s", on, own, documented, got)
			}
		}
	}
	s := newServer(t, newNetwork(), func(_ *api.Config, d *api.Deps) { d.Gatherer = nil })
	if w := send(s, "GET", "/metrics", ""); w.Code != 200 {
		t.Errorf("without a gatherer: %d", w.Code)
	}
}
