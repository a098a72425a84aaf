package vsa

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type engine interface {
	compute.Executor
	compute.Planner
}

func engineOf(t core.TaskType) engine {
	if t == EvolutionType {
		return Evolution{}
	}
	return Programs{}
}

// golden is one task with the result that every processor gives.
type golden struct {
	Name   string          `json:"name"`
	Type   core.TaskType   `json:"type"`
	Data   json.RawMessage `json:"data"`
	Result json.RawMessage `json:"result"`
}

const goldenFile = "testdata/golden.json"

func goldens(t testing.TB) []golden {
	t.Helper()
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Data, all[i].Result = compacted(t, all[i].Data), compacted(t, all[i].Result)
	}
	return all
}

func compacted(t testing.TB, text json.RawMessage) json.RawMessage {
	t.Helper()
	var v strings.Builder
	enc := json.NewEncoder(&v)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(strings.TrimSpace(v.String()))
}

// run computes a task alone.
func run(t testing.TB, of core.TaskType, data json.RawMessage) compute.Output {
	t.Helper()
	last := 0.0
	out, err := engineOf(of).Run(context.Background(), data, compute.Report{OnProgress: func(p float64) {
		if p < 0 || p > 1.0000001 {
			t.Errorf("progress %v", p)
		}
		last = p
	}})
	if err != nil {
		t.Fatalf("%.300s: %v", data, err)
	}
	if of == Type && last != 1 {
		t.Errorf("the last progress is %v", last)
	}
	return out
}

