package integration

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/jobs/workflow"
)

// submitGraph hands in a workflow and returns its id.
func submitGraph(t *testing.T, n *testnet.Node, graph string) core.TaskID {
	t.Helper()
	var status core.TaskStatus
	n.Post("/api/v1/workflows", graph).Is(http.StatusAccepted).Into(&status)
	return status.TaskID
}

// A workflow over real processes: submitted at a gateway, run by the region on its
// workers, seen with its steps at any gateway, through the API and the command
// line; cancelled, its running steps stop.
func TestWorkflow(t *testing.T) {
	n := testnet.Three(t, 2)
	example, err := os.ReadFile("../docs/examples/spread.workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	id := submitGraph(t, n.Global, string(example))
	r := n.Global.Completed(id, patience)
	if string(r.Result) != "55" || r.Proofs[0].NodeID != n.Regional.ID() || !slices.Equal(r.Regions, []core.RegionID{"us-east"}) {
		t.Errorf("the result is %s, proved by %s, computed in %v", r.Result, r.Proofs[0].NodeID, r.Regions)
	}
	for _, w := range r.Workers {
		if w != n.Locals[0].ID() && w != n.Locals[1].ID() {
			t.Errorf("worker %s is none of the region's", w)
		}
	}
	var seen workflow.Status
	n.Locals[0].Get("/api/v1/workflows/" + string(id)).Is(http.StatusOK).Into(&seen) // any node is a gateway
	if seen.Status != core.TaskCompleted || len(seen.Steps) != 4 || seen.Steps[0].Done != 3 || seen.Steps[3].State != workflow.StepDone {
		t.Errorf("seen as %+v", seen)
	}
	if s := n.Global.Completed(seen.Steps[3].TaskID, patience); string(s.Result) != "55" {
		t.Errorf("the last step's own task gives %s", s.Result)
	}
	dated := submitGraph(t, n.Global, fmt.Sprintf(`{"steps":[{"id":"a","task":{"type":"compute","data":{"input":[2],"operations":["sum"]},"deadline":%q}}]}`,
		time.Now().Add(patience).UTC().Format(time.RFC3339)))
	if r := n.Global.Completed(dated, patience); string(r.Result) != `{"a":2}` {
		t.Errorf("with a deadline the step gives %s", r.Result)
	}
	refusal(t, n.Global.Post("/api/v1/workflows", `{"steps":[{"id":"a","after":["b"],"task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}},{"id":"b","after":["a"],"task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}}]}`))

	p := testnet.Exec(t, "watch", t.TempDir(), "workflow", "watch", string(id), "--home", n.Global.Home)
	if code := p.Exit(patience); code != 0 || p.Stdout() != "55\n" || !strings.Contains(p.Stderr(), "done       squares 3/3") {
		t.Errorf("watch ends with %d, prints %q and %q", code, p.Stdout(), p.Stderr())
	}

	long := submitGraph(t, n.Global, fmt.Sprintf(`{"steps":[{"id":"slow","task":%s},{"id":"then","after":["slow"],"task":%s}]}`, slow(8, 1), documentedTask))
	testnet.Await(t, "the slow step to run", patience, func() error {
		var s workflow.Status
		if n.Global.Get("/api/v1/workflows/" + string(long)).Into(&s); len(s.Steps) != 2 || s.Steps[0].State != workflow.StepRunning {
			return fmt.Errorf("the steps are %+v", s.Steps)
		}
		return nil
	})
	n.Locals[1].Post("/api/v1/workflows/"+string(long)+"/cancel", "").Is(http.StatusOK)
	if r := n.Global.Result(long, patience); r.Status != core.TaskCancelled {
		t.Errorf("the cancelled workflow is %s: %v", r.Status, r.Failure)
	}
	testnet.Await(t, "the workers to stop", patience, func() error {
		for _, l := range n.Locals {
			var status core.LocalStatus
			if l.Get("/status").Into(&status); status.ActiveTaskCount != 0 {
				return fmt.Errorf("%s works on %d", l.Name, status.ActiveTaskCount)
			}
		}
		return nil
	})
	n.Global.Post("/api/v1/workflows/"+string(long)+"/cancel", "").Is(http.StatusConflict)
}

// A worker that dies in the middle of a workflow costs a repetition of what it
// held; the workflow ends, and every step counts once.
func TestWorkflowOutlivesWorker(t *testing.T) {
	n := testnet.Three(t, 2)
	var list, after []string
	for i := range 12 {
		list = append(list, fmt.Sprint(i))
		after = append(after, fmt.Sprintf(`{"id":"s%d","after":["each"],"task":%s}`, i, documentedTask))
	}
	each := strings.Replace(slow(0.3, 1), `"input":[`, `"input":[{"$item":true},`, 1)
	id := submitGraph(t, n.Global, fmt.Sprintf(`{"steps":[{"id":"each","map":{"over":[%s]},"retries":3,"task":%s},%s]}`, strings.Join(list, ","), each, strings.Join(after, ",")))
	testnet.Await(t, "half of it", patience, func() error {
		var s workflow.Status
		if n.Global.Get("/api/v1/workflows/" + string(id)).Into(&s); len(s.Steps) == 0 || s.Steps[0].Done < 2 {
			return fmt.Errorf("the steps are %+v", s.Steps)
		}
		return nil
	})
	n.Locals[0].Kill9()
	n.Global.Completed(id, patience)
	var s workflow.Status
	n.Global.Get("/api/v1/workflows/" + string(id)).Is(http.StatusOK).Into(&s)
	if len(s.Steps) != 13 || s.Steps[0].Done != 12 || s.Steps[0].Jobs != 12 {
		t.Errorf("the steps are %+v", s.Steps)
	}
	for _, st := range s.Steps {
		if st.State != workflow.StepDone || st.Done != st.Jobs {
			t.Errorf("step %s is %s with %d of %d jobs", st.ID, st.State, st.Done, st.Jobs)
		}
	}
}
