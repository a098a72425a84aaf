package vector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// TestBadInput: what is wrong is refused before anything runs, by kind and path.
//
// spec 0.58 0.62
func TestBadInput(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("1,", MaxElements+1), ",")
	cases := []struct{ name, data, want string }{
		{"unknown operation", `{"input":[1],"operations":["sum","cube"]}`, "invalid data.operations[1]"},
		{"unknown operation as object", `{"input":[1],"operations":[{"op":"cube"}]}`, "invalid data.operations[0].op"},
		{"operation of wrong type", `{"input":[1],"operations":[1]}`, "invalid data.operations[0]"},
		{"op of wrong type", `{"input":[1],"operations":[{"op":1}]}`, "invalid data.operations[0].op"},
		{"op twice", `{"input":[1],"operations":[{"op":"sum","op":"min"}]}`, "invalid data.operations[0].op"},
		{"op missing", `{"input":[1],"operations":[{"value":1}]}`, "invalid data.operations[0].op"},
		{"parameter missing", `{"input":[1],"operations":["add"]}`, "invalid data.operations[0].value"},
		{"parameter unknown", `{"input":[1],"operations":[{"op":"sum","value":1}]}`, "invalid data.operations[0]"},
		{"parameter twice", `{"input":[1],"operations":[{"op":"add","value":1,"value":2}]}`, "invalid data.operations[0].value"},
		{"parameter of wrong type", `{"input":[1],"operations":[{"op":"add","value":"1"}]}`, "invalid data.operations[0].value"},
		{"parameter nested", `{"input":[1],"operations":[{"op":"add","value":[1]}]}`, "invalid data.operations[0]"},
		{"parameter infinite", `{"input":[1],"operations":[{"op":"add","value":1e999}]}`, "invalid data.operations[0]"},
		{"parameter not whole", `{"input":[1],"operations":[{"op":"top","n":1.5}]}`, "invalid data.operations[0].n"},
		{"parameter out of range", `{"input":[1],"operations":[{"op":"percentile","p":101}]}`, "invalid data.operations[0].p"},
		{"parameter word unknown", `{"input":[1],"operations":[{"op":"sort","order":"up"}]}`, "invalid data.operations[0].order"},
		{"clamp upside down", `{"input":[1],"operations":[{"op":"clamp","min":2,"max":1}]}`, "invalid data.operations[0].min"},
		{"division by zero", `{"input":[1],"operations":[{"op":"divide","value":0}]}`, "invalid data.operations[0].value"},
		{"remainder by zero", `{"input":[1],"operations":[{"op":"mod","value":0.0}]}`, "invalid data.operations[0].value"},
		{"no operations", `{"input":[1],"operations":[]}`, "invalid data.operations"},
		{"operations missing", `{"input":[1]}`, "invalid data.operations"},
		{"operations null", `{"input":[1],"operations":null}`, "invalid data.operations"},
		{"operations broken", `{"input":[1],"operations":["sum"`, "invalid data.operations"},
		{"too many operations", `{"input":[1],"operations":[` + strings.Repeat(`"abs",`, 64) + `"abs"]}`, "invalid data.operations"},
		{"too much work", `{"input":[` + many[:2*MaxElements-1] + `],"operations":[` + strings.Repeat(`{"op":"power","exponent":1.5},`, 63) + `"abs"]}`, "invalid data.operations"},
		{"input missing", `{"operations":["sum"]}`, "invalid data.input"},
		{"input null", `{"input":null,"operations":["sum"]}`, "invalid data.input"},
		{"input a number", `{"input":1,"operations":["sum"]}`, "invalid data.input"},
		{"input twice", `{"input":[1],"input":[2],"operations":["sum"]}`, "invalid data.input"},
		{"input too long", `{"input":[` + many + `],"operations":["sum"]}`, "invalid data.input"},
		{"element a string", `{"input":[1,"2"],"operations":["sum"]}`, "invalid data.input[1]"},
		{"element null", `{"input":[1,null],"operations":["sum"]}`, "invalid data.input[1]"},
		{"element nested", `{"input":[[1],2],"operations":["sum"]}`, "invalid data.input[0]"},
		{"depth bomb", `{"input":` + strings.Repeat("[", 1<<20), "invalid data.input[0]"},
		{"NaN", `{"input":[1,NaN],"operations":["sum"]}`, "invalid data.input[1]"},
		{"infinity", `{"input":[-Infinity],"operations":["sum"]}`, "invalid data.input[0]"},
		{"float out of range", `{"input":[1,2,3,1e999],"operations":["sum"]}`, "invalid data.input[3]"},
		{"integer out of range", `{"input":[1,9223372036854775808],"operations":["sum"]}`, "invalid data.input[1]"},
		{"integer beyond float64", `{"input":[1.5,1` + strings.Repeat("0", 127) + `0],"operations":["sum"]}`, "invalid data.input[1]"},
		{"leading zero", `{"input":[01],"operations":["sum"]}`, "invalid data.input[0]"},
		{"no digit after the point", `{"input":[1.],"operations":["sum"]}`, "invalid data.input[0]"},
		{"no digit in the exponent", `{"input":[1e+],"operations":["sum"]}`, "invalid data.input[0]"},
		{"trailing comma", `{"input":[1,],"operations":["sum"]}`, "invalid data.input[1]"},
		{"missing comma", `{"input":[1 2],"operations":["sum"]}`, "invalid data.input[0]"},
		{"empty input for min", `{"input":[],"operations":["min"]}`, "invalid data.input"},
		{"empty input for max", `{"input":[],"operations":["square","max"]}`, "invalid data.input"},
		{"empty input for mean", `{"input":[],"operations":["mean"]}`, "invalid data.input"},
		{"empty input for median", `{"input":[],"operations":["median"]}`, "invalid data.input"},
		{"empty input for variance", `{"input":[],"operations":["variance"]}`, "invalid data.input"},
		{"one element for a sample", `{"input":[1],"operations":[{"op":"stddev","ddof":1}]}`, "invalid data.input"},
		{"nothing left for max", `{"input":[1],"operations":["diff","max"]}`, "invalid data.operations[1]"},
		{"array operation on a number", `{"input":[1],"operations":["sum","sort"]}`, "invalid data.operations[1]"},
		{"operation after histogram", `{"input":[1],"operations":[{"op":"histogram","bins":2},"sum"]}`, "invalid data.operations[1]"},
		{"unknown field", `{"input":[1],"operations":["sum"],"x":1}`, "invalid data"},
		{"field of other case", `{"Input":[1],"operations":["sum"]}`, "invalid data"},
		{"not an object", `[1]`, "invalid data"},
		{"empty", ``, "invalid data"},
		{"trailing text", `{"input":[1],"operations":["sum"]} x`, "invalid data"},
		{"partial without a reduce", `{"input":[1],"operations":["abs"],"partial":true}`, "invalid data.partial"},
		{"partial with more behind", `{"input":[1],"operations":["sum","abs"],"partial":true}`, "invalid data.partial"},
		{"partial not a flag", `{"input":[1],"operations":["sum"],"partial":1}`, "invalid data.partial"},
		{"offset negative", `{"input":[1],"operations":["sum"],"offset":-1}`, "invalid data.offset"},
		{"certain overflow in square", `{"input":[1,2,3037000500],"operations":["square","sum"]}`, "invalid data.input[2]"},
		{"certain overflow in a long input", `{"input":[` + strings.Repeat("1,", 9000) + `-9223372036854775808],"operations":["abs"]}`, "invalid data.input[9000]"},
		{"certain overflow of floats", `{"input":[-1e200,1],"operations":["square"]}`, "invalid data.input[0]"},
		{"certain overflow of a sum", `{"input":[9223372036854775807,1],"operations":["sum"]}`, "invalid data.input"},
		{"certain overflow of a product", `{"input":[9223372036854775807,2],"operations":["product"]}`, "invalid data.input"},
	}
	v := New()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := v.Check(json.RawMessage(c.data))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := describe(err); got != c.want {
				t.Fatalf("%s (%v), want %s", got, err, c.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("message of %d bytes", len(err.Error()))
			}
			if strings.HasPrefix(c.name, "certain") {
				return // those run, and fail then
			}
			if _, err := v.Run(t.Context(), json.RawMessage(c.data), compute.Report{}); !errors.Is(err, core.Invalid) {
				t.Errorf("Run says %v", err)
			}
		})
	}
}