// TestGolden: the results are those of the file, bit for bit; -update rewrites it.
// Another implementation of docs/spec/vsa.md is tested with the same file.
//
// spec 4.4 4.56
func TestGolden(t *testing.T) {
	all := goldens(t)
	for i, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			out := run(t, g.Type, g.Data)
			if *update {
				all[i].Result = out.Result
			} else if string(out.Result) != string(g.Result) {
				t.Errorf("%s\ngives  %.600s\nwanted %.600s", g.Data, out.Result, g.Result)
			}
			if err := compute.Judge(engineOf(g.Type), g.Data, out.Result, out.Metric); err != nil {
				t.Error(err)
			}
			if g.Type == EvolutionType && (out.Metric <= 0.5 || out.Metric >= 1) || g.Type == Type && out.Metric != 1 {
				t.Errorf("metric %v", out.Metric)
			}
		})
	}
	if *update {
		text, err := json.MarshalIndent(all, "", " ")
		if err == nil {
			err = os.WriteFile(goldenFile, append(text, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSplitEqualsAlone: cut into any number of parts, also cut again, a task has
// the result that it has alone.
//
// spec 4.4
func TestSplitEqualsAlone(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			x := engineOf(g.Type)
			cost, err := x.Check(g.Data)
			if err != nil {
				t.Fatal(err)
			}
			want := string(run(t, g.Type, g.Data).Result)
			for n := 1; n <= min(cost.MaxShards, 7); n++ {
				if got := inParts(t, x, g, n, true); got != want {
					t.Errorf("in %d parts it gives %.300s, alone %.300s", n, got, want)
				}
			}
		})
	}
}

// inParts runs a task in n parts, and if again each of them in two as well.
func inParts(t *testing.T, x engine, g golden, n int, again bool) string {
	t.Helper()
	parts, err := x.Split(g.Data, n)
	if err != nil || len(parts) != n {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	results := make([]json.RawMessage, n)
	for i, part := range parts {
		cost, err := x.Check(part)
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		if results[i] = run(t, g.Type, part).Result; again && cost.MaxShards > 1 {
			if twice := inParts(t, x, golden{Data: part, Type: g.Type}, 2, false); twice != string(results[i]) {
				t.Errorf("part %d in two gives %.200s, alone %.200s", i, twice, results[i])
			}
		}
		if err := x.Validate(part, results[i]); err != nil {
			t.Errorf("part %d: %v", i, err)
		}
	}
	merged, err := x.Merge(g.Data, results)
	if err != nil {
		t.Fatal(err)
	}
	return string(merged)
}

// TestShardingIsWorthIt: a search is cut, its vectors travel only with the part
// that needs them; what cannot be cut is not.
func TestShardingIsWorthIt(t *testing.T) {
	for name, c := range map[string]struct {
		steps string
		most  int
	}{
		"a big search":      {`{"op":"search","of":["a"],"codebook":{"seed":"1","count":5000},"as":"x"}`, 4096},
		"a small one":       {`{"op":"search","of":["a"],"codebook":{"names":["a","b"]},"as":"x"}`, 2},
		"nobody's search":   {`{"op":"search","of":["a"],"codebook":{"seed":"1","count":5000},"as":"y"},{"op":"negate","of":["a"],"as":"x"}`, 1},
		"two searches":      {`{"op":"search","of":["a"],"codebook":{"seed":"1","count":50},"as":"y"},{"op":"search","of":["b"],"codebook":{"seed":"1","count":50},"as":"x"}`, 1},
		"cleanup only":      {`{"op":"cleanup","of":["a"],"codebook":{"seed":"1","count":5000},"as":"x"}`, 1},
		"costlier cleanup":  {`{"op":"cleanup","of":["a"],"codebook":{"seed":"1","count":5000},"as":"y"},{"op":"search","of":["y"],"codebook":{"seed":"1","count":50},"as":"x"}`, 1},
		"a search of names": {`{"op":"bundle","of":["a","b"],"as":"y"},{"op":"search","of":["y"],"codebook":{"symbols":["u","v","w"]},"as":"x"}`, 3},
	} {
		data := json.RawMessage(`{"kind":"binary","dimension":512,"vectors":[{"name":"a","seed":"1"},{"name":"b","seed":"2"}],"steps":[` + c.steps + `]}`)
		cost, err := Programs{}.Check(data)
		if err != nil || cost.MaxShards != c.most {
			t.Errorf("%s: %+v, %v; want at most %d parts", name, cost, err, c.most)
		}
		if _, err := (Programs{}).Split(data, c.most+1); !errors.Is(err, core.Invalid) {
			t.Errorf("%s: too many parts: %v", name, err)
		}
	}
	data, names := named(100)
	parts, err := Programs{}.Split(data, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range parts {
		if n := strings.Count(string(part), `"seed"`); n != 10 {
			t.Errorf("part %d carries %d of %d vectors", i, n, len(names))
		}
	}
}

// named is a search over n vectors that the task gives.
func named(n int) (json.RawMessage, []string) {
	var vectors, names []string
	for i := range n {
		names = append(names, fmt.Sprintf("v%d", i))
		vectors = append(vectors, fmt.Sprintf(`{"name":"v%d","seed":"%d"}`, i, i))
	}
	return json.RawMessage(fmt.Sprintf(`{"kind":"ternary","dimension":700,"vectors":[{"name":"q","symbol":"q"},%s],"steps":[{"op":"search","of":["q"],"top":5,"as":"found","codebook":{"names":["%s"]}}]}`,
		strings.Join(vectors, ","), strings.Join(names, `","`))), names
}

// TestRecord is what hypervectors are for: a record of roles and fillers in one
// vector, asked for one of them.
//
// spec 4.4
func TestRecord(t *testing.T) {
	for _, kind := range []string{"binary", "ternary"} {
		data := json.RawMessage(`{"kind":"` + kind + `","dimension":10048,
			"vectors":[{"name":"country","symbol":"country"},{"name":"capital","symbol":"capital"},{"name":"money","symbol":"money"},
				{"name":"mexico","symbol":"mexico"},{"name":"city","symbol":"mexico city"},{"name":"peso","symbol":"peso"}],
			"steps":[{"op":"bind","of":["country","mexico"],"as":"a"},{"op":"bind","of":["capital","city"],"as":"b"},
				{"op":"bind","of":["money","peso"],"as":"c"},{"op":"bundle","of":["a","b","c"],"as":"record"},
				{"op":"unbind","of":["record","capital"],"as":"asked"},
				{"op":"search","of":["asked"],"codebook":{"symbols":["peso","mexico","dollar","mexico city"]},"as":"answer"}]}`)
		out := run(t, Type, data)
		var got struct{ Answer []match }
		if err := json.Unmarshal(out.Result, &got); err != nil || len(got.Answer) != 1 || got.Answer[0].Name != "mexico city" || got.Answer[0].Similarity < 0.15 {
			t.Errorf("%s: %s, %v", kind, out.Result, err)
		}
	}
}

// TestEvolutionImproves: the result is fitter than what the exemplars' majority is,
// and stops at the target.
//
// spec 4.56
func TestEvolutionImproves(t *testing.T) {
	for _, kind := range []string{"binary", "ternary"} {
		base := `{"kind":"` + kind + `","dimension":2000,"seed":"5","exemplars":[{"seed":"1"},{"seed":"2"},{"seed":"3"},{"seed":"4"}],"avoid":[{"seed":"5"}]`
		start := run(t, EvolutionType, json.RawMessage(base+`,"target":0}`))
		full := run(t, EvolutionType, json.RawMessage(base+`}`))
		if full.Metric <= start.Metric {
			t.Errorf("%s: fitness %v after evolution, %v before", kind, full.Metric, start.Metric)
		}
		halfway := (start.Metric + full.Metric) / 2
		part := run(t, EvolutionType, json.RawMessage(fmt.Sprintf(`%s,"target":%v}`, base, halfway)))
		if part.Metric < halfway || part.Metric >= full.Metric {
			t.Errorf("%s: stopped at %v, the target was %v", kind, part.Metric, halfway)
		}
	}
}

// TestLies: results that cannot be, or are not of the quality claimed, are refused
// by whoever checks them.
//
// spec 4.52 4.56
func TestLies(t *testing.T) {
	for _, g := range goldens(t) {
		x := engineOf(g.Type)
		metric, err := compute.MetricOf(x, g.Data, g.Result)
		if err != nil {
			t.Fatal(err)
		}
		if err := compute.Judge(x, g.Data, g.Result, metric/2); !errors.Is(err, core.Corrupt) {
			t.Errorf("%s: half the metric: %v", g.Name, err)
		}
		text := string(g.Result)
		for i, lie := range []string{"", "null", "{}", "[]", "5", text + " ", " " + text, text[:len(text)-1], text + text, strings.Replace(text, `{`, `{"more":1,`, 1),
			strings.Replace(text, "0.", "0.00001", 1), strings.Replace(text, "0.", "-0.", 1), strings.Replace(text, "0.", "5.", 1), strings.Replace(text, `"index":`, `"index":9`, 1),
			strings.Replace(text, `"hex":"`, `"hex":"ff`, 1), strings.Replace(text, `"dimension":`, `"dimension":1`, 1), strings.Replace(text, `"island":`, `"island":9`, 1),
			strings.Replace(text, `"generation":`, `"generation":99999`, 1), strings.Replace(text, `"generation":`, `"generation":-`, 1)} {
			if lie == text {
				continue
			}
			if err := x.Validate(g.Data, json.RawMessage(lie)); !errors.Is(err, core.Corrupt) {
				t.Errorf("%s: lie %d %.100q: %v", g.Name, i, lie, err)
			}
			if _, err := x.Merge(g.Data, []json.RawMessage{json.RawMessage(lie)}); !errors.Is(err, core.Corrupt) && i < 11 {
				t.Errorf("%s: merging lie %d %.100q: %v", g.Name, i, lie, err)
			}
		}
	}
}

// TestJudge: what Validate computes again is estimated, and of big programs nothing.
func TestJudge(t *testing.T) {
	program := `{"kind":"binary","dimension":%d,"vectors":[{"name":"a","seed":"1"}],"steps":[{"op":"search","of":["a"],"codebook":{"seed":"1","count":1000},"as":"x"}]}`
	if cost, err := (Programs{}).Check(json.RawMessage(fmt.Sprintf(program, 64))); err != nil || cost.Judge != cost.Units || cost.Judge <= 0 {
		t.Errorf("a small program: %+v, %v", cost, err)
	}
	if cost, err := (Programs{}).Check(json.RawMessage(fmt.Sprintf(program, 65536))); err != nil || cost.Judge != 0 {
		t.Errorf("a big program: %+v, %v", cost, err)
	}
	cost, err := (Evolution{}).Check(json.RawMessage(`{"kind":"binary","dimension":640,"seed":"1","exemplars":[{"seed":"1"},{"seed":"2"}],"avoid":[{"seed":"3"}],"population":2,"generations":1}`))
	if want := 3 * 10 * (growUnits + bundleUnits + 2*dotUnits); err != nil || cost.Judge != want || cost.Judge >= cost.Units {
		t.Errorf("an evolution: %+v, %v; want %v", cost, err, want)
	}
}

// TestFlippedBits: whichever bit of an evolved vector is changed, its fitness is
// not what was claimed or not better than the start.
func TestFlippedBits(t *testing.T) {
	for _, g := range goldens(t) {
		if g.Type != EvolutionType {
			continue
		}
		r := rand.New(rand.NewPCG(1, 2))
		at := strings.Index(string(g.Result), `"hex":"`) + 7
		end := strings.Index(string(g.Result)[at:], `"`) + at
		caught := 0
		for range 200 {
			lie := []byte(g.Result)
			lie[at+r.IntN(end-at)] = "0123456789abcdef"[r.IntN(16)]
			if string(lie) == string(g.Result) {
				caught++
			} else if err := (Evolution{}).Validate(g.Data, lie); errors.Is(err, core.Corrupt) {
				caught++
			}
		}
		if caught < 100 { // a bit that does not matter for the least similar target changes nothing
			t.Errorf("%s: %d of 200 changes noticed", g.Name, caught)
		}
	}
}

// TestCancelled: a long search and a long evolution end soon after their context.
func TestCancelled(t *testing.T) {
	for of, data := range map[core.TaskType]string{
		Type:          `{"kind":"binary","dimension":10048,"vectors":[{"name":"a","seed":"1"}],"steps":[{"op":"search","of":["a"],"codebook":{"seed":"1","count":10000000},"as":"x"}]}`,
		EvolutionType: `{"kind":"binary","dimension":10048,"seed":"1","exemplars":[{"seed":"1"},{"seed":"2"}],"generations":100000}`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := engineOf(of).Run(ctx, json.RawMessage(data), compute.Report{OnProgress: func(p float64) {
			if p > 0 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", of, err)
		}
		cancel()
	}
}

// TestAnyProgram: whatever program a generator writes, the result is taken by who
// checks it, and what it costs is within what was estimated to be allowed.
func TestAnyProgram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"binary", "ternary"}).Draw(t, "kind")
		dim := rapid.IntRange(1, 200).Draw(t, "dimension")
		names := []string{"a", "b", "c"}
		steps := []string{}
		for i := range rapid.IntRange(1, 8).Draw(t, "steps") {
			one := func() string { return `"` + rapid.SampledFrom(names).Draw(t, "operand") + `"` }
			as := fmt.Sprintf("s%d", i)
			rest, vector := "", true
			of := one()
			op := rapid.SampledFrom(Operations()).Draw(t, "op")
			switch op {
			case "bind", "unbind", "similarity":
				of += "," + one()
				vector = op != "similarity"
			case "bundle":
				for range rapid.IntRange(0, 6).Draw(t, "more") {
					of += "," + one()
				}
			case "permute":
				rest = fmt.Sprintf(`,"by":%d`, rapid.IntRange(-300, 300).Draw(t, "by"))
			case "search":
				rest, vector = fmt.Sprintf(`,"top":%d,"codebook":{"seed":"9","count":%d}`, rapid.IntRange(1, 5).Draw(t, "top"), rapid.IntRange(1, 9).Draw(t, "count")), false
			case "cleanup":
				rest = `,"codebook":{"names":[` + one() + "," + one() + `]}`
			}
			steps = append(steps, fmt.Sprintf(`{"op":"%s","of":[%s],"as":"%s"%s}`, op, of, as, rest))
			if vector {
				names = append(names, as)
			}
		}
		data := json.RawMessage(fmt.Sprintf(`{"kind":"%s","dimension":%d,"vectors":[{"name":"a","seed":"1"},{"name":"b","symbol":"b"},{"name":"c","seed":"3"}],"steps":[%s]}`,
			kind, dim, strings.Join(steps, ",")))
		out, err := Programs{}.Run(context.Background(), data, compute.Report{})
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if err := (Programs{}).Validate(data, out.Result); err != nil {
			t.Fatalf("%s gives %s: %v", data, out.Result, err)
		}
	})
}
