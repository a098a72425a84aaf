package mapper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/vsa"
	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mapperOf(t testing.TB) *Mapper {
	t.Helper()
	m, err := New(map[core.TaskType]compute.Planner{vector.Type: vector.New(), vsa.Type: vsa.Programs{}, vsa.EvolutionType: vsa.Evolution{}, "other": vector.New()},
		map[core.TaskType]compute.Executor{vector.Type: vector.New(), vsa.Type: vsa.Programs{}, vsa.EvolutionType: vsa.Evolution{}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, m *Mapper, data string) compute.Output {
	t.Helper()
	out, err := m.Run(t.Context(), json.RawMessage(data), compute.Report{})
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return out
}

// squares is a task over what over says.
func squares(over, rest string) string {
	return `{"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["square","sum"]}},"over":` + over + rest + `}`
}

// TestResults: what can be mapped over, and what comes of it.
func TestResults(t *testing.T) {
	m := mapperOf(t)
	both := `{"task":{"type":"compute","data":{"input":[{"$item":true,"path":"%s"},{"$item":true,"path":"%s"},{"$index":true}],"operations":["sum"]}},"over":%s}`
	for name, c := range map[string]struct{ data, want string }{
		"a list":                {squares(`{"list":[1, 2,3]}`, ""), `[1,4,9]`},
		"a list, named":         {squares(`{"list":[1,2,3]}`, `,"combine":"list"`), `[1,4,9]`},
		"reduced":               {squares(`{"list":[1,2,3]}`, `,"combine":{"reduce":["sum","sqrt"]}`), `3.7416573867739413`},
		"a part of it":          {squares(`{"list":[1,2,3]}`, `,"from":4,"partial":true,"combine":{"reduce":["sum"]}`), `[1,4,9]`},
		"several of a list":     {`{"task":{"type":"compute","data":{"input":{"$item":true},"operations":["sum"]}},"over":{"list":[1,2,3,4,5],"per":2}}`, `[3,7,5]`},
		"rows":                  {fmt.Sprintf(both, "/0", "/1", `{"csv":"1,2\n3,4\n"}`), `[3,8]`},
		"rows with names":       {fmt.Sprintf(both, "/x", "/y", `{"csv":"x,y\n1,2\n3,4\n5,6","header":true}`), `[3,8,13]`},
		"several rows":          {fmt.Sprintf(both, "/0/x", "/1/y", `{"csv":"x,y\n1,2\n3,4\n","header":true,"per":2}`), `[5]`},
		"lines":                 {`{"task":{"type":"vsa","data":{"kind":"binary","dimension":8,"vectors":[{"name":"a","symbol":{"$item":true}},{"name":"b","symbol":"b"}],"steps":[{"op":"similarity","of":["a","b"],"as":"s"}]}},"over":{"lines":"a\nb\nc"}}`, `[{"s":-0.25},{"s":1},{"s":-0.5}]`},
		"nothing of the item":   {`{"task":{"type":"compute","data":{"input":[1],"operations":["sum"]}},"over":{"list":[{},null]}}`, `[1,1]`},
		"numbers as they stand": {`{"task":{"type":"compute","data":{"input":[{"$item":true,"path":"/0"}],"operations":["sum"]}},"over":{"csv":"1e2\n-0.50\n9007199254740993"}}`, `[100,-0.5,9007199254740993]`},
	} {
		data := json.RawMessage(c.data)
		out := run(t, m, c.data)
		if string(out.Result) != c.want || out.Metric != 1 {
			t.Errorf("%s: %s, want %s", name, out.Result, c.want)
		}
		if err := compute.Judge(m, data, out.Result, out.Metric); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if cost, err := m.Check(data); err != nil || cost.Units <= 0 {
			t.Errorf("%s: %+v, %v", name, cost, err)
		}
	}
}

// TestItems: how texts and tables become items.
func TestItems(t *testing.T) {
	for over, want := range map[string]string{
		`{"lines":"a\n\nb\n"}`:                                       `["a","","b"]`,
		`{"lines":"a\nb\nc","per":2}`:                                `["a\nb\n","c"]`,
		`{"lines":"a\nb\n","per":2}`:                                 `["a\nb\n"]`,
		`{"lines":"a\nb\n","base64":true}`:                           `["YQ==","Yg=="]`,
		`{"lines":"<&>\u2028\"\n"}`:                                  `["<&>\u2028\""]`,
		`{"csv":"a,1,\"x,\"\"y\"\"\",1.5e3,01,+1,,0x1,NaN\n"}`:       `[["a",1,"x,\"y\"",1.5e3,"01","+1","","0x1","NaN"]]`,
		`{"csv":"name,n\nAda,1\nBob,2\n","header":true}`:             `[{"name":"Ada","n":1},{"name":"Bob","n":2}]`,
		`{"csv":"1\n2\n3\n","per":2}`:                                `[[[1],[2]],[[3]]]`,
		`{"list":[ 1 , [2, 3], {"a":"]"} ]}`:                         `[1,[2, 3],{"a":"]"}]`,
		`{"list":[1,2,3],"per":5}`:                                   `[[1,2,3]]`,
		`{"csv":"1\n2\n3\n","per":1}`:                                `[[[1]],[[2]],[[3]]]`,
		`{"lines":"one line per item, its line feed stays","per":1}`: `["one line per item, its line feed stays"]`,
	} {
		var o overData
		if err := json.Unmarshal([]byte(over), &o); err != nil {
			t.Fatal(err)
		}
		items, err := o.items()
		if got := string(listOf(items)); err != nil || got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s, %v; want %s", over, got, err, want)
		}
	}
}

// TestSplitEqualsAlone: however the items are shared out, the bytes are the same.
func TestSplitEqualsAlone(t *testing.T) {
	m := mapperOf(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "items")
		numbers := make([]string, n)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for i := range numbers {
			numbers[i] = fmt.Sprint(r.IntN(1000))
		}
		combine := rapid.SampledFrom([]string{"", `,"combine":{"reduce":["sum"]}`, `,"combine":{"reduce":["median"]}`}).Draw(t, "combine")
		over := rapid.SampledFrom([]string{`{"list":[` + strings.Join(numbers, ",") + `]}`, `{"csv":"` + strings.Join(numbers, `\n`) + `"}`}).Draw(t, "over")
		data := json.RawMessage(squares(over, combine))
		if strings.Contains(over, "csv") {
			data = json.RawMessage(strings.Replace(string(data), `[{"$item":true}]`, `{"$item":true}`, 1))
		}
		whole, err := m.Run(context.Background(), data, compute.Report{})
		if err != nil {
			t.Fatal(err)
		}
		shards := rapid.IntRange(1, n).Draw(t, "shards")
		parts, err := m.Split(data, shards)
		if err != nil || len(parts) != shards {
			t.Fatalf("%d parts, %v", len(parts), err)
		}
		results := make([]json.RawMessage, shards)
		for i, part := range parts {
			out, err := m.Run(context.Background(), part, compute.Report{})
			if err != nil {
				t.Fatal(err)
			}
			if err := compute.Judge(m, part, out.Result, out.Metric); err != nil {
				t.Fatal(err)
			}
			results[i] = out.Result
		}
		merged, err := m.Merge(data, results)
		if err != nil || string(merged) != string(whole.Result) {
			t.Fatalf("in %d parts %s, alone %s, %v", shards, merged, whole.Result, err)
		}
	})
}