// TestFailureNamesElement: a message must lead to the element in the whole
// input, even when the part that failed is a shard's.
func TestFailureNamesElement(t *testing.T) {
	v := New()
	parts, err := v.Split(json.RawMessage(`{"input":[4,1,9,-1],"operations":["sqrt","sum"]}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Run(t.Context(), parts[1], compute.Report{})
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonInvalidInput || f.Message != "sqrt: element 3 is outside the domain of the operation" {
		t.Fatal(err)
	}
}

// TestSplit: parts are in order, carry the numbers as they were written, and
// know what they cannot see.
func TestSplit(t *testing.T) {
	v := New()
	for _, c := range []struct {
		name, data string
		shards     int
		want       []string
	}{
		{"integers", `{"input":[1, 2 ,3],"operations":["square",{"op":"add", "value":1},"sum","sqrt"]}`, 2, []string{
			`{"input":[1],"offset":0,"partial":true,"operations":["square",{"op":"add", "value":1},"sum"]}`,
			`{"input":[ 2 ,3],"offset":1,"partial":true,"operations":["square",{"op":"add", "value":1},"sum"]}`}},
		{"one float makes all floats", `{"input":[1,2.50],"operations":["abs"]}`, 2, []string{
			`{"input":[1],"offset":0,"float":true,"operations":["abs"]}`,
			`{"input":[2.50],"offset":1,"float":true,"operations":["abs"]}`}},
		{"one shard is the task", `{"input":[1],"operations":["sort"]}`, 1, []string{`{"input":[1],"operations":["sort"]}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, err := v.Split(json.RawMessage(c.data), c.shards)
			if err != nil {
				t.Fatal(err)
			}
			for i := range parts {
				if string(parts[i]) != c.want[i] {
					t.Errorf("part %d is %s", i, parts[i])
				}
			}
		})
	}
	for _, shards := range []int{-1, 0, 4} {
		if _, err := v.Split(json.RawMessage(`{"input":[1,2,3],"operations":["sum"]}`), shards); !errors.Is(err, core.Invalid) {
			t.Errorf("%d shards: %v", shards, err)
		}
	}
}

