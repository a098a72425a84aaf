package vector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// run computes data in one piece and returns the result or "reason: message".
func run(t tb, v Vector, data string) string {
	t.Helper()
	out, err := v.Run(t.Context(), json.RawMessage(data), compute.Report{})
	if err != nil {
		return describe(err)
	}
	if out.Metric != 1 || !json.Valid(out.Result) {
		t.Fatalf("metric %v, result %.200s", out.Metric, out.Result)
	}
	return string(out.Result)
}

// describe names an error by reason, or by kind and path.
func describe(err error) string {
	var f *core.Failure
	if errors.As(err, &f) {
		return string(f.Reason)
	}
	var e *core.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s %s", e.Kind, e.Op)
	}
	return err.Error()
}

// golden has at least one case of integers and one of floats per operation.
var golden = []struct{ input, operations, want string }{
	{"1,2,3,4,5", `"square","sum"`, "55"},
	{"-3,4", `"square"`, "[9,16]"},
	{"-3,1.5", `"square"`, "[9,2.25]"},
	{"-3,4", `"abs"`, "[3,4]"},
	{"-3.5,-0.0", `"abs"`, "[3.5,0]"},
	{"-3,0,4", `"negate"`, "[3,0,-4]"},
	{"-3.5,0.0", `"negate"`, "[3.5,0]"},
	{"-3,0,4", `"sign"`, "[-1,0,1]"},
	{"-3.5,0.0,7", `"sign"`, "[-1,0,1]"},
	{"-3,4", `"relu"`, "[0,4]"},
	{"-3.5,4", `"relu"`, "[0,4]"},
	{"1,2", `{"op":"add","value":3}`, "[4,5]"},
	{"1,2", `{"op":"add","value":0.5}`, "[1.5,2.5]"},
	{"1,2", `{"op":"subtract","value":3}`, "[-2,-1]"},
	{"1.5,2", `{"op":"subtract","value":3}`, "[-1.5,-1]"},
	{"1,2", `{"op":"multiply","value":3}`, "[3,6]"},
	{"1.5,2", `{"op":"multiply","value":3}`, "[4.5,6]"},
	{"1,2", `{"op":"scale","factor":2}`, "[2,4]"},
	{"0.1,2", `{"op":"scale","factor":3}`, "[0.30000000000000004,6]"},
	{"1,4", `{"op":"divide","value":2}`, "[0.5,2]"},
	{"1.5", `{"op":"divide","value":0.5}`, "[3]"},
	{"7,-7", `{"op":"mod","value":3}`, "[1,-1]"},
	{"-9223372036854775808", `{"op":"mod","value":-1}`, "[0]"},
	{"7.5", `{"op":"mod","value":2}`, "[1.5]"},
	{"4,-2", `"reciprocal"`, "[0.25,-0.5]"},
	{"0.5", `"reciprocal"`, "[2]"},
	{"2,-3,0", `{"op":"power","exponent":3}`, "[8,-27,0]"},
	{"-1,1,0", `{"op":"power","exponent":0}`, "[1,1,1]"},
	{"-1,1", `{"op":"power","exponent":9223372036854775807}`, "[-1,1]"},
	{"2,4", `{"op":"power","exponent":-1}`, "[0.5,0.25]"},
	{"2,4", `{"op":"power","exponent":0.5}`, "[1.4142135623730951,2]"},
	{"1.5,-2", `{"op":"power","exponent":3}`, "[3.375,-8]"},
	{"-2.0", `{"op":"power","exponent":-101}`, "[-3.944304526105059e-31]"},
	{"3,-3", `"round"`, "[3,-3]"},
	{"2.5,-2.5,0.4", `"round"`, "[3,-3,0]"},
	{"3", `"floor"`, "[3]"},
	{"2.5,-2.5", `"floor"`, "[2,-3]"},
	{"3", `"ceil"`, "[3]"},
	{"2.5,-2.5,-0.5", `"ceil"`, "[3,-2,0]"},
	{"3", `"trunc"`, "[3]"},
	{"2.5,-2.5", `"trunc"`, "[2,-2]"},
	{"-5,3,9", `{"op":"clamp","min":0,"max":5}`, "[0,3,5]"},
	{"-5,3,9", `{"max":5.5,"op":"clamp","min":0}`, "[0,3,5.5]"},
	{"4,2", `"sqrt"`, "[2,1.4142135623730951]"},
	{"2.25", `"sqrt"`, "[1.5]"},
	{"0,1,-1", `"exp"`, "[1,2.718281828459045,0.36787944117144233]"},
	{"-800.0,709.5", `"exp"`, "[0,1.3549863193146328e+308]"},
	{"1,10", `"log"`, "[0,2.302585092994046]"},
	{"2.718281828459045", `"log"`, "[1]"},
	{"8,1", `"log2"`, "[3,0]"},
	{"0.125", `"log2"`, "[-3]"},
	{"1000,1", `"log10"`, "[3,0]"},
	{"0.001", `"log10"`, "[-3]"},
	{"0,1,-30", `"tanh"`, "[0,0.7615941559557649,-1]"},
	{"1e-9,0.5", `"tanh"`, "[1e-9,0.46211715726000974]"},
	{"0,2", `"sigmoid"`, "[0.5,0.8807970779778824]"},
	{"-750.5,750.5", `"sigmoid"`, "[0,1]"},
	{"", `"sum"`, "0"},
	{"9223372036854775807,1,-1", `"sum"`, "9223372036854775807"},
	{"0.1,0.2,0.3", `"sum"`, "0.6"},
	{"1e308,1e308,-1e308,1.5,-1e308", `"sum"`, "1.5"},
	{"", `"product"`, "1"},
	{"3,-4", `"product"`, "-12"},
	{"4611686018427387904,-2", `"product"`, "-9223372036854775808"},
	{"9223372036854775807,9223372036854775807,0", `"product"`, "0"},
	{"1e300,1e300,1e-300,1e-300", `"product"`, "1.0000000000000002"},
	{"3,1,2", `"min"`, "1"},
	{"3.5,1,2", `"min"`, "1"},
	{"3,1,2", `"max"`, "3"},
	{"3.5,1,2", `"max"`, "3.5"},
	{"3,-1,2", `"range"`, "4"},
	{"3.5,1,2", `"range"`, "2.5"},
	{"", `"count"`, "0"},
	{"3.5,1", `"count"`, "2"},
	{"1,2", `"mean"`, "1.5"},
	{"1e308,1e308", `"mean"`, "1e+308"},
	{"1,2,3,4", `"variance"`, "1.25"},
	{"1,2,3,4", `{"op":"variance","ddof":1}`, "1.6666666666666667"},
	{"1000000000.1,1000000000.2", `"variance"`, "0.0025000011920930376"},
	{"2,4,4,4,5,5,7,9", `"stddev"`, "2"},
	{"1.5,2.5", `{"op":"stddev","ddof":1}`, "0.7071067811865476"},
	{"3,4", `"norm"`, "5"},
	{"3e200,4e200", `"norm"`, "4.9999999999999995e+200"},
	{"", `"norm"`, "0"},
	{"3,1,2", `"sort"`, "[1,2,3]"},
	{"3.5,1,2", `{"op":"sort","order":"desc"}`, "[3.5,2,1]"},
	{"3,1,3", `"unique"`, "[1,3]"},
	{"0.0,-0.0,1", `"unique"`, "[0,1]"},
	{"3,1,2", `"reverse"`, "[2,1,3]"},
	{"0.5,1", `"reverse"`, "[1,0.5]"},
	{"3,1,2", `{"op":"top","n":2}`, "[3,2]"},
	{"0.5,1", `{"op":"top","n":9}`, "[1,0.5]"},
	{"1,2,3", `"cumsum"`, "[1,3,6]"},
	{"0.1,0.2,0.3", `"cumsum"`, "[0.1,0.30000000000000004,0.6]"},
	{"1,4,9", `"diff"`, "[3,5]"},
	{"0.5,2", `"diff"`, "[1.5]"},
	{"", `"diff"`, "[]"},
	{"2,4,6", `"normalize"`, "[0,0.5,1]"},
	{"-1.7e308,1.7e308,0", `"normalize"`, "[0,1,0.5]"},
	{"5,5", `{"op":"normalize","method":"zscore"}`, "[0,0]"},
	{"1,3", `{"op":"normalize","method":"zscore"}`, "[-1,1]"},
	{"3,1,2", `"median"`, "2"},
	{"9223372036854775807,9223372036854775805", `"median"`, "9223372036854776000"},
	{"1.5,2", `"median"`, "1.75"},
	{"15,20,35,40,50", `{"op":"percentile","p":40}`, "29"},
	{"1.5,2.5", `{"op":"percentile","p":100}`, "2.5"},
	{"1,2,2,4", `{"op":"histogram","bins":3}`, `{"counts":[1,2,1],"edges":[1,2,3,4]}`},
	{"5.5", `{"op":"histogram","bins":1}`, `{"counts":[1],"edges":[5,6]}`},
	{"1,2,3", `"sum",{"op":"divide","value":4},"round"`, "2"},
	{"5,3,3", `"unique","square","mean"`, "17"},
	{"", `"square"`, "[]"},
	{"1,2", `"s\u0075m"`, "3"},

	// What the values make impossible.
	{"9223372036854775807,1", `"sum"`, "overflow"},
	{"-9223372036854775808", `"abs"`, "overflow"},
	{"-9223372036854775808", `"negate"`, "overflow"},
	{"3037000500", `"square"`, "overflow"},
	{"1e200", `"square"`, "overflow"},
	{"1e308,1e308", `"sum"`, "overflow"},
	{"1e308,-1e308", `"range"`, "overflow"},
	{"9223372036854775807,-1", `"range"`, "overflow"},
	{"9223372036854775807,2", `"product"`, "overflow"},
	{"1e308,10.5", `"product"`, "overflow"},
	{"710.5", `"exp"`, "overflow"},
	{"1e308,1e308", `"cumsum"`, "overflow"},
	{"9223372036854775807,9", `"cumsum"`, "overflow"},
	{"3", `{"op":"power","exponent":41}`, "overflow"},
	{"1e200", `{"op":"power","exponent":2}`, "overflow"},
	{"-1", `"sqrt"`, "invalid_input"},
	{"0", `"log"`, "invalid_input"},
	{"-1.5", `"log2"`, "invalid_input"},
	{"1,0", `"reciprocal"`, "invalid_input"},
	{"0", `{"op":"power","exponent":-1}`, "invalid_input"},
	{"-8", `{"op":"power","exponent":0.5}`, "invalid_input"},
	{"7,7", `"unique",{"op":"variance","ddof":1}`, "invalid_input"},
}

