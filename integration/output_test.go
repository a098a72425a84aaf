package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// talkerText is a program that says hello, complains, and computes for years.
const talkerText = `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\10\00\00\00\06\00\00\00\16\00\00\00\06\00\00\00hello\nalas!\n")
	(func (export "_start")
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
		(drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 100)))
		(loop (br 0))))`

// shows waits until a command has written all of the words.
func shows(t *testing.T, p *testnet.Process, stdout string, stderr ...string) {
	t.Helper()
	testnet.Await(t, "the output of "+p.Name, patience, func() error {
		out, errs := p.Stdout(), p.Stderr()
		missing := out != stdout
		for _, word := range stderr {
			missing = missing || !strings.Contains(errs, word)
		}
		if missing {
			return fmt.Errorf("it shows %q and %q", out, errs)
		}
		return nil
	})
}

// What a program writes on a worker is seen at the submitter's terminal while it runs,
// also when its worker dies and another begins anew, and of all parts of a map.
func TestOutputWhileItRuns(t *testing.T) {
	n := testnet.Three(t, 2, "--slots", "2")
	code := wasmtest.Module(t, talkerText)
	data := fmt.Sprintf(`{"module":%q,"limits":{"fuel":%d}}`, base64.StdEncoding.EncodeToString(code), int64(wasm.MaxFuel/1000)) // minutes
	logs := func(t *testing.T, id core.TaskID) *testnet.Process {
		return testnet.Exec(t, "task logs", t.TempDir(), "task", "logs", "--api", n.Global.Base, "-f", string(id))
	}
	cancel := func(id core.TaskID) {
		n.Global.Post("/api/v1/tasks/"+string(id)+"/cancel", "").Is(http.StatusOK)
	}

	t.Run("wasm run", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "talker.wasm")
		if err := os.WriteFile(file, code, 0o600); err != nil {
			t.Fatal(err)
		}
		run := testnet.Exec(t, "wasm run", t.TempDir(), "wasm", "run", "--api", n.Global.Base, "--fuel", fmt.Sprint(int64(wasm.MaxFuel)), file)
		shows(t, run, "hello\n", "alas!\n")
		run.Interrupt()
		if code := run.Exit(patience); code != 1 || run.Stdout() != "hello\n" || !strings.Contains(run.Stderr(), "is cancelled") {
			t.Errorf("exit code %d, %q, %q", code, run.Stdout(), run.Stderr())
		}
	})

	t.Run("a map", func(t *testing.T) {
		id := n.Global.In(t).Submit(`{"type":"map","parallelism":2,"data":{"task":{"type":"wasm","data":` + strings.TrimSuffix(data, "}") +
			`,"args":[{"$item":true}]}},"over":{"list":["a","b"]}}}`)
		p := logs(t, id)
		testnet.Await(t, "both parts", patience, func() error {
			if out := p.Stdout(); !strings.Contains(out, "[0] hello\n") || !strings.Contains(out, "[1] hello\n") {
				return fmt.Errorf("%q", out)
			}
			return nil
		})
		cancel(id)
		if code := p.Exit(patience); code != 0 || !strings.Contains(p.Stderr(), "the task is cancelled") {
			t.Errorf("exit code %d, %q", code, p.Stderr())
		}
	})

	t.Run("the worker dies", func(t *testing.T) {
		id := n.Global.In(t).Submit(`{"type":"wasm","data":` + data + `}`)
		p := logs(t, id)
		shows(t, p, "hello\n", "alas!\n")
		var runs core.NodeID
		for _, a := range n.Global.Status(id).Attempts {
			runs = a.Worker
		}
		for _, l := range n.Locals {
			if l.ID() == runs {
				l.Kill9()
			}
		}
		shows(t, p, "hello\nhello\n", "begins again: attempt 2")
		cancel(id)
		if code := p.Exit(patience); code != 0 {
			t.Errorf("exit code %d, %q", code, p.Stderr())
		}
	})
}

// A task of a type that writes nothing says so.
func TestNoOutput(t *testing.T) {
	n := testnet.Run(t, "node", "--role", "local", "--standalone")
	n.AwaitReady()
	id := n.Submit(documentedTask)
	p := testnet.Exec(t, "task logs", t.TempDir(), "task", "logs", "--api", n.Base, string(id))
	if code := p.Exit(time.Minute); code != 1 || !strings.Contains(p.Stderr(), "is of type compute, and tasks like it write no output") {
		t.Error(errors.New(p.Stderr()))
	}
}
