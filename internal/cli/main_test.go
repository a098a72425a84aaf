package cli

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain lets the test binary be the tenzro of the scripts,
// and of its sandbox children.
func TestMain(m *testing.M) {
	if sandbox.Main(guests()) {
		return
	}
	testscript.Main(m, map[string]func(){programName: func() {
		dir, err := os.Getwd()
		if err != nil {
			os.Exit(125)
		}
		os.Exit(Main(Process{Args: os.Args, Environ: os.Environ(), Dir: dir, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: "v1.2.3"}))
	}})
}

// TestScripts runs testdata/script: each file is a session at a shell against a
// node with scripted tasks behind the real API.
//
// spec 0.31 0.32 0.33 0.75 1.70 1.71 1.72 1.73 4.4
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			node, busy := newFakeNode(), newFakeNode()
			busy.notReady()
			tb := env.T().(testing.TB)
			closed := newFakeNode().serve(tb, api.Config{Auth: api.AuthToken, TokensFile: filepath.Join(env.WorkDir, "home", ".tenzro", "tokens.json")})
			env.Vars = append(env.Vars, "HOME="+filepath.Join(env.WorkDir, "home"), "TENZRO_API="+node.serve(tb, api.Config{}),
				"BUSY="+busy.serve(tb, api.Config{}), "CLOSED="+closed, "DEAD=http://127.0.0.1:1")
			return errors.Join(os.MkdirAll(filepath.Join(env.WorkDir, "home", ".tenzro"), 0o700), assemblePrograms(env.WorkDir))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await},
	})
}

// await waits until a file exists: await FILE.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	limit, tick := time.After(2*time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

// exits runs a command and checks its exit code: exits 2 tenzro bogus.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// assemblePrograms makes the .wasm of each .wat of a script.
func assemblePrograms(dir string) error {
	texts, err := filepath.Glob(filepath.Join(dir, "*.wat"))
	for _, path := range texts {
		text, readErr := os.ReadFile(path)
		code, asmErr := wasmtest.Assemble(string(text))
		if err = errors.Join(err, readErr, asmErr); err == nil {
			err = os.WriteFile(strings.TrimSuffix(path, ".wat")+".wasm", code, 0o600)
		}
	}
	return err
}
