package regional

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/wire"
)

// What a regional node answers people directly, without a gateway.

// TestDistribute: the documented POST /tasks starts a job here and says to how
// many nodes it goes.
//
// spec 0.11 0.12 0.65 0.73
func TestDistribute(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 2, nil)
		r.worker(2, 2, nil)
		r.worker(3, 2, func(a *wire.Ad) { a.Tier = core.TierInference })
		spec := specOf(numbers(100), `["sum"]`, 5)
		spec.Requirements.MinTier = core.TierAggregator
		for _, c := range []struct {
			id          core.TaskID
			parallelism int
			want        int
		}{{"task-1", 5, 2}, {"task-2", 1, 1}, {"task-3", 0, 1}} {
			spec.Parallelism = c.parallelism
			if n, err := r.v.Distribute(t.Context(), c.id, spec); err != nil || n != c.want {
				t.Errorf("%s is assigned to %d nodes, %v; want %d", c.id, n, err, c.want)
			}
			settle()
			if got, err := r.v.Result(c.id); err != nil || string(got.Result) != alone(t, spec) {
				t.Errorf("%s gives %s, %v", c.id, got.Result, err)
			}
		}
		if _, err := r.v.Distribute(t.Context(), "task-1", spec); !errors.Is(err, core.Exists) {
			t.Errorf("the same id again: %v", err)
		}
		spec.Requirements.MinTier = core.TierTrainer
		if n, err := r.v.Distribute(t.Context(), "task-4", spec); err != nil || n != 0 {
			t.Errorf("a task nobody can run is assigned to %d, %v", n, err)
		}
		time.Sleep(time.Minute)
		if got, err := r.v.Result("task-4"); err != nil || got.Failure == nil || got.Failure.Reason != core.ReasonNoCapableWorker {
			t.Errorf("it ends as %+v, %v", got, err)
		}
		r.idle()
		if names := r.names(); count(names, event.TaskReceived) != 4 || count(names, event.TaskAggregated) != 3 || count(names, event.TaskFailed) != 1 {
			t.Errorf("told %v", names)
		}
	})
}

// TestDistributeRefusals: nothing starts when the task is wrong.
func TestDistributeRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for field, spec := range map[string]core.TaskSpec{"data.operations[0]": specOf(`[1]`, `["guess"]`, 0), "parallelism": specOf(`[1]`, `["sum"]`, -1),
			"type": {Type: "dreaming", Data: json.RawMessage(`{}`)}} {
			var e *core.Error
			if _, err := r.v.Distribute(t.Context(), jobID, spec); !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != field {
				t.Errorf("refused with %v, want invalid %s", err, field)
			}
		}
		if _, err := r.journal.Get(jobID); !errors.Is(err, core.NotFound) {
			t.Errorf("the journal has it: %v", err)
		}
	})
}

// TestDistributeEnds: a job without a gateway ends at its deadline, whoever leads
// the region by then.
func TestDistributeEnds(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil).block()
		spec := sample()
		spec.TimeoutMS = 60_000
		if _, err := r.v.Distribute(t.Context(), jobID, spec); err != nil {
			t.Fatal(err)
		}
		r.depose()
		next := r.successor(2)
		defer next.stop()
		w := &worker{id: identity(2)}
		w.block()
		next.link(w, 1, nil)
		time.Sleep(time.Minute + time.Second)
		if got, err := next.v.Result(jobID); err != nil || got.Status != core.TaskExpired {
			t.Errorf("it ends as %+v, %v", got, err)
		}
	})
}

