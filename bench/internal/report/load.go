package report

import (
	"fmt"
	"time"

	"github.com/tenzro/tenzro/bench/internal/measure"
)

// LoadHead is the head of a table of samples.
func LoadHead() []string {
	return []string{"workers", "in flight", "jobs", "p50", "p95", "p99", "jobs/s", "CPU/job", "allocs/job", "KB/job"}
}

// AddLoad adds a sample to such a table.
func AddLoad(t *Table, workers any, inFlight int, s measure.Sample) {
	t.Add(workers, inFlight, s.Ops, Took(s.Percentile(50)), Took(s.Percentile(95)), Took(s.Percentile(99)),
		fmt.Sprintf("%.0f", s.PerSecond()), Took(s.CPU()), fmt.Sprintf("%.0f", s.Allocs()), fmt.Sprintf("%.1f", s.Bytes()/1000))
}

// Took writes a duration with three digits.
func Took(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f us", float64(d)/1e3)
}