// TestMetric: of mapped evolutions the proof carries the least fitness.
//
// spec 4.56
func TestMetric(t *testing.T) {
	m := mapperOf(t)
	data := `{"task":{"type":"vsa_evolution","data":{"kind":"binary","dimension":100,"seed":"1","exemplars":{"$item":true},"population":4,"generations":5}},
		"over":{"list":[[{"seed":"1"}],[{"seed":"1"},{"seed":"2"}],[{"seed":"1"},{"seed":"2"},{"seed":"3"}]]}}`
	out := run(t, m, data)
	if out.Metric <= 0.5 || out.Metric >= 0.9 || strings.Count(string(out.Result), `"fitness":1,`) != 1 {
		t.Errorf("metric %v of %s", out.Metric, out.Result)
	}
	if err := compute.Judge(m, json.RawMessage(data), out.Result, out.Metric); err != nil {
		t.Error(err)
	}
	if err := compute.Judge(m, json.RawMessage(data), out.Result, 1); !errors.Is(err, core.Corrupt) {
		t.Errorf("the best instead: %v", err)
	}
}

// TestLies: a result that is not a list of possible results is refused, and of a
// small task that is reduced any that is wrong.
func TestLies(t *testing.T) {
	m := mapperOf(t)
	list, reduced := json.RawMessage(squares(`{"list":[1,2,3]}`, "")), json.RawMessage(squares(`{"list":[1,2,3]}`, `,"combine":{"reduce":["sum"]}`))
	for _, lie := range []string{``, `5`, `[]`, `[1,4]`, `[1,4,9,16]`, `[1, 4,9]`, `[1,4,9] `, `[1,4,"9"]`, `[1,4,[9]]`, `[1,4,9`, `{"0":1}`, `null`} {
		if err := m.Validate(list, json.RawMessage(lie)); !errors.Is(err, core.Corrupt) {
			t.Errorf("list %q: %v", lie, err)
		}
		if _, err := m.Merge(list, []json.RawMessage{json.RawMessage(lie)}); !errors.Is(err, core.Corrupt) {
			t.Errorf("merging %q: %v", lie, err)
		}
		if _, err := m.Merge(list, []json.RawMessage{json.RawMessage(`[1]`), json.RawMessage(lie)}); !errors.Is(err, core.Corrupt) && lie != "[1,4]" {
			t.Errorf("merging a part %q: %v", lie, err)
		}
		if err := m.Validate(reduced, json.RawMessage(lie)); !errors.Is(err, core.Corrupt) {
			t.Errorf("reduced %q: %v", lie, err)
		}
	}
	if err := m.Validate(reduced, json.RawMessage(`14`)); err != nil {
		t.Error(err)
	}
	big := json.RawMessage(squares(`{"list":[1`+strings.Repeat(",1", 500)+`]}`, `,"combine":{"reduce":["sum"]}`))
	if err := m.Validate(big, json.RawMessage(`7`)); err != nil {
		t.Errorf("of a big one only the form is judged: %v", err)
	}
}

