package integration

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// Any gateway answers for any task, because the task's id carries its home: for
// its status, its result, and to cancel it.
//
// spec 0.29 2.5
func TestAnotherGateway(t *testing.T) {
	n := testnet.Three(t, 1)
	other := testnet.Run(t, "global-2", "--role=global", "--bootstrap", n.Global.Runtime.Bootstrap)
	other.AwaitRegions("us-east")

	id := n.Global.Submit(documentedTask)
	if r := other.Completed(id, patience); string(r.Result) != "55" || len(r.Proofs) == 0 || !slices.Equal(r.Workers, []core.NodeID{n.Locals[0].ID()}) {
		t.Errorf("the other gateway says %s, by %v, with %d proofs", r.Result, r.Workers, len(r.Proofs))
	}
	other.Get("/tasks/" + string(id)).Equals(fmt.Sprintf(`{"taskId":%q,"status":"completed","progress":1}`, id))
	other.Get("/tasks/" + string(id) + "/result").Equals(fmt.Sprintf(`{"taskId":%q,"status":"completed","result":55}`, id))
	if r := n.Locals[0].Completed(id, patience); string(r.Result) != "55" {
		t.Errorf("the worker's own API says %s", r.Result)
	}

	long := n.Global.Submit(slow(8, 1))
	testnet.Await(t, "the long task to run", patience, func() error {
		if s := other.Status(long); s.Status != core.TaskRunning {
			return fmt.Errorf("it is %s", s.Status)
		}
		return nil
	})
	other.Get("/api/v1/tasks/" + string(long) + "/result").Is(http.StatusConflict)
	start := time.Now()
	other.Post("/api/v1/tasks/"+string(long)+"/cancel", "").Is(http.StatusOK)
	for _, gateway := range []*testnet.Node{other, n.Global} {
		if r := gateway.Result(long, patience); r.Status != core.TaskCancelled && r.Status != core.TaskFailed || r.Failure == nil || r.Failure.Reason != core.ReasonCancelled {
			t.Errorf("%s: the cancelled task is %s: %v", gateway.Name, r.Status, r.Failure)
		}
	}
	testnet.Await(t, "the worker to stop working on it", patience, func() error {
		var status core.LocalStatus
		if n.Locals[0].Get("/status").Into(&status); status.ActiveTaskCount != 0 {
			return fmt.Errorf("it works on %d", status.ActiveTaskCount)
		}
		return nil
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the worker went on for %s", took)
	}
	other.Post("/api/v1/tasks/"+string(long)+"/cancel", "").Is(http.StatusConflict)
	refusal(t, other.Get("/tasks/us-east-0199aaaa-0000-7000-8000-000000000000"))
}

// A gateway with no region in reach dispatches by itself: alone, on a machine
// that is everything at once, or to workers that found nobody else.
//
// spec 0.1 2.40 2.68
func TestNoRegion(t *testing.T) {
	for _, tc := range []struct {
		name, roles string
		workers     int
	}{
		{"everything in one process", "global,regional,local", 0},
		{"a gateway that computes", "global,local", 0},
		{"a worker alone", "local", 0},
		{"a gateway and two workers", "global", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			flags := []string{"--role", tc.roles}
			if tc.workers == 0 {
				flags = append(flags, "--standalone")
			}
			gateway := testnet.Run(t, "gateway", flags...)
			var want []core.NodeID
			for i := range tc.workers {
				w := testnet.Run(t, fmt.Sprintf("worker-%d", i), "--role=local", "--bootstrap", gateway.Runtime.Bootstrap)
				want = append(want, w.ID())
			}
			if tc.workers == 0 {
				want = []core.NodeID{gateway.ID()}
			}
			gateway.AwaitReady()
			start := time.Now()
			r := gateway.Completed(gateway.Submit(documentedTask), patience)
			if string(r.Result) != "55" || len(r.Workers) != 1 || !slices.Contains(want, r.Workers[0]) {
				t.Errorf("the result is %s, computed by %v", r.Result, r.Workers)
			}
			t.Logf("the first task took %s", time.Since(start).Round(time.Millisecond))
		})
	}
}

// With nobody to join, a proposal to aggregate fails when its time is over, and
// those who listen hear of both.
//
// spec 0.70 0.71 0.74
func TestAggregationFails(t *testing.T) {
	n := testnet.Three(t, 1)
	worker := n.Locals[0]
	events := worker.Events("aggregation_proposed", "aggregation_failed", "aggregation_succeeded")
	var id string
	testnet.Await(t, "the worker to be in a region", patience, func() error {
		a := worker.Post("/aggregate", `{"targetTier":"trainer","timeout":1000}`)
		if a.Status == http.StatusServiceUnavailable {
			return fmt.Errorf("answered %s", a.Body)
		}
		got := a.Is(http.StatusAccepted).Object("proposalId", "status")
		if id, _ = got["proposalId"].(string); id == "" || got["status"] != "pending" {
			t.Errorf("the answer is %v", got)
		}
		return nil
	})
	start := time.Now()
	if e := events.Next(patience); e.Name != "aggregation_proposed" {
		t.Errorf("the first event is %s", e.Name)
	}
	e := events.Next(patience)
	if e.Name != "aggregation_failed" {
		t.Errorf("the second event is %s: %v", e.Name, e.Data)
	}
	if took := time.Since(start); took < 500*time.Millisecond || took > 20*time.Second {
		t.Errorf("it failed after %s; its timeout was a second", took)
	}
	var status core.LocalStatus
	if worker.Get("/status").Into(&status); status.AggregatedWith != "" {
		t.Errorf("the worker is in aggregation %s", status.AggregatedWith)
	}
}
