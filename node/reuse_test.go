package node

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// reuse submits a task that an earlier one may answer and returns its end.
func reuse(t *testing.T, api, task string) core.TaskResult {
	t.Helper()
	resp, err := http.Post(api+"/api/v1/tasks?reuse=true&wait=60s", "application/json", strings.NewReader(task))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var r core.TaskResult
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%.200s: %d %.500s, %v", task, resp.StatusCode, body, err)
	}
	return r
}

// TestReuse: a task of the same content is answered by the one that was computed,
// through any gateway that asks its home; another content is computed, and so is
// what failed before.
//
// spec 2.63
func TestReuse(t *testing.T) {
	t.Parallel()
	n, api := gatewayOf(t)
	answers55(t, n) // its region is led from here on
	const format = `{"type":"compute","data":{"input":[1,2,%d],"operations":["sum"]}}`
	first := reuse(t, api, fmt.Sprintf(format, 3))
	again := reuse(t, api, `{"data": {"input":[1,2,3],"operations":["sum"]}, "type": "compute"}`)
	if first.TaskID != again.TaskID || string(again.Result) != "6" || len(again.Proofs) == 0 {
		t.Errorf("computed again: %+v after %+v", again, first)
	}
	if other := reuse(t, api, fmt.Sprintf(format, 4)); other.TaskID == first.TaskID || string(other.Result) != "7" {
		t.Errorf("another task: %+v", other)
	}
	const tooBig = `{"type":"compute","queueTimeoutMs":10,"requirements":{"memoryMB":16000000},"data":{"input":[1],"operations":["sum"]}}`
	bad, worse := reuse(t, api, tooBig), reuse(t, api, tooBig)
	if bad.Status != core.TaskFailed || worse.Status != core.TaskFailed || bad.TaskID == worse.TaskID {
		t.Errorf("a failed task was reused: %+v, then %+v", bad, worse)
	}
}
