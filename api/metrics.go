package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the HTTP layer's own. Labels are route patterns, status classes
// and fixed words, never what a client sent.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	streams  *prometheus.GaugeVec
	drops    prometheus.Counter
	refused  *prometheus.CounterVec

	unmatched route // counts requests that no route took
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenzro_http_requests_total", Help: "Requests answered, by route and status class."}, []string{"route", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenzro_http_request_seconds", Help: "Time to answer a request, streams excepted.",
			Buckets: prometheus.ExponentialBuckets(1e-4, 4, 9)}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenzro_http_in_flight", Help: "Requests being answered, open streams included."}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tenzro_http_streams", Help: "Open event streams (sse) and WebSockets (ws)."}, []string{"kind"}),
		drops: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenzro_http_events_lost_total", Help: "Events that clients lost because they read too slowly."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenzro_http_refused_total", Help: "Requests refused before a handler saw them."}, []string{"reason"}),
	}
	m.resolve(&m.unmatched, "unmatched")
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.streams, m.drops, m.refused} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// resolve looks a route's series up once, so that a request does not.
func (m *metrics) resolve(r *route, name string) {
	for class, label := range []string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		r.requests[class] = m.requests.WithLabelValues(name, label)
	}
	r.seconds = m.seconds.WithLabelValues(name)
}

func (m *metrics) count(x *exchange, took time.Duration) {
	r := x.route
	if r == nil {
		r = &m.unmatched
	}
	class := x.status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	r.requests[class].Inc()
	if !r.stream {
		r.seconds.Observe(took.Seconds())
	}
}

// metricsHandler serves what the gatherer has; one broken collector does not
// hide the others.
func (s *Server) metricsHandler() http.Handler {
	g := s.deps.Gatherer
	if g == nil {
		g = prometheus.NewRegistry()
	}
	if s.cfg.SeedNames {
		g = seedNames{g}
	}
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
