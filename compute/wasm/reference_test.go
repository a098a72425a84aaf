package wasm_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

var empty = core.ObjectOf([]byte("\x00asm\x01\x00\x00\x00"))

func object() string { return fmt.Sprintf(`{"object":%q}`, empty) }

// TestReferences: a module, a standard input and files may be objects, and nothing
// else may; data that still names one is refused by whoever plans or runs it.
func TestReferences(t *testing.T) {
	for name, c := range map[string]struct {
		data   string
		fields string // that name an object
		field  string // that is wrong
	}{
		"none":              {`{"module":"AGFzbQEAAAA="}`, "", ""},
		"all":               {`{"files":{"a":` + object() + `,"b":"","c/d":` + object() + `},"stdin":` + object() + `,"module":` + object() + `}`, `data.files["a"] data.files["c/d"] data.stdin data.module`, ""},
		"with holes":        {`{"module": ` + object() + ` ,"stdin":{"$item":true},"args":[{"$item":true,"path":"/object"}]}`, "data.module", ""},
		"JSON as input":     {`{"module":"AGFzbQEAAAA=","input":` + object() + `}`, "", ""},
		"an argument":       {`{"module":"AGFzbQEAAAA=","args":["object",` + object() + `]}`, "", ""},
		"not of a size":     {`{"module":{"object":"abc"}}`, "", "data.module"},
		"a key that is one": {`{"module":"AGFzbQEAAAA=","env":{"object":"x"}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			refs, err := wasm.Planner{}.References(json.RawMessage(c.data))
			var e *core.Error
			if err != nil {
				e = err.(*core.Error)
			}
			if (e != nil) != (c.field != "") || e != nil && (e.Op != c.field || e.Kind != core.Invalid) {
				t.Fatalf("error %v, want one of %q", err, c.field)
			}
			var fields []string
			for _, r := range refs {
				fields = append(fields, r.Field)
			}
			if strings.Join(fields, " ") != c.fields {
				t.Errorf("references %q, want %q", fields, c.fields)
			}
			if len(refs) == 0 {
				return
			}
			if _, err := (wasm.Planner{}).Check(json.RawMessage(c.data)); core.KindOf(err) != core.Invalid || !strings.Contains(err.Error(), "names object") {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// FuzzReferences: of any JSON the references lie in it, in order, and with bytes in
// their place it is JSON that names no object.
func FuzzReferences(f *testing.F) {
	f.Add([]byte(`{"files":{"a":` + object() + `},"stdin":` + object() + `,"module":` + object() + `}`))
	f.Add([]byte(`{"module":{"object":"abc"}}`))
	f.Add([]byte(`[{"object":1}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole json.RawMessage
		if wire.DecodeStrict(data, &whole) != nil {
			return
		}
		refs, err := wasm.Planner{}.References(data)
		if err != nil {
			if core.KindOf(err) != core.Invalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		out, err := compute.Resolve(data, refs, func(core.ObjectID) ([]byte, error) { return []byte("\x00asm\x01\x00\x00\x00"), nil })
		if err != nil || !json.Valid(out) {
			t.Fatalf("%q becomes %q, %v", data, out, err)
		}
		if left, err := (wasm.Planner{}).References(out); err != nil || len(left) > 0 {
			t.Fatalf("%q has %d references left, %v", out, len(left), err)
		}
	})
}
