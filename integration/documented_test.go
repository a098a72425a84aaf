package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// documentedTask is the body of the documents' curl.
const documentedTask = `{"type":"compute","requirements":{"minTier":"aggregator","cpu":80,"memoryMB":1024},"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`

const (
	patience = 60 * time.Second
	// waitsFor is how long a task may wait for processes that start at the same
	// time: what they need themselves, and a summary's way to the gateway.
	waitsFor = 15 * time.Second
)

// Three processes of which the second and third know only the first one's
// address: the documented curl is answered, and later with 55, which another
// process computed.
//
// spec 0.24 0.25 0.26 0.27 0.28 0.29 0.30 0.56 0.58 0.59 0.60 0.61 2.66 2.33 4.22
func TestThreeProcesses(t *testing.T) {
	n := testnet.Three(t, 1)
	global := n.Global
	var created map[string]any
	for range 50 { // however fast the task is
		created = global.Post("/tasks", documentedTask).Is(http.StatusAccepted).Object("taskId", "status")
		if created["status"] != "pending" {
			t.Fatalf("the task is %v, not pending", created["status"])
		}
	}
	id := core.TaskID(created["taskId"].(string))
	if home, ok := id.Home(); !ok || home != "us-east" {
		t.Errorf("task %s is not at home in us-east", id)
	}
	done := global.Completed(id, patience)
	if len(done.Workers) != 1 || done.Workers[0] != n.Locals[0].ID() || len(done.Regions) != 1 || done.Regions[0] != "us-east" {
		t.Errorf("computed by %v in %v; want the one worker in us-east", done.Workers, done.Regions)
	}
	if len(done.Proofs) != 1 || done.Proofs[0].NodeID != n.Locals[0].ID() {
		t.Errorf("proofs %+v; want the worker's", done.Proofs)
	}
	global.Get("/tasks/" + string(id)).Equals(fmt.Sprintf(`{"taskId":%q,"status":"completed","progress":1}`, id))
	global.Get("/tasks/" + string(id) + "/result").Equals(fmt.Sprintf(`{"taskId":%q,"status":"completed","result":55}`, id))
	if pids := map[int]bool{global.PID(): true, n.Regional.PID(): true, n.Locals[0].PID(): true}; len(pids) != 3 {
		t.Errorf("%d processes took part, not three", len(pids))
	}
}

// A task that comes before anybody is there, or the moment the processes are
// ready, waits for whoever is missing and still ends with 55.
//
// spec 0.30 0.61
func TestSubmitAtOnce(t *testing.T) {
	global := testnet.Run(t, "global", "--role=global")
	bootstrap := global.Runtime.Bootstrap
	ids := []core.TaskID{global.Submit(documentedTask)} // nobody is there yet
	others := []*testnet.Node{
		testnet.Launch(t, "regional", t.TempDir(), "--role=regional", "--region", "us-east", "--bootstrap", bootstrap),
		testnet.Launch(t, "local", t.TempDir(), "--role=local", "--bootstrap", bootstrap),
	}
	for _, n := range others {
		n.AwaitServing()
	}
	for _, n := range append(others, global) {
		n.AwaitReady()
		ids = append(ids, global.Submit(documentedTask), n.Submit(documentedTask))
	}
	for _, id := range ids {
		r := global.Completed(id, patience)
		s := global.Status(id)
		if string(r.Result) != "55" {
			t.Errorf("task %s gives %s", id, r.Result)
		}
		if took := s.Updated.Sub(s.Created); took > waitsFor {
			t.Errorf("task %s of %s ended only after %s; everybody was there long before", id, s.Created, took)
		}
	}
}

// Every documented endpoint of the three node types answers exactly its
// documented fields.
//
// spec 0.63 0.65 0.66 0.67 0.68 0.69 0.70
func TestDocumentedEndpoints(t *testing.T) {
	n := testnet.Three(t, 1)
	t.Run("global network state", func(t *testing.T) { globalState(t, n.Global) })
	t.Run("regional network state", func(t *testing.T) { regionalState(t, n) })
	t.Run("regional task", func(t *testing.T) { regionalTask(t, n) })
	t.Run("regional result", func(t *testing.T) { regionalResult(t, n) })
	t.Run("local task", func(t *testing.T) { localTask(t, n.Locals[0]) })
	t.Run("local status", func(t *testing.T) { localStatus(t, n.Locals[0]) })
	t.Run("local aggregate", func(t *testing.T) {
		var got map[string]any
		testnet.Await(t, "the worker to be in a region", patience, func() error {
			a := n.Locals[0].Post("/aggregate", `{"targetTier":"trainer","timeout":60000}`)
			if a.Status == http.StatusServiceUnavailable {
				return fmt.Errorf("answered %s", a.Body)
			}
			got = a.Is(http.StatusAccepted).Object("proposalId", "status")
			return nil
		})
		if id, _ := got["proposalId"].(string); id == "" || got["status"] != "pending" {
			t.Errorf("proposal %v", got)
		}
	})
}

