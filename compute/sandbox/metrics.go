package sandbox

import "github.com/prometheus/client_golang/prometheus"

// counters has one series per reason of the closed set.
type counters struct {
	jobs     *prometheus.CounterVec
	cpu      prometheus.Counter
	peak     prometheus.Histogram
	started  prometheus.Counter
	children prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*counters, error) {
	m := &counters{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenzro_sandbox_jobs_total", Help: "Jobs that ran in sandbox children, by how they ended."}, []string{"reason"}),
		cpu: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenzro_sandbox_cpu_seconds_total", Help: "CPU time of jobs in sandbox children."}),
		peak: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenzro_sandbox_peak_memory_bytes", Help: "Peak memory of jobs in sandbox children.",
			Buckets: prometheus.ExponentialBuckets(16<<20, 4, 6)}),
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenzro_sandbox_started_total", Help: "Sandbox children started."}),
		children: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenzro_sandbox_children", Help: "Sandbox children alive."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.jobs, m.cpu, m.peak, m.started, m.children} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *counters) ended(res Result) {
	reason := string(res.Reason)
	if res.Reason == OK {
		reason = "ok"
	}
	m.jobs.WithLabelValues(reason).Inc()
	m.cpu.Add(res.CPU.Seconds())
	m.peak.Observe(float64(res.PeakMemory))
}
