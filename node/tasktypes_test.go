package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// gatewayOf is a lone node and the address of its API.
func gatewayOf(t *testing.T) (*Node, string) {
	t.Helper()
	n, _ := run(t, config(t, "global", "regional", "local"))
	text, err := os.ReadFile(n.path(RuntimeFile))
	if err != nil {
		t.Fatal(err)
	}
	var at Runtime
	if err := json.Unmarshal(text, &at); err != nil {
		t.Fatal(err)
	}
	await(t, "a worker", func() error {
		if _, capable := n.ownWorkers(core.Requirements{}, "benchmark"); !capable {
			return fmt.Errorf("no worker runs benchmarks yet")
		}
		return nil
	})
	return n, "http://" + at.HTTP
}

// submit hands a task in over HTTP and returns its end.
func submit(t *testing.T, api, task string) (status int, body []byte) {
	t.Helper()
	resp, err := http.Post(api+"/api/v1/tasks?wait=60s", "application/json", strings.NewReader(task))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// completed submits a task that has to succeed.
func completed(t *testing.T, api, task string) core.TaskResult {
	t.Helper()
	status, body := submit(t, api, task)
	var r core.TaskResult
	if err := json.Unmarshal(body, &r); err != nil || status != http.StatusOK || r.Status != core.TaskCompleted || len(r.Proofs) == 0 {
		t.Fatalf("%.200s: %d %.500s, %v", task, status, body, err)
	}
	return r
}

// TestVSAOverHTTP: a program of hypervectors, whole and cut into parts, gives the
// same bytes under a proof of its type.
//
// spec 4.4 4.57
func TestVSAOverHTTP(t *testing.T) {
	t.Parallel()
	_, api := gatewayOf(t)
	const data = `{"kind":"binary","dimension":1000,"vectors":[{"name":"role","symbol":"role"},{"name":"x","seed":"5"}],` +
		`"steps":[{"op":"bind","of":["role","x"],"as":"pair"},{"op":"unbind","of":["pair","role"],"as":"again"},` +
		`{"op":"similarity","of":["again","x"],"as":"same"},{"op":"search","of":["again"],"codebook":{"seed":"1","count":3000},"top":3,"as":"near"}],"result":["same","near"]}`
	var whole string
	for _, parts := range []int{1, 4} {
		r := completed(t, api, fmt.Sprintf(`{"type":"vsa","parallelism":%d,"data":%s}`, parts, data))
		if len(r.Proofs) < parts || r.Proofs[0].OperationType != "vsa" || r.Proofs[0].ResultMetric != 1 || !strings.HasPrefix(string(r.Result), `{"same":1,"near":[{"index":`) {
			t.Errorf("in %d parts: %s, %d proofs", parts, r.Result, len(r.Proofs))
		}
		if whole == "" {
			whole = string(r.Result)
		}
		if string(r.Result) != whole {
			t.Errorf("in %d parts: %s, whole: %s", parts, r.Result, whole)
		}
	}
}

// TestEvolutionOverHTTP: the proof of an evolved vector carries its fitness, whole
// and in islands on several workers.
//
// spec 4.4 4.56 4.57
func TestEvolutionOverHTTP(t *testing.T) {
	t.Parallel()
	_, api := gatewayOf(t)
	const data = `{"kind":"ternary","dimension":600,"seed":"42","exemplars":[{"seed":"1"},{"seed":"2"},{"symbol":"three"}],"population":6,"generations":30,"islands":4}`
	var whole []byte
	for _, parts := range []int{1, 4} {
		r := completed(t, api, fmt.Sprintf(`{"type":"vsa_evolution","parallelism":%d,"data":%s}`, parts, data))
		var got struct{ Fitness float64 }
		if err := json.Unmarshal(r.Result, &got); err != nil || got.Fitness <= 0.5 || got.Fitness >= 1 {
			t.Fatalf("%s, %v", r.Result, err)
		}
		if p := r.Proofs[0]; p.OperationType != "vsa_evolution" || p.ResultMetric != got.Fitness || p.OutputHash != core.Sum(r.Result) {
			t.Errorf("the proof says %+v of a fitness of %v", p, got.Fitness)
		}
		if whole == nil {
			whole = r.Result
		}
		if !bytes.Equal(r.Result, whole) {
			t.Errorf("in %d parts: %s, whole: %s", parts, r.Result, whole)
		}
	}
}

// TestBenchmarkOverHTTP: a node that is asked to says how fast it is, its disk
// included, and the region has looked at it.
//
// spec 4.4 4.57
func TestBenchmarkOverHTTP(t *testing.T) {
	t.Parallel()
	_, api := gatewayOf(t)
	for _, workload := range []string{"hash", "disk"} {
		r := completed(t, api, `{"type":"benchmark","data":{"workload":"`+workload+`","segments":3,"seed":"9"}}`)
		var got struct {
			Workload, Unit string
			Version        int
			Score          float64
			ElapsedUs      int64
		}
		if err := json.Unmarshal(r.Result, &got); err != nil || got.Workload != workload || got.Version != 1 || got.Unit != "MB/s" || got.Score <= 0 || got.ElapsedUs < 1 {
			t.Errorf("%s, %v", r.Result, err)
		}
	}
}

// TestMapOverHTTP: another task for every row of a table, on several workers, and
// the results reduced: the same bytes however it is shared out.
//
// spec 1.1
func TestMapOverHTTP(t *testing.T) {
	t.Parallel()
	_, api := gatewayOf(t)
	rows := "x,y\n"
	for i := range 50 {
		rows += fmt.Sprintf("%d,%d\n", i, i*i)
	}
	table, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	data := `{"task":{"type":"compute","data":{"input":[{"$item":true,"path":"/x"},{"$item":true,"path":"/y"}],"operations":["sum"]}},` +
		`"over":{"csv":` + string(table) + `,"header":true},"combine":{"reduce":["max"]}}`
	for _, parts := range []int{1, 4} {
		r := completed(t, api, fmt.Sprintf(`{"type":"map","parallelism":%d,"data":%s}`, parts, data))
		if string(r.Result) != "2450" || r.Proofs[0].OperationType != "map" {
			t.Errorf("in %d parts: %s, %+v", parts, r.Result, r.Proofs[0])
		}
	}
}

// TestRefusedOverHTTP: bad tasks are refused where they come in, with the field and
// the one thing to do.
//
// spec 0.64
func TestRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	_, api := gatewayOf(t)
	for task, want := range map[string]string{
		`{"type":"vsa","data":{"kind":"binary","dimension":70000,"steps":[]}}`:                                 "data.dimension",
		`{"type":"vsa","data":{"kind":"binary","dimension":8,"vectors":[{"name":"a","hex":"zz"}],"steps":[]}}`: "data.vectors[0].hex",
		`{"type":"vsa_evolution","data":{"kind":"binary","dimension":8,"seed":"1","exemplars":[]}}`:            "data.exemplars",
		`{"type":"benchmark","data":{"workload":"sleep"}}`:                                                     "the workloads are [hash float matrix memory disk wasm vsa]",
		`{"type":"dream","data":{}}`: `\"benchmark\", \"compute\", \"container\", \"map\", \"vsa\", \"vsa_evolution\", \"wasm\" or \"workflow\"`,
		`{"type":"vsa","requirements":{"cpu":101},"data":{"kind":"binary","dimension":8,"steps":[]}}`:                                "requirements.cpu",
		`{"type":"vsa","data":{"kind":"binary","dimension":8,"vectors":[],"steps":[{"op":"bind","of":["a","b"],"as":"c","at":{}}]}}`: "data.steps[0].at",
	} {
		if status, body := submit(t, api, task); status != http.StatusBadRequest && status != http.StatusUnprocessableEntity || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want something about %s", task, status, body, want)
		}
	}
}

