package cluster_test

import (
	"encoding/json"
	"testing"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

// started is a cluster without workers, which ends with the test.
func started(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Config{Home: t.TempDir(), Slots: 2, Data: json.RawMessage(tiny.Data), Want: tiny.Result})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestJobs: jobs run over HTTP on real workers; what crosses the network is
// counted, and no job opens a stream or a connection.
func TestJobs(t *testing.T) {
	c := started(t)
	if err := c.Grow(t.Context(), 2); err != nil || c.Workers() != 2 {
		t.Fatalf("%d workers, %v", c.Workers(), err)
	}
	if err := c.Job(t.Context()); err != nil { // waits until the workers are known
		t.Fatal(err)
	}
	before, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const jobs = 50
	if _, err := measure.Run(t.Context(), 4, jobs, 0, c.Job); err != nil {
		t.Fatal(err)
	}
	after, err := c.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := after.Minus(before)
	// An offer, an acceptance, a result and a verdict cannot be fewer messages; a
	// frame carries at least one.
	if done.Messages < 4*jobs || done.Frames == 0 || done.Frames > done.Messages || done.Streams != 0 || done.Connections != 0 {
		t.Errorf("counted %+v for %d jobs", done, jobs)
	}
}

// TestCancels: a job that is cancelled ends on its worker, long before it would.
func TestCancels(t *testing.T) {
	c := started(t)
	if err := c.Grow(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Cancels(t.Context(), 3); err != nil || s.Percentile(100) <= 0 {
		t.Errorf("%v, %v", s.Percentile(100), err)
	}
	if err := c.Job(t.Context()); err != nil { // which does not last any more
		t.Error(err)
	}
}
