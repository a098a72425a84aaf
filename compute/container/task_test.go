package container_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

const (
	someHex   = "5f5e5d5c5b5a59585756555453525150f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	someImage = "sha256:" + someHex
	someNamed = "tools/count@" + someImage
)

// TestDecodeRefuses has data that is refused before anything runs, with the field that
// is wrong and what to do.
//
// spec 0.23
func TestDecodeRefuses(t *testing.T) {
	const image = `"image":"` + someNamed + `"`
	named := func(name string) string { return `{"image":"` + name + `"}` }
	for name, c := range map[string]struct{ data, field, want, hint string }{
		"no object":        {`[]`, "data", "", ""},
		"nothing":          {`{}`, "data.image", "is missing", "digest"},
		"unknown field":    {`{` + image + `,"privileged":true}`, "data.privileged", "not a known field", ""},
		"unknown limit":    {`{` + image + `,"limits":{"fuel":1}}`, "data.limits.fuel", "not a known field", ""},
		"twice":            {`{` + image + `,` + image + `}`, "data.image", "", ""},
		"tag":              {named("tools/count:latest"), "data.image", "does not end in sha256:", "name@sha256"},
		"tag and digest":   {named("tools/count:1@" + someImage), "data.image", "or a tag", ""},
		"short digest":     {named("tools/count@sha256:5f5e"), "data.image", "64 lower-case hex digits", ""},
		"upper digest":     {named("tools/count@sha256:" + strings.ToUpper(someHex)), "data.image", "lower-case", ""},
		"other digest":     {named("tools/count@sha512:" + someHex), "data.image", "", ""},
		"no name":          {named("@" + someImage), "data.image", "name that is none", ""},
		"name with a path": {named("../../etc@" + someImage), "data.image", "name that is none", ""},
		"name with query":  {named("a?b=c@" + someImage), "data.image", "name that is none", ""},
		"upper name":       {named("Tools@" + someImage), "data.image", "name that is none", ""},
		"long name":        {named(strings.Repeat("a", 256) + "@" + someImage), "data.image", "name that is none", ""},
		"little memory":    {`{` + image + `,"limits":{"memoryMB":15}}`, "data.limits.memoryMB", "16 to 1.048576e+06", "default"},
		"much memory":      {`{` + image + `,"limits":{"memoryMB":1048577}}`, "data.limits.memoryMB", "it must be", ""},
		"no processor":     {`{` + image + `,"limits":{"cpus":0.001}}`, "data.limits.cpus", "it must be 0.01", ""},
		"many processors":  {`{` + image + `,"limits":{"cpus":1025}}`, "data.limits.cpus", "it must be", ""},
		"many processes":   {`{` + image + `,"limits":{"pids":4097}}`, "data.limits.pids", "it must be 1 to 4096", ""},
		"less than none":   {`{` + image + `,"limits":{"pids":-1}}`, "data.limits.pids", "it must be", ""},
		"much time":        {`{` + image + `,"limits":{"timeoutMs":86400001}}`, "data.limits.timeoutMs", "it must be", ""},
		"object as word":   {`{` + image + `,"args":[{}]}`, "data.args[0]", "neither a number nor a string", ""},
		"zero in command":  {`{` + image + `,"command":["a\u0000"]}`, "data.command[0]", "zero byte", ""},
		"env with =":       {`{` + image + `,"env":{"A=B":"x"}}`, "data.env", "contains '='", ""},
		"file above":       {`{` + image + `,"files":{"../x":""}}`, `data.files["../x"]`, `".."`, ""},
		"stdin twice":      {`{` + image + `,"stdin":"","input":1}`, "data.input", "both given", ""},
		"too long":         {`{` + image + `,"stdin":"` + strings.Repeat("A", core.MaxTaskBytes) + `"}`, "data", "at most", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := container.Planner{}.Check([]byte(c.data))
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid {
				t.Fatalf("%v, want an error of kind invalid", err)
			}
			if !strings.HasPrefix(e.Op, c.field) || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("%s: %v (%s), want %s: %s (%s)", e.Op, e, e.Hint, c.field, c.want, c.hint)
			}
		})
	}
}

