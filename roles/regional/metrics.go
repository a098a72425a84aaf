package regional

import (
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Metrics collects how a region does: the documents' MetricsCollector. Averages
// weigh the recent: each job moves them by recency.
type Metrics struct {
	mu      sync.Mutex
	average time.Duration
	success float64 // of jobs that did not fail for reasons of ours, 0..1
	count   uint64
}

// recency is the weight of the newest job in the averages: the last hundred or
// so matter.
const recency = 0.03

// NewMetrics returns a collector that has seen nothing; performance starts at 1.
func NewMetrics() *Metrics { return &Metrics{success: 1} }

// finished notes the end of a job. What the submitter caused (bad input, cancel)
// does not count against the region.
func (m *Metrics) finished(r core.TaskResult, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	if r.Status == core.TaskCompleted {
		if m.average == 0 {
			m.average = took
		}
		m.average += time.Duration(recency * float64(took-m.average))
	}
	good := 1.0
	if r.Failure != nil && ours(r.Failure.Reason) {
		good = 0
	}
	m.success += recency * (good - m.success)
}

// ours reports whether a failure says something about the region.
func ours(r core.Reason) bool {
	switch r {
	case core.ReasonNoCapableWorker, core.ReasonDeadline, core.ReasonAttemptsExhausted, core.ReasonInternal:
		return true
	}
	return false
}

// AverageMS returns the average duration of completed jobs in milliseconds, 0
// before the first.
func (m *Metrics) AverageMS() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.average.Microseconds()) / 1000
}

// Performance returns the region's performance score, 0..1.
func (m *Metrics) Performance() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.success
}

// Finished returns how many jobs ended here.
func (m *Metrics) Finished() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}
