package wasm_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm"
)

// goProgram compiles testdata/wasi with the Go toolchain.
func goProgram(t *testing.T) task {
	t.Helper()
	out := filepath.Join(t.TempDir(), "wasi.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "main.go")
	cmd.Dir = "testdata/wasi"
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, text)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return task{"module": base64.StdEncoding.EncodeToString(code)}
}

// anything is what the toolchain's own library decides; it is the same each time.
const anything = "?"

// TestWASI runs a real program: with what it is granted it works, without it fails
// closed, and the interpreter gives the same bytes for the same fuel.
func TestWASI(t *testing.T) {
	cache, err := wasm.NewCache(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	built := goProgram(t)
	compiler, interpreter := newRig(t, wasm.EngineAuto, cache), newRig(t, wasm.EngineInterpreter, nil)
	for _, c := range []struct {
		name           string
		args           []string
		grant          task
		stdout, stderr string // stderr: a part of it
		exit           uint32
		files          string
	}{
		{name: "args", args: []string{"args", "a b", "", "é"}, stdout: "3 [\"a b\" \"\" \"é\"]\n"},
		{name: "numbers as args", grant: task{"args": []any{"args", json.Number("-1.50"), 7}}, stdout: "2 [\"-1.50\" \"7\"]\n"},
		{name: "no args", stdout: "", exit: 64},
		{name: "env", args: []string{"env"}, grant: task{"env": map[string]string{"B": "2=2", "A": "1"}}, stdout: "A=1,B=2=2\n"},
		{name: "no env", args: []string{"env"}, stdout: "\n"},
		{name: "stdin", args: []string{"stdin"}, grant: task{"stdin": b64("some words")}, stdout: "SOME WORDS"},
		{name: "input", args: []string{"stdin"}, grant: task{"input": []any{"a", 1}}, stdout: `["A",1]`},
		{name: "no stdin", args: []string{"stdin"}},
		{name: "files", args: []string{"read", "/data/in.txt", "other"}, grant: files("data/in.txt", "in", "other", "o"), stdout: "/data/in.txt=in\nother=o\n"},
		{name: "no files", args: []string{"read", "/data/in.txt"}, stderr: "open /data/in.txt: ", exit: 1},
		{name: "write", args: []string{"write", "/out", "/deep/er/out"}, files: "deep/er/out=made /deep/er/out out=made /out"},
		{name: "list", args: []string{"list"}, grant: files("data/in.txt", "in"), stdout: ". true 0\ndata true 0\ndata/in.txt false 2\n"},
		{name: "rename", args: []string{"rename"}, stdout: ". true 0\nb true 0\nb/two false 9\nthree false 4\n", files: "b/two=made /two three=made"},
		{name: "append", args: []string{"append"}, stdout: "two\n", files: "log=one\ntwo\n"},
		{name: "clock", args: []string{"clock"}, stdout: "2022-01-01T00:00:00Z true\n"},
		{name: "random", args: []string{"random"}, stdout: anything},
		{name: "no network", args: []string{"dial"}},
		{name: "panic", args: []string{"panic"}, stderr: "panic: boom", exit: 2},
		{name: "exit", args: []string{"exit"}, exit: 42},
		{name: "escape", args: []string{"escape"}, stderr: "symlink /etc /link: ", exit: 1},
		{name: "inputs stay", args: []string{"clean"}, grant: files("data/in.txt", "in"), files: "mine="},
	} {
		t.Run(c.name, func(t *testing.T) {
			tsk := built.with("args", c.args)
			for k, v := range c.grant {
				tsk = tsk.with(k, v)
			}
			got, err := compiler.do(t, tsk)
			if err != nil {
				t.Fatal(err)
			}
			out := string(got.Stdout)
			if c.stdout != anything && out != c.stdout || !strings.Contains(string(got.Stderr), c.stderr) || got.ExitCode != c.exit {
				t.Errorf("exit code %d, stdout %q, stderr %q", got.ExitCode, got.Stdout, got.Stderr)
			}
			if text := shown(got.Files); text != c.files {
				t.Errorf("files %q, want %q", text, c.files)
			}
			if raced && c.name != "files" { // one is enough to find races
				return
			}
			again, err := interpreter.do(t, tsk)
			if err != nil || shown(again.Files) != shown(got.Files) || string(again.Stdout) != string(got.Stdout) ||
				string(again.Stderr) != string(got.Stderr) || again.Fuel != got.Fuel || again.ExitCode != got.ExitCode {
				t.Errorf("interpreted: %v, fuel %d and not %d, stdout %q, stderr %q", err, again.Fuel, got.Fuel, again.Stdout, again.Stderr)
			}
		})
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func files(pairs ...string) task {
	all := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = b64(pairs[i+1])
	}
	return task{"files": all}
}

func shown(files map[string][]byte) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, name+"="+string(files[name]))
	}
	return strings.Join(all, " ")
}