// TestCost: what can be sharded, and where.
func TestCost(t *testing.T) {
	v := New()
	blocks := strings.TrimSuffix(strings.Repeat("1.5,", 3*blockSize-5), ",")
	for _, c := range []struct {
		name, input, ops string
		shards           int
	}{
		{"elementwise", "1,2,3", `"square"`, 3},
		{"reduce", "1,2,3", `"sum"`, 3},
		{"empty", "", `"sum"`, 1},
		{"global first", "1,2,3", `"sort","sum"`, 1},
		{"product of integers", "1,2,3", `"product"`, 3},
		{"product of floats", "1,2,3.5", `"product"`, 1},
		{"product of many floats", blocks, `"square","product"`, 3},
		{"more than a job may have", strings.TrimSuffix(strings.Repeat("1,", 9999), ","), `"abs"`, core.MaxParallelism},
	} {
		cost, err := v.Check(json.RawMessage(`{"input":[` + c.input + `],"operations":[` + c.ops + `]}`))
		if err != nil || cost.MaxShards != c.shards || cost.Units < float64(cost.Elements) {
			t.Errorf("%s: %+v, %v", c.name, cost, err)
		}
	}
}

// TestHostileWorkers: what a shard of the task cannot give is refused by name.
func TestHostileWorkers(t *testing.T) {
	v := New()
	for _, c := range []struct{ name, input, ops, honest, hostile string }{
		{"not JSON", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `x`},
		{"empty", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, ``},
		{"huge", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, strings.Repeat(" ", maxSummary+1)},
		{"final instead of partial", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `2`},
		{"wrong count", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":2,"sum":"1p1"}`},
		{"negative count", "1,2", `"count"`, `{"count":1}`, `{"count":-1}`},
		{"missing sum", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1}`},
		{"field twice", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p0","sum":"1p1"}`},
		{"field of another reduce", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p0","min":1}`},
		{"unknown field", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p0","x":1}`},
		{"white space", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1, "sum":"1p1"}`},
		{"even mantissa", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"2p0"}`},
		{"fraction of integers", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p-1"}`},
		{"sum beyond its type", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p70"}`},
		{"exponent bomb", "1,2", `"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p999999"}`},
		{"sum beyond clamp", "1,2", `{"op":"clamp","min":0,"max":3},"sum"`, `{"count":1,"sum":"1p0"}`, `{"count":1,"sum":"1p2"}`},
		{"squares too small", "1,2", `"variance"`, `{"count":1,"sum":"1p0","squares":"1p0"}`, `{"count":1,"sum":"3p0","squares":"7p0"}`},
		{"squares negative", "1,2", `"norm"`, `{"count":1,"squares":"1p0"}`, `{"count":1,"squares":"-1p0"}`},
		{"min above max", "1,2", `"range"`, `{"count":1,"min":1,"max":1}`, `{"count":1,"min":2,"max":1}`},
		{"min below abs", "1,2", `"abs","min"`, `{"count":1,"min":1}`, `{"count":1,"min":-1}`},
		{"min not an integer", "1,2", `"min"`, `{"count":1,"min":1}`, `{"count":1,"min":1.5}`},
		{"minus zero", "1,2.5", `"min"`, `{"count":1,"min":1}`, `{"count":1,"min":-0}`},
		{"product beyond the mark", "1,2", `"product"`, `{"count":1,"product":"1p0"}`, `{"count":1,"product":"3p64"}`},
		{"array too long", "1,2", `"square"`, `[1]`, `[1,4]`},
		{"array too short", "1,2", `"square"`, `[1]`, `[]`},
		{"array of floats", "1,2", `"square"`, `[1]`, `[1.5]`},
		{"array not canonical", "1.5,2", `"square"`, `[1]`, `[1.0]`},
		{"array negative", "1,2", `"square"`, `[1]`, `[-4]`},
		{"array with NaN", "1.5,2", `"square"`, `[1]`, `[NaN]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := json.RawMessage(`{"input":[` + c.input + `],"operations":[` + c.ops + `]}`)
			honest := json.RawMessage(c.honest)
			if out, err := v.Merge(data, []json.RawMessage{honest, honest}); err != nil {
				t.Fatalf("the honest pair gives %s, %v", out, err)
			}
			out, err := v.Merge(data, []json.RawMessage{honest, json.RawMessage(c.hostile)})
			if describeOr(err) != "corrupt shard[1]" {
				t.Fatalf("merged to %s, %v", out, err)
			}
			parts, err := v.Split(data, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Validate(parts[1], json.RawMessage(c.hostile)); describeOr(err) != "corrupt result" {
				t.Fatalf("Validate says %v", err)
			}
		})
	}
}

func describeOr(err error) string {
	if err == nil {
		return "no error"
	}
	return describe(err)
}

// TestValidateWhole: results of tasks that are not cut are checked too.
func TestValidateWhole(t *testing.T) {
	v := New()
	for _, c := range []struct{ name, input, ops, hostile string }{
		{"sort unsorted", "1,2,3", `"sort"`, "[1,3,2]"},
		{"sort short", "1,2,3", `"sort"`, "[1,2]"},
		{"unique doubled", "1,2,3", `"unique"`, "[1,1]"},
		{"top ascending", "1,2,3", `{"op":"top","n":2}`, "[2,3]"},
		{"normalize above one", "1,2,3", `"normalize"`, "[0,0.5,1.5]"},
		{"count", "1,2,3", `"count"`, "4"},
		{"median beyond clamp", "1,2,3", `{"op":"clamp","min":0,"max":3},"median"`, "4"},
		{"number quoted", "1,2,3", `"sum"`, `"6"`},
		{"number with a newline", "1,2,3", `"sum"`, "6\n"},
		{"number too big", "1,2,3", `"sum"`, "99999999999999999999"},
		{"histogram short", "1,2,3", `{"op":"histogram","bins":2}`, `{"counts":[3],"edges":[1,3]}`},
		{"histogram total", "1,2,3", `{"op":"histogram","bins":1}`, `{"counts":[4],"edges":[1,3]}`},
		{"histogram negative", "1,2,3", `{"op":"histogram","bins":2}`, `{"counts":[4,-1],"edges":[1,2,3]}`},
		{"histogram edges", "1,2,3", `{"op":"histogram","bins":2}`, `{"counts":[1,2],"edges":[1,3,2]}`},
		{"histogram field twice", "1,2,3", `{"op":"histogram","bins":1}`, `{"counts":[3],"counts":[3],"edges":[1,3]}`},
		{"histogram without edges", "1,2,3", `{"op":"histogram","bins":1}`, `{"counts":[3]}`},
		{"histogram is a number", "1,2,3", `{"op":"histogram","bins":1}`, `3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := json.RawMessage(`{"input":[` + c.input + `],"operations":[` + c.ops + `]}`)
			honest := json.RawMessage(run(t, v, string(data)))
			if err := v.Validate(data, honest); err != nil {
				t.Fatalf("the honest result: %v", err)
			}
			if err := v.Validate(data, json.RawMessage(c.hostile)); describeOr(err) != "corrupt result" {
				t.Fatalf("%v", err)
			}
			if _, err := v.Merge(data, []json.RawMessage{json.RawMessage(c.hostile)}); describeOr(err) != "corrupt shard[0]" {
				t.Fatalf("%v", err)
			}
		})
	}
}

// TestResultTooBig: what no node could deliver is a failure on one node and on
// three.
func TestResultTooBig(t *testing.T) {
	v := New()
	data := `{"input":[` + strings.TrimSuffix(strings.Repeat("7,", 700_000), ",") + `],"operations":[{"op":"divide","value":3}]}`
	if got := run(t, v, data); got != "execution_failed" {
		t.Errorf("one piece: %.40s", got)
	}
	if got := sharded(t, v, data, 3); got != "execution_failed" {
		t.Errorf("three shards: %.40s", got)
	}
}

// TestCancel: a run looks at its context every few thousand elements.
func TestCancel(t *testing.T) {
	for _, ops := range []string{`"exp","sum"`, `"tanh"`, `"sort"`} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		data := json.RawMessage(`{"input":[` + strings.TrimSuffix(strings.Repeat("1,", 100_000), ",") + `],"operations":[` + ops + `]}`)
		_, err := New().Run(ctx, data, compute.Report{OnProgress: func(float64) { calls++; cancel() }})
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("%s: %v after %d reports of progress", ops, err, calls)
		}
		cancel()
	}
}

