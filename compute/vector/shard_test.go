package vector

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sampleArgs gives each operation that needs parameters some to be tested with.
func sampleArgs(name string) string {
	switch name {
	case "add", "subtract", "multiply", "divide", "mod":
		return `{"op":"` + name + `","value":3}`
	case "scale":
		return `{"op":"scale","factor":0.1}`
	case "power":
		return `{"op":"power","exponent":1.5}`
	case "clamp":
		return `{"op":"clamp","min":-2,"max":1000}`
	case "percentile":
		return `{"op":"percentile","p":33.3}`
	case "histogram":
		return `{"op":"histogram","bins":4}`
	case "top":
		return `{"op":"top","n":3}`
	}
	return `"` + name + `"`
}

func drawNumbers(t *rapid.T) string {
	n := rapid.SampledFrom([]int{1, 2, 7, 40, 41, 100, 3, blockSize + 5}).Draw(t, "n")
	float := rapid.Bool().Draw(t, "float")
	pool := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		if float {
			x := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64Range(-1e300, 1e300), rapid.Just(5e-324)).Draw(t, "x")
			b, _ := json.Marshal(x)
			return string(b)
		}
		return strconv.FormatInt(rapid.OneOf(rapid.Int64Range(-9, 9), rapid.Int64Range(-1<<32, 1<<32), rapid.Int64()).Draw(t, "i"), 10)
	}), 1, 9).Draw(t, "pool")
	all := make([]string, n)
	for i := range all {
		all[i] = pool[(i*i+i/7)%len(pool)]
	}
	return strings.Join(all, ",")
}

// TestShardingChangesNothing: every operation, alone and behind elementwise
// ones and before others, gives the same bytes or fails, in one piece and in 1, 2, 3
// and 7 shards, one of which is split again.
func TestShardingChangesNothing(t *testing.T) {
	v := New()
	names := v.Operations()
	rapid.Check(t, func(t *rapid.T) {
		ops := []string{}
		for range rapid.IntRange(0, 2).Draw(t, "before") {
			ops = append(ops, sampleArgs(rapid.SampledFrom([]string{"abs", "round", "clamp", "add", "tanh", "scale", "square"}).Draw(t, "pre")))
		}
		ops = append(ops, sampleArgs(rapid.SampledFrom(names).Draw(t, "op")))
		if rapid.Bool().Draw(t, "after") {
			ops = append(ops, `"sqrt"`)
		}
		compareSharded(t, v, `{"input":[`+drawNumbers(t)+`],"operations":[`+strings.Join(ops, ",")+`]}`)
	})
}

func compareSharded(t tb, v Vector, data string) {
	cost, err := v.Check(json.RawMessage(data))
	if err != nil {
		return
	}
	want := run(t, v, data)
	for _, shards := range []int{1, 2, 3, 7} {
		if shards > cost.MaxShards {
			continue
		}
		got := sharded(t, v, data, shards)
		if bad := !json.Valid([]byte(got)); got != want && !(bad && !json.Valid([]byte(want))) {
			t.Fatalf("%.300s\nin %d shards: %.300s\nin one piece: %.300s", data, shards, got, want)
		}
	}
}

// TestSeveralFailures: elements that fail for several reasons fail the task in shards as
// in one piece; which reason it says is that of whoever comes first.
func TestSeveralFailures(t *testing.T) {
	v := New()
	data := `{"input":[` + strings.Repeat("1,-1,", 20) + `5e-324],"operations":["reciprocal","sqrt"]}`
	if one, many := run(t, v, data), sharded(t, v, data, 7); one != "overflow" || many != "invalid_input" {
		t.Errorf("in one piece %s, in 7 shards %s", one, many)
	}
}

// TestEveryOperationSharded draws nothing: each operation on both kinds of
// numbers, in blocks and across them.
func TestEveryOperationSharded(t *testing.T) {
	v := New()
	for _, name := range v.Operations() {
		for _, pattern := range []string{"1,2,3,-4,5,0,7", "1.5,0.1,1e-9,1e9,0.30000000000000004,7"} {
			numbers := strings.TrimSuffix(strings.Repeat(pattern+",", 600), ",")
			compareSharded(t, v, `{"input":[`+numbers+`],"operations":[`+sampleArgs(name)+`]}`)
		}
	}
}

// TestMillionSharded is the big input of the documents' network: three workers
// give the bytes of one.
func TestMillionSharded(t *testing.T) {
	v := New()
	data := string(numbersOf(1_000_000, true, `"square","sum"`))
	if got, want := sharded(t, v, data, 3), run(t, v, data); got != want {
		t.Errorf("in 3 shards %s, in one piece %s", got, want)
	}
	for _, ops := range []string{`"stddev"`, `"product"`, `{"op":"scale","factor":0.001},"round"`} {
		data := string(numbersOf(60_000, true, ops))
		if got, want := sharded(t, v, data, 3), run(t, v, data); got != want {
			t.Errorf("%s in 3 shards %.100s, in one piece %.100s", ops, got, want)
		}
	}
}

// TestZeroValue: an engine that New did not make computes the same.
func TestZeroValue(t *testing.T) {
	if got := run(t, Vector{}, sample); got != "55" {
		t.Error(got)
	}
}

// TestExact compares sums and moments with rational arithmetic.
func TestExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-1e150, 1e150), rapid.Float64Range(-1, 1), rapid.Float64Range(-1e-300, 1e-300)), 1, 30).Draw(t, "xs")
		f := newFolder(needSum|needSquares, true)
		f.add(values{floats: xs, float: true})
		s := f.summary()
		sum, squares := new(big.Rat), new(big.Rat)
		for _, x := range xs {
			r := new(big.Rat).SetFloat64(x)
			sum.Add(sum, r)
			squares.Add(squares, r.Mul(r, r))
		}
		n := new(big.Rat).SetInt64(int64(len(xs)))
		mean := new(big.Rat).Quo(sum, n)
		variance := new(big.Rat).Sub(new(big.Rat).Quo(squares, n), new(big.Rat).Mul(mean, mean))
		equal := func(name string, got float64, err error, want float64) {
			if err != nil || got != want {
				t.Fatalf("%s is %v (%v), exactly %v", name, got, err, want)
			}
		}
		for name, want := range map[string]*big.Rat{"sum": sum, "mean": mean, "variance": variance} {
			got, err := New().registry[name].finish(s, new(args))
			exactly, _ := want.Float64()
			equal(name, got.f, err, exactly)
		}
		got, err := New().registry["stddev"].finish(s, new(args))
		root := new(big.Float).SetPrec(3000).SetRat(variance)
		want, _ := root.Sqrt(root).Float64()
		equal("stddev", got.f, err, want)
	})
}

// TestExactText: what crosses the network reads back as itself, and only it.
func TestExactText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := fromFloat(rapid.Float64().Filter(func(x float64) bool { return !math.IsInf(x, 0) }).Draw(t, "x"))
		back, ok := parseExact(e.String(), baseFloat, 1024)
		if !ok || back.String() != e.String() {
			t.Fatalf("%s reads back as %v, %v", e, back, ok)
		}
	})
	for _, s := range []string{"", "1", "2p0", "0p0", "-0", "+1p0", "1p+0", "1p00", "01p0", "1p0 ", "Ap0", "1p-1075", "1p1024", "1_1p0", "1p99999999999999999999", strings.Repeat("1", 2000) + "p0"} {
		if e, ok := parseExact(s, baseFloat, 1024); ok {
			t.Errorf("%.40q was read as %v", s, e)
		}
	}
}
