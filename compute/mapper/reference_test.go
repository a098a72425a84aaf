package mapper

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// objects is what objects have, by their content's own name.
func object(content string) string {
	return fmt.Sprintf(`{"object":%q}`, core.ObjectOf([]byte(content)))
}

func resolve(t testing.TB, m *Mapper, data string, contents ...string) (string, error) {
	t.Helper()
	refs, err := m.References(json.RawMessage(data))
	if err != nil {
		return "", err
	}
	out, err := compute.Resolve(json.RawMessage(data), refs, func(id core.ObjectID) ([]byte, error) {
		for _, c := range contents {
			if core.ObjectOf([]byte(c)) == id {
				return []byte(c), nil
			}
		}
		return nil, core.Errorf(core.NotFound, "object", "object %s is not known", id)
	})
	return string(out), err
}

// TestReferences: what is mapped over may be an object, in the form its field has, and
// so may the parts of a program.
func TestReferences(t *testing.T) {
	m := programs(t)
	code := "\x00asm\x01\x00\x00\x00"
	for name, c := range map[string]struct {
		data, want string
		objects    []string
		field      string // that is wrong
	}{
		"a list":         {squares(`{"list":`+object("[1,2]")+`}`, ""), squares(`{"list":[1,2]}`, ""), []string{"[1,2]"}, ""},
		"lines":          {squares(`{"lines":`+object("1\n2\n")+`}`, ""), squares(`{"lines":"1\n2\n"}`, ""), []string{"1\n2\n"}, ""},
		"a table":        {squares(`{"csv":`+object("a,b\n1,2\n")+`,"header":true}`, ""), squares(`{"csv":"a,b\n1,2\n","header":true}`, ""), []string{"a,b\n1,2\n"}, ""},
		"a list is none": {squares(`{"list":`+object("[1,")+`}`, ""), "", []string{"[1,"}, "data.over.list"},
		"no text":        {squares(`{"lines":`+object("\xff")+`}`, ""), "", []string{"\xff"}, "data.over.lines"},
		"a program, beside an item": {`{"over":{"list":` + object("[1]") + `},"task":{"data":{"module":` + object(code) + `,"input":{"$item":true}},"type":"wasm"}}`,
			`{"over":{"list":[1]},"task":{"data":{"module":"AGFzbQEAAAA=","input":{"$item":true}},"type":"wasm"}}`, []string{code, "[1]"}, ""},
		"a program without an id":     {`{"task":{"type":"wasm","data":{"module":{"object":7}}},"over":{"list":[1]}}`, "", nil, "data.task.data"},
		"numbers have no references":  {`{"task":{"type":"compute","data":{"input":` + object("x") + `}},"over":{"list":[1]}}`, `{"task":{"type":"compute","data":{"input":` + object("x") + `}},"over":{"list":[1]}}`, nil, ""},
		"an item that looks like one": {squares(`{"list":[`+object("x")+`]}`, ""), squares(`{"list":[`+object("x")+`]}`, ""), nil, ""},
		"no type":                     {`{"task":{"data":{"module":` + object("x") + `}}}`, `{"task":{"data":{"module":` + object("x") + `}}}`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := resolve(t, m, c.data, c.objects...)
			if c.field != "" {
				if e, ok := err.(*core.Error); !ok || e.Op != c.field || e.Kind != core.Invalid {
					t.Errorf("error %v, want one of %s", err, c.field)
				}
				return
			}
			if err != nil || out != c.want {
				t.Errorf("%s, %v, want\n%s", out, err, c.want)
			}
			if len(c.objects) > 0 {
				if _, err := m.Check(json.RawMessage(c.data)); core.KindOf(err) != core.Invalid {
					t.Errorf("Check of what names objects: %v", err)
				}
			}
		})
	}
}

// TestUnresolved: who is given a task that names objects says that it has none.
func TestUnresolved(t *testing.T) {
	m := programs(t)
	for name, data := range map[string]string{
		"lines":     squares(`{"lines":`+object("x")+`}`, ""),
		"a table":   squares(`{"csv":`+object("x")+`}`, ""),
		"a program": `{"task":{"type":"wasm","data":{"module":` + object("x") + `,"stdin":{"$item":true}}},"over":{"list":["eA=="]}}`,
	} {
		if _, err := m.Check(json.RawMessage(data)); core.KindOf(err) != core.Invalid || !strings.Contains(err.Error(), "names object") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReferences: of any JSON the references lie in it, in order, and with JSON in
// their place it is JSON.
func FuzzReferences(f *testing.F) {
	f.Add([]byte(squares(`{"list":`+object("x")+`}`, "")))
	f.Add([]byte(`{"task":{"type":"wasm","data":{"module":` + object("x") + `}},"over":{"csv":` + object("x") + `}}`))
	f.Add([]byte(`{"task":{"type":"wasm","data":7},"over":["object"]}`))
	m := programs(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole json.RawMessage
		if wire.DecodeStrict(data, &whole) != nil {
			return
		}
		refs, err := m.References(data)
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