// TestGolden computes every case in one piece, and in as many shards as it
// allows.
//
// spec 0.61 0.62
func TestGolden(t *testing.T) {
	v := New()
	seen := map[string]bool{}
	for _, c := range golden {
		data := `{"input":[` + c.input + `],"operations":[` + c.operations + `]}`
		if got := run(t, v, data); got != c.want {
			t.Errorf("%s = %s, want %s", data, got, c.want)
		}
		cost, err := v.Check(json.RawMessage(data))
		if err == nil && cost.MaxShards > 1 {
			if got := sharded(t, v, data, cost.MaxShards); got != c.want {
				t.Errorf("%s in %d shards = %s, want %s", data, cost.MaxShards, got, c.want)
			}
		}
		for _, name := range v.Operations() {
			seen[name] = seen[name] || strings.Contains(c.operations, `"`+name+`"`)
		}
	}
	for _, name := range v.Operations() {
		if !seen[name] {
			t.Errorf("operation %s has no golden case", name)
		}
	}
	if len(v.Operations()) < 30 {
		t.Errorf("only %d operations", len(v.Operations()))
	}
}

// sharded splits, runs each part as another node would, checks each result as
// its region would, and merges. The second shard is split once more.
func sharded(t tb, v Vector, data string, shards int) string {
	t.Helper()
	parts, err := v.Split(json.RawMessage(data), shards)
	if err != nil || len(parts) != shards {
		t.Fatalf("split of %.200s into %d: %d parts, %v", data, shards, len(parts), err)
	}
	results := make([]json.RawMessage, shards)
	for i, part := range parts {
		if i == 1 {
			if cost, err := v.Check(part); err == nil && cost.MaxShards > 1 {
				text := sharded(t, v, string(part), min(3, cost.MaxShards))
				if results[i] = json.RawMessage(text); !json.Valid(results[i]) {
					return text
				}
				continue
			}
		}
		out, err := v.Run(t.Context(), part, compute.Report{})
		if err != nil {
			return describe(err)
		}
		if err := v.Validate(part, out.Result); err != nil {
			t.Fatalf("result %.200s of honest part %.200s: %v", out.Result, part, err)
		}
		results[i] = out.Result
	}
	merged, err := v.Merge(json.RawMessage(data), results)
	if err != nil {
		return describe(err)
	}
	if err := v.Validate(json.RawMessage(data), merged); err != nil {
		t.Fatalf("merged result %.200s of %.200s: %v", merged, data, err)
	}
	return string(merged)
}

// tb is what *testing.T and *rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}
