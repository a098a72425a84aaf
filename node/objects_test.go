package node

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
)

// putObject uploads bytes and returns the status with what names them in a task.
func putObject(t *testing.T, api, content string) (status int, reference string) {
	t.Helper()
	resp, err := http.Post(api+"/api/v1/objects", "text/plain", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var info storage.Info
	if err := json.NewDecoder(resp.Body).Decode(&info); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, fmt.Sprintf(`{"object":%q}`, info.ID)
}

// TestTasksNameObjects: what an object has takes its place in a map, in a workflow and
// behind ?reuse=true; what cannot be is refused with a status of its own.
func TestTasksNameObjects(t *testing.T) {
	t.Parallel()
	n, api := gatewayOf(t)
	answers55(t, n) // its region is led from here on
	_, table := putObject(t, api, "1,2\n3,4\n")
	_, list := putObject(t, api, "[[1,2],[3,4]]")
	_, text := putObject(t, api, "one\ntwo\n")
	_, long := putObject(t, api, strings.Repeat("1\n", storage.MaxObjectBytes/2))
	lost := fmt.Sprintf(`{"object":%q}`, core.ObjectOf([]byte("never put")))
	const sum = `"task":{"type":"compute","data":{"input":{"$item":true},"operations":["sum"]}}`
	for name, c := range map[string]struct {
		task   string
		status int
		want   string // a part of the answer
	}{
		"a table":           {`{"type":"map","data":{` + sum + `,"over":{"csv":` + table + `}}}`, 200, `"result":[3,7]`},
		"a list":            {`{"type":"map","data":{` + sum + `,"over":{"list":` + list + `}}}`, 200, `"result":[3,7]`},
		"lines":             {`{"type":"map","data":{"task":{"type":"compute","data":{"input":[{"$index":true}],"operations":["sum"]}},"over":{"lines":` + text + `}}}`, 200, `"result":[0,1]`},
		"in a workflow":     {`{"type":"workflow","data":{"steps":[{"id":"a","map":{"over":` + list + `},` + sum + `}]}}`, 200, `"result":{"a":[3,7]}`},
		"no references":     {`{"type":"compute","data":{"input":[1,2],"operations":["sum"],"note":"object"}}`, 400, `no field`},
		"nowhere":           {`{"type":"map","data":{` + sum + `,"over":{"list":` + lost + `}}}`, 422, `"code":"object_not_found"`},
		"too large":         {`{"type":"map","data":{` + sum + `,"over":{"lines":` + long + `}}}`, 413, `"code":"too_large"`},
		"no list":           {`{"type":"map","data":{` + sum + `,"over":{"list":` + text + `}}}`, 400, `"field":"data.over.list"`},
		"no id":             {`{"type":"map","data":{` + sum + `,"over":{"list":{"object":"../node.key"}}}}`, 400, `"field":"data.over.list"`},
		"where none can be": {`{"type":"compute","data":{"input":` + list + `,"operations":["sum"]}}`, 400, `"code":"invalid"`},
	} {
		if status, body := submit(t, api, c.task); status != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %d %.400s, want %d with %s", name, status, body, c.status, c.want)
		}
	}
	whole, named := `{"type":"map","data":{`+sum+`,"over":{"list":[[1,2],[3,4]]}}}`, `{"type":"map","data":{`+sum+`,"over":{"list":`+list+`}}}`
	if a, b := reuse(t, api, whole), reuse(t, api, named); a.TaskID != b.TaskID {
		t.Errorf("the same content is computed twice, as %s and %s", a.TaskID, b.TaskID)
	}
}

// TestObjectsAreBounded: what does not fit is refused with 507, and what is there can
// still be read and named.
func TestObjectsAreBounded(t *testing.T) {
	t.Parallel()
	c := config(t, "global")
	c.Storage.ObjectsMB = 1
	n, _ := run(t, c)
	api := "http://" + n.httpAddr()
	first := strings.Repeat("a", 700<<10)
	if status, _ := putObject(t, api, first); status != http.StatusCreated {
		t.Fatalf("the first: %d", status)
	}
	if status, _ := putObject(t, api, strings.Repeat("b", 700<<10)); status != http.StatusInsufficientStorage {
		t.Errorf("the second: %d, want 507", status)
	}
	resp, err := http.Get(api + "/api/v1/objects/" + core.ObjectOf([]byte(first)).String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != first || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestObjectsOfOthers: a node gets from a connected one what it does not have, keeps
// it, and has it when the other is gone.
func TestObjectsOfOthers(t *testing.T) {
	t.Parallel()
	first, stop := run(t, config(t, "global"))
	c := config(t, "global")
	c.P2P.Bootstrap = []string{bootstrapAddr(first.host.Addrs())}
	second, _ := run(t, c)
	info, _, err := first.objects.Put(t.Context(), strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the object to come over", func() error {
		_, data, err := second.objects.Get(t.Context(), info.ID)
		if err == nil && string(data) != "hello" {
			t.Fatalf("got %q", data)
		}
		return err
	})
	stop()
	if got, data, err := second.kept.Get(t.Context(), info.ID); err != nil || string(data) != "hello" || !got.Copy {
		t.Errorf("once the other is gone: %+v, %q, %v", got, data, err)
	}
}

// TestUnresolvedAssignment: data that names objects is refused where no gateway puts
// them in place.
func TestUnresolvedAssignment(t *testing.T) {
	t.Parallel()
	n, _ := run(t, config(t, "local"))
	spec := core.TaskSpec{Type: "wasm", Data: json.RawMessage(fmt.Sprintf(`{"module":{"object":%q}}`, core.ObjectOf(nil)))}
	for what, err := range map[string]error{"Assign": localView{n}.Assign(t.Context(), "a", spec), "Submit": func() error {
		_, err := gatewayTasks{n.coordinator, n}.Submit(t.Context(), spec, "")
		return err
	}()} {
		if core.KindOf(err) != core.Invalid || !strings.Contains(err.Error(), "names object") {
			t.Errorf("%s = %v", what, err)
		}
	}
}