// TestProgress rises to 1 and gets there.
func TestProgress(t *testing.T) {
	last := 0.0
	data := json.RawMessage(`{"input":[` + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + `],"operations":["exp","sort","abs","sum","sqrt"]}`)
	_, err := New().Run(t.Context(), data, compute.Report{OnProgress: func(p float64) {
		if p < last || p > 1 {
			t.Errorf("progress %v after %v", p, last)
		}
		last = p
	}})
	if err != nil || last != 1 {
		t.Errorf("ended at %v, %v", last, err)
	}
}

// FuzzDecode compares the scanner with encoding/json: nothing that is not JSON
// is accepted, and the numbers are the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{sample, `{"input":[],"operations":["count"]}`,
		`{"float":true,"input":[1,-0.0,1e5,-2.5E-3,123456789.123456789],"operations":[{"op":"clamp","min":0,"max":1},"sum"],"offset":5,"partial":true}`,
		`{"input":[99999999999999999999,1.5],"operations":["s\u0075m"]}`, `{"input":[[1]],"operations":[]}`, `{"input":[1.,.5,01,--1]}`} {
		f.Add([]byte(seed))
	}
	v := New()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := v.decode(data)
		if err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		var same struct {
			Input      []float64 `json:"input"`
			Operations []any     `json:"operations"`
		}
		if err := json.Unmarshal(data, &same); err != nil || len(same.Input) != p.input.len() || len(same.Operations) != len(p.steps) {
			t.Fatalf("encoding/json disagrees on %q: %v", data, err)
		}
		for i, x := range same.Input {
			if math.Float64bits(p.input.at(i).real()+0) != math.Float64bits(x+0) {
				t.Fatalf("element %d is %v, encoding/json says %v", i, p.input.at(i).real(), x)
			}
		}
		if cost, err := v.Check(data); err == nil && p.input.len() < 1000 {
			compareShards(t, v, data, min(3, cost.MaxShards))
		}
	})
}