// TestFailures: an item that fails ends the task and is named.
func TestFailures(t *testing.T) {
	m := mapperOf(t)
	for name, c := range map[string]struct {
		data, want string
		reason     core.Reason
	}{
		"an overflow":            {squares(`{"list":[1,1e308]}`, `,"from":10`), "item 11: square: element 0", core.ReasonOverflow},
		"a domain":               {`{"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["sqrt","log"]}},"over":{"list":[4,0]}}`, "item 1: log: element 0", core.ReasonInvalidInput},
		"no such field":          {`{"task":{"type":"compute","data":{"input":[{"$item":true,"path":"/x"}],"operations":["sum"]}},"over":{"list":[{"x":1},{}]}}`, `item 1: element 1: path "/x"`, core.ReasonInvalidInput},
		"not to be reduced":      {`{"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["square"]}},"over":{"list":[1]},"combine":{"reduce":["sum"]}}`, "reducing the results", core.ReasonInvalidInput},
		"a reduce that is large": {squares(`{"list":[3000000000,3000000000]}`, `,"combine":{"reduce":["sum"]}`), "", core.ReasonOverflow},
	} {
		_, err := m.Run(t.Context(), json.RawMessage(c.data), compute.Report{})
		var f *core.Failure
		if !errors.As(err, &f) || f.Reason != c.reason || !strings.Contains(f.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := m.Run(ctx, json.RawMessage(squares(`{"list":[1,2,3]}`, "")), compute.Report{OnProgress: func(float64) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := New(map[core.TaskType]compute.Planner{}, nil); !errors.Is(err, core.Internal) {
		t.Errorf("without an engine: %v", err)
	}
}

// TestGuide runs the examples of docs/map.md, and refuses what it says is refused.
func TestGuide(t *testing.T) {
	m := mapperOf(t)
	text, err := os.ReadFile("../../docs/map.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```json\n(.*?)\n```\n\ngives\n\n```json\n(.*?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, x := range examples {
		if out := run(t, m, x[1]); string(out.Result) != x[2] {
			t.Errorf("%s\ngives %s", x[1], out.Result)
		}
	}
	refused := regexp.MustCompile("(?m)^\\| `({\"task\".*?)` \\| `(data.*?)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(refused) < 8 {
		t.Errorf("%d refusals", len(refused))
	}
	for _, r := range refused {
		_, err := m.Check(json.RawMessage(r[1]))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != r[2] {
			t.Errorf("%s: %v, want %s", r[1], err, r[2])
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range []string{squares(`{"list":[1,2,3]}`, `,"combine":{"reduce":["sum"]}`), squares(`{"lines":"a\nb","per":2,"base64":true}`, ""),
		squares(`{"csv":"a,b\n1,2","header":true}`, `,"from":3,"partial":true`)} {
		f.Add([]byte(data))
	}
	m := mapperOf(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		cost, err := m.Check(data)
		if err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if !json.Valid(data) || cost.MaxShards < 1 || cost.Units > MaxUnits {
			t.Fatalf("%q is taken: %+v", data, cost)
		}
		if cost.Units > 1e7 {
			return
		}
		out, err := m.Run(context.Background(), data, compute.Report{})
		var failure *core.Failure
		if errors.As(err, &failure) {
			return
		}
		if err != nil {
			t.Fatalf("%q was taken, then %v", data, err)
		}
		if err := compute.Judge(m, data, out.Result, out.Metric); err != nil {
			t.Fatalf("%q gives %q, then %v", data, out.Result, err)
		}
		parts, err := m.Split(data, min(cost.MaxShards, 3))
		if err != nil {
			t.Fatalf("%q is not split: %v", data, err)
		}
		for _, part := range parts {
			if _, err := m.Check(part); err != nil {
				t.Fatalf("part %q: %v", part, err)
			}
		}
	})
}

func FuzzResult(f *testing.F) {
	data := json.RawMessage(squares(`{"list":[1,2,3]}`, ""))
	m := mapperOf(f)
	f.Add([]byte(`[1,4,9]`))
	f.Fuzz(func(t *testing.T, result []byte) {
		err := m.Validate(data, result)
		if err != nil && !errors.Is(err, core.Corrupt) {
			t.Fatalf("kind of %v", err)
		}
		if err == nil && !json.Valid(result) {
			t.Fatalf("accepted %q", result)
		}
	})
}
