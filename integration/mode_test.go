package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// One flag makes a network prefer its coordinator, fall back to it, or run
// without: a task is computed in each mode, at home where the mode says.
//
// spec 2.4 2.38 2.39 2.40 2.68
func TestModes(t *testing.T) {
	for mode, home := range map[string]string{"hybrid": "us-east", "p2p-primary": "solo-", "p2p": "solo-"} {
		t.Run(mode, func(t *testing.T) {
			flag := "--mode=" + mode
			gateway := testnet.Run(t, "gateway", "--role=global", flag)
			bootstrap := gateway.Runtime.Bootstrap
			region := testnet.Run(t, "region", "--role=regional", "--region=us-east", flag, "--bootstrap", bootstrap)
			worker := testnet.Run(t, "worker", "--role=local", flag, "--bootstrap", bootstrap)
			gateway.AwaitRegions("us-east")
			if mode != "p2p" {
				region.AwaitWorkers(worker)
			}
			var first core.TaskID
			testnet.Await(t, "a task at home in "+home, patience, func() error { // its worker may still be on its way to the gateway
				first = gateway.Submit(documentedTask)
				if got, _ := first.Home(); !strings.HasPrefix(string(got), home) {
					return fmt.Errorf("the home is %s", got)
				}
				return nil
			})
			if r := gateway.Completed(first, patience); string(r.Result) != "55" || !slices.Equal(r.Workers, []core.NodeID{worker.ID()}) {
				t.Errorf("the result is %s, by %v", r.Result, r.Workers)
			}
			if mode == "p2p" { // the coordinator was never needed
				region.Kill9()
				if r := gateway.Completed(gateway.Submit(documentedTask), patience); string(r.Result) != "55" {
					t.Errorf("without the coordinator the result is %s", r.Result)
				}
			}
		})
	}
}

// In hybrid mode a gateway runs new tasks by itself when the only coordinator is
// killed, on the workers that this one had, and hands them to the region again
// when it is back.
//
// spec 2.4 2.38 2.68
func TestCoordinatorIsLost(t *testing.T) {
	n := testnet.Three(t, 2)
	computed := func(home string) {
		t.Helper()
		id := n.Global.Submit(documentedTask)
		if got, _ := id.Home(); !strings.HasPrefix(string(got), home) {
			t.Errorf("the home is %s, not %s", got, home)
		}
		if r := n.Global.Completed(id, patience); string(r.Result) != "55" {
			t.Errorf("the result is %s", r.Result)
		}
	}
	computed("us-east")
	n.Regional.Kill9()
	testnet.Await(t, "the gateway to notice", patience, func() error {
		var state core.GlobalState
		if n.Global.Get("/global/network/state").Into(&state); len(state.Regions) != 0 {
			return fmt.Errorf("it knows %v", state.Regions)
		}
		return nil
	})
	for range 3 {
		computed("solo-")
	}
	again := testnet.Launch(t, "regional again", n.Regional.Home, "--role=regional", "--region=us-east", "--bootstrap", n.Global.Runtime.Bootstrap)
	again.AwaitServing()
	again.AwaitWorkers(n.Locals...)
	n.Global.AwaitRegions("us-east")
	computed("us-east")
}

// A worker that changes its mode finishes what it runs for the side that it
// leaves: nothing is run twice, and new work comes from the other side.
//
// spec 2.41
func TestWorkerMoves(t *testing.T) {
	gateway := testnet.Run(t, "gateway", "--role=global", "--mode=p2p")
	bootstrap := gateway.Runtime.Bootstrap
	region := testnet.Run(t, "region", "--role=regional", "--region=us-east", "--bootstrap", bootstrap)
	worker := testnet.Run(t, "worker", "--role=local", "--mode=p2p", "--bootstrap", bootstrap)
	moves := func(from *testnet.Node, mode string, arrived func()) {
		t.Helper()
		id := from.Submit(slow(6, 1))
		testnet.Await(t, "the task to run", patience, func() error {
			if s := from.Status(id); s.Status != core.TaskRunning {
				return fmt.Errorf("it is %s", s.Status)
			}
			return nil
		})
		worker.Put("/api/v1/mode", fmt.Sprintf(`{"mode":%q}`, mode)).Equals(fmt.Sprintf(`{"mode":%q}`, mode))
		arrived()
		if r := from.Completed(id, patience); !slices.Equal(r.Workers, []core.NodeID{worker.ID()}) {
			t.Errorf("the task was computed by %v", r.Workers)
		}
		if s := from.Status(id); len(s.Attempts) != 1 {
			t.Errorf("the attempts are %+v", s.Attempts)
		}
	}
	moves(gateway, "hybrid", func() { region.AwaitWorkers(worker) })
	if r := region.Completed(region.Submit(documentedTask), patience); string(r.Result) != "55" {
		t.Errorf("at the region the result is %s", r.Result)
	}
	moves(region, "p2p", func() {
		if r := gateway.Completed(gateway.Submit(documentedTask), patience); string(r.Result) != "55" {
			t.Errorf("at the gateway the result is %s", r.Result)
		}
	})
	refusal(t, worker.Put("/api/v1/mode", `{"mode":"central"}`).Is(http.StatusBadRequest))
}
