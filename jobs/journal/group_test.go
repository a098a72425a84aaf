package journal_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// alone is the configuration of a group of one.
func alone(t testing.TB) journal.GroupConfig {
	return journal.GroupConfig{Dir: t.TempDir(), Self: "node-a", Region: "us-east", Network: "test"}
}

// served is a group that runs, until stop or the end of the test.
type served struct {
	*journal.Group
	ID   core.NodeID
	stop func()
}

// serve opens the journal, founds its group when it is empty, and waits until
// somebody leads.
func serve(t testing.TB, cfg journal.GroupConfig) *served {
	t.Helper()
	g, err := journal.OpenGroup(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Found(); err != nil {
		t.Fatal(err)
	}
	s := start(t, g)
	s.leads(t)
	return s
}

func start(t testing.TB, g *journal.Group) *served {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	s := &served{Group: g, ID: g.Self()}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// leads waits until this member leads.
func (s *served) leads(t testing.TB) (epoch uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.Lead(ctx, func(_ context.Context, e uint64) { epoch = e; cancel() })
	if epoch == 0 {
		t.Fatal("this member does not lead within a minute")
	}
	return epoch
}

// TestGroupOfOne holds a durable journal to the contract of every journal.
func TestGroupOfOne(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journal.Journal { return serve(t, alone(t)) })
}

// finish commits job n and ends it.
func finish(t testing.TB, g journal.Journal, n int) core.TaskID {
	t.Helper()
	job := journaltest.NewJob(n)
	if err := g.Commit(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	r := core.TaskResult{TaskID: job.ID, Status: core.TaskCompleted, Result: []byte(`{"sum": 55 }`)}
	if _, err := g.End(context.Background(), r, job.Created.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// TestGroupRemembers: what was acknowledged is there after a restart, with its
// bytes as they were; the epoch grows.
func TestGroupRemembers(t *testing.T) {
	cfg := alone(t)
	g := serve(t, cfg)
	first := g.leads(t)
	done := finish(t, g, 1)
	open := journaltest.NewJob(2)
	open.Spec.Data = []byte("{ \"n\" :  1 }")
	if err := g.Commit(context.Background(), open); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g = serve(t, cfg)
	if second := g.leads(t); second <= first {
		t.Errorf("epoch %d follows %d", second, first)
	}
	if got, err := g.Get(done); err != nil || string(got.Result.Result) != `{"sum": 55 }` {
		t.Errorf("the finished job: %+v, %v", got, err)
	}
	if got := g.Open(); len(got) != 1 || got[0].Job.ID != open.ID || string(got[0].Job.Spec.Data) != string(open.Spec.Data) {
		t.Errorf("open: %+v", got)
	}
}
