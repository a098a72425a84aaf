package vsa

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// typeOf tells a program from an evolution.
func typeOf(data string) core.TaskType {
	if strings.Contains(data, "exemplars") {
		return EvolutionType
	}
	return Type
}

// TestGuide runs every example of docs/vsa.md, and wants every operation in it.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/vsa.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)\n```\n\ngives\n\n```json\n(.*?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		if got := run(t, typeOf(b[1]), json.RawMessage(b[1])); string(got.Result) != b[2] {
			t.Errorf("%s\ngives %s", b[1], got.Result)
		}
	}
	refused := regexp.MustCompile("(?m)^\\| `({\"kind\".*?)` \\| `(data.*?)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(refused) < 15 {
		t.Errorf("%d refusals", len(refused))
	}
	for _, r := range refused {
		_, err := engineOf(typeOf(r[1])).Check(json.RawMessage(r[1]))
		if !errors.Is(err, core.Invalid) || opOf(err) != r[2] {
			t.Errorf("%s: %v, want %s", r[1], err, r[2])
		}
	}
	for _, name := range Operations() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("operation %s is missing", name)
		}
	}
}

// opOf returns where an error says it is.
func opOf(err error) string {
	var e *core.Error
	if errors.As(err, &e) {
		return e.Op
	}
	return ""
}

// TestMisspelt: a field that is none is named, and the one that was meant.
func TestMisspelt(t *testing.T) {
	for data, hint := range map[string]string{
		`{"kind":"binary","dimensions":8,"steps":[]}`:                                         "dimension",
		`{"kind":"binary","dimension":8,"steps":[{"op":"bind","of":["a"],"as":"b","bye":1}]}`: "by",
		`{"kind":"binary","dimension":8,"exemplars":[{"sed":"1"}]}`:                           "seed",
	} {
		_, err := engineOf(typeOf(data)).Check(json.RawMessage(data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || !strings.HasPrefix(e.Op, "data.") || !strings.Contains(e.Hint, "nearest field is "+hint) {
			t.Errorf("%s: %v (hint %q)", data, err, e.Hint)
		}
	}
}
