package workflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/wire"
)

func object(content string) string {
	return fmt.Sprintf(`{"object":%q}`, core.ObjectOf([]byte(content)))
}

func withPrograms() workflow.Planner {
	return workflow.Planner{Tasks: map[core.TaskType]compute.Planner{vector.Type: vector.New(), wasm.Type: wasm.Planner{}}}
}

// TestReferences: the list of a map and the parts of a step's program may be objects.
func TestReferences(t *testing.T) {
	const code, list = "\x00asm\x01\x00\x00\x00", "[1,2]"
	data := graph(sum(`"id":"a","map":{"over":`+object(list)+`}`),
		`{"id":"b","task":{"data":{"stdin":{"$from":"a"},"module":`+object(code)+`},"type":"wasm"},"map":{"over":`+object(list)+`}}`)
	want := graph(sum(`"id":"a","map":{"over":[1,2]}`),
		`{"id":"b","task":{"data":{"stdin":{"$from":"a"},"module":"AGFzbQEAAAA="},"type":"wasm"},"map":{"over":[1,2]}}`)
	p := withPrograms()
	refs, err := p.References(json.RawMessage(data))
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, r := range refs {
		fields = append(fields, r.Field)
	}
	if got := strings.Join(fields, " "); got != "data.steps[0].map.over data.steps[1].task.data.module data.steps[1].map.over" {
		t.Errorf("references %s", got)
	}
	out, err := compute.Resolve(json.RawMessage(data), refs, func(id core.ObjectID) ([]byte, error) {
		if id == core.ObjectOf([]byte(code)) {
			return []byte(code), nil
		}
		return []byte(list), nil
	})
	if err != nil || string(out) != want {
		t.Errorf("%s, %v, want\n%s", out, err, want)
	}
	if _, err := p.Check(out); err != nil {
		t.Errorf("Check of what came of it: %v", err)
	}
	if _, err := p.Check(json.RawMessage(data)); core.KindOf(err) != core.Invalid || !strings.Contains(err.Error(), "names object") {
		t.Errorf("Check of what names objects: %v", err)
	}
}

// TestBadReference: the error has the place in the graph.
func TestBadReference(t *testing.T) {
	_, err := withPrograms().References(json.RawMessage(graph(sum(`"id":"a"`), `{"id":"b","task":{"type":"wasm","data":{"module":{"object":"x"}}}}`)))
	if e, ok := err.(*core.Error); !ok || e.Kind != core.Invalid || e.Op != "data.steps[1].task.data.module" {
		t.Errorf("error %v", err)
	}
}

// FuzzReferences: of any JSON the references lie in it, in order, and with JSON in
// their place it is JSON.
func FuzzReferences(f *testing.F) {
	f.Add([]byte(graph(sum(`"id":"a","map":{"over":` + object("x") + `}`))))
	f.Add([]byte(`{"steps":{"a":{"task":{"type":"wasm","data":{"module":` + object("x") + `}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole json.RawMessage
		if wire.DecodeStrict(data, &whole) != nil {
			return
		}
		refs, err := withPrograms().References(data)
		if err != nil {
			if core.KindOf(err) != core.Invalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		out, err := compute.Resolve(data, refs, func(core.ObjectID) ([]byte, error) { return []byte("7"), nil })
		if err != nil || !json.Valid(out) {
			t.Fatalf("%q becomes %q, %v", data, out, err)
		}
	})
}
