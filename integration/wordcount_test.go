package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/jobs/workflow"
)

const (
	wordWorkers = 6
	wordPieces  = 12
)

// The words of a text are counted by a program that is mapped over its pieces, on
// six worker processes, and whose counts the same program adds up in a second step:
// as they are counted here, and as wc and sort | uniq -c count them. However the
// pieces are shared out, the bytes are the same.
//
// The text has 2 MiB; TENZRO_TEST_WORDCOUNT=64 makes it 64 MiB.
func TestWordCount(t *testing.T) {
	mib := 2
	if s := os.Getenv("TENZRO_TEST_WORDCOUNT"); s != "" {
		var err error
		if mib, err = strconv.Atoi(s); err != nil || mib < 1 || mib > 1024 {
			t.Fatalf("TENZRO_TEST_WORDCOUNT is %q, not a number of MiB", s)
		}
	}
	p := wordProgram(t)
	text := p.text(t, mib<<20)
	want := wordCount(text)
	if wc, uniq, ok := countedByTools(t, text); ok && (wc != len(bytes.Fields(text)) || uniq != want) {
		t.Fatalf("wc -w says %d, uniq -c %.60q; counted here %d, %.60q", wc, uniq, len(bytes.Fields(text)), want)
	}
	n := testnet.Three(t, wordWorkers, "--slots", "1")
	took, workers := map[int]time.Duration{}, map[int]int{}
	for _, parts := range []int{wordWorkers, 1, wordWorkers} { // the first time is for compiling the program
		start := time.Now()
		id := submitGraph(t, n.Global, p.graph(mib<<20, parts))
		r := n.Global.Completed(id, 10*time.Minute)
		took[parts] = time.Since(start)
		sum, err := wasm.DecodeResult(r.Result)
		if err != nil || string(sum.Stdout) != want || sum.ExitCode != 0 {
			t.Errorf("in %d parts: %.100q, want %.100q; %d %s %v", parts, sum.Stdout, want, sum.ExitCode, sum.Stderr, err)
		}
		if workers[parts] = counters(n.Global, id); (workers[parts] == 1) != (parts == 1) || workers[parts] > parts {
			t.Errorf("%d parts were counted by %d workers", parts, workers[parts])
		}
	}
	t.Logf("%d MiB: %s by one worker, %s by %d, compiled before: a ratio of %.2f", mib, took[1].Round(time.Millisecond),
		took[wordWorkers].Round(time.Millisecond), workers[wordWorkers], float64(took[1])/float64(took[wordWorkers]))
}

// counters is how many workers did the first step of a workflow.
func counters(n *testnet.Node, id core.TaskID) int {
	var seen workflow.Status
	n.Get("/api/v1/workflows/" + string(id)).Is(http.StatusOK).Into(&seen)
	r := n.Completed(seen.Steps[0].TaskID, patience)
	return len(slices.Compact(slices.Sorted(slices.Values(r.Workers))))
}

// words is the program of testdata/wordcount, for WASI and for this machine.
type words struct {
	module string // base64
	native string // path
}

func wordProgram(t *testing.T) words {
	t.Helper()
	dir := t.TempDir()
	build := func(out string, env ...string) string {
		out = filepath.Join(dir, out)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/wordcount")
		cmd.Env = append(append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0"), env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building the program: %v\n%s", err, text)
		}
		return out
	}
	code, err := os.ReadFile(build("wordcount.wasm", "GOOS=wasip1", "GOARCH=wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return words{module: base64.StdEncoding.EncodeToString(code), native: build("wordcount")}
}

// pieces are the seed and the size of each piece of the text.
func pieces(size int) (out [][2]string) {
	for i := range wordPieces {
		n := size*(i+1)/wordPieces - size*i/wordPieces
		out = append(out, [2]string{strconv.Itoa(i), strconv.Itoa(n)})
	}
	return out
}

// text is the whole text, as the program makes it on this machine.
func (p words) text(t *testing.T, size int) (out []byte) {
	t.Helper()
	for _, piece := range pieces(size) {
		text, err := exec.Command(p.native, "text", piece[0], piece[1]).Output()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text...)
	}
	if len(out) != size {
		t.Fatalf("the text has %d bytes, not %d", len(out), size)
	}
	return out
}

// graph is the workflow that docs/map.md has.
func (p words) graph(size, parts int) string {
	over, _ := json.Marshal(pieces(size)) // strings are always encoded
	return fmt.Sprintf(`{"output":"total","steps":[
		{"id":"count","task":{"type":"map","parallelism":%d,"data":{"over":{"list":%s},"combine":"concat",
			"task":{"type":"wasm","data":{"module":%q,"limits":{"memoryMB":128},
				"args":["count",{"$item":true,"path":"/0"},{"$item":true,"path":"/1"}]}}}}},
		{"id":"total","task":{"type":"wasm","data":{"module":%q,"args":["sum"],"stdin":{"$from":"count"}}}}]}`, parts, over, p.module, p.module)
}

// wordCount counts words as the program should.
func wordCount(text []byte) string {
	counts := map[string]int{}
	for word := range strings.FieldsSeq(string(text)) {
		counts[word]++
	}
	var out strings.Builder
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&out, "%s %d\n", word, counts[word])
	}
	return out.String()
}

// countedByTools asks wc, and sort and uniq, where this machine has them.
func countedByTools(t *testing.T, text []byte) (wc int, uniq string, ok bool) {
	t.Helper()
	for _, tool := range []string{"sh", "wc", "tr", "sort", "uniq"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, "", false
		}
	}
	shell := func(line string) string {
		cmd := exec.Command("sh", "-c", line)
		cmd.Env, cmd.Stdin = append(os.Environ(), "LC_ALL=C"), bytes.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return string(out)
	}
	wc, err := strconv.Atoi(strings.TrimSpace(shell("wc -w")))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(shell(`tr -s ' \t' '\n\n' | sort | uniq -c`)) {
		if f := strings.Fields(line); len(f) == 2 { // an empty line is no word
			fmt.Fprintf(&lines, "%s %s\n", f[1], f[0])
		}
	}
	return wc, lines.String(), true
}
