package integration

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// stream submits the documented task one after the other until the test ends,
// and counts those that gave 55.
func stream(t *testing.T, gateway *testnet.Node) *atomic.Int64 {
	var count atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			var r core.TaskResult
			answer, err := gateway.Try(http.MethodPost, "/api/v1/tasks?wait=30s", []byte(documentedTask))
			if err == nil {
				err = answer.Decode(&r)
			}
			if err != nil || string(r.Result) != "55" {
				t.Errorf("task %d of the stream: %v, %s", count.Load(), err, answer.Body)
				return
			}
			count.Add(1)
		}
	}()
	return &count
}

// A local node becomes a regional one as well and lays the role down again, in
// the same process, while tasks stream through it; what it answers follows.
//
// spec 0.1 0.34 4.8
func TestRolesChange(t *testing.T) {
	n := testnet.Three(t, 2)
	node := n.Locals[0]
	pid := node.PID()
	regionalAnswers := func(status int) { node.Get("/regional/network/state").Is(status) }
	regionalAnswers(http.StatusNotFound)
	events := node.Events("roles_changed")

	count := stream(t, n.Global)
	flowing := func() { // tasks go on being computed, whatever the roles are
		t.Helper()
		more := count.Load() + 10
		testnet.Await(t, "ten more tasks of the stream", patience, func() error {
			if have := count.Load(); have < more {
				return fmt.Errorf("%d of %d are done", have, more)
			}
			return nil
		})
	}
	for range 3 {
		flowing()
		node.Put("/api/v1/roles", `{"roles":["local","regional"]}`).Equals(`{"roles":["regional","local"]}`)
		events.Next(patience)
		regionalAnswers(http.StatusOK)
		var state core.RegionalState
		testnet.Await(t, "the node to work in its own region", patience, func() error {
			node.Get("/regional/network/state").Into(&state)
			if !slices.ContainsFunc(state.Nodes, func(s core.NodeState) bool { return s.ID == node.ID() }) {
				return fmt.Errorf("its nodes are %+v", state.Nodes)
			}
			return nil
		})
		if r := node.Completed(node.Submit(documentedTask), patience); string(r.Result) != "55" {
			t.Errorf("as a region it computes %s", r.Result)
		}
		flowing()

		node.Put("/api/v1/roles", `{"roles":["local"]}`).Equals(`{"roles":["local"]}`)
		events.Next(patience)
		regionalAnswers(http.StatusNotFound)
		n.Regional.AwaitWorkers(node)
		if r := node.Completed(node.Submit(documentedTask), patience); string(r.Result) != "55" {
			t.Errorf("as a worker it computes %s", r.Result)
		}
	}
	flowing()
	if node.Ended() || node.PID() != pid {
		t.Error("the process is another one")
	}
	if p := refusal(t, node.Put("/api/v1/roles", `{"roles":["king"]}`)); p.Field == "" {
		t.Errorf("an unknown role is refused without a field: %+v", p)
	}
}
