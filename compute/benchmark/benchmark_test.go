package benchmark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func run(t testing.TB, b *Benchmark, data string) (Result, json.RawMessage) {
	t.Helper()
	out, err := b.Run(t.Context(), json.RawMessage(data), compute.Report{})
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(out.Result, &r); err != nil || out.Metric != 1 {
		t.Fatalf("%s, metric %v, %v", out.Result, out.Metric, err)
	}
	return r, out.Result
}

// TestWorkloads: each can be asked for and gives a score that others take, and the
// disk is left as it was.
//
// spec 4.4
func TestWorkloads(t *testing.T) {
	dir := t.TempDir()
	b, verifier := New(Config{Dir: dir, Program: program, Secret: []byte("a")}), New(Config{Secret: []byte("b")})
	for _, name := range b.Workloads() {
		data := fmt.Sprintf(`{"workload":"%s","segments":2,"seed":"7"}`, name)
		r, text := run(t, b, data)
		if r.Workload != name || r.Version != 1 || r.Score <= 0 || r.Unit == "" || r.ElapsedUS < 1 || r.Segments != 2 || len(r.Digests) != 16 || r.Checksum != core.Sum(r.Digests) {
			t.Errorf("%s: %s", name, text)
		}
		if err := verifier.Validate(json.RawMessage(data), text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if merged, err := verifier.Merge(json.RawMessage(data), []json.RawMessage{text}); err != nil || string(merged) != string(text) {
			t.Errorf("%s: %v", name, err)
		}
		other := fmt.Sprintf(`{"workload":"%s","segments":2,"seed":"8"}`, name)
		if err := verifier.Validate(json.RawMessage(other), text); !errors.Is(err, core.Corrupt) {
			t.Errorf("%s: under another seed: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestMadeUp: a result that was not worked for is found out, a machine that cannot
// be is not believed.
//
// spec 4.52 4.56
func TestMadeUp(t *testing.T) {
	data := json.RawMessage(`{"workload":"float","segments":8}`)
	b := New(Config{Secret: []byte("secret")})
	honest, text := run(t, b, string(data))
	task, err := b.decode(data)
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for i := range task.segments { // one segment left out
		digests := append([]byte(nil), honest.Digests...)
		digests[8*i] ^= 1
		lie, err := json.Marshal(task.result(digests, 1e6))
		if err != nil {
			t.Fatal(err)
		}
		for secret := range 50 {
			if err := New(Config{Secret: []byte{byte(secret)}}).Validate(data, lie); errors.Is(err, core.Corrupt) {
				caught++
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if caught < 20 || caught > 100 { // 50 expected
		t.Errorf("one missing segment of eight is noticed %d times in 400", caught)
	}
	for name, lie := range map[string]string{
		"all made up": func() string {
			r, err := json.Marshal(task.result(make([]byte, 64), 1e6))
			if err != nil {
				t.Fatal(err)
			}
			return string(r)
		}(),
		"too fast":          replaced(t, task, honest, func(r *Result) { r.ElapsedUS = 1; r.Score = task.score(1) }),
		"a better score":    replaced(t, task, honest, func(r *Result) { r.Score *= 2 }),
		"no time at all":    replaced(t, task, honest, func(r *Result) { r.ElapsedUS = 0 }),
		"more than a day":   replaced(t, task, honest, func(r *Result) { r.ElapsedUS = maxElapsed + 1; r.Score = task.score(r.ElapsedUS) }),
		"another workload":  replaced(t, task, honest, func(r *Result) { r.Workload = "hash" }),
		"another version":   replaced(t, task, honest, func(r *Result) { r.Version = 2 }),
		"another unit":      replaced(t, task, honest, func(r *Result) { r.Unit = "GB/s" }),
		"a wrong checksum":  replaced(t, task, honest, func(r *Result) { r.Checksum[0] ^= 1 }),
		"too few digests":   replaced(t, task, honest, func(r *Result) { r.Digests = r.Digests[8:] }),
		"more segments":     replaced(t, task, honest, func(r *Result) { r.Segments = 9 }),
		"text behind it":    string(text) + " ",
		"not an object":     "5",
		"another field":     strings.Replace(string(text), "{", `{"more":1,`, 1),
		"a field more":      strings.Replace(string(text), "{", `{"workload":"float",`, 1),
		"a differing order": "{}",
	} {
		if err := b.Validate(data, json.RawMessage(lie)); !errors.Is(err, core.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func replaced(t *testing.T, _ *task, r Result, change func(*Result)) string {
	t.Helper()
	r.Digests = append([]byte(nil), r.Digests...)
	change(&r)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGuide: the example of docs/benchmark.md is one, and every workload is there
// with its unit.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmark.md")
	if err != nil {
		t.Fatal(err)
	}
	b := New(Config{})
	blocks := regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	if err := b.Validate(json.RawMessage(blocks[0][1]), json.RawMessage(blocks[1][1])); err != nil {
		t.Error(err)
	}
	for _, k := range b.kinds {
		if row := regexp.MustCompile("(?m)^\\| `" + k.Name + "` \\| .* \\| " + k.Unit + ".*\\|$"); !row.Match(text) {
			t.Errorf("workload %s in %s is missing", k.Name, k.Unit)
		}
	}
}

// TestRefused names the field that is wrong.
func TestRefused(t *testing.T) {
	b := New(Config{})
	for data, path := range map[string]string{
		`{}`:                                     "data.workload",
		`[]`:                                     "data",
		`{"workload":"sleep"}`:                   "data.workload",
		`{"workload":"hash","version":2}`:        "data.version",
		`{"workload":"hash","segments":0}`:       "data.segments",
		`{"workload":"hash","segments":4097}`:    "data.segments",
		`{"workload":"disk","segments":1025}`:    "data.segments",
		`{"workload":"hash","seed":"x"}`:         "data.seed",
		`{"workload":"hash","seed":"01"}`:        "data.seed",
		`{"workload":"hash","seed":1}`:           "data.seed",
		`{"workload":"hash","rounds":1}`:         "data.rounds",
		`{"workload":"hash","workload":"float"}`: "data.workload",
	} {
		_, err := b.Check(json.RawMessage(data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != path {
			t.Errorf("%s: %v, want %s", data, err, path)
		}
	}
	if _, err := b.Split(json.RawMessage(`{"workload":"hash"}`), 2); !errors.Is(err, core.Invalid) {
		t.Errorf("cut in two: %v", err)
	}
	if _, err := b.Merge(json.RawMessage(`{"workload":"hash"}`), nil); !errors.Is(err, core.Invalid) {
		t.Errorf("merged of nothing: %v", err)
	}
	if parts, err := b.Split(json.RawMessage(`{"workload":"hash"}`), 1); err != nil || len(parts) != 1 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
}

// TestMisspelt: a field that is none is named, and the one that was meant.
func TestMisspelt(t *testing.T) {
	for data, hint := range map[string]string{
		`{"worklaod":"hash"}`:               "workload",
		`{"workload":"hash","segment":1}`:   "segments",
		`{"workload":"hash","versoin":"1"}`: "version",
	} {
		_, err := New(Config{}).Check(json.RawMessage(data))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || !strings.HasPrefix(e.Op, "data.") || !strings.Contains(e.Hint, "nearest field is "+hint) {
			t.Errorf("%s: %v (hint %q)", data, err, e.Hint)
		}
	}
}

// TestDiskFailures: no disk to measure is the task's end, with a reason.
func TestDiskFailures(t *testing.T) {
	for name, dir := range map[string]string{"not allowed": "", "no such directory": filepath.Join(t.TempDir(), "none")} {
		_, err := New(Config{Dir: dir}).Run(t.Context(), json.RawMessage(`{"workload":"disk","segments":1}`), compute.Report{})
		var f *core.Failure
		if !errors.As(err, &f) || f.Reason != core.ReasonExecutionFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCancelled: a benchmark ends soon after its context.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := New(Config{}).Run(ctx, json.RawMessage(`{"workload":"float","segments":4096}`), compute.Report{OnProgress: func(float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"workload":"hash","version":1,"segments":64,"seed":"18446744073709551615"}`))
	f.Add([]byte(`{"workload":"disk"}`))
	b := New(Config{})
	f.Fuzz(func(t *testing.T, data []byte) {
		task, err := b.decode(data)
		if err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if !json.Valid(data) || task.segments < 1 || task.units() > MaxUnits {
			t.Fatalf("%q is taken: %+v", data, task)
		}
	})
}

func FuzzResult(f *testing.F) {
	const data = `{"workload":"float","segments":1}`
	b := New(Config{})
	_, text := run(f, b, data)
	f.Add([]byte(text))
	f.Fuzz(func(t *testing.T, result []byte) {
		err := b.Validate(json.RawMessage(data), result)
		if err != nil && !errors.Is(err, core.Corrupt) {
			t.Fatalf("kind of %v", err)
		}
		if err == nil && !json.Valid(result) {
			t.Fatalf("accepted %q", result)
		}
	})
}
