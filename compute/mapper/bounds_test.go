package mapper

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestBounds: what would be too much is refused before it runs.
func TestBounds(t *testing.T) {
	m := mapperOf(t)
	long := strings.Repeat("1,", 200_000) + "1"
	for name, data := range map[string]string{
		"too many items":             squares(`{"list":[1`+strings.Repeat(",1", MaxItems)+`]}`, ""),
		"too much of one template":   `{"task":{"type":"compute","data":{"input":[` + long + `,{"$item":true}],"operations":["sum"]}},"over":{"list":[1` + strings.Repeat(",1", 100) + `]}}`,
		"too much work":              `{"task":{"type":"vsa","data":{"kind":"binary","dimension":65536,"vectors":[{"name":"a","seed":"1"}],"steps":[{"op":"search","of":["a"],"codebook":{"seed":"1","count":5000000},"as":"x"}]}},"over":{"list":[1` + strings.Repeat(",1", 100) + `]}}`,
		"a header that multiplies":   squares(`{"csv":"`+strings.Repeat("x", 5<<20)+strings.Repeat(`\n1`, 1_700_000)+`","header":true}`, ""),
		"in groups too":              squares(`{"csv":"`+strings.Repeat("x", 5<<20)+strings.Repeat(`\n1`, 1_700_000)+`","header":true,"per":1000000}`, ""),
		"lines that grow":            squares(`{"lines":"`+strings.Repeat(strings.Repeat("\u2028", 1000)+`\n`, 2000)+`"}`, ""),
		"many paths into an item":    `{"task":{"type":"compute","data":{"input":[1` + strings.Repeat(`,{"$item":true,"path":"/0"}`, 10_000) + `],"operations":["sum"]}},"over":{"list":[[1,"` + strings.Repeat("x", 4<<20) + `"]]}}`,
		"many paths into many items": `{"task":{"type":"compute","data":{"input":[1` + strings.Repeat(`,{"$item":true,"path":"/0"}`, 300) + `],"operations":["sum"]}},"over":{"list":[[1]` + strings.Repeat(`,[1,"`+strings.Repeat("x", 1<<10)+`"]`, 5<<10) + `]}}`,
		"nested deeper than JSON is": `{"task":{"type":"compute","data":{"input":` + strings.Repeat("[", 20) + `{"$item":true}` + strings.Repeat("]", 20) + `,"operations":["sum"]}},"over":{"list":[` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `]}}`,
	} {
		if _, err := m.Check(json.RawMessage(data)); !errors.Is(err, core.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartsCarry: what one part could not carry is refused before it is cut, with
// what to do.
func TestPartsCarry(t *testing.T) {
	m := mapperOf(t)
	fixed := `{"task":{"type":"vsa","data":{"kind":"binary","dimension":8,"vectors":[{"name":"a","symbol":"` + strings.Repeat("x", 6<<20) + `"},{"name":"b","symbol":{"$item":true}}],"steps":[{"op":"similarity","of":["a","b"],"as":"s"}]}},"over":`
	for name, data := range map[string]string{
		"a long template and lines that grow": fixed + `{"lines":"` + strings.Repeat("\u2028", 1_000_000) + `"}}`,
		"a header":                            squares(`{"csv":"`+strings.Repeat("x", 1000)+strings.Repeat(`\n1`, 20_000)+`","header":true}`, ""),
	} {
		_, err := m.Check(json.RawMessage(data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != "data.over" || e.Hint == "" {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

// TestPathsHint: what takes too long to take apart is refused with what to do.
func TestPathsHint(t *testing.T) {
	_, err := mapperOf(t).Check(json.RawMessage(`{"task":{"type":"compute","data":{"input":[1` + strings.Repeat(`,{"$item":true,"path":"/0"}`, 300) + `],"operations":["sum"]}},"over":{"list":[[1,"` + strings.Repeat("x", 5<<20) + `"]]}}`))
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != "data.task.data" || e.Hint == "" || !strings.Contains(err.Error(), "looks through") {
		t.Errorf("%.200v", err)
	}
}

// TestPaddedReference: the white space of a reference is in no item's data.
func TestPaddedReference(t *testing.T) {
	data := strings.Replace(squares(`{"list":[1`+strings.Repeat(",1", 99)+`]}`, ""), `{"$item":true}`, `{"$item":`+strings.Repeat(" ", 1<<20)+`true}`, 1)
	if cost, err := mapperOf(t).Check(json.RawMessage(data)); err != nil || cost.Elements != 100 {
		t.Errorf("%+v, %v", cost, err)
	}
}

// TestJudging: a map whose results would cost too much to judge is refused, with what
// to do; of others the cost is that of what Validate computes again.
func TestJudging(t *testing.T) {
	m := mapperOf(t)
	program := func(over, rest string) json.RawMessage {
		return json.RawMessage(`{"task":{"type":"vsa","data":{"kind":"binary","dimension":65536,"vectors":[{"name":"a","seed":"1"},{"name":"b","symbol":"b"}],
			"steps":[{"op":"bundle","of":["a"` + strings.Repeat(`,"b","a"`, 44) + `],"as":"c"},{"op":"similarity","of":["a","c"],"as":"s"}]}},"over":` + over + rest + `}`)
	}
	one, err := m.Check(program(`{"list":[1]}`, ""))
	if err != nil || one.Judge < 10_000 || one.Judge >= one.Units {
		t.Fatalf("%+v, %v", one, err)
	}
	if two, err := m.Check(program(`{"list":[1,2]}`, "")); err != nil || two.Judge != 2*one.Judge {
		t.Errorf("%+v, %v; one item is %+v", two, err, one)
	}
	_, err = m.Check(program(`{"list":[1`+strings.Repeat(",1", int(MaxJudge/one.Judge))+`]}`, ""))
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != "data" || e.Hint == "" || !strings.Contains(err.Error(), "judge") {
		t.Errorf("%v", err)
	}
	reduced := `,"combine":{"reduce":["sum"]}`
	if cost, err := m.Check(json.RawMessage(squares(`{"list":[1,2]}`, reduced))); err != nil || cost.Judge != cost.Units {
		t.Errorf("a small one that is reduced: %+v, %v", cost, err)
	}
	if cost, err := m.Check(json.RawMessage(squares(`{"list":[1`+strings.Repeat(",1", 500)+`]}`, reduced))); err != nil || cost.Judge != 0 {
		t.Errorf("a bigger one: %+v, %v", cost, err)
	}
}

// TestMisspelt: a field that is none is named, and the one that was meant.
func TestMisspelt(t *testing.T) {
	for data, hint := range map[string]string{
		`{"task":{"type":"compute","date":{}},"over":{"list":[1]}}`:            "data",
		`{"task":{"type":"compute","data":{}},"over":{"line":"a"}}`:            "lines",
		`{"task":{"type":"compute","data":{}},"over":{"list":[1]},"form":1}`:   "from",
		squares(`{"list":[1]}`, `,"combin":"list"`):                            "combine",
		`{"task":{"type":"vsa","data":{"knid":"binary"}},"over":{"list":[1]}}`: "kind",
	} {
		_, err := mapperOf(t).Check(json.RawMessage(data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || !strings.HasPrefix(e.Op, "data.") || !strings.Contains(e.Hint, "nearest field is "+hint) {
			t.Errorf("%s: %v (hint %q)", data, err, e.Hint)
		}
	}
}