// compareShards is compareSharded for one number of shards, quietly skipping
// what fails.
func compareShards(t *testing.T, v Vector, data []byte, shards int) {
	out, err := v.Run(t.Context(), data, compute.Report{})
	if err != nil {
		return
	}
	if got := sharded(t, v, string(data), shards); got != string(out.Result) {
		t.Fatalf("%q: %s in one piece, %s in %d", data, out.Result, got, shards)
	}
}

// FuzzMerge gives a worker's answer to each kind of merge: no panic, and what is
// accepted is a fixed point.
func FuzzMerge(f *testing.F) {
	tasks := []string{
		`{"input":[1,2],"operations":["variance"]}`, `{"input":[1.5,2],"operations":["variance","sqrt"]}`,
		`{"input":[1,2],"operations":["product"]}`, `{"input":[1.5,2],"operations":["range"]}`,
		`{"partial":true,"input":[1.5],"operations":["product"]}`, `{"input":[1,2],"operations":["square"]}`,
		`{"input":[1,2,2],"operations":[{"op":"histogram","bins":2}]}`, `{"input":[1,2.5],"operations":["sqrt"]}`,
	}
	v := New()
	for i, task := range tasks {
		out, err := v.Run(context.Background(), json.RawMessage(task), compute.Report{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), []byte(out.Result))
	}
	f.Add(uint8(0), []byte(`{"count":1,"sum":"-1p3","squares":"1p6"}`))
	f.Add(uint8(4), []byte(`{"count":1,"blocks":["3p-1"]}`))
	f.Fuzz(func(t *testing.T, which uint8, answer []byte) {
		task := json.RawMessage(tasks[int(which)%len(tasks)])
		if err := v.Validate(task, answer); err == nil && !json.Valid(answer) {
			t.Fatalf("accepted %q", answer)
		} else if err != nil && !errors.Is(err, core.Corrupt) {
			t.Fatalf("kind of %v", err)
		}
		cost, err := v.Check(task)
		if err != nil {
			t.Fatal(err)
		}
		parts := make([]json.RawMessage, min(2, cost.MaxShards))
		for i := range parts {
			parts[i] = answer
		}
		out, err := v.Merge(task, parts)
		if err == nil && (!json.Valid(out) || bytes.ContainsAny(out, "NI")) {
			t.Fatalf("merged %q to %q", answer, out)
		}
	})
}
