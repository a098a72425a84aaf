package compute

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/core"
)

// metrics has one series per task type this engine runs and reason of the closed
// set: both labels are bounded.
type metrics struct {
	operations *prometheus.CounterVec
	failures   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenzro_operations_total", Help: "Tasks and subtasks this node completed, by type."}, []string{"type"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenzro_operation_failures_total", Help: "Tasks and subtasks this node ran and did not complete."}, []string{"type", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenzro_operation_seconds", Help: "Run time of tasks and subtasks on this node.",
			Buckets: prometheus.ExponentialBuckets(1e-5, 10, 8)}, []string{"type"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.operations, m.failures, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) observe(t core.TaskType, f *core.Failure, took time.Duration) {
	m.seconds.WithLabelValues(string(t)).Observe(took.Seconds())
	if f == nil {
		m.operations.WithLabelValues(string(t)).Inc()
		return
	}
	m.failures.WithLabelValues(string(t), reasonLabel(f.Reason)).Inc()
}

// reasonLabel folds a reason that an executor made up into "other".
func reasonLabel(r core.Reason) string {
	switch r {
	case core.ReasonDeadline, core.ReasonCancelled, core.ReasonExecutionFailed, core.ReasonInternal:
		return string(r)
	}
	if r.Certain() {
		return string(r)
	}
	return "other"
}