// TestTaskTypesAnnounced: a node says to people and to others which types it runs.
//
// spec 4.3
func TestTaskTypesAnnounced(t *testing.T) {
	n := build(t, config(t, "local"))
	want := []core.TaskType{"benchmark", "compute", "map", "vsa", "vsa_evolution", "wasm"}
	if got := n.Describe().Runtimes; !slices.Equal(got, want) {
		t.Errorf("it runs %v, want %v", got, want)
	}
	if len(n.planners) != len(want)+1 { // containers, which run where they are switched on
		t.Errorf("it plans %d types", len(n.planners))
	}
}

// TestPhoneClass: a node of role inference needs no accelerator and little of a
// machine: with half a CPU, 256 MiB and one slot it computes what it is given
// itself, without telling anybody, and refuses what is too big for it.
//
// spec 1.6 1.7
func TestPhoneClass(t *testing.T) {
	t.Parallel()
	small := compute.Profile{Resources: core.Resources{Cores: 1, MemoryMB: 256, CPUScore: 0.05}}
	if small.Tier() != core.TierInference || !slices.Equal(small.AutoRoles(), []string{"inference"}) {
		t.Errorf("a phone is %s and plays %v", small.Tier(), small.AutoRoles())
	}
	c := config(t, "inference")
	c.Compute = ComputeConfig{MaxCPU: 50, MaxMemoryMB: 256, Slots: 1}
	n, _ := run(t, c)
	spec := core.TaskSpec{Type: "vsa", Requirements: core.Requirements{CPU: 50, MemoryMB: 256},
		Data: json.RawMessage(`{"kind":"binary","dimension":10048,"vectors":[{"name":"a","symbol":"a"}],"steps":[{"op":"search","of":["a"],"codebook":{"seed":"1","count":2000},"as":"near"}]}`)}
	if err := n.localView().Assign(t.Context(), "own-data", spec); err != nil {
		t.Fatal(err)
	}
	got, err := (gatewayTasks{n.coordinator, n}).Result(t.Context(), "own-data", patience)
	if err != nil || got.Status != core.TaskCompleted || !slices.Equal(got.Workers, []core.NodeID{n.ID()}) || len(got.Proofs) != 1 || got.Proofs[0].NodeID != n.ID() {
		t.Errorf("result %+v, %v", got, err)
	}
	if _, _, children := n.region.Load(); n.Status().Peers != 0 || n.validator.InProgress() != 0 {
		t.Errorf("%d peers and %d workers heard of it", n.Status().Peers, children)
	}
	spec.Requirements.MemoryMB = 257
	if err := n.localView().Assign(t.Context(), "too-big", spec); err != nil {
		t.Fatal(err)
	}
	got, err = (gatewayTasks{n.coordinator, n}).Result(t.Context(), "too-big", patience)
	if err != nil || got.Failure == nil || got.Failure.Reason != core.ReasonNoCapableWorker {
		t.Errorf("what is too big: %+v, %v", got, err)
	}
}
