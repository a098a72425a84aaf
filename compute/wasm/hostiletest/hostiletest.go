// Package hostiletest is a corpus of programs that a stranger may send, each with
// the reason for which a task that runs it must end.
//
// The modules are kept as text, in corpus.txt, and assembled by package wasmtest
// when they are needed. It is no fuzzer: every case is one way to hold a node, to
// leave the sandbox or to make the host work for nothing, and has a name.
//
// It guarantees that the data of a case is the same at every call. Only tests
// import it.
package hostiletest

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

//
//go:embed corpus.txt
//archtest:constant
var corpus string

// OK is the reason of a case that ends by itself.
const OK core.Reason = "ok"

// Case is one program.
type Case struct {
	Name   string
	Reason core.Reason // OK, or why the task fails
	Data   json.RawMessage
}

// Slow reports whether only killing ends the case in time: the process it runs in
// must be one that can be killed.
func (c Case) Slow() bool { return c.Reason == core.ReasonDeadline }

// Corpus assembles all cases, in the order of the file.
func Corpus(tb testing.TB) (all []Case) {
	tb.Helper()
	_, rest, _ := strings.Cut(corpus, "\n=== ")
	for text := range strings.SplitSeq(rest, "\n=== ") {
		head, module, _ := strings.Cut(text, "\n")
		module = withoutRemarks(module)
		parts := strings.SplitN(head, "|", 3)
		if len(parts) < 2 {
			tb.Fatalf("case %q has no reason", head)
		}
		c := Case{Name: strings.TrimSpace(parts[0]), Reason: core.Reason(strings.TrimSpace(parts[1]))}
		code, err := wasmtest.Assemble(module)
		if err != nil {
			tb.Fatalf("case %q: %v", c.Name, err)
		}
		fields := "{}"
		if len(parts) == 3 {
			fields = parts[2]
		}
		c.Data = data(tb, fields, code)
		all = append(all, c)
	}
	return all
}

// withoutRemarks drops the headings between cases.
func withoutRemarks(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, ";;") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func data(tb testing.TB, fields string, code []byte) json.RawMessage {
	tb.Helper()
	all := map[string]any{"limits": map[string]int64{"fuel": 2_000_000, "memoryMB": 16}}
	if err := json.Unmarshal([]byte(fields), &all); err != nil {
		tb.Fatalf("fields %s: %v", fields, err)
	}
	all["module"] = base64.StdEncoding.EncodeToString(code)
	text, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}
