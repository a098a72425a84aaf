package mapper

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// echo stands for running programs: what one gets (words as in JSON) it writes out,
// and it exits with 1 if its environment asks for that.
type echo struct{ wasm.Planner }

func (echo) Run(_ context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	t, err := wasm.Decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	r := wasm.Result{Stdout: t.Stdin, Stderr: []byte("sorry"), Fuel: 1}
	for _, word := range t.Args {
		r.Stdout = append(r.Stdout, word...)
	}
	if fail, asked := t.Env["FAIL"]; asked && fail == string(t.Stdin) {
		r.ExitCode = 1
	}
	report.Output(core.Stdout, r.Stdout)
	report.Output(core.Stderr, r.Stderr)
	raw, err := r.Encode()
	return compute.Output{Result: raw, Metric: 1}, err
}

func programs(t testing.TB) *Mapper {
	t.Helper()
	m, err := New(map[core.TaskType]compute.Planner{vector.Type: vector.New(), wasm.Type: echo{}},
		map[core.TaskType]compute.Executor{vector.Type: vector.New(), wasm.Type: echo{}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// module is one of so many bytes; nobody who plans looks behind its header.
func module(size int) string {
	return base64.StdEncoding.EncodeToString(append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, size)...))
}

// echoes is a program of some KiB over what over says.
func echoes(data, over, rest string) string {
	return `{"task":{"type":"wasm","data":{"module":"` + module(8<<10) + `","limits":{"fuel":3000},` + data + `}},"over":` + over + rest + `}`
}

// TestPrograms: an item goes into the arguments, the input and the environment of a
// program, and the outputs of all are one input of the next.
func TestPrograms(t *testing.T) {
	m := programs(t)
	for name, c := range map[string]struct{ data, over, want string }{
		"words":      {`"args":[{"$item":true},{"$index":true}]`, `{"list":["a",7,-1.50]}`, `"a"0` + `71` + `-1.502`},
		"input":      {`"input":{"$item":true}`, `{"list":[[1, 2],{"a":"b"},"c"]}`, `[1, 2]{"a":"b"}"c"`},
		"rows":       {`"input":{"$item":true}`, `{"csv":"a,b\n1,x\n2,y","header":true}`, `{"a":1,"b":"x"}{"a":2,"b":"y"}`},
		"lines":      {`"stdin":{"$item":true}`, `{"lines":"a b\nc\nd","per":2,"base64":true}`, "a b\nc\nd"},
		"parts of":   {`"env":{"X":{"$item":true,"path":"/1"}},"args":[{"$item":true,"path":"/0"}]`, `{"list":[[1,"a"],[2,"b"]]}`, `12`},
		"no outputs": {`"env":{"X":{"$item":true}}`, `{"list":["a"]}`, ``},
	} {
		data := echoes(c.data, c.over, `,"combine":"concat"`)
		out := run(t, m, data)
		var got []byte
		if err := json.Unmarshal(out.Result, &got); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if err := compute.Judge(m, json.RawMessage(data), out.Result, out.Metric); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sharedOut(t, m, data, string(out.Result))
	}
}

// sharedOut wants the same bytes in any number of parts.
func sharedOut(t *testing.T, m *Mapper, data, want string) {
	t.Helper()
	cost, err := m.Check(json.RawMessage(data))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= cost.MaxShards; n++ {
		parts, err := m.Split(json.RawMessage(data), n)
		if err != nil {
			t.Fatal(err)
		}
		var partials []json.RawMessage
		for _, part := range parts {
			if strings.Count(string(part), "AGFzbQ") != 1 {
				t.Errorf("a part has the module more than once")
			}
			out := run(t, m, string(part))
			if err := compute.Judge(m, part, out.Result, out.Metric); err != nil {
				t.Errorf("a part: %v", err)
			}
			partials = append(partials, out.Result)
		}
		if got, err := m.Merge(json.RawMessage(data), partials); err != nil || string(got) != want {
			t.Errorf("in %d parts: %s, %v; want %s", n, got, err, want)
		}
	}
}

// TestProgramsOfManyItems: who plans looks at a program's code once, however many
// items there are; what each item may have is bounded as if it had the code.
func TestProgramsOfManyItems(t *testing.T) {
	m := programs(t)
	list := `{"list":[0` + strings.Repeat(",1", 9999) + `]}`
	if cost, err := m.Check(json.RawMessage(echoes(`"args":[{"$item":true}]`, list, ""))); err != nil || cost.Elements != 10_000 {
		t.Errorf("%+v, %v", cost, err)
	}
	long := `"` + strings.Repeat("A", 4<<20) + `"`
	data := `{"task":{"type":"wasm","data":{"module":"` + module(3<<20) + `","stdin":{"$item":true},"env":{"A":{"$index":true}}}},"over":{"list":["",` + long + `]}}`
	if _, err := m.Check(json.RawMessage(data)); err == nil || !strings.Contains(err.Error(), "item 0: ") {
		t.Errorf("a number in the environment: %v", err)
	}
	data = strings.Replace(data, `,"env":{"A":{"$index":true}}`, "", 1)
	if _, err := m.Check(json.RawMessage(data)); err != nil {
		t.Errorf("large, but possible: %v", err)
	}
	data = strings.Replace(data, `"stdin":`, `"files":{"a":{"$item":true}},"stdin":`, 1)
	if _, err := m.Check(json.RawMessage(data)); err == nil || !strings.Contains(err.Error(), "item 1: ") {
		t.Errorf("more than a task may have: %v", err)
	}
}

// TestProgramsRefused: what programs cannot be combined by, and outputs that cannot
// be any.
func TestProgramsRefused(t *testing.T) {
	m := programs(t)
	for name, c := range map[string]struct{ data, field string }{
		"numbers of programs": {echoes(`"args":[]`, `{"list":[1]}`, `,"combine":{"reduce":["sum"]}`), "data.combine.reduce"},
		"outputs of numbers":  {squares(`{"list":[1]}`, `,"combine":"concat"`), "data.combine"},
		"the second item":     {echoes(`"args":[{"$item":true}]`, `{"list":[1,[2]]}`, ""), "data.task.data"},
	} {
		_, err := m.Check(json.RawMessage(c.data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != c.field {
			t.Errorf("%s: %v, want %s", name, err, c.field)
		}
	}
	data := json.RawMessage(echoes(`"args":[]`, `{"list":[1,2]}`, `,"combine":"concat"`))
	for _, result := range []string{``, `null`, `5`, `"a"`, `"YQ="`, ` "YQ=="`, `"YR=="`, `"YQ\u003d="`, `[]`} {
		if err := m.Validate(data, json.RawMessage(result)); !errors.Is(err, core.Corrupt) {
			t.Errorf("%s: %v", result, err)
		}
	}
}

// TestProgramFails: an exit code ends a map that joins outputs, with the number of
// the item; a list has it as it is.
func TestProgramFails(t *testing.T) {
	m := programs(t)
	data := echoes(`"env":{"FAIL":"2"},"input":{"$item":true}`, `{"list":[1,2,3]}`, `,"from":4,"combine":%q`)
	_, err := m.Run(t.Context(), fmt.Appendf(nil, data, "concat"), compute.Report{})
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonExecutionFailed || f.Message != "item 5: the program ended with exit code 1: sorry" {
		t.Errorf("%v", err)
	}
	out := run(t, m, fmt.Sprintf(data, "list"))
	if strings.Count(string(out.Result), `"exitCode":1`) != 1 {
		t.Errorf("%s", out.Result)
	}
	if _, err := m.Merge(fmt.Appendf(nil, data, "concat"), partialsOf(t, m, fmt.Sprintf(data, "concat"))); !errors.As(err, &f) || !strings.HasPrefix(f.Message, "item 5: ") {
		t.Errorf("shared out: %v", err)
	}
}

func partialsOf(t *testing.T, m *Mapper, data string) (out []json.RawMessage) {
	t.Helper()
	parts, err := m.Split(json.RawMessage(data), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		out = append(out, run(t, m, string(part)).Result)
	}
	return out
}

// TestOutputOfPrograms: a map of programs writes what they write, one item after the
// other, and tells its own progress; a map of anything else writes nothing.
func TestOutputOfPrograms(t *testing.T) {
	m := programs(t)
	data := json.RawMessage(echoes(`"args":[{"$item":true}]`, `{"list":["a","b","c"]}`, ""))
	if _, err := m.Check(data); err != nil {
		t.Fatal(err)
	}
	text, progress := map[core.Stream]string{}, 0.0
	report := compute.Report{OnOutput: func(s core.Stream, piece []byte) { text[s] += string(piece) }, OnProgress: func(p float64) { progress = p }}
	if _, err := m.Run(t.Context(), data, report); err != nil || text[core.Stdout] != `"a""b""c"` || text[core.Stderr] != "sorrysorrysorry" {
		t.Errorf("%q, %v", text, err)
	}
	report.Share(0.5, 0.75).Progress(0.5)
	if progress != 0.625 || !compute.Writes(m, data) {
		t.Errorf("progress %v", progress)
	}
	if other := json.RawMessage(`{"task":{"type":"compute","data":{"input":{"$item":true},"operations":["sum"]}},"over":{"list":[[1]]}}`); compute.Writes(m, other) || !compute.MayWrite(m) || compute.MayWrite(vector.New()) {
		t.Error("a map of sums writes output")
	}
}