// TestDecode: what is left out has its default, and input is standard input as it is
// written.
func TestDecode(t *testing.T) {
	got, err := container.Decode([]byte(`{"image":"` + someImage + `","input":[1,  2]}`))
	want := container.Limits{MemoryMB: 256, CPUs: 1, Pids: 64, TimeoutMS: 60_000}
	if err != nil || string(got.Stdin) != "[1,  2]" || got.Limits != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCost: a container counts as the time and the cores it may take, and more than
// anything that is computed again where results are judged.
func TestCost(t *testing.T) {
	for limits, want := range map[string]float64{`{}`: 60.5e9, `{"timeoutMs":1000}`: 1.5e9, `{"timeoutMs":1000,"cpus":4}`: 4.5e9,
		`{"timeoutMs":1,"cpus":0.01}`: 500_010_000} {
		c, err := container.Planner{}.Check([]byte(`{"image":"` + someImage + `","limits":` + limits + `}`))
		if err != nil || c.Units != want || c.MaxShards != 1 || c.Judge != 0 {
			t.Errorf("%s: %+v, %v", limits, c, err)
		}
	}
}

// TestNeeds: what a worker has to announce is the image, by its content; where it is not
// known yet, any container.
func TestNeeds(t *testing.T) {
	for data, want := range map[string]core.TaskType{
		`{"image":"` + someNamed + `"}`:                         "container/5f5e5d5c5b5a5958",
		`{"image":"other/name@` + someImage + `"}`:              "container/5f5e5d5c5b5a5958",
		`{"image":"` + someImage + `","args":[{"$item":true}]}`: "container/5f5e5d5c5b5a5958",
		`{"image":{"$item":true}}`:                              "container", `{}`: "container", `5`: "container", `{"image":"latest"}`: "container",
	} {
		got := container.Planner{}.Needs(json.RawMessage(data))
		if got != want || len(got) > core.MaxRuntimeBytes {
			t.Errorf("%s needs %q, want %q", data, got, want)
		}
	}
}

// TestValidate: a result has to have the form that a container can leave, in the one way
// of writing it.
func TestValidate(t *testing.T) {
	const data = `{"image":"` + someImage + `"}`
	big := strings.Repeat("A", container.MaxOutput/3*4+8)
	for name, c := range map[string]struct {
		result string
		good   bool
	}{
		"empty":          {`{"stdout":"","stderr":"","exitCode":0}`, true},
		"some":           {`{"stdout":"YQ==","stderr":"Yg==","exitCode":255}`, true},
		"another order":  {`{"stderr":"","stdout":"","exitCode":0}`, false},
		"space":          {`{"stdout":"", "stderr":"","exitCode":0}`, false},
		"a field":        {`{"stdout":"","stderr":"","exitCode":0,"fuel":1}`, false},
		"null":           {`{"stdout":null,"stderr":"","exitCode":0}`, false},
		"code too high":  {`{"stdout":"","stderr":"","exitCode":256}`, false},
		"code too low":   {`{"stdout":"","stderr":"","exitCode":-1}`, false},
		"no base64":      {`{"stdout":"!","stderr":"","exitCode":0}`, false},
		"too much":       {`{"stdout":"` + big + `","stderr":"","exitCode":0}`, false},
		"no object":      {`7`, false},
		"nothing at all": {``, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := container.Planner{}.Validate(json.RawMessage(data), json.RawMessage(c.result))
			if (err == nil) != c.good || err != nil && !errors.Is(err, core.Corrupt) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestOutput: a program that ended badly has no output for others.
func TestOutput(t *testing.T) {
	out, err := container.Planner{}.Output(json.RawMessage(`{"stdout":"YQ==","stderr":"","exitCode":0}`))
	if string(out) != "a" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	_, err = container.Planner{}.Output(json.RawMessage(`{"stdout":"YQ==","stderr":"c29ycnk=","exitCode":3}`))
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonExecutionFailed || !strings.Contains(f.Message, "exit code 3: sorry") {
		t.Errorf("%v", err)
	}
}

// TestImages: an operator's list is of digests, each counted once.
func TestImages(t *testing.T) {
	got, err := container.ParseImages([]string{someNamed, "localhost:5000/other@" + someImage, "sha256:" + strings.Repeat("0", 64)})
	if err != nil || fmt.Sprint(got) != "["+someNamed+" sha256:"+strings.Repeat("0", 64)+"]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := container.ParseImages([]string{"debian:12"}); !errors.Is(err, core.Invalid) {
		t.Errorf("a tag: %v", err)
	}
	many := []string{}
	for i := range container.MaxImages + 1 {
		many = append(many, fmt.Sprintf("sha256:%064x", i))
	}
	if _, err := container.ParseImages(many); !errors.Is(err, core.Invalid) {
		t.Errorf("too many: %v", err)
	}
}

// FuzzDecode: whatever the data, the planner accepts or refuses, and what it accepts it
// accepts again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"image":"` + someNamed + `","command":["a"],"args":[1,"b"],"env":{"A":"b"},"files":{"a/b":"YQ=="},"limits":{"cpus":0.5}}`,
		`{"image":"` + someImage + `","input":{"a":1}}`, `{"image":7}`, `{`, `{"limits":{"cpus":1e308}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := container.Planner{}
		needs := p.Needs(data)
		cost, err := p.Check(data)
		if err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if needs == container.Type || len(needs) > core.MaxRuntimeBytes || !(cost.Units > 0 && cost.Units < 1e18) || cost.MaxShards != 1 {
			t.Fatalf("needs %q, costs %+v", needs, cost)
		}
		parts, err := p.Split(data, 1)
		if err != nil || len(parts) != 1 {
			t.Fatalf("%v", err)
		}
		if _, err := p.Check(parts[0]); err != nil {
			t.Fatalf("a part: %v", err)
		}
	})
}

// FuzzDecodeResult: what is accepted of a worker has one way of being written.
func FuzzDecodeResult(f *testing.F) {
	for _, seed := range []string{`{"stdout":"YQ==","stderr":"","exitCode":0}`, `{"exitCode":1e9}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := container.DecodeResult(raw)
		if err != nil {
			if !errors.Is(err, core.Corrupt) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := (container.Planner{}).Validate(json.RawMessage(`{"image":"`+someImage+`"}`), again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