// suite reads a program of the tests that wazero keeps, built by another compiler.
func suite(t *testing.T, compiler string) task {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "imports/wasi_snapshot_preview1/testdata", compiler, "wasi.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return task{"module": base64.StdEncoding.EncodeToString(code)}
}

// TestWASIOfOthers runs the test programs that wazero keeps, in C, Rust, Zig and
// TinyGo: what they are granted they find, sockets there are none, and both engines
// agree.
func TestWASIOfOthers(t *testing.T) {
	compiler, interpreter := newRig(t, wasm.EngineAuto, nil), newRig(t, wasm.EngineInterpreter, nil)
	const noTerminal = "stdin isatty: false\nstdout isatty: false\nstderr isatty: false\n/ isatty: false\n"
	granted := files("animals.txt", "bear", "sub/b.txt", "x")
	for _, c := range []struct {
		compiler string
		args     []string
		grant    task
		stdout   string
	}{
		{"zig-cc", []string{"ls", "."}, granted, "./.\n./..\n./animals.txt\n./sub\n"},
		{"zig-cc", []string{"ls", "."}, nil, "./.\n./..\n"},
		{"zig-cc", []string{"ls", "sub", "repeat"}, granted, "./.\n./..\n./b.txt\n./.\n./..\n./b.txt\n"},
		{"zig-cc", []string{"ls", "animals.txt"}, granted, "ENOTDIR\n"},
		{"zig-cc", []string{"ls", "/etc"}, nil, "No such file or directory\n"},
		{"zig-cc", []string{"stat"}, nil, noTerminal},
		{"zig-cc", []string{"poll"}, task{"stdin": b64("x")}, "STDIN\n"},
		{"zig-cc", []string{"sleepmillis", "20"}, nil, "OK\n"},
		{"zig-cc", []string{"open-rdonly"}, nil, "OK\n"},
		{"zig-cc", []string{"open-wronly"}, nil, "OK\n"},
		{"zig-cc", []string{"sock"}, nil, ""},
		{"cargo-wasi", []string{"ls", "."}, granted, "./animals.txt\n./sub\n"},
		{"cargo-wasi", []string{"ls", "."}, nil, ""},
		{"cargo-wasi", []string{"ls", "nothing"}, nil, "errno==44\n"},
		{"cargo-wasi", []string{"stat"}, nil, noTerminal},
		{"tinygo", []string{"ls", "."}, granted, "./animals.txt\n./sub\n"},
		{"tinygo", []string{"stat"}, nil, noTerminal},
		{"zig", []string{"ls", "."}, granted, "./animals.txt\n./sub\n"},
		{"zig", []string{"stat"}, nil, noTerminal},
	} {
		t.Run(c.compiler+" "+strings.Join(c.args, " "), func(t *testing.T) {
			tsk := suite(t, c.compiler).with("args", c.args)
			for k, v := range c.grant {
				tsk = tsk.with(k, v)
			}
			got, err := compiler.do(t, tsk)
			if err != nil || string(got.Stdout) != c.stdout {
				t.Fatalf("%v: exit code %d, stdout %q, stderr %q", err, got.ExitCode, got.Stdout, got.Stderr)
			}
			again, err := interpreter.do(t, tsk)
			if err != nil || string(again.Stdout) != c.stdout || again.Fuel != got.Fuel || again.ExitCode != got.ExitCode {
				t.Errorf("interpreted: %v, fuel %d and not %d, stdout %q, stderr %q", err, again.Fuel, got.Fuel, again.Stdout, again.Stderr)
			}
		})
	}
}
