package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// slowly is a run that takes its time unless it is stopped, which it then tells.
func slowly(w *worker, d time.Duration, stopped chan<- error) func(context.Context, []byte, func(float64)) *wire.JobResult {
	return func(ctx context.Context, data []byte, _ func(float64)) *wire.JobResult {
		select {
		case <-time.After(d):
			return w.output(data, json.RawMessage("55"))
		case <-ctx.Done():
			stopped <- context.Cause(ctx)
			return &wire.JobResult{Failure: &core.Failure{Reason: core.ReasonCancelled}}
		}
	}
}

// TestSlowWorkerIsOvertaken: a subtask that takes far longer than others of its
// kind is run by an idle node too; the first good result is the only one, and the
// loser is stopped without blame.
//
// spec 2.49 2.64 4.23
func TestSlowWorkerIsOvertaken(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		stopped := make(chan error, 1)
		first, second := newWorker(1), newWorker(2)
		first.run = slowly(first, 100*time.Millisecond, stopped)
		r.worker(first, 1)
		for i := range 20 { // so that the pace of this kind is known
			r.submit(unit(i))
		}
		r.owner.wait(t, 20)
		first.run = slowly(first, 5*time.Minute, stopped)
		begun := time.Now()
		r.submit(unit(20))
		synctest.Wait()
		r.worker(second, 1)
		log := r.owner.wait(t, 1)
		if took := time.Since(begun); took < time.Second || took > 3*time.Second {
			t.Errorf("the result came after %s; the floor is 1 s", took)
		}
		if cause := <-stopped; !strings.Contains(cause.Error(), string(jobs.LostRace)) {
			t.Errorf("the loser was stopped for %v", cause)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		a, b := first.id.ID().Short(), second.id.ID().Short()
		tail := r.owner.events()[len(log)-4:]
		want := []string{"started 20 by " + a + ", attempt 1", "started 20 by " + b + ", attempt 2", "verify 20 of " + b, "done 20 by " + b}
		if !slices.Equal(tail, want) {
			t.Errorf("the owner heard %q, want %q", tail, want)
		}
		if lost := r.verdicts(); slices.Contains(lost, a+" 2") || slices.Contains(lost, a+" 1") {
			t.Errorf("the loser was blamed: %v", lost)
		}
		r.empty()
	})
}

// TestCopyTakesOver: when the slow node goes away its copy is the unit, and no
// third node begins.
func TestCopyTakesOver(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		stopped := make(chan error, 4)
		first, second, third := newWorker(1), newWorker(2), newWorker(3)
		first.run = slowly(first, 100*time.Millisecond, stopped)
		link := r.worker(first, 1)
		for i := range 20 {
			r.submit(unit(i))
		}
		r.owner.wait(t, 20)
		first.run, second.run = slowly(first, 5*time.Minute, stopped), slowly(second, 20*time.Second, stopped)
		r.submit(unit(20))
		synctest.Wait()
		r.worker(second, 1)
		time.Sleep(3 * time.Second)
		_ = link.Close()
		synctest.Wait()
		r.d.Detach(first.id.ID())
		synctest.Wait()
		r.owner.wait(t, 1)
		if _, failure := r.owner.endOf(20); failure != nil || third.taken != 0 {
			t.Errorf("failure %v, the third took %d", failure, third.taken)
		}
		if log := r.owner.events(); log[len(log)-1] != "done 20 by "+second.id.ID().Short() {
			t.Errorf("the end is %q", log[len(log)-1])
		}
		r.empty()
	})
}

// TestSpeculationOff: with a share below zero nothing runs twice.
func TestSpeculationOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, linkKinds()["pipe"], jobs.Limits{SpeculateShare: -1})
		defer r.stop()
		stopped := make(chan error, 1)
		first, second := newWorker(1), newWorker(2)
		r.worker(first, 1)
		for i := range 30 {
			r.submit(unit(i))
		}
		r.owner.wait(t, 30)
		first.run = slowly(first, time.Minute, stopped)
		r.submit(unit(30))
		synctest.Wait()
		r.worker(second, 1)
		r.owner.wait(t, 1)
		if second.taken != 0 {
			t.Error("the unit ran twice")
		}
	})
}

// TestCancelReachesTheRunningWorker: less than a second after the owner says so
// the work has stopped, copy included.
func TestCancelReachesTheRunningWorker(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		stopped := make(chan error, 2)
		first, second := newWorker(1), newWorker(2)
		first.run = slowly(first, 50*time.Millisecond, stopped)
		r.worker(first, 1)
		for i := range 20 {
			r.submit(unit(i))
		}
		r.owner.wait(t, 20)
		first.run, second.run = slowly(first, time.Hour, stopped), slowly(second, time.Hour, stopped)
		r.submit(unit(20))
		synctest.Wait()
		r.worker(second, 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		begun := time.Now()
		r.d.Fail(jobs.Key{Task: "t1", Index: 20}, &core.Failure{Reason: core.ReasonCancelled, Message: "enough"})
		for range 2 {
			if cause := <-stopped; !strings.Contains(cause.Error(), string(core.ReasonCancelled)) {
				t.Errorf("stopped for %v", cause)
			}
		}
		if took := time.Since(begun); took >= time.Second {
			t.Errorf("the workers went on for %s", took)
		}
		r.owner.wait(t, 1)
		r.empty()
	})
}

// TestManyAtOnce: 600 subtasks run at the same time on 100 nodes, all end once.
//
// spec 2.47 2.64
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, linkKinds()["pipe"], jobs.Limits{})
		defer r.stop()
		const nodes, each = 100, 6
		stopped := make(chan error, nodes*each)
		workers := make([]*worker, nodes)
		for i := range workers {
			w := newWorker(byte(i + 1))
			if w.id.ID() == r.id.ID() {
				w = newWorker(200)
			}
			w.run = slowly(w, time.Second, stopped)
			workers[i] = w
			r.worker(w, each)
		}
		begun := time.Now()
		for i := range nodes * each {
			r.submit(unit(i))
		}
		r.owner.wait(t, nodes*each)
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("%d units of a second took %s", nodes*each, took)
		}
		for _, w := range workers {
			if w.taken != each {
				t.Errorf("a node had %d units, want %d", w.taken, each)
			}
		}
		r.empty()
	})
}
