package template

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestElement: values take the place of references in the characters they were
// written in, and nothing else changes.
func TestElement(t *testing.T) {
	for text, want := range map[string]string{
		`5`:                        `5`,
		`{"$item":true}`:           `{"x": [10, 2.50]}`,
		`[{"$index":true} , "$a"]`: `[7 , "$a"]`,
		`{"a":{"$item":true,"path":"/x/1"},"b":[{"$item":true,"path":"/x"}]}`: `{"a":2.50,"b":[[10, 2.50]]}`,
		`{"\u0024item":true}`: `{"\u0024item":true}`,
	} {
		tmpl, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Element([]byte(`{"x": [10, 2.50]}`), 7); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

// TestRefused: what looks like a reference and is none is an error, and so is a
// path that leads nowhere.
func TestRefused(t *testing.T) {
	for _, text := range []string{`{"$item":false}`, `{"$item":true,"$index":true}`, `{"$from":""}`, `{"$from":"a","x":1}`, `{"$index":true,"path":"/0"}`,
		`{"$item":true,"path":"x"}`, `{"$item":true,"path":"/~2"}`, `{"$item":true,"path":"/` + strings.Repeat("a", MaxPath) + `"}`} {
		if _, err := Parse([]byte(text)); !errors.Is(err, core.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	tmpl, err := Parse([]byte(`[{"$item":true,"path":"/b"}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range []string{`{"a":1}`, `[1]`, `5`, `"b"`} {
		if got, err := tmpl.Element([]byte(item), 3); err == nil || !strings.Contains(err.Error(), "element 3") {
			t.Errorf("%s: %s, %v", item, got, err)
		}
	}
}

// TestFill: what is not known stays a hole, sources are named once, and what is put
// together is bounded.
func TestFill(t *testing.T) {
	tmpl, err := Parse([]byte(`[{"$from":"a"},{"$item":true},{"$from":"b"},{"$from":"a","path":"/0"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tmpl.Sources(), " "); got != "a b" {
		t.Errorf("sources %s", got)
	}
	half, err := tmpl.Fill(func(r Reference) ([]byte, bool, error) { return []byte(`[1]`), !r.Local(), nil })
	if err != nil || string(half.Text) != `[[1],{"$item":true},[1],[1]]` || len(half.Holes) != 1 {
		t.Errorf("%s, %v", half.Text, err)
	}
	if whole, err := half.Element([]byte(`"x"`), 0); err != nil || string(whole) != `[[1],"x",[1],[1]]` {
		t.Errorf("%s, %v", whole, err)
	}
	big := make([]byte, core.MaxTaskBytes/2)
	if _, err := tmpl.Fill(func(Reference) ([]byte, bool, error) { return big, true, nil }); !errors.Is(err, core.Exhausted) {
		t.Errorf("too much: %v", err)
	}
}

// TestScan: many paths into a long item are refused, not followed, and what is no
// reference is fixed.
func TestScan(t *testing.T) {
	tmpl, err := Parse([]byte(`[{"$item":true},{"$index":true},{"$from":"a","path":"/0"}` + strings.Repeat(`,{"$item":true,"path":"/0"}`, 300) + `]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := tmpl.Scan(7); got != 300*7 {
		t.Errorf("%d bytes", got)
	}
	item := []byte(`[1,"` + strings.Repeat("x", 5<<20) + `"]`)
	if _, err := tmpl.Element(item, 0); !errors.Is(err, core.Exhausted) {
		t.Errorf("%.100v", err)
	}
	if got := tmpl.Fixed(); got != len("[,,")+300*len(",")+len("]") {
		t.Errorf("%d fixed bytes", got)
	}
	if got := tmpl.Closed().Scan(7); got != 0 {
		t.Errorf("%d bytes without paths into items", got)
	}
}

// TestResolve: elements by their number as it is written, fields however their key
// is spelled, and what follows the first hit is not looked at.
func TestResolve(t *testing.T) {
	for _, c := range []struct{ text, path, want string }{
		{`[10,11,12]`, "/2", `12`},
		{`[10,11,12]`, "/02", ""},
		{`[10,11,12]`, "/-1", ""},
		{`[10,11,12]`, "/+1", ""},
		{`[10,11,12]`, "/3", ""},
		{`[10,11,12]`, "/99999999999999999999", ""},
		{`{"a":1,"ab":2,"":3}`, "/ab", `2`},
		{`{"a":1,"ab":2,"":3}`, "/", `3`},
		{`{"\u0061b":2}`, "/ab", `2`},
		{`{"a\u0062":2}`, "/ab", `2`},
		{`{"a\u0062c":2,"\n":3,"a\n":4}`, "/ab", ""},
		{`{"\ud83d\ude00":2}`, "/😀", `2`},
		{`{"a/b":{"c~":[5]}}`, "/a~1b/c~0/0", `5`},
		{`{"0":7}`, "/0", `7`},
		{`[1,` + "\x00", "/0", `1`},
	} {
		got, err := Resolve([]byte(c.text), c.path)
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s of %s: %q, %v", c.path, c.text, got, err)
		}
	}
}

// TestElements counts beyond what it keeps.
func TestElements(t *testing.T) {
	list, n, ok := Elements([]byte(` [1, "a]" ,{"b":[2]}]`), 2)
	if !ok || n != 3 || len(list) != 2 || string(list[1]) != `"a]"` {
		t.Errorf("%s, %d, %v", list, n, ok)
	}
	for _, text := range []string{``, `5`, `{"a":1}`, `"[1]"`} {
		if _, _, ok := Elements([]byte(text), 2); ok {
			t.Errorf("%q is taken for a list", text)
		}
	}
}

// FuzzElement: what is strict JSON before is strict JSON after, or an error.
func FuzzElement(f *testing.F) {
	f.Add([]byte(`{"a":[{"$item":true,"path":"/x"},{"$index":true}]}`), []byte(`{"x":"\u0000"}`))
	f.Add([]byte(`[{"$from":"s"}]`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, text, item []byte) {
		var a, b, out json.RawMessage
		if wire.DecodeStrict(text, &a) != nil || wire.DecodeStrict(item, &b) != nil {
			return
		}
		tmpl, err := Parse(text)
		if err != nil || len(tmpl.Sources()) > 0 {
			return
		}
		got, err := tmpl.Element(item, 0)
		if err == nil && !json.Valid(got) {
			t.Fatalf("%q with %q gives %q", text, item, got)
		}
		if err == nil && len(tmpl.Holes) == 0 && wire.DecodeStrict(got, &out) != nil {
			t.Fatalf("%q without references gives %q", text, got)
		}
	})
}

// TestTaskAt: the type and the place of the data, wherever they stand; what is no task
// has neither.
func TestTaskAt(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"vsa","data":{"a":1}}`:                  `vsa {"a":1}`,
		` {"data" : [2] ,"limits":{},"type": "w\u0061"}`: `wa [2]`,
		`{"type":7}`: ` `,
		`[1]`:        ` `,
	} {
		kind, begin, end := TaskAt([]byte(text), 0)
		if got := string(kind) + " " + text[begin:end]; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
