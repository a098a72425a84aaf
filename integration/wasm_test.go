package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/hostiletest"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// adderText adds two numbers.
const adderText = `(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`

// adder is a program as a submitter writes it: limits beside the data.
func adder(t *testing.T) string {
	code := wasmtest.Module(t, adderText)
	return fmt.Sprintf(`{"type":"wasm","data":{"module":%q,"function":"add","args":[20,22]},"limits":{"fuel":1000}}`, base64.StdEncoding.EncodeToString(code))
}

// A program runs on a worker of another process than the gateway, and the answer
// is what it returned, with a proof; from the command line as over HTTP.
//
// spec 4.4
func TestProgramOnTheNetwork(t *testing.T) {
	n := testnet.Three(t, 1)
	result := n.Global.Completed(n.Global.Submit(adder(t)), time.Minute)
	r, err := wasm.DecodeResult(result.Result)
	if err != nil || fmt.Sprintf("%s", r.Values) != "[42]" || r.Fuel <= 0 || r.Fuel > 1000 {
		t.Errorf("%s: %v", result.Result, err)
	}
	if len(result.Proofs) == 0 || len(result.Workers) != 1 {
		t.Errorf("%d proofs by %v", len(result.Proofs), result.Workers)
	}
	speed := n.Global.Completed(n.Global.Submit(`{"type":"benchmark","data":{"workload":"wasm","segments":3,"seed":"9"}}`), time.Minute)
	if !strings.Contains(string(speed.Result), `"unit":"Mfuel/s"`) {
		t.Errorf("how fast programs run: %s", speed.Result)
	}
	file := filepath.Join(t.TempDir(), "add.wasm")
	if err := os.WriteFile(file, wasmtest.Module(t, adderText), 0o600); err != nil {
		t.Fatal(err)
	}
	cli := testnet.Exec(t, "wasm run", t.TempDir(), "wasm", "run", "--api", n.Global.Base, "--function", "add", file, "-1", "2")
	if code := cli.Exit(time.Minute); code != 2 {
		t.Errorf("an argument that looks like a flag: exit code %d", code)
	}
	cli = testnet.Exec(t, "wasm run", t.TempDir(), "wasm", "run", "--api", n.Global.Base, "--function", "add", file, "--", "-1", "2")
	if code := cli.Exit(time.Minute); code != 0 || cli.Stdout() != "1\n" {
		t.Errorf("exit code %d, %q, %s", code, cli.Stdout(), cli.Stderr())
	}
}

// corpusEnv says how often TestHostilePrograms runs the corpus; 2 if it is unset.
const corpusEnv = "TENZRO_TEST_CORPUS"

func corpusPasses(t *testing.T) int {
	text := os.Getenv(corpusEnv)
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a number of passes", corpusEnv, text)
	}
	return n
}

// The corpus of hostile programs goes through a real node while others compute:
// each program ends for its reason, all other jobs complete, no process is left,
// and the node's memory is what it was after the first pass. The log has how long
// the others took. There is a slot for each that is in flight, so that what is
// seen is the harm of the programs and not a queue.
func TestHostilePrograms(t *testing.T) {
	n := testnet.Run(t, "node", "--role", "local", "--standalone", "--slots", strconv.Itoa(hostileInFlight+1))
	n.AwaitReady()
	cases := hostiletest.Corpus(t)
	const some = 300
	keepComputing(t, n, func(done int) bool { return done == some }) // warms up
	first, began := 0, time.Now()
	var alone, beside []time.Duration
	for pass := range corpusPasses(t) {
		alone = append(alone, keepComputing(t, n, func(done int) bool { return done == some })...)
		beside = append(beside, besideHostile(t, n, cases)...)
		now := residentMiB(t, n.Runtime.PID)
		t.Logf("pass %d of the corpus over after %s: %d MiB resident", pass+1, time.Since(began).Round(time.Millisecond), now)
		if pass == 0 {
			first = now
		}
		const most = 384 // a node lets its heap grow to five times what is in use, and remembers ended tasks
		if now > first+most {
			t.Errorf("%d MiB are resident after pass %d of the corpus, %d after the first", now, pass+1, first)
		}
	}
	t.Logf("%d other jobs beside the corpus: p50 %s, p90 %s; %d alone: p50 %s, p90 %s",
		len(beside), at(beside, 50), at(beside, 90), len(alone), at(alone, 50), at(alone, 90))
	n.Get("/livez").Is(http.StatusOK)
	if dead := zombies(t, n.Runtime.PID); dead > 0 {
		t.Errorf("%d children are dead and not reaped", dead)
	}
}