// TestAcceptResult: the documented POST /results counts when the node holds the
// subtask and the region computes the same bytes; then the region signs for it.
//
// spec 0.66 0.10
func TestAcceptResult(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		w.block()
		idle := r.worker(2, 0, nil)
		j := r.offer(jobID, sample())
		settle()
		for _, c := range []struct {
			name   string
			task   core.TaskID
			node   core.NodeID
			result string
			want   core.Kind
		}{
			{"a wrong value", jobID, w.id.ID(), "54", core.Invalid},
			{"other bytes for the value", jobID, w.id.ID(), "55.0", core.Invalid},
			{"a node that holds nothing", jobID, idle.id.ID(), "55", core.NotFound},
			{"an unknown node", jobID, "nobody", "55", core.NotFound},
			{"an unknown task", "unknown", w.id.ID(), "55", core.NotFound},
		} {
			if err := r.v.AcceptResult(t.Context(), c.task, c.node, json.RawMessage(c.result)); core.KindOf(err) != c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		}
		if err := r.v.AcceptResult(t.Context(), jobID, w.id.ID(), json.RawMessage("55")); err != nil {
			t.Fatalf("the right value: %v", err)
		}
		if got := j.completed(); got != "55" {
			t.Errorf("the job gives %s", got)
		}
		if p := j.result.Proofs; len(p) != 1 || p[0].NodeID != r.id.ID() {
			t.Errorf("signed by %v, want the region, which computed it", p)
		}
		if err := r.v.AcceptResult(t.Context(), jobID, w.id.ID(), json.RawMessage("55")); !errors.Is(err, core.NotFound) {
			t.Errorf("once it has ended: %v", err)
		}
	})
}

// TestAcceptResultOfSeveral: of several subtasks that a node holds, the result
// counts for the one it belongs to.
func TestAcceptResultOfSeveral(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 3, nil)
		w.block()
		j := r.offer(jobID, specOf(`[1,2,3]`, `["square"]`, 3))
		settle()
		for _, part := range []string{"[9]", "[4]", "[1]"} {
			if err := r.v.AcceptResult(t.Context(), jobID, w.id.ID(), json.RawMessage(part)); err != nil {
				t.Fatalf("part %s: %v", part, err)
			}
		}
		if got := j.completed(); got != "[1,4,9]" {
			t.Errorf("the job gives %s", got)
		}
	})
}

var update = flag.Bool("update", false, "write the golden files")

// TestNetworkState: the regional GET /network/state has the documented shape.
//
// spec 0.67
func TestNetworkState(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if text, err := json.Marshal(must(r.v.NetworkState(t.Context()))); err != nil ||
			string(text) != `{"nodes":[],"aggregations":[],"totalTasksInProgress":0,"averageTaskDuration":0}` {
			t.Errorf("an empty region is %s, %v", text, err)
		}
		r.worker(1, 4, nil)
		w := r.worker(2, 4, func(a *wire.Ad) { a.Tier, a.Resources.FreeCPU, a.Resources.FreeMemoryMB = core.TierTrainer, 25, 1024 })
		for n, edit := range map[int]func(*wire.Ad){
			3: func(a *wire.Ad) { a.Can = core.CanObserve },                              // no worker
			4: func(a *wire.Ad) { a.Region, a.Can = west, a.Can|core.CanCoordinate },     // of another region
			5: func(a *wire.Ad) { a.Expires = a.Issued.Add(time.Minute); a.Region = "" }, // gone by then
		} {
			if _, err := r.table.Put(ad(t, identity(n), edit), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(61 * time.Second)
		spec := sample()
		spec.Requirements.MinTier = core.TierTrainer
		w.block()
		r.offer("open", spec)
		r.v.deps.Aggregations = func() []core.AggregationState {
			return []core.AggregationState{{ID: "us-east-1", Nodes: []core.NodeID{"a", "b"}, Capacity: core.Capacity{CPU: 0.5, Memory: 0.25, Storage: 1}}}
		}
		r.v.Metrics().finished(core.TaskResult{Status: core.TaskCompleted}, 2500*time.Millisecond)
		got, err := json.MarshalIndent(must(r.v.NetworkState(t.Context())), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/network_state.json", append(got, '\n'))
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
