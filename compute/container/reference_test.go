package container_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

// TestReferences: a standard input and files may be objects, an image may not; with
// the bytes in place the task is one that decodes, and without them it says so.
func TestReferences(t *testing.T) {
	id := core.ObjectOf([]byte("some words"))
	image := "tools/wc@sha256:" + strings.Repeat("ab", 32)
	data := json.RawMessage(fmt.Sprintf(`{"image":%q,"stdin":{"object":%q},"files":{"a":{"object":%q},"b":"eA=="}}`, image, id, id))
	var p container.Planner
	refs, err := p.References(data)
	if err != nil || len(refs) != 2 || refs[0].Field != "data.stdin" || refs[1].Field != `data.files["a"]` {
		t.Fatalf("references %+v, %v", refs, err)
	}
	if _, err := container.Decode(data); core.KindOf(err) != core.Invalid || !strings.Contains(err.Error(), "names object") {
		t.Errorf("without the bytes: %v", err)
	}
	whole, err := compute.Resolve(data, refs, func(core.ObjectID) ([]byte, error) { return []byte("some words"), nil })
	if err != nil {
		t.Fatal(err)
	}
	task, err := container.Decode(whole)
	if err != nil || string(task.Stdin) != "some words" || string(task.Files["a"]) != "some words" || string(task.Files["b"]) != "x" {
		t.Errorf("with the bytes: %+v, %v", task, err)
	}
	if refs, err := p.References(json.RawMessage(fmt.Sprintf(`{"image":{"object":%q}}`, id))); err != nil || len(refs) != 0 {
		t.Errorf("an image that is an object: %+v, %v", refs, err)
	}
}
