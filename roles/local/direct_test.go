package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// served runs a test with assigned tasks being run, on virtual time.
func served(t *testing.T, test func(t *testing.T, r *rig, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.tasks.Serve(ctx) }()
		stop := sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != context.Canceled {
				t.Errorf("ended with %v", err)
			}
		})
		defer stop()
		test(t, r, stop)
		if r.without > 0 {
			t.Errorf("%d of %d tasks ran without a reservation", r.without, r.ran)
		}
	})
}

func (r *rig) assign(id core.TaskID, spec core.TaskSpec) {
	r.t.Helper()
	if err := r.tasks.Assign(r.t.Context(), id, spec); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) state(id core.TaskID) core.TaskState {
	synctest.Wait()
	j, ok := r.tasks.Assigned(id)
	if !ok {
		return ""
	}
	return j.State.Task()
}

// TestAssign: tasks given to this very node run one after the other, in order.
//
// spec 0.16 0.27 0.68 0.74
func TestAssign(t *testing.T) {
	served(t, func(t *testing.T, r *rig, _ func()) {
		r.assign("first", task(waits, core.Requirements{CPU: 10}))
		r.assign("second", task(waits, core.Requirements{CPU: 10}))
		r.assign("third", task(vector.Type, core.Requirements{CPU: 10}))
		if r.state("first") != core.TaskRunning || r.state("second") != core.TaskPending || r.state("third") != core.TaskPending {
			t.Fatalf("states %s, %s, %s", r.state("first"), r.state("second"), r.state("third"))
		}
		if j, _ := r.tasks.Assigned("first"); j.Status().Progress != 0.5 || j.Status().Subtasks != 1 {
			t.Errorf("status %+v", j.Status())
		}
		if _, err := r.tasks.Result(t.Context(), "second", 0); !errors.Is(err, core.Conflict) {
			t.Errorf("the result of a waiting task: %v", err)
		}
		start := time.Now()
		if _, err := r.tasks.Result(t.Context(), "second", 2*time.Second); !errors.Is(err, core.Conflict) || time.Since(start) != 2*time.Second {
			t.Errorf("waiting in vain: %v after %s", err, time.Since(start))
		}
		r.gate <- struct{}{}
		if r.state("first") != core.TaskCompleted || r.state("second") != core.TaskRunning {
			t.Fatalf("states %s, %s", r.state("first"), r.state("second"))
		}
		go func() {
			time.Sleep(3 * time.Second)
			r.gate <- struct{}{}
		}()
		got, err := r.tasks.Result(t.Context(), "third", time.Minute)
		if err != nil || string(got.Result) != "55" || !slices.Equal(got.Workers, []core.NodeID{r.id.ID()}) || len(got.Proofs) != 1 {
			t.Errorf("result %+v, %v", got, err)
		}
		if p := got.Proofs[0]; p.InputHash != core.Sum(task(vector.Type, core.Requirements{}).Data) || keys.NewProofVerifier().Verify(p) != nil {
			t.Errorf("proof %+v", p)
		}
		if _, err := r.tasks.Result(t.Context(), "unknown", time.Minute); !errors.Is(err, core.NotFound) {
			t.Errorf("the result of an unknown task: %v", err)
		}
		if err := r.tasks.Assign(t.Context(), "first", task(waits, core.Requirements{})); !errors.Is(err, core.Exists) {
			t.Errorf("a known id: %v", err)
		}
		if err := r.tasks.Assign(t.Context(), "bad", core.TaskSpec{Type: waits}); !errors.Is(err, core.Invalid) {
			t.Errorf("a task without data: %v", err)
		}
	})
}

