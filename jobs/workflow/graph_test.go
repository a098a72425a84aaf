package workflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/workflow"
)

func planner() workflow.Planner {
	return workflow.Planner{Tasks: map[core.TaskType]compute.Planner{vector.Type: vector.New()}}
}

// sum is a step over a fixed list, with more fields of a step before its task.
func sum(fields string) string {
	return `{` + fields + `,"task":{"type":"compute","data":{"input":[1,2],"operations":["sum"]}}}`
}

// graph is a workflow of these steps.
func graph(steps ...string) string { return `{"steps":[` + strings.Join(steps, ",") + `]}` }

// task is a step of type compute with the given input.
func task(id, input string) string {
	return fmt.Sprintf(`{"id":%q,"task":{"type":"compute","data":{"input":%s,"operations":["sum"]}}}`, id, input)
}

// TestBadGraphs: what is wrong with a graph is said before anything runs, with
// the path of the field and, where there is one, the thing to do.
func TestBadGraphs(t *testing.T) {
	million := `[` + strings.Repeat("1,", 999_999) + `1]`
	many := make([]string, workflow.MaxSteps+1)
	for i := range many {
		many[i] = sum(fmt.Sprintf(`"id":"s%d"`, i))
	}
	var dense []string
	for i := range 200 {
		var after []string
		for j := range i {
			after = append(after, fmt.Sprintf(`"s%d"`, j))
		}
		dense = append(dense, sum(fmt.Sprintf(`"id":"s%d","after":[%s]`, i, strings.Join(after, ","))))
	}
	for name, c := range map[string]struct{ graph, field, message, hint string }{
		"not an object":   {`[]`, "", "the value cannot be a JSON array", ""},
		"empty":           {`{"steps":[]}`, "steps", "the workflow has no steps", ""},
		"nothing":         {`{}`, "steps", "the workflow has no steps", ""},
		"too many steps":  {graph(many...), "steps", "the workflow has 1001 steps; it has at most 1000", ""},
		"too many edges":  {graph(dense...), "steps", "the steps wait for each other more than 10000 times", ""},
		"unknown field":   {`{"step":[]}`, "step", "step is not a known field", ""},
		"unknown in step": {graph(sum(`"id":"a","retry":1`)), "steps[0].retry", "steps[0].retry is not a known field", ""},
		"unknown in task": {graph(`{"id":"a","task":{"tpye":"compute"}}`), "steps[0].task.tpye", "steps[0].task.tpye is not a known field", ""},
		"too deep":        {graph(task("a", strings.Repeat("[", 40)+strings.Repeat("]", 40))), "steps[0].task.data.input" + strings.Repeat("[0]", 27), "steps[0].task.data.input[0][0]", ""},
		"no id":           {graph(sum(`"after":[]`)), "steps[0].id", "step 0 has no id", ""},
		"bad id":          {graph(sum(`"id":"a b"`)), "steps[0].id", `step id "a b" must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'`, ""},
		"id twice":        {graph(sum(`"id":"a"`), sum(`"id":"b"`), sum(`"id":"a"`)), "steps[2].id", `step id "a" is used twice: by steps 0 and 2`, ""},
		"no task":         {graph(`{"id":"a"}`), "steps[0].task", `step "a": it has no task`, `give it "task" or "reduce"`},
		"task and reduce": {graph(sum(`"id":"a"`), sum(`"id":"b","reduce":{"from":"a","operations":["sum"]}`)), "steps[1].reduce",
			`step "b": it has both a task and a reduce`, "make the reduce a step of its own"},
		"mapped reduce": {graph(sum(`"id":"a"`), `{"id":"b","map":{"over":[1]},"reduce":{"from":"a","operations":["sum"]}}`), "steps[1].map",
			`step "b": a reduce works on the whole list and cannot be mapped`, `use "task" to do it for each element`},
		"reduce of nothing": {graph(`{"id":"b","reduce":{"operations":["sum"]}}`), "steps[0].reduce.from", `step "b": reduce.from is missing`, "name the step whose results are reduced"},
		"reduce of nobody": {graph(`{"id":"b","reduce":{"from":"c","operations":["sum"]}}`), "steps[0].reduce.from",
			`step "b": it refers to step "c", and there is no such step`, ""},
		"retries":         {graph(sum(`"id":"a","retries":11`)), "steps[0].retries", `step "a": retries is 11; it must be 0 to 10`, ""},
		"timeout":         {graph(sum(`"id":"a","timeoutMs":-1`)), "steps[0].timeoutMs", `step "a": timeoutMs is -1; it must be 0 to 86400000`, ""},
		"after nobody":    {graph(sum(`"id":"a","after":["b"]`)), "steps[0].after[0]", `step "a": it waits for step "b", and there is no such step`, ""},
		"after itself":    {graph(sum(`"id":"a","after":["a"]`)), "steps[0].after[0]", `step "a": it waits for itself`, ""},
		"refers to none":  {graph(task("a", `{"$from":"b"}`)), "steps[0].task.data", `step "a": it refers to step "b", and there is no such step`, ""},
		"refers to self":  {graph(task("a", `[1,{"$from":"a"}]`)), "steps[0].task.data", `step "a": it refers to itself`, ""},
		"empty reference": {graph(task("a", `{"$from":""}`)), "steps[0].task.data", `step "a": the reference {"$from":""} names no step and is not true`, "write {"},
		"mixed reference": {graph(task("a", `{"$from":"b","x":1}`)), "steps[0].task.data", `step "a": the reference {"$from":"b","x":1} is wrong: x is not a known field`, "write {"},
		"bad pointer":     {graph(task("a", `{"$from":"b","path":"0"}`)), "steps[0].task.data", `step "a": path "0" does not begin with "/"`, "write a JSON pointer"},
		"item, no map":    {graph(task("a", `[{"$item":true}]`)), "steps[0].task.data", `step "a": $item and $index mean something only in a step with a map`, ""},
		"output":          {`{"output":"z","steps":[` + sum(`"id":"a"`) + `]}`, "output", `the output is step "z", and there is no such step`, ""},
		"map of nothing":  {graph(sum(`"id":"a","map":{}`)), "steps[0].map.over", `step "a": map.over is missing`, "give it a list"},
		"map over number": {graph(sum(`"id":"a","map":{"over":7}`)), "steps[0].map.over", `step "a": the value cannot be a JSON number`, ""},
		"map over nobody": {graph(sum(`"id":"a","map":{"over":{"from":"b"}}`)), "steps[0].map.over.from", `step "a": it maps over step "b", and there is no such step`, ""},
		"map unknown":     {graph(sum(`"id":"a","map":{"over":{"form":"b"}}`)), "steps[0].map.over.form", `step "a": form is not a known field`, ""},
		"map of a million": {graph(sum(`"id":"a","map":{"over":` + million + `}`)), "steps[0].map.over",
			`step "a": the list has 1000000 elements; a map takes at most 10000`, "give each job several elements"},
		"circle of two": {graph(sum(`"id":"a","after":["b"]`), sum(`"id":"b","after":["a"]`)), "steps[0]",
			`the steps wait for each other in a circle: a -> b -> a`, "take one of these dependencies out"},
		"circle behind others": {graph(sum(`"id":"x"`), sum(`"id":"a","after":["x","c"]`), task("b", `[{"$from":"a"}]`), sum(`"id":"c","map":{"over":{"from":"b"}}`)), "steps[1]",
			`the steps wait for each other in a circle: a -> c -> b -> a`, "take one of these dependencies out"},
		"unknown type":       {graph(`{"id":"a","task":{"type":"magic","data":{}}}`), "steps[0].task.type", `step "a": type "magic" is not a task type of this network`, `use "compute"`},
		"unknown, with refs": {graph(sum(`"id":"a"`), `{"id":"b","task":{"type":"magic","data":{"$from":"a"}}}`), "steps[1].task.type", `step "b": type "magic" is not a task type of this network`, `use "compute"`},
		"workflow inside":    {graph(`{"id":"a","task":{"type":"workflow","data":{"steps":[]}}}`), "steps[0].task.type", `step "a": a step cannot be a workflow itself`, "put its steps into this workflow"},
		"task's own field":   {graph(`{"id":"a","task":{"type":"compute","requirements":{"cpu":101},"data":{}}}`), "steps[0].task.requirements.cpu", `step "a": requirements.cpu is 101`, ""},
		"bad data":           {graph(`{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["cube"]}}}`), "steps[0].task.data.operations[0]", `step "a": `, ""},
		"bad mapped data":    {graph(`{"id":"a","map":{"over":["x"]},"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["sum"]}}}`), "steps[0].task.data.input[0]", `step "a": `, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := planner().Parse(json.RawMessage(c.graph))
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid {
				t.Fatalf("error %v", err)
			}
			if c.field != "" && e.Op != c.field || !strings.HasPrefix(e.Error(), c.message) || !strings.HasPrefix(e.Hint, c.hint) {
				t.Errorf("got  %q, %q, hint %q\nwant %q, %q, hint %q", e.Op, e.Error(), e.Hint, c.field, c.message, c.hint)
			}
			if len(e.Error()) > 300 {
				t.Errorf("the message has %d bytes", len(e.Error()))
			}
			if _, err := planner().Check(json.RawMessage(c.graph)); !errors.As(err, &e) || c.field != "" && e.Op != "data."+c.field {
				t.Errorf("as a task: field %q, error %v", e.Op, err)
			}
		})
	}
}

