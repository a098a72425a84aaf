package wasm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// TestDecodeRefuses has data that is refused before anything runs, with the field
// that is wrong and what to do.
//
// spec 0.23
func TestDecodeRefuses(t *testing.T) {
	const module = `"module":"AGFzbQEAAAA="`
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	files := func(names ...string) string {
		all := []string{}
		for _, n := range names {
			all = append(all, fmt.Sprintf("%q:\"\"", n))
		}
		return `{` + module + `,"files":{` + strings.Join(all, ",") + `}}`
	}
	named := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint("f", i))
		}
		return all
	}
	for name, c := range map[string]struct{ data, field, want, hint string }{
		"no object":         {`[]`, "data", "", ""},
		"nothing":           {`{}`, "data.module", "data.module is missing", "base64"},
		"unknown field":     {`{` + module + `,"argv":[]}`, "data.argv", "not a known field", ""},
		"unknown limit":     {`{` + module + `,"limits":{"gas":1}}`, "data.limits.gas", "not a known field", ""},
		"misspelt field":    {`{` + module + `,"arg":[]}`, "data.arg", "not a known field", "nearest field is args"},
		"misspelt limit":    {`{` + module + `,"limits":{"feul":1}}`, "data.limits.feul", "not a known field", "nearest field is fuel"},
		"twice":             {`{` + module + `,` + module + `}`, "data.module", "", ""},
		"other case":        {`{"Module":"AGFzbQEAAAA="}`, "data.Module", "", ""},
		"no base64":         {`{"module":"AGFzbQEAAA!"}`, "data.module", "", ""},
		"text":              {`{"module":"KG1vZHVsZSk="}`, "data.module", "is not a WebAssembly module", "binary format"},
		"component":         {`{"module":"AGFzbQ0AAQA="}`, "data.module", "unknown version", "core module"},
		"fuel below 0":      {`{` + module + `,"limits":{"fuel":-1}}`, "data.limits.fuel", "it must be 0 to 1000000000000000", "default"},
		"too much fuel":     {`{` + module + `,"limits":{"fuel":1000000000000001}}`, "data.limits.fuel", "it must be", ""},
		"too much memory":   {`{` + module + `,"limits":{"memoryMB":4097}}`, "data.limits.memoryMB", "it must be 0 to 4096", ""},
		"too much time":     {`{` + module + `,"limits":{"timeoutMs":86400001}}`, "data.limits.timeoutMs", "it must be", ""},
		"list as word":      {`{` + module + `,"args":["a",[1]]}`, "data.args[1]", "neither a number nor a string", "input"},
		"stdin twice":       {`{` + module + `,"stdin":"","input":[1]}`, "data.input", "both given", "leave one"},
		"list as number":    {`{` + module + `,"function":"f","args":[1,[2]]}`, "data.args[1]", "neither a number nor a string", "input"},
		"true as number":    {`{` + module + `,"function":"f","args":[true]}`, "data.args[0]", "neither a number nor a string", ""},
		"zero in word":      {`{` + module + `,"args":["a\u0000"]}`, "data.args[0]", "contains a zero byte", "stdin"},
		"many words":        {`{` + module + `,"args":[` + many(4097, `""`) + `]}`, "data.args", "4097 entries", ""},
		"long words":        {`{` + module + `,"args":["` + strings.Repeat("a", 1<<20) + `"]}`, "data.args", "more than 1048576 bytes", "file"},
		"reserved function": {`{` + module + `,"function":"tenzro.start"}`, "data.function", "is not the name", ""},
		"long function":     {`{` + module + `,"function":"` + strings.Repeat("f", 256) + `"}`, "data.function", "is not the name", ""},
		"env without name":  {`{` + module + `,"env":{"":"x"}}`, "data.env", "a name that is empty", ""},
		"env with =":        {`{` + module + `,"env":{"A=B":"x"}}`, "data.env", "contains '='", ""},
		"env with zero":     {`{` + module + `,"env":{"A":"\u0000"}}`, `data.env["A"]`, "zero byte", ""},
		"long env":          {`{` + module + `,"env":{"A":"` + strings.Repeat("a", 1<<20) + `"}}`, "data.env", "more than", ""},
		"file above root":   {files("../x"), `data.files["../x"]`, `".."`, "paths such as"},
		"file absolute":     {files("/etc/passwd"), `data.files["/etc/passwd"]`, "empty", ""},
		"file with dot":     {files("a/./b"), `data.files["a/./b"]`, `"."`, ""},
		"file as directory": {files("a", "a/b/c"), `data.files["a/b/c"]`, `is inside "a"`, "rename"},
		"file deep":         {files(strings.Repeat("a/", 16) + "a"), "data.files", "levels deep", ""},
		"file long":         {files(strings.Repeat("a", 513)), "data.files", "more than 512 bytes", ""},
		"file backslash":    {files(`a\b`), "data.files", "backslash", ""},
		"many files":        {files(named(257)...), "data.files", "257 entries", "archive"},
		"deep":              {`{` + module + `,"args":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "data", "", ""},
		"too long":          {`{"module":"` + strings.Repeat("A", core.MaxTaskBytes) + `"}`, "data", "at most", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wasm.Decode([]byte(c.data))
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != core.Invalid {
				t.Fatalf("%v, want an error of kind invalid", err)
			}
			if !strings.HasPrefix(e.Op, c.field) || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("%s: %v (%s), want %s: %s (%s)", e.Op, e, e.Hint, c.field, c.want, c.hint)
			}
			if _, err := (wasm.Planner{}).Check([]byte(c.data)); err == nil {
				t.Error("the planner takes it")
			}
		})
	}
}

// TestDecodeFills has the defaults, and the largest values there may be.
func TestDecodeFills(t *testing.T) {
	got, err := wasm.Decode([]byte(`{"module":"AGFzbQEAAAA="}`))
	if err != nil || got.Function != "_start" || got.Limits != (wasm.Limits{Fuel: wasm.DefaultFuel, MemoryMB: wasm.DefaultMemoryMB}) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = wasm.Decode([]byte(`{"module":"AGFzbQEAAAA=","limits":{"fuel":1000000000000000,"memoryMB":4096,"timeoutMs":86400000}}`))
	if err != nil || got.Limits.Fuel != wasm.MaxFuel {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestPlanner never cuts a program, and counts its fuel as its cost.
func TestPlanner(t *testing.T) {
	data := json.RawMessage(`{"module":"AGFzbQEAAAA=","limits":{"fuel":3000}}`)
	p := wasm.Planner{}
	if cost, err := p.Check(data); err != nil || cost.MaxShards != 1 || cost.Units != 1000 {
		t.Errorf("%+v, %v", cost, err)
	}
	if parts, err := p.Split(data, 1); err != nil || len(parts) != 1 || string(parts[0]) != string(data) {
		t.Errorf("%s, %v", parts, err)
	}
	if _, err := p.Split(data, 2); err == nil {
		t.Error("a program is cut")
	}
	const result = `{"stdout":"","stderr":"","exitCode":0,"fuel":5}`
	if merged, err := p.Merge(data, []json.RawMessage{[]byte(result)}); err != nil || string(merged) != result {
		t.Errorf("%s, %v", merged, err)
	}
	if _, err := p.Merge(data, []json.RawMessage{[]byte(`{}`)}); !errors.Is(err, core.Corrupt) {
		t.Errorf("merging nothing: %v", err)
	}
	if _, err := p.Merge(data, nil); err == nil {
		t.Error("no part is a result")
	}
}

// TestInput: JSON comes in as it is written.
func TestInput(t *testing.T) {
	for input, want := range map[string]string{`[1, 2.50,"<é"]`: `[1, 2.50,"<é"]`, `null`: `null`, `"a\u0000"`: `"a\u0000"`} {
		got, err := wasm.Decode([]byte(`{"module":"AGFzbQEAAAA=","input": ` + input + ` }`))
		if err != nil || string(got.Stdin) != want {
			t.Errorf("%s: %q, %v", input, got.Stdin, err)
		}
	}
}

// TestOutline: a long module is left out, wherever it stands in data that has holes,
// and nothing else is.
func TestOutline(t *testing.T) {
	long := `"AGFzbQEAAAA` + strings.Repeat("A", 5000) + `"`
	for data, want := range map[string]string{
		`{"args":[{"$item":true}], "module" : ` + long + `}`: `{"args":[{"$item":true}], "module" : "AGFzbQEAAAA="}`,
		`{"module":"AGFzbQEAAAAA","stdin":` + long + `}`:     `{"module":"AGFzbQEAAAAA","stdin":` + long + `}`,
		`{"module":{"$item":true},"stdin":` + long + `}`:     `{"module":{"$item":true},"stdin":` + long + `}`,
		`{"files":{"module":` + long + `}}`:                  `{"files":{"module":` + long + `}}`,
		`{"module":[` + strings.Repeat("1,", 5000) + `1]}`:   `{"module":[` + strings.Repeat("1,", 5000) + `1]}`,
		`[` + long + `]`: `[` + long + `]`,
	} {
		if got := (wasm.Planner{}).Outline(json.RawMessage(data)); string(got) != want {
			t.Errorf("%.60s: %.100s", data, got)
		}
	}
}

// TestOutput is what a program wrote, unless it says that it failed.
func TestOutput(t *testing.T) {
	out, err := wasm.Planner{}.Output([]byte(`{"stdout":"aGk=","stderr":"","exitCode":0,"fuel":1}`))
	if err != nil || string(out) != "hi" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = wasm.Planner{}.Output([]byte(`{"stdout":"aGk=","stderr":"bm8=","exitCode":3,"fuel":1}`))
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonExecutionFailed || f.Message != "the program ended with exit code 3: no" {
		t.Errorf("%v", err)
	}
	if _, err := (wasm.Planner{}).Output([]byte(`{"stdout":5}`)); !errors.Is(err, core.Corrupt) {
		t.Errorf("%v", err)
	}
}

// TestValidate has results that no run of the task can have.
func TestValidate(t *testing.T) {
	const head = `{"module":"AGFzbQEAAAA=","files":{"in":""},"limits":{"fuel":1000}`
	command, function := head+`}`, head+`,"function":"f"}`
	big := strings.Repeat("A", 4*(wasm.MaxOutput/3+1))
	for name, c := range map[string]struct {
		data, result string
		ok           bool
	}{
		"plain":               {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1000}`, true},
		"exit code":           {command, `{"stdout":"aGk=","stderr":"","exitCode":4294967295,"fuel":1}`, true},
		"files":               {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"files":{"a":"","b/c":"aGk="}}`, true},
		"values":              {function, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"values":[1,"-2",0.5,"NaN","Infinity"]}`, true},
		"no JSON":             {command, `{`, false},
		"unknown field":       {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"more":1}`, false},
		"space":               {command, `{"stdout":"", "stderr":"","exitCode":0,"fuel":1}`, false},
		"order":               {command, `{"stderr":"","stdout":"","exitCode":0,"fuel":1}`, false},
		"null":                {command, `{"stdout":null,"stderr":"","exitCode":0,"fuel":1}`, false},
		"order of files":      {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"files":{"b":"","a":""}}`, false},
		"too much fuel":       {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1001}`, false},
		"fuel below 0":        {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":-1}`, false},
		"exit code below 0":   {command, `{"stdout":"","stderr":"","exitCode":-1,"fuel":1}`, false},
		"values of a command": {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"values":[1]}`, false},
		"changed input":       {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"files":{"in":"aGk="}}`, false},
		"path above root":     {command, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"files":{"../a":""}}`, false},
		"value no number":     {function, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"values":["x"]}`, false},
		"value a list":        {function, `{"stdout":"","stderr":"","exitCode":0,"fuel":1,"values":[[]]}`, false},
		"values after exit":   {function, `{"stdout":"","stderr":"","exitCode":1,"fuel":1,"values":[1]}`, false},
		"too much output":     {command, `{"stdout":"` + big + `","stderr":"","exitCode":0,"fuel":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := (wasm.Planner{}).Validate([]byte(c.data), []byte(c.result))
			if c.ok && err != nil || !c.ok && !errors.Is(err, core.Corrupt) {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzDecode has data from outside: what is taken is taken again after encoding,
// and nothing panics.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"module":"AGFzbQEAAAA=","args":["a"],"env":{"A":"b"},"files":{"a/b":"aGk="},"stdin":"aGk=","limits":{"fuel":5}}`))
	f.Add([]byte(`{"module":"AGFzbQEAAAA=","args":[1,-2.50e3],"input":{"a": [1, "<"]}}`))
	f.Add([]byte(`{"module":"AGFzbQEAAAA=","function":"f","args":[1,"2",-0.5e3]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		one, err := wasm.Decode(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		two, err := wasm.Decode(text)
		if again, _ := json.Marshal(two); err != nil || string(again) != string(text) {
			t.Errorf("%s became %s: %v", text, again, err)
		}
		if request, err := wasm.RequestOf(&one); err == nil && wasm.ReadRequest(request) != nil {
			t.Error("a request cannot be read again")
		}
	})
}

// FuzzResult has results from other nodes.
func FuzzResult(f *testing.F) {
	f.Add([]byte(`{"stdout":"aGk=","stderr":"","exitCode":1,"fuel":1,"values":["1",2],"files":{"a":""}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wasm.DecodeResult(raw)
		if err != nil {
			if !errors.Is(err, core.Corrupt) {
				t.Errorf("%v is not of kind corrupt", err)
			}
			return
		}
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := wasm.DecodeResult(text); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if twice, _ := again.Encode(); string(twice) != string(text) {
			t.Errorf("%s became %s", text, twice)
		}
	})
}

// FuzzMessages has what crosses the pipe between a node and a child that a guest
// has taken over.
func FuzzMessages(f *testing.F) {
	text, err := wasm.Answer{ExitCode: 1}.Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("\x02\x00\x00\x00{}\xff\xff\xff\xff"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = wasm.ReadAnswer(b)
		_ = wasm.ReadRequest(b)
	})
}
