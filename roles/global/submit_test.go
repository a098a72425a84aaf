package global

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// spec 0.6 0.24 0.25 0.72 4.22
func TestAcceptedOnlyAfterTheHomeRecorded(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		s := r.submit(sample(), "")
		o := next[*wire.JobOffer](g)
		time.Sleep(900 * time.Millisecond) // the offer is still good
		synctest.Wait()
		select {
		case <-s.done:
			t.Fatalf("submitted as %+v, %v before the region answered", s.status, s.err)
		default:
		}
		g.send(&wire.JobAccept{Lease: o.Lease})
		<-s.done
		if s.err != nil || s.status.Status != core.TaskPending || s.status.TaskID != o.TaskID || s.status.Region != east {
			t.Fatalf("submitted as %+v, %v", s.status, s.err)
		}
		if home, ok := s.status.TaskID.Home(); !ok || home != east {
			t.Errorf("task %s is not at home in us-east", s.status.TaskID)
		}
		if o.Class != wire.ClassJob || o.InputHash != core.Sum(sample().Data) || o.Gateway != identity(200).ID() || !slices.Equal(o.Regions, []core.RegionID{east}) {
			t.Errorf("the region was offered %+v", o)
		}
		if got := r.names(); !slices.Equal(got, []event.Name{event.TaskReceived, event.TaskDistributed}) {
			t.Errorf("told %v", got)
		}
		g.send(g.result(o))
		if got := r.names(); !slices.Equal(got, []event.Name{event.TaskCompleted}) {
			t.Errorf("at the end it told %v", got)
		}
	})
}

// TestNobodyRecords: without the region's word the submitter is told to try
// again, nothing stays behind and the key is free.
//
// spec 0.72
func TestNobodyRecords(t *testing.T) {
	for _, c := range []struct {
		name string
		link bool
		spec func(*core.TaskSpec)
		wait time.Duration // at most
	}{
		{"no route to the region", false, func(*core.TaskSpec) {}, leaderPatience + pollEvery},
		{"a region that says nothing", true, func(*core.TaskSpec) {}, acceptTimeout},
		{"a region that is gone before a short task is offered", true, func(s *core.TaskSpec) { s.TimeoutMS = 1 }, leaderPatience + pollEvery},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.hear(summary(east, 1, core.TierTrainer, 4, 1, 1))
				spec, start := sample(), time.Now()
				if c.spec(&spec); c.link {
					if g := r.region(east, 1); spec.TimeoutMS > 0 {
						_ = g.Close()
						synctest.Wait()
					}
				}
				s, again := r.submit(spec, "key"), r.submit(spec, "key")
				<-s.done
				<-again.done
				for _, err := range []error{s.err, again.err} {
					if !errors.Is(err, core.Unavailable) {
						t.Fatalf("submitted with error %v, want unavailable", err)
					}
				}
				if took := time.Since(start); took > c.wait {
					t.Errorf("it took %s to say no", took)
				}
				if n := len(r.c.tasks.tasks); n != 0 {
					t.Errorf("%d tasks are remembered", n)
				}
				if units, _, _ := r.d.Load(); units != 0 {
					t.Errorf("%d units stay on the board", units)
				}
				if names := r.names(); !slices.Contains(names, event.TaskFailed) || slices.Contains(names, event.TaskDistributed) {
					t.Errorf("told %v", names)
				}
				g := r.region(east, 2)
				r.accepted(g, sample(), "key")
			})
		})
	}
}

// TestGivenUpTaskIsRevoked: a region that answers too late is told to stop, unless
// the submitter has a key by which he finds the job when he comes again.
func TestGivenUpTaskIsRevoked(t *testing.T) {
	for key, reason := range map[string]core.Reason{"": core.ReasonCancelled, "key": jobs.HandedOver} {
		linked(t, func(t *testing.T, r *rig, g *region) {
			ctx, giveUp := context.WithCancel(t.Context())
			var err error
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, err = r.c.Submit(ctx, sample(), key)
			}()
			if key != "" {
				g.ignorant()
			}
			o := next[*wire.JobOffer](g)
			giveUp()
			<-done
			if !errors.Is(err, core.Unavailable) {
				t.Errorf("submitted with error %v", err)
			}
			if m := next[*wire.LeaseRevoke](g); m.Lease != o.Lease || m.Reason != reason {
				t.Errorf("with key %q the region hears %+v", key, m)
			}
		})
	}
}

// TestSubmitRefusals: what cannot be run is refused before anybody hears of it.
func TestSubmitRefusals(t *testing.T) {
	for _, c := range []struct {
		name, field string
		edit        func(*core.TaskSpec)
	}{
		{"an unknown type", "type", func(s *core.TaskSpec) { s.Type = "dreaming" }},
		{"no type", "type", func(s *core.TaskSpec) { s.Type = "" }},
		{"no data", "data", func(s *core.TaskSpec) { s.Data = nil }},
		{"an unknown operation", "data.operations[0]", func(s *core.TaskSpec) { s.Data = json.RawMessage(`{"input":[1],"operations":["guess"]}`) }},
		{"a deadline in the past", "deadline", func(s *core.TaskSpec) { s.Deadline = time.Now().Add(-time.Hour) }},
		{"too much CPU", "requirements.cpu", func(s *core.TaskSpec) { s.Requirements.CPU = 101 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				spec := sample()
				c.edit(&spec)
				_, err := r.c.Submit(t.Context(), spec, "key")
				var e *core.Error
				if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != c.field {
					t.Errorf("refused with %v, want invalid %s", err, c.field)
				}
				if names := r.names(); len(names) != 0 {
					t.Errorf("told %v", names)
				}
				r.accepted(g, sample(), "key") // the key was not used up
			})
		})
	}
}

// TestIdempotency: a retry with the same key finds the same task.
func TestIdempotency(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		first, second := r.submit(sample(), "key"), r.submit(sample(), "key")
		g.ignorant()
		o := g.take()
		<-first.done
		<-second.done
		if first.err != nil || second.err != nil || first.status.TaskID != second.status.TaskID {
			t.Fatalf("two submissions with one key: %v, %v and %v, %v", first.status, first.err, second.status, second.err)
		}
		g.send(g.result(o))
		third := r.submit(sample(), "key")
		if <-third.done; third.err != nil || third.status.TaskID != o.TaskID || third.status.Status != core.TaskCompleted {
			t.Errorf("a late retry: %+v, %v", third.status, third.err)
		}
		other := sample()
		other.Requirements.CPU = 1
		if s := r.submit(other, "key"); !errors.Is(s.err, core.Exists) {
			t.Errorf("the key with another task: %v", s.err)
		}
		if id, _ := r.accepted(g, sample(), "another"); id == o.TaskID {
			t.Error("another key found the same task")
		}
		a, _ := r.accepted(g, sample(), "")
		if b, _ := r.accepted(g, sample(), ""); a == b {
			t.Error("no key found the same task")
		}
	})
}

// TestResult: whoever waits gets the result as soon as it is there, and a
// conflict when it is not in time; other gateways ask the home.
//
