package journal_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// run commits and ends n jobs with so many in flight.
func run(t testing.TB, g *journal.Group, from, n, inFlight int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				job := journaltest.NewJob(from + i)
				if err := g.Commit(context.Background(), job); err != nil {
					t.Error(err)
					return
				}
				r := core.TaskResult{TaskID: job.ID, Status: core.TaskCompleted, Result: []byte(strconv.Itoa(i))}
				if _, err := g.End(context.Background(), r, job.Created); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkGroupOfOne: jobs with 1 and 64 in flight; a job is two entries.
func BenchmarkGroupOfOne(b *testing.B) {
	for _, inFlight := range []int{1, 64} {
		b.Run(strconv.Itoa(inFlight), func(b *testing.B) {
			g := serve(b, alone(b))
			_, before := g.Written()
			b.ResetTimer()
			run(b, g.Group, 0, b.N, inFlight)
			b.StopTimer()
			_, after := g.Written()
			b.ReportMetric(float64(after-before)/float64(b.N), "fsync/job")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// TestGroupCommit: jobs that are in flight together share their writes. How many
// share one is the disk's speed; bench/cmd/durable holds it to a bar.
func TestGroupCommit(t *testing.T) {
	g := serve(t, alone(t))
	const n = 1000
	_, before := g.Written()
	run(t, g.Group, 0, n, 64)
	if _, after := g.Written(); after-before >= 2*n {
		t.Errorf("%d writes for the %d entries of %d jobs", after-before, 2*n, n)
	}
}

// TestManyFinished: finished jobs cost neither memory nor time at the start. Set
// TENZRO_TEST_FINISHED=100000 to measure it.
func TestManyFinished(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("TENZRO_TEST_FINISHED"))
	if n == 0 {
		t.Skip("set TENZRO_TEST_FINISHED to a number of jobs")
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	restart := func(cfg journal.GroupConfig) time.Duration {
		began := time.Now()
		serve(t, cfg).stop()
		return time.Since(began)
	}
	empty, full := alone(t), alone(t)
	serve(t, empty).stop()
	g := serve(t, full)
	before, began := heap(), time.Now()
	run(t, g.Group, 0, n, 64)
	t.Logf("%d jobs in %s, %.1f KB of heap each", n, time.Since(began), float64(heap()-before)/float64(n)/1000)
	killed := alone(t)
	copyWhole(t, full.Dir, killed.Dir)
	g.stop()
	for range 3 {
		t.Logf("start and stop: empty %s, stopped %s, killed %s", restart(empty), restart(full), restart(killed))
	}
}
