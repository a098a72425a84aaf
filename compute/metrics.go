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
	byType     map[core.TaskType]series // found once: it is looked up for every task
}

// series is what a type's tasks that completed are counted in.
type series struct {
	operations prometheus.Counter
	seconds    prometheus.Observer
}

// show adds the series of a type, as 0 before its first task.
func (m *metrics) show(t core.TaskType) {
	m.byType[t] = series{m.operations.WithLabelValues(string(t)), m.seconds.WithLabelValues(string(t))}
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{byType: map[core.TaskType]series{},
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
	s := m.byType[t]
	s.seconds.Observe(took.Seconds())
	if f == nil {
		s.operations.Inc()
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