// share fails the test unless v is a capacity of the documents: three shares.
func share(t *testing.T, what string, v any) {
	t.Helper()
	for name, part := range testnet.Fields(t, what, v, "cpu", "memory", "storage") {
		if f, ok := part.(float64); !ok || f < 0 || f > 1 {
			t.Errorf("%s: %s is %v, not 0 to 1", what, name, part)
		}
	}
}

func globalState(t *testing.T, global *testnet.Node) {
	state := global.Get("/network/state").Object("regions", "globalCapacity", "totalValidators", "activeValidators")
	share(t, "globalCapacity", state["globalCapacity"])
	regions := state["regions"].([]any)
	if len(regions) != 1 {
		t.Fatalf("%d regions, not one", len(regions))
	}
	region := testnet.Fields(t, "region", regions[0], "id", "capacity", "performanceScore")
	share(t, "region capacity", region["capacity"])
	if score := region["performanceScore"].(float64); region["id"] != "us-east" || score < 0 || score > 1 {
		t.Errorf("region %v", region)
	}
	if state["activeValidators"].(float64) > state["totalValidators"].(float64) {
		t.Errorf("validators: %v of %v are active", state["activeValidators"], state["totalValidators"])
	}
}

func regionalState(t *testing.T, n *testnet.Trio) {
	state := n.Regional.Get("/network/state").Object("nodes", "aggregations", "totalTasksInProgress", "averageTaskDuration")
	nodes := state["nodes"].([]any)
	if len(nodes) != 1 {
		t.Fatalf("%d nodes, not one", len(nodes))
	}
	node := testnet.Fields(t, "node", nodes[0], "id", "type", "tier", "capacity", "activeTaskCount")
	share(t, "node capacity", node["capacity"])
	if node["id"] != string(n.Locals[0].ID()) || node["type"] != "local" || node["tier"] == "" {
		t.Errorf("node %v", node)
	}
}

func regionalTask(t *testing.T, n *testnet.Trio) {
	n.Regional.Post("/tasks", `{"taskId":"given-1","type":"compute","requirements":{},"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`).
		Equals(`{"status":"distributing","nodesAssigned":1}`)
	if r := n.Regional.Completed("given-1", patience); string(r.Result) != "55" {
		t.Errorf("the result is %s", r.Result)
	}
}

// regionalResult hands in a result for a worker that is frozen: the region checks
// it and the task ends with it.
func regionalResult(t *testing.T, n *testnet.Trio) {
	n.Locals[0].Stop()
	defer n.Locals[0].Cont()
	n.Regional.Post("/tasks", `{"taskId":"given-2","type":"compute","data":{"input":[1,2,3],"operations":["sum"]}}`).Is(http.StatusAccepted)
	report := func(value string) testnet.Answer {
		return n.Regional.Post("/results", fmt.Sprintf(`{"taskId":"given-2","nodeId":%q,"result":%s}`, n.Locals[0].ID(), value))
	}
	await := func(value string, status int) testnet.Answer {
		var a testnet.Answer
		testnet.Await(t, "the region to judge "+value, patience, func() error {
			if a = report(value); a.Status != status { // between two offers nobody holds the subtask
				return fmt.Errorf("answered %d: %s", a.Status, a.Body)
			}
			return nil
		})
		return a
	}
	await("7", http.StatusBadRequest)
	await("6", http.StatusAccepted).Equals(`{"status":"aggregating"}`)
	if r := n.Regional.Completed("given-2", patience); string(r.Result) != "6" {
		t.Errorf("the result is %s", r.Result)
	}
}

func localTask(t *testing.T, local *testnet.Node) {
	local.Post("/tasks", `{"taskId":"given-3","type":"compute","data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`).
		Equals(`{"status":"accepted"}`)
	if r := local.Completed("given-3", patience); string(r.Result) != "55" {
		t.Errorf("the result is %s", r.Result)
	}
}

func localStatus(t *testing.T, local *testnet.Node) {
	var status map[string]any
	local.Get("/status").Into(&status)
	testnet.Fields(t, "status", status, "id", "type", "tier", "capacity", "activeTaskCount", "aggregatedWith")
	share(t, "capacity", status["capacity"])
	if status["id"] != string(local.ID()) || status["type"] != "local" {
		text, _ := json.Marshal(status)
		t.Errorf("status %s", text)
	}
}