// besideHostile returns how long other jobs took while the corpus ran.
func besideHostile(t *testing.T, n *testnet.Node, cases []hostiletest.Case) (took []time.Duration) {
	t.Helper()
	stop, others := make(chan struct{}), sync.WaitGroup{}
	others.Go(func() { took = keepComputing(t, n, func(int) bool { return closed(stop) }) })
	runHostile(t, n, cases)
	close(stop)
	others.Wait()
	return took
}

// hostileInFlight is how many programs of the corpus are with the node at once.
const hostileInFlight = 2

// runHostile has the node run the whole corpus.
func runHostile(t *testing.T, n *testnet.Node, cases []hostiletest.Case) {
	t.Helper()
	left := make(chan hostiletest.Case, len(cases))
	for _, c := range cases {
		left <- c
	}
	close(left)
	var all sync.WaitGroup
	for range hostileInFlight {
		all.Go(func() {
			for c := range left {
				runOne(t, n, c)
			}
		})
	}
	all.Wait()
}

func runOne(t *testing.T, n *testnet.Node, c hostiletest.Case) {
	spec, err := json.Marshal(core.TaskSpec{Type: wasm.Type, Data: c.Data, QueueTimeoutMS: 600_000, TimeoutMS: 600_000})
	if err != nil {
		t.Error(err)
		return
	}
	answer, err := n.Try(http.MethodPost, "/api/v1/tasks?wait=60s", spec)
	if err == nil && answer.Status == http.StatusBadRequest && c.Reason == core.ReasonInvalidInput {
		return // refused at once
	}
	var r core.TaskResult
	if err == nil {
		err = answer.Decode(&r)
	}
	got := hostiletest.OK
	if r.Failure != nil {
		got = r.Failure.Reason
	}
	if err != nil || got != c.Reason {
		t.Errorf("%s: %s (%v, status %d, %v), want %s", c.Name, got, r.Failure, answer.Status, err, c.Reason)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// at returns a percentile, 0 of nothing.
func at(took []time.Duration, percent int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[len(sorted)*percent/100].Round(10 * time.Microsecond)
}

// residentMiB is what a process holds of the machine's memory, 0 where /proc does
// not tell.
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var all, resident int
	if _, err := fmt.Sscan(string(text), &all, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize() >> 20
}

// keepComputing has one job after the other done until enough are, and returns
// how long each took.
func keepComputing(t *testing.T, n *testnet.Node, enough func(done int) bool) (took []time.Duration) {
	for !enough(len(took)) {
		began := time.Now()
		answer, err := n.Try(http.MethodPost, "/api/v1/tasks?wait=60s", []byte(documentedTask))
		var r core.TaskResult
		if err == nil {
			err = answer.Decode(&r)
		}
		if err != nil || r.Status != core.TaskCompleted || string(r.Result) != "55" {
			t.Errorf("another job beside the hostile ones: %s %s %v", r.Status, r.Result, err)
			return took
		}
		took = append(took, time.Since(began))
	}
	return took
}

// zombies counts the dead children that a process has not reaped, where /proc
// tells.
func zombies(t *testing.T, parent int) (n int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[0] == "Z" && fields[1] == fmt.Sprint(parent) {
			n++
		}
	}
	return n
}
