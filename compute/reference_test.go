package compute

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tenzro/tenzro/core"
)

// objects is a set of objects by their content.
type objects map[core.ObjectID]string

func objectsOf(contents ...string) objects {
	all := objects{}
	for _, c := range contents {
		all[core.ObjectOf([]byte(c))] = c
	}
	return all
}

func (o objects) open(id core.ObjectID) ([]byte, error) {
	c, known := o[id]
	if !known {
		return nil, core.Errorf(core.NotFound, "object", "object %s is not known", id)
	}
	return []byte(c), nil
}

func reference(content string) string {
	return `{"object":"` + core.ObjectOf([]byte(content)).String() + `"}`
}

// refsIn makes references of the values of the object data, in the form given by
// their names.
func refsIn(t *testing.T, data string) ([]Reference, error) {
	t.Helper()
	var refs []Reference
	for _, name := range []string{"base64", "text", "json"} {
		key := `"` + name + `":`
		begin := strings.Index(data, key)
		if begin < 0 {
			continue
		}
		begin += len(key)
		begin += len(data[begin:]) - len(strings.TrimLeft(data[begin:], " "))
		dec := json.NewDecoder(strings.NewReader(data[begin:]))
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		var err error
		form := map[string]Form{"base64": AsBase64, "text": AsText, "json": AsJSON}[name]
		if refs, err = ReferenceAt(refs, json.RawMessage(data), begin, begin+len(v), form, "data."+name); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// TestResolve: bytes take the place of references in the form the place has, and what
// is no reference stays.
func TestResolve(t *testing.T) {
	x := reference("x")
	for name, c := range map[string]struct {
		objects objects
		data    string
		want    string
		kind    core.Kind
		field   string
	}{
		"no reference":             {nil, `{"base64":"eA==","text":{"$item":true}}`, `{"base64":"eA==","text":{"$item":true}}`, 0, ""},
		"a word that is none":      {nil, `{"text":"object","json":{"$from":"object"}}`, `{"text":"object","json":{"$from":"object"}}`, 0, ""},
		"base64":                   {objectsOf("\x00\xff"), `{"base64":` + reference("\x00\xff") + `}`, `{"base64":"AP8="}`, 0, ""},
		"nothing as base64":        {objectsOf(""), `{"base64":` + reference("") + `}`, `{"base64":""}`, 0, ""},
		"text":                     {objectsOf("a\n\"<ä\x00"), `{"text":` + reference("a\n\"<ä\x00") + `}`, "{\"text\":\"a\\n\\\"<ä\\u0000\"}", 0, ""},
		"every control character":  {objectsOf("\t\r\x01\x1f\\/\x7f\u2028"), `{"text":` + reference("\t\r\x01\x1f\\/\x7f\u2028") + `}`, "{\"text\":\"\\u0009\\u000d\\u0001\\u001f\\\\/\x7f\u2028\"}", 0, ""},
		"zeros six times as long":  {objectsOf(strings.Repeat("\x00", 2<<20)), `{"text":` + reference(strings.Repeat("\x00", 2<<20)) + `}`, "", core.Exhausted, "data"},
		"text that is none":        {objectsOf("\xff"), `{"text":` + reference("\xff") + `}`, "", core.Invalid, "data.text"},
		"JSON":                     {objectsOf(" [1, 2]\n"), `{"json":` + reference(" [1, 2]\n") + `}`, `{"json":[1, 2]}`, 0, ""},
		"two values":               {objectsOf("1,2"), `{"json":` + reference("1,2") + `}`, "", core.Invalid, "data.json"},
		"a key twice":              {objectsOf(`{"a":1,"a":2}`), `{"json":` + reference(`{"a":1,"a":2}`) + `}`, "", core.Invalid, "data.json"},
		"too deep together":        {objectsOf(strings.Repeat("[", 32) + strings.Repeat("]", 32)), `{"json":` + reference(strings.Repeat("[", 32)+strings.Repeat("]", 32)) + `}`, "", core.Invalid, "data"},
		"several, one twice":       {objectsOf("x", "y"), `{"base64":` + x + `, "text":` + x + `,"more":1}`, `{"base64":"eA==", "text":"x","more":1}`, 0, ""},
		"white space inside":       {objectsOf("x"), `{"text": {  "object" : "` + core.ObjectOf([]byte("x")).String() + `" } }`, `{"text": "x" }`, 0, ""},
		"unknown":                  {nil, `{"base64":` + x + `}`, "", core.NotFound, "object"},
		"no id":                    {nil, `{"base64":{"object":"../x"}}`, "", core.Invalid, "data.base64"},
		"upper case":               {nil, `{"base64":` + strings.ToUpper(x[:10]) + x[10:] + `}`, `{"base64":` + strings.ToUpper(x[:10]) + x[10:] + `}`, 0, ""},
		"an id in upper case":      {nil, `{"base64":{"object":"` + strings.ToUpper(core.ObjectOf([]byte("x")).String()) + `"}}`, "", core.Invalid, "data.base64"},
		"more than an id":          {objectsOf("x"), `{"base64":{"object":"` + core.ObjectOf([]byte("x")).String() + `","path":"/a"}}`, "", core.Invalid, "data.base64"},
		"a number":                 {nil, `{"base64":{"object":7}}`, "", core.Invalid, "data.base64"},
		"a reference in another":   {nil, `{"base64":{"x":{"object":7}}}`, `{"base64":{"x":{"object":7}}}`, 0, ""},
		"base64 makes it too long": {objectsOf(strings.Repeat("x", 8<<20)), `{"base64":` + reference(strings.Repeat("x", 8<<20)) + `}`, "", core.Exhausted, "data"},
		"as long as may be":        {objectsOf(strings.Repeat("x", core.MaxTaskBytes-11)), `{"text":` + reference(strings.Repeat("x", core.MaxTaskBytes-11)) + `}`, `{"text":"` + strings.Repeat("x", core.MaxTaskBytes-11) + `"}`, 0, ""},
		"one byte too long":        {objectsOf(strings.Repeat("x", core.MaxTaskBytes-10)), `{"text":` + reference(strings.Repeat("x", core.MaxTaskBytes-10)) + `}`, "", core.Exhausted, "data"},
		"too much behind it":       {objectsOf(strings.Repeat("x", core.MaxTaskBytes-100)), `{"text":` + reference(strings.Repeat("x", core.MaxTaskBytes-100)) + `,"more":"` + strings.Repeat("y", 100) + `"}`, "", core.Exhausted, "data"},
	} {
		t.Run(name, func(t *testing.T) {
			refs, err := refsIn(t, c.data)
			var out json.RawMessage
			if err == nil {
				out, err = Resolve(json.RawMessage(c.data), refs, c.objects.open)
			}
			if c.want != "" {
				if err != nil || string(out) != c.want {
					t.Fatalf("Resolve = %.300s, %v, want %.300s", out, err, c.want)
				}
				return
			}
			e, ok := err.(*core.Error)
			if !ok || e.Kind != c.kind || e.Op != c.field {
				t.Errorf("error %v of kind %v, want %v of %q", err, core.KindOf(err), c.kind, c.field)
			}
		})
	}
}

// TestTooManyReferences: what one task makes a gateway open is bounded.
func TestTooManyReferences(t *testing.T) {
	data := json.RawMessage(reference("x"))
	var refs []Reference
	var err error
	for range MaxReferences {
		if refs, err = ReferenceAt(refs, data, 0, len(data), AsText, "data.x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = ReferenceAt(refs, data, 0, len(data), AsText, "data.x"); core.KindOf(err) != core.Invalid {
		t.Errorf("one more gives %v", err)
	}
}

// FuzzReferenceAt: whatever stands there, what is taken for a reference is one, and
// resolving it gives JSON.
func FuzzReferenceAt(f *testing.F) {
	for _, s := range []string{reference("x"), `{"object":{}}`, `{"object":"` + strings.Repeat("a", 64) + `"}`, `{"$item":true}`, `["object"]`, `{"object":null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) || s[0] != '{' {
			return
		}
		data := json.RawMessage(`[` + s + `]`)
		refs, err := ReferenceAt(nil, data, 1, 1+len(s), AsBase64, "data.x")
		if err != nil || len(refs) == 0 {
			return
		}
		out, err := Resolve(data, refs, func(id core.ObjectID) ([]byte, error) { return id[:], nil })
		id := refs[0].Object
		if want := `["` + base64.StdEncoding.EncodeToString(id[:]) + `"]`; err != nil || string(out) != want {
			t.Errorf("%s gives %s, %v", s, out, err)
		}
	})
}

// FuzzText: any text comes back as it was.
func FuzzText(f *testing.F) {
	f.Add("a\n\"<\\\x00\u2028ä")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		var back string
		if err := json.Unmarshal(appendText(nil, []byte(text)), &back); err != nil || back != text {
			t.Errorf("%q comes back as %q, %v", text, back, err)
		}
	})
}