// TestAssignedWaitsForRoom: a task waits while others use what it needs, and
// fails at once when the whole machine has less.
//
// spec 0.18
func TestAssignedWaitsForRoom(t *testing.T) {
	served(t, func(t *testing.T, r *rig, _ func()) {
		other := r.hold(core.Requirements{CPU: 50})
		r.assign("wide", task(vector.Type, core.Requirements{CPU: 60}))
		time.Sleep(time.Minute)
		if s := r.state("wide"); s != core.TaskPending {
			t.Fatalf("while there is no room it is %s", s)
		}
		other.Release()
		if got, err := r.tasks.Result(t.Context(), "wide", 2*roomRetry); err != nil || string(got.Result) != "55" {
			t.Errorf("result %+v, %v", got, err)
		}
		r.assign("huge", task(vector.Type, core.Requirements{MemoryMB: 5000}))
		if got, err := r.tasks.Result(t.Context(), "huge", 0); err != nil || got.Failure == nil || got.Failure.Reason != core.ReasonNoCapableWorker {
			t.Errorf("result %+v, %v", got, err)
		}
		r.hold(core.Requirements{CPU: 50})
		start, late := time.Now(), task(vector.Type, core.Requirements{CPU: 60})
		late.TimeoutMS = 10_000
		r.assign("late", late)
		late.TimeoutMS = 5_000 // its time runs from now, not from its turn
		r.assign("later", late)
		got, err := r.tasks.Result(t.Context(), "late", time.Minute)
		if err != nil || got.Status != core.TaskExpired || time.Since(start) > 10*time.Second+resultPoll {
			t.Errorf("result %+v, %v after %s", got, err, time.Since(start))
		}
		if got, err := r.tasks.Result(t.Context(), "later", resultPoll); err != nil || got.Status != core.TaskExpired {
			t.Errorf("result %+v, %v", got, err)
		}
	})
}

// TestAssignIsBounded: beyond the bound a task is refused and nothing of it is
// kept, so that it can be assigned again.
func TestAssignIsBounded(t *testing.T) {
	served(t, func(t *testing.T, r *rig, _ func()) {
		for i := range maxAssigned {
			r.assign(core.TaskID(fmt.Sprint("t", i)), task(waits, core.Requirements{}))
		}
		err := r.tasks.Assign(t.Context(), "more", task(waits, core.Requirements{}))
		if !errors.Is(err, core.Exhausted) || r.state("more") != "" {
			t.Fatalf("one more: %v, state %q", err, r.state("more"))
		}
		r.gate <- struct{}{}
		synctest.Wait()
		r.assign("more", task(waits, core.Requirements{}))
		big := task(waits, core.Requirements{})
		close(r.gate)
		synctest.Wait()
		if s := r.state("more"); s != core.TaskCompleted {
			t.Errorf("in the end it is %s", s)
		}
		r.gate = make(chan struct{})
		big.Data = slices.Repeat([]byte(" "), core.MaxTaskBytes)
		refused := 0
		for i := range maxAssignedBytes/core.MaxTaskBytes + 2 {
			if errors.Is(r.tasks.Assign(t.Context(), core.TaskID(fmt.Sprint("big", i)), big), core.Exhausted) {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d tasks of 10 MiB were refused", refused)
		}
	})
}

// TestStop: what runs or waits for room ends when the node stops, with a reason;
// what was not begun waits for the next Serve.
func TestStop(t *testing.T) {
	served(t, func(t *testing.T, r *rig, stop func()) {
		r.assign("running", task(waits, core.Requirements{}))
		r.assign("waiting", task(vector.Type, core.Requirements{}))
		stop()
		j, _ := r.tasks.Assigned("running")
		if j.Result.Failure == nil || j.Result.Failure.Reason != core.ReasonCancelled || r.capacity.Active() != 0 {
			t.Errorf("what ran ended with %+v", j.Result)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.tasks.Serve(ctx) }()
		if got, err := r.tasks.Result(t.Context(), "waiting", time.Second); err != nil || string(got.Result) != "55" {
			t.Errorf("what waited: %+v, %v", got, err)
		}
		r.hold(core.Requirements{CPU: 1})
		r.assign("roomless", task(waits, core.Requirements{CPU: 100}))
		cancel()
		<-ended
		if j, _ := r.tasks.Assigned("roomless"); j.Result.Failure == nil || j.Result.Failure.Reason != core.ReasonCancelled {
			t.Errorf("what waited for room ended with %+v", j.Result)
		}
	})
}
