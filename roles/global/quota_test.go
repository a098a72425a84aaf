package global

import (
	"errors"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestFullHomeIsToldAtOnce: a region that refuses because it is full makes the
// submitter come back later, without the 5 seconds that a silent one costs, and
// nothing stays behind.
func TestFullHomeIsToldAtOnce(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		begun := time.Now()
		s := r.submit(sample(), "")
		o := next[*wire.JobOffer](g)
		g.send(&wire.JobReject{Lease: o.Lease, Reason: wire.RefusedFull, Message: "10000 jobs are open here already", RetryAfterMS: 500})
		<-s.done
		var e *core.Error
		if !errors.As(s.err, &e) || e.Kind != core.Exhausted || e.Hint == "" {
			t.Fatalf("submitted with %v", s.err)
		}
		if took := time.Since(begun); took >= time.Second {
			t.Errorf("it took %s to say no", took)
		}
		if units, _, _ := r.d.Load(); units != 0 {
			t.Errorf("%d units stay on the board", units)
		}
		g.send(&wire.Pull{Class: wire.ClassJob, Credits: 1})
		time.Sleep(time.Second) // the region asked to be left alone for half of it
		r.accepted(g, sample(), "")
	})
}

// A region that is only busy, because its coordinators elect a leader for example,
// is offered the job again.
func TestBusyHomeIsNotFull(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		s := r.submit(sample(), "")
		o := next[*wire.JobOffer](g)
		g.send(&wire.JobReject{Lease: o.Lease, Reason: wire.RefusedBusy, Message: "nobody leads", RetryAfterMS: 500})
		g.take()
		<-s.done
		if s.err != nil {
			t.Errorf("submitted with %v", s.err)
		}
	})
}

// TestQuota: a submitter has so many tasks and bytes open, another its own; an
// end gives the place back.
func TestQuota(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		r.c.deps.Quota = func(who string) Quota {
			if who == "alice" {
				return Quota{Tasks: 2}
			}
			return Quota{Bytes: int64(len(sample().Data)) + 1}
		}
		by := func(who string) core.TaskSpec {
			s := sample()
			s.Submitter = who
			return s
		}
		refused := func(who string) {
			t.Helper()
			s := r.submit(by(who), "")
			<-s.done
			var e *core.Error
			if !errors.As(s.err, &e) || e.Kind != core.Exhausted || e.Op != "quota" || e.Hint == "" {
				t.Errorf("%s is told %v", who, s.err)
			}
		}
		_, first := r.accepted(g, by("alice"), "")
		if first.Task.Submitter != "alice" {
			t.Errorf("the region hears of %q", first.Task.Submitter)
		}
		r.accepted(g, by("alice"), "")
		refused("alice")
		r.accepted(g, by("bob"), "")
		refused("bob")
		g.send(g.result(first))
		r.accepted(g, by("alice"), "")
		refused("alice")
		if len(r.c.quotas.open) != 2 || r.c.quotas.open["alice"].Tasks != 2 {
			t.Errorf("open are %v", r.c.quotas.open)
		}
	})
}
