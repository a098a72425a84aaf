package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/storage"
)

// object puts bytes at a gateway and returns what names them in a task.
func object(t *testing.T, at *testnet.Node, content string) string {
	t.Helper()
	var info storage.Info
	at.Post("/api/v1/objects", content).Is(http.StatusCreated).Into(&info)
	return fmt.Sprintf(`{"object":%q}`, info.ID)
}

// What was put at one gateway is named in tasks at another, which fetches it. Both may
// die once the tasks are acknowledged: those have the bytes.
func TestObjectsThroughGateways(t *testing.T) {
	n := testnet.Three(t, 1)
	other := testnet.Run(t, "global-2", "--role=global", "--bootstrap", n.Global.Runtime.Bootstrap)
	other.AwaitRegions("us-east")

	table := object(t, n.Global, "width,height\n2,3\n4,5\n")
	code := object(t, n.Global, string(wasmtest.Module(t, adderText)))
	areas := other.Submit(`{"type":"map","data":{"over":{"csv":` + table + `,"header":true},
		"task":{"type":"compute","data":{"input":[{"$item":true,"path":"/width"},{"$item":true,"path":"/height"}],"operations":["product"]}}}}`)
	sum := other.Submit(`{"type":"wasm","data":{"module":` + code + `,"function":"add","args":[20,22]},"limits":{"fuel":1000}}`)
	n.Global.Kill9()
	other.Kill9()

	worker := n.Locals[0]
	if r := worker.Completed(areas, patience); string(r.Result) != "[6,20]" {
		t.Errorf("the areas are %s", r.Result)
	}
	program, err := wasm.DecodeResult(worker.Completed(sum, patience).Result)
	if err != nil || fmt.Sprintf("%s", program.Values) != "[42]" {
		t.Errorf("the program gives %s, %v", program.Values, err)
	}

	lost := fmt.Sprintf(`{"object":%q}`, core.ObjectOf([]byte("never put")))
	refused := worker.Post("/api/v1/tasks", `{"type":"map","data":{"over":{"lines":`+lost+`},"task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}}}`).Is(http.StatusUnprocessableEntity)
	var problem struct{ Code, Hint string }
	if err := json.Unmarshal(refused.Body, &problem); err != nil || problem.Code != "object_not_found" || !strings.Contains(problem.Hint, "tenzro object put") {
		t.Errorf("an object that is nowhere: %s", refused.Body)
	}
}

// What a node acknowledged is there after it was killed and started again.
func TestObjectsSurviveTheirNode(t *testing.T) {
	home := t.TempDir()
	start := func() *testnet.Node {
		n := testnet.Launch(t, "gateway", home, "--role=global", "--standalone")
		n.AwaitServing()
		return n
	}
	n := start()
	id := core.ObjectOf([]byte("kept")).String()
	object(t, n, "kept")
	n.Kill9()
	n.Exit(patience)
	n = start()
	if got := n.Get("/api/v1/objects/" + id).Is(http.StatusOK); string(got.Body) != "kept" {
		t.Errorf("the object is %q", got.Body)
	}
}
