package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

const million = 1_000_000

// numbers returns the JSON array of n numbers made by at.
func numbers(n int, at func(b []byte, i int) []byte) string {
	b := append(make([]byte, 0, 10<<20), '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = at(b, i)
	}
	return string(append(b, ']'))
}

// cents are floats whose exact sum no float64 holds: adding them in another
// order gives other last bits.
func cents(b []byte, i int) []byte {
	return strconv.AppendFloat(b, float64(i*7919%99991)/100+0.01, 'f', 2, 64)
}

func integers(b []byte, i int) []byte {
	return strconv.AppendInt(b, int64(i*7919%1999993-999_983), 10)
}

// quarters stay short under exact operations.
func quarters(b []byte, i int) []byte {
	return strconv.AppendFloat(b, float64(100_000+i%800_000)+0.25, 'f', 2, 64)
}

// task is the body of a submission.
func task(input, operations string, parallelism int) string {
	return fmt.Sprintf(`{"type":"compute","data":{"input":%s,"operations":%s},"parallelism":%d}`, input, operations, parallelism)
}

// A million numbers over three workers give the very bytes that one worker
// gives.
//
// spec 0.26 0.29 0.62
func TestMillionElements(t *testing.T) {
	n := testnet.Three(t, 3)
	for _, tc := range []struct {
		name, operations string
		input            string
	}{
		{"sum of squares of floats", `["square","sum"]`, numbers(million, cents)},
		{"sum of squares of integers", `["square","sum"]`, numbers(million, integers)},
		{"variance of floats", `["variance"]`, numbers(million, cents)},
		{"variance of integers", `["variance"]`, numbers(million, integers)},
		{"pipeline without a reduce", `[{"op":"add","value":0.5},"negate","abs"]`, numbers(million, quarters)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := &testnet.Trio{Global: n.Global.In(t)}
			one := completed(t, n.Global, task(tc.input, tc.operations, 1))
			many := completed(t, n.Global, task(tc.input, tc.operations, 12))
			if len(one.Workers) != 1 || len(one.Proofs) != 1 {
				t.Errorf("%d workers and %d proofs for a task of one piece", len(one.Workers), len(one.Proofs))
			}
			if len(many.Workers) < 2 || len(many.Proofs) != 13 { // the region's own, that it put them together, comes first
				t.Errorf("%d workers and %d proofs for a task of twelve pieces", len(many.Workers), len(many.Proofs))
			}
			if s := n.Global.Status(many.TaskID); s.Subtasks != 12 {
				t.Errorf("the gateway says that the task had %d subtasks, not 12", s.Subtasks)
			}
			if !bytes.Equal(one.Result, many.Result) {
				t.Errorf("one worker gives %.60s (%d bytes), several %.60s (%d bytes)", one.Result, len(one.Result), many.Result, len(many.Result))
			}
			t.Logf("%d bytes of result from %d workers", len(many.Result), len(many.Workers))
		})
	}
}

func completed(t *testing.T, n *testnet.Node, spec string) core.TaskResult {
	t.Helper()
	return n.Completed(n.Submit(spec), 2*time.Minute)
}

// A result of almost 10 MiB, the largest there is, arrives whole; one byte more
// than the limit is a failure that says so.
func TestLargestResult(t *testing.T) {
	n := testnet.Three(t, 1)
	input := numbers(million, func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(100_000_000+i), 10) })
	r := completed(t, n.Global, task(input, `[{"op":"add","value":1}]`, 4))
	var got []int
	if err := json.Unmarshal(r.Result, &got); err != nil || len(got) != million || got[0] != 100_000_001 || got[million-1] != 101_000_000 {
		t.Errorf("%d bytes, %d elements, %v", len(r.Result), len(got), err)
	}
	if len(r.Result) < 9<<20 {
		t.Errorf("the result has only %d bytes", len(r.Result))
	}
	id := n.Global.Submit(task(input, `["negate"]`, 4)) // a byte more per element
	if f := n.Global.Result(id, 2*time.Minute).Failure; f == nil || f.Reason != core.ReasonExecutionFailed {
		t.Errorf("a result above the limit ends with %v", f)
	}
}

// slow is a task of about so many seconds of one core, in pieces.
func slow(seconds float64, pieces int) string {
	const operations, unit = 60, 180e-9 // of one sigmoid
	list := strings.Repeat(`"sigmoid",`, operations)
	return task(numbers(int(seconds/operations/unit), cents), "["+list+`"sum"]`, pieces)
}

// A worker that is killed in the middle of a task changes nothing about its
// result.
//
// spec 2.1 2.49
func TestKilledWorker(t *testing.T) {
	n := testnet.Three(t, 3)
	spec := slow(4, 12)
	want := completed(t, n.Global, spec)
	id := n.Global.Submit(spec)
	victim := n.Locals[1]
	testnet.Await(t, "the victim to be at work", patience, func() error {
		s := n.Global.Status(id)
		if s.Status.Final() {
			t.Fatalf("the task ended before the worker was killed: %+v", s)
		}
		working := func(a core.Attempt) bool { return a.Worker == victim.ID() && a.Outcome == "" }
		if !slices.ContainsFunc(s.Attempts, working) {
			return fmt.Errorf("attempts %+v", s.Attempts)
		}
		return nil
	})
	victim.Kill9()
	start := time.Now()
	got := n.Global.Completed(id, 2*time.Minute)
	t.Logf("completed %s after the kill", time.Since(start).Round(time.Millisecond))
	if !bytes.Equal(got.Result, want.Result) {
		t.Errorf("the result is %s, not %s", got.Result, want.Result)
	}
	again := 0
	for _, a := range n.Regional.Status(id).Attempts {
		again = max(again, a.Attempt)
	}
	if again < 2 {
		t.Error("no subtask was tried again: the worker held none")
	}
}
