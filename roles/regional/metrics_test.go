package regional

import (
	"math"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestMetrics: the average follows the recent completed jobs; only what says
// something about the region moves its performance.
//
// spec 0.14
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	if m.AverageMS() != 0 || m.Performance() != 1 || m.Finished() != 0 {
		t.Fatalf("a new region: %v ms, performance %v, %d jobs", m.AverageMS(), m.Performance(), m.Finished())
	}
	done := core.TaskResult{Status: core.TaskCompleted}
	m.finished(done, 100*time.Millisecond)
	if m.AverageMS() != 100 {
		t.Errorf("after one job the average is %v ms", m.AverageMS())
	}
	m.finished(done, 200*time.Millisecond)
	if m.AverageMS() != 103 {
		t.Errorf("after a second one the average is %v ms", m.AverageMS())
	}
	for range 300 {
		m.finished(done, 2500*time.Millisecond)
	}
	if a := m.AverageMS(); math.Abs(a-2500) > 1 {
		t.Errorf("after many of 2500 ms the average is %v ms", a)
	}
	if m.Performance() != 1 || m.Finished() != 302 {
		t.Errorf("performance %v after %d good jobs", m.Performance(), m.Finished())
	}
}

// TestPerformance says which failures are the region's own.
func TestPerformance(t *testing.T) {
	for reason, ours := range map[core.Reason]bool{
		core.ReasonNoCapableWorker: true, core.ReasonDeadline: true, core.ReasonAttemptsExhausted: true, core.ReasonInternal: true,
		core.ReasonCancelled: false, core.ReasonInvalidInput: false, core.ReasonOverflow: false, core.ReasonExecutionFailed: false,
	} {
		m := NewMetrics()
		m.finished(core.FailedFor("t", reason, ""), time.Second)
		if (m.Performance() < 1) != ours {
			t.Errorf("%s: performance %v", reason, m.Performance())
		}
		if m.AverageMS() != 0 {
			t.Errorf("%s: a failed job counts in the average: %v ms", reason, m.AverageMS())
		}
		before := m.Performance()
		m.finished(core.TaskResult{Status: core.TaskCompleted}, time.Second)
		if ours && m.Performance() <= before {
			t.Errorf("%s: performance does not recover", reason)
		}
	}
}