// TestGoodGraphs: forms that are easy to take for wrong.
func TestGoodGraphs(t *testing.T) {
	for name, g := range map[string]string{
		"a key with a dollar that is no reference": graph(`{"id":"a","after":["b"],"task":{"type":"compute","data":{"input":{"$from":"b"},"operations":["sum"]}}}`, task("b", "[1]")),
		"an empty list":              graph(`{"id":"a","map":{"over":[]},"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["sum"]}}}`),
		"spaces":                     " {\n\"steps\" : [ { \"id\" : \"a\" , \"map\" : { \"over\" : [ 1 , 2 ] } , \"task\" : { \"type\" : \"compute\" , \"data\" : { \"input\" : [ { \"$item\" : true } , { \"$index\" : true } ] , \"operations\" : [ \"sum\" ] } } } ] } ",
		"as many elements as may be": graph(`{"id":"a","map":{"over":[` + strings.Repeat("1,", workflow.MaxElements-1) + `1]},"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["sum"]}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := planner().Check(json.RawMessage(g)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNeeds: the home of a workflow must be able to run each of its steps.
func TestNeeds(t *testing.T) {
	p, err := workflow.Parse(json.RawMessage(graph(
		`{"id":"a","task":{"type":"x","requirements":{"cpu":80,"memoryMB":10},"data":1}}`,
		`{"id":"b","task":{"type":"y","requirements":{"minTier":"trainer","memoryMB":20},"data":1}}`,
		`{"id":"c","task":{"type":"x","data":1}}`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	need, types := p.Needs()
	if need != (core.Requirements{MinTier: core.TierTrainer, CPU: 80, MemoryMB: 20}) || fmt.Sprint(types) != "[x y]" {
		t.Errorf("needs %+v of %v", need, types)
	}
}

// TestExamples: the graphs of docs/examples are ones that a gateway takes.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../docs/examples/*.workflow.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples %v, error %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := planner().Check(text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestDocumentedExample: the guide and the example file have the same graph.
func TestDocumentedExample(t *testing.T) {
	guide, err := os.ReadFile("../../docs/workflows.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../../docs/examples/spread.workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(text), &a), json.Unmarshal(file, &b)); err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("they differ (%v):\n%s\n%s", err, text, file)
	}
}

// TestJobID pins the derivation: a coordinator of another version must find the
// jobs of this one.
func TestJobID(t *testing.T) {
	const id = "us-east-01890a5d-ac96-774b-bcce-b302099a8057"
	got := workflow.JobID("us-east", id, "squares", 3, 1)
	if want := core.TaskID("us-east-b33cc996-5755-89bb-8f09-013f89941263"); got != want {
		t.Errorf("derived %s, want %s", got, want)
	}
	if home, ok := got.Home(); !ok || home != "us-east" {
		t.Errorf("home %q", home)
	}
	seen := map[core.TaskID]bool{got: true, workflow.RecordID("us-east", id): true}
	for _, other := range []core.TaskID{workflow.JobID("us-east", id, "squares", 3, 0), workflow.JobID("us-east", id, "squares", 1, 3),
		workflow.JobID("us-east", id, "square", 3, 1), workflow.JobID("us-east", "x", "squares", 3, 1), workflow.JobID("eu", id, "squares", 3, 1)} {
		if seen[other] {
			t.Errorf("%s twice", other)
		}
		seen[other] = true
	}
}

// FuzzParse: no text panics, what is refused is core.Invalid, and what was
// accepted is accepted again in the form it is written in, with the same meaning.
func FuzzParse(f *testing.F) {
	for _, g := range []string{graph(sum(`"id":"a"`)), graph(task("b", `[{"$from":"a","path":"/0"}]`), task("a", "[1]")),
		graph(sum(`"id":"a","after":["b"]`), sum(`"id":"b","after":["a"]`)), graph(task("a", "[1]"), `{"id":"r","reduce":{"from":"a","operations":["sum"]}}`),
		graph(`{"id":"m","map":{"over":[1,"x",{"y":[]}]},"retries":2,"timeoutMs":5,"task":{"type":"compute","data":{"input":[{"$item":true,"path":"/y"},{"$index":true}],"operations":["sum"]}}}`)} {
		f.Add([]byte(g))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := workflow.Parse(text, nil)
		if err != nil {
			if core.KindOf(err) != core.Invalid {
				t.Fatalf("error of kind %s: %v", core.KindOf(err), err)
			}
			return
		}
		if plan.Len() == 0 || plan.Len() > workflow.MaxSteps {
			t.Fatalf("a plan of %d steps", plan.Len())
		}
		var g workflow.Graph
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		second, err := workflow.Parse(again, nil)
		if err != nil {
			t.Fatalf("written again it is refused: %v\n%s", err, again)
		}
		if second.Len() != plan.Len() || fmt.Sprint(second.Outline()) != fmt.Sprint(plan.Outline()) {
			t.Fatalf("written again it means something else:\n%v\n%v", plan.Outline(), second.Outline())
		}
	})
}

// TestCheckDeadlines: a new graph may not have a task whose deadline has passed; one that
// was taken may.
func TestCheckDeadlines(t *testing.T) {
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		deadline time.Time
		want     string
	}{
		"to come":      {now.Add(time.Minute), ""},
		"has passed":   {now.Add(-time.Second), "steps[1].task.deadline"},
		"too far away": {now.Add(core.MaxTimeout + time.Second), "steps[1].task.deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := workflow.Parse(json.RawMessage(graph(step("a", "echo", `1`), `{"id":"b","task":{"type":"echo","data":1,"deadline":"`+c.deadline.Format(time.RFC3339)+`"}}`)), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = plan.CheckDeadlines(now)
			var e *core.Error
			if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &e) || e.Kind != core.Invalid || e.Op != c.want) {
				t.Errorf("CheckDeadlines = %v, want %q", err, c.want)
			}
		})
	}
}
