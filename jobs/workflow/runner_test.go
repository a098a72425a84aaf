package workflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/jobs/workflow"
)

const (
	flowID core.TaskID   = "us-east-01890a5d-ac96-774b-bcce-b302099a8057"
	home   core.RegionID = "us-east"
)

// call is what a job is made of: the tests' task types name what happens.
type call struct {
	id    core.TaskID
	spec  core.TaskSpec
	began time.Time
}

// region is a fake of the place where jobs run: it remembers how they ended. A job
// takes a second; its type says what it gives: "echo" its data, "fail" a failure
// with its data as the reason, "flaky:n" fails n times, "block" never ends.
type region struct {
	mu    sync.Mutex
	ended map[core.TaskID]core.TaskResult
	calls []call
	now   int // running
	most  int
	fails map[string]int // of flaky jobs, by data
}

func newRegion() *region {
	return &region{ended: map[core.TaskID]core.TaskResult{}, fails: map[string]int{}}
}

func (r *region) Run(ctx context.Context, id core.TaskID, spec core.TaskSpec, progress func(float64)) core.TaskResult {
	r.mu.Lock()
	if old, known := r.ended[id]; known {
		r.mu.Unlock()
		return old
	}
	r.calls = append(r.calls, call{id, spec, time.Now()})
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	progress(0.5)
	result := r.compute(ctx, id, spec)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	r.ended[id] = result
	return result
}

func (r *region) compute(ctx context.Context, id core.TaskID, spec core.TaskSpec) core.TaskResult {
	fail := func(reason core.Reason) core.TaskResult { return core.FailedFor(id, reason, "so it is") }
	lasts := time.Second
	if spec.Type == "block" {
		lasts = spec.Timeout()
	}
	select {
	case <-time.After(lasts):
	case <-ctx.Done():
		var f *core.Failure
		if !errors.As(context.Cause(ctx), &f) {
			f = &core.Failure{Reason: core.ReasonInternal, Message: "the cause is no failure"}
		}
		return core.TaskResult{TaskID: id, Status: core.TaskCancelled, Failure: f}
	}
	switch spec.Type {
	case "block":
		return fail(core.ReasonDeadline)
	case "fail":
		return fail(core.Reason(strings.Trim(string(spec.Data), `"`)))
	case "flaky":
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := r.fails[string(spec.Data)]; n < 2 {
			r.fails[string(spec.Data)]++
			return fail(core.ReasonAttemptsExhausted)
		}
	}
	return core.TaskResult{TaskID: id, Status: core.TaskCompleted, Result: spec.Data}
}

func (r *region) Result(id core.TaskID) (json.RawMessage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res, known := r.ended[id]
	return res.Result, known && res.Status == core.TaskCompleted
}

// data returns what the jobs were given, in the order they began.
func (r *region) data() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		out = append(out, string(c.spec.Data))
	}
	return out
}

// step is a step of a fake type; more are further fields.
func step(id, kind, data string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"task":{"type":%q,"data":%s}%s}`, id, kind, data, strings.Join(append([]string{""}, more...), ","))
}

func parse(t *testing.T, g string) *workflow.Plan {
	t.Helper()
	p, err := workflow.Parse(json.RawMessage(g), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func runner(t *testing.T, g string, r *region) *workflow.Runner {
	t.Helper()
	return workflow.NewRunner(flowID, home, parse(t, g), r, workflow.NewRoom())
}

// states is a short form of a snapshot.
func states(r *workflow.Runner) string {
	var out []string
	for _, s := range r.Snapshot() {
		out = append(out, fmt.Sprintf("%s:%s:%d/%d", s.ID, s.State, s.Done, s.Jobs))
	}
	return strings.Join(out, " ")
}

// TestValues: what a workflow gives, with references, lists and outputs.
func TestValues(t *testing.T) {
	for name, c := range map[string]struct{ graph, want string }{
		"one step":             {graph(step("a", "echo", `7`)), `{"a":7}`},
		"its output":           {`{"output":"a","steps":[` + step("a", "echo", `7`) + `]}`, `7`},
		"output in the middle": {`{"output":"a","steps":[` + step("a", "echo", `7`) + `,` + step("b", "echo", `{"$from":"a"}`) + `]}`, `7`},
		"all sinks":            {graph(step("a", "echo", `1`), step("b", "echo", `2`), step("c", "echo", `[{"$from":"a"}]`)), `{"b":2,"c":[1]}`},
		"numbers keep their text": {graph(step("a", "echo", `[1.50,1e3,123456789012345678]`), step("b", "echo", `{"$from":"a","path":"/2"}`),
			step("c", "echo", ` { "x" : { "$from" : "a", "path":"/0" } , "y":[{"$from":"a"}]}`)),
			`{"b":123456789012345678,"c":{ "x" : 1.50 , "y":[[1.50,1e3,123456789012345678]]}}`},
		"pointers": {graph(step("a", "echo", `{"x/y":{"~":[10,20]}}`), step("b", "echo", `{"$from":"a","path":"/x~1y/~0/1"}`)), `{"b":20}`},
		"the items of a task map stay": {graph(step("a", "echo", `[1]`), step("b", "map", `{"task":{"data":[{"$item":true},{"$index":true}]},"over":{"$from":"a"}}`)),
			`{"b":{"task":{"data":[{"$item":true},{"$index":true}]},"over":[1]}}`},
		"a task map that is mapped": {graph(step("b", "map", `[{"$item":true}]`, `"map":{"over":[1,2]}`)), `{"b":[[1],[2]]}`},
		"map":                       {graph(step("m", "echo", `[{"$index":true},{"$item":true}]`, `"map":{"over":["a",{"b":1}]}`)), `{"m":[[0,"a"],[1,{"b":1}]]}`},
		"map, item path":            {graph(step("m", "echo", `{"$item":true,"path":"/v"}`, `"map":{"over":[{"v":1},{"v":[2]}]}`)), `{"m":[1,[2]]}`},
		"map of nothing":            {graph(step("m", "echo", `{"$item":true}`, `"map":{"over":[]}`)), `{"m":[]}`},
		"map over a step": {graph(step("a", "echo", `{"l":[3,4]}`), step("m", "echo", `[{"$item":true},{"$from":"k"}]`, `"map":{"over":{"from":"a","path":"/l"}}`),
			step("k", "echo", `9`)), `{"m":[[3,9],[4,9]]}`},
		"map over a map": {graph(step("m", "echo", `{"$item":true}`, `"map":{"over":[1,2]}`), step("n", "echo", `[{"$item":true}]`, `"map":{"over":{"from":"m"}}`)), `{"n":[[1],[2]]}`},
		"reduce": {graph(step("m", "echo", `{"$item":true}`, `"map":{"over":[1,2]}`), `{"id":"r","reduce":{"from":"m","operations":["sum"]}}`),
			`{"r":{"input":[1,2],"operations":["sum"]}}`},
		"escaped dollar is data": {graph(step("a", "echo", `{"\u0024from":"b"}`)), `{"a":{"\u0024from":"b"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, f := runner(t, c.graph, newRegion()).Run(t.Context())
				if f != nil || string(got) != c.want {
					t.Errorf("got %s, failure %v; want %s", got, f, c.want)
				}
			})
		})
	}
}

// TestOrder: a step begins when the last of those it waits for has ended, and
// steps that do not wait for each other run together.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		run := runner(t, graph(step("last", "echo", `[{"$from":"l"},{"$from":"r"}]`), step("l", "echo", `{"$from":"first"}`),
			step("r", "echo", `5`, `"after":["first"]`), step("first", "echo", `1`)), r)
		begun := time.Now()
		got, f := run.Run(t.Context())
		if string(got) != `{"last":[1,5]}` || f != nil {
			t.Errorf("got %s, failure %v", got, f)
		}
		if took := time.Since(begun); took != 3*time.Second || r.most != 2 {
			t.Errorf("it took %s with %d jobs at once; want 3s and 2", took, r.most)
		}
		if s := run.Snapshot(); s[0].Level != 2 || s[1].Level != 1 || s[3].Level != 0 || fmt.Sprint(s[0].After) != "[l r]" || s[0].TaskID != workflow.JobID(home, flowID, "last", 0, 0) {
			t.Errorf("snapshot %+v", s)
		}
		if run.Progress() != 1 {
			t.Errorf("progress %v at the end", run.Progress())
		}
	})
}

// TestSnapshot: what is shown while a workflow runs.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list []string
		for i := range 600 {
			list = append(list, fmt.Sprint(i))
		}
		run := runner(t, graph(step("m", "echo", `{"$item":true}`, `"map":{"over":[`+strings.Join(list, ",")+`]}`), step("z", "echo", `{"$from":"m","path":"/599"}`)), newRegion())
		if got := states(run); got != "m:waiting:0/0 z:waiting:0/0" || run.Progress() != 0 {
			t.Errorf("before: %s", got)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, f := run.Run(t.Context()); string(got) != `{"z":599}` {
				t.Errorf("got %s, %v", got, f)
			}
		}()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if s := run.Snapshot()[0]; s.Done != workflow.MaxJobs || s.Running != workflow.MaxJobs || s.Jobs != 600 || !s.Map || s.Started.IsZero() || s.TaskID != "" {
			t.Errorf("in the middle: %+v", s)
		}
		if p := run.Progress(); p < 0.2 || p > 0.22 {
			t.Errorf("progress %v", p)
		}
		time.Sleep(2 * time.Second) // the list is through after 3 s
		synctest.Wait()
		if s := run.Snapshot()[1]; s.State != workflow.StepRunning || s.Progress != 0.5 {
			t.Errorf("the last step: %+v", s)
		}
		<-done
		if got := states(run); got != "m:done:600/600 z:done:1/1" {
			t.Errorf("after: %s", got)
		}
	})
}

// TestAtMost: however wide a workflow is, MaxJobs of its jobs run at once.
func TestAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		over := `"map":{"over":[` + strings.Repeat("1,", 399) + `1]}`
		if _, f := runner(t, graph(step("a", "echo", `1`, over), step("b", "echo", `2`, over)), r).Run(t.Context()); f != nil {
			t.Fatal(f)
		}
		if r.most != workflow.MaxJobs || len(r.calls) != 800 {
			t.Errorf("%d of %d jobs at once", r.most, len(r.calls))
		}
	})
}

// TestMemory: large data is put together for few jobs at once.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		big := `["` + strings.Repeat("x", 8<<20) + `",{"$item":true}]`
		run := runner(t, `{"output":"z","steps":[`+step("a", "echo", big, `"map":{"over":[1,2,3,4,5,6,7,8,9]}`)+`,`+step("z", "echo", `1`, `"after":["a"]`)+`]}`, r)
		if _, f := run.Run(t.Context()); f != nil {
			t.Fatal(f)
		}
		if r.most > 8 || len(r.calls) != 10 {
			t.Errorf("%d jobs of 8 MiB each at once", r.most)
		}
	})
}

// TestRetries: a failure that may not come again is tried again, each time as
// another job, after a pause; others are not.
func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		step    string
		calls   int
		took    time.Duration
		failure string
	}{
		"mended":             {step("a", "flaky", `1`, `"retries":2`), 3, 6 * time.Second, ""},
		"too few":            {step("a", "flaky", `1`, `"retries":1`), 2, 3 * time.Second, `attempts_exhausted: step "a": attempts_exhausted: so it is`},
		"none allowed":       {step("a", "flaky", `1`), 1, time.Second, `attempts_exhausted: step "a": attempts_exhausted: so it is`},
		"invalid input":      {step("a", "fail", `"invalid_input"`, `"retries":5`), 1, time.Second, `invalid_input: step "a": invalid_input: so it is`},
		"overflow":           {step("a", "fail", `"overflow"`, `"retries":5`), 1, time.Second, `overflow: step "a": overflow: so it is`},
		"job was cancelled":  {step("a", "fail", `"cancelled"`, `"retries":5`), 1, time.Second, `execution_failed: step "a": cancelled: so it is`},
		"nobody was able":    {step("a", "fail", `"no_capable_worker"`, `"retries":1`), 2, 3 * time.Second, `no_capable_worker: step "a": no_capable_worker: so it is`},
		"each of a list":     {step("a", "flaky", `{"$item":true}`, `"map":{"over":[1,2]}`, `"retries":2`), 6, 6 * time.Second, ""},
		"job's own deadline": {`{"id":"a","task":{"type":"block","data":1,"timeoutMs":2000},"retries":1}`, 2, 5 * time.Second, `execution_failed: step "a": deadline: so it is`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, begun := newRegion(), time.Now()
				run := runner(t, graph(c.step), r)
				_, f := run.Run(t.Context())
				got := ""
				if f != nil {
					got = f.Error()
				}
				if got != c.failure || len(r.calls) != c.calls || time.Since(begun) != c.took {
					t.Errorf("failure %q after %d jobs and %s; want %q, %d, %s", got, len(r.calls), time.Since(begun), c.failure, c.calls, c.took)
				}
				ids := map[core.TaskID]bool{}
				for _, c := range r.calls {
					ids[c.id] = true
				}
				if len(ids) != len(r.calls) {
					t.Error("two tries share an id")
				}
				if s := run.Snapshot()[0]; c.failure == "" && s.State != workflow.StepDone || c.failure != "" && (s.State != workflow.StepFailed || s.Failure == nil) {
					t.Errorf("the step is %+v", s)
				}
			})
		})
	}
}

// TestRetryingIsShown: between two tries a step is neither running nor failed.
func TestRetryingIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := runner(t, graph(step("a", "flaky", `1`, `"retries":2`)), newRegion())
		done := make(chan struct{})
		go func() { defer close(done); _, _ = run.Run(t.Context()) }()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if s := run.Snapshot()[0]; s.State != workflow.StepRetrying || s.Retries != 1 || s.Running != 0 {
			t.Errorf("after the first try: %+v", s)
		}
		<-done
	})
}

// TestFailureEndsTheRest: a failed step names itself, what runs beside it is
// cancelled for that reason, and what waits never begins.
func TestFailureEndsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begun := newRegion(), time.Now()
		run := runner(t, graph(step("bad", "fail", `"overflow"`), step("long", "block", `1`), step("later", "echo", `{"$from":"long"}`),
			step("m", "block", `1`, `"map":{"over":[1,2,3]}`)), r)
		_, f := run.Run(t.Context())
		if f == nil || f.Reason != core.ReasonOverflow || f.Message != `step "bad": overflow: so it is` {
			t.Errorf("failure %v", f)
		}
		if took := time.Since(begun); took != time.Second || len(r.calls) != 5 {
			t.Errorf("%d jobs, %s", len(r.calls), took)
		}
		if got := states(run); got != "bad:failed:0/1 long:cancelled:0/1 later:skipped:0/0 m:cancelled:0/3" {
			t.Error(got)
		}
		if f := r.ended[workflow.JobID(home, flowID, "long", 0, 0)].Failure; f == nil || f.Reason != core.ReasonCancelled || f.Message != `step "bad" of the workflow failed` {
			t.Errorf("the running job ended with %v", f)
		}
		if s := run.Snapshot()[0]; s.TaskID != workflow.JobID(home, flowID, "bad", 0, 0) {
			t.Errorf("the failed job is %s", s.TaskID)
		}
	})
}

// TestOneElementFails: the rest of its list is cancelled, and the job is named.
func TestOneElementFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		run := runner(t, graph(step("m", "fail", `{"$item":true}`, `"map":{"over":["overflow","overflow"]}`)), r)
		_, f := run.Run(t.Context())
		if f == nil || f.Reason != core.ReasonOverflow {
			t.Errorf("failure %v", f)
		}
		if s := run.Snapshot()[0]; s.State != workflow.StepFailed || s.TaskID == "" || s.Failure.Reason != core.ReasonOverflow {
			t.Errorf("the step is %+v", s)
		}
	})
}

// TestStepDeadline: a step that takes too long, all tries together, ends the
// workflow and says so.
func TestStepDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begun := newRegion(), time.Now()
		_, f := runner(t, graph(step("a", "block", `1`, `"timeoutMs":5000`, `"retries":10`)), r).Run(t.Context())
		if f == nil || f.Reason != core.ReasonExecutionFailed || !strings.HasPrefix(f.Message, `step "a": deadline: `) {
			t.Errorf("failure %v", f)
		}
		if took := time.Since(begun); took != 5*time.Second || r.now != 0 || r.calls[0].spec.TimeoutMS != 10_000 {
			t.Errorf("%s, %d still running, job timeout %d ms", took, r.now, r.calls[0].spec.TimeoutMS)
		}
	})
}

// TestTaskDeadline: the deadline of a step's task is what its jobs may take, and travels
// as their timeout: an offer has one of them. The deadline of the workflow comes before.
func TestTaskDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			deadline, workflow time.Duration
			want               int64
		}{
			"its own":          {20 * time.Second, time.Hour, 20_000},
			"has passed":       {-time.Second, time.Hour, 1},
			"of the workflow":  {time.Hour, 3 * time.Second, 8000},
			"beyond all tasks": {2 * core.MaxTimeout, 0, core.MaxTimeout.Milliseconds()},
		} {
			r, ctx := newRegion(), t.Context()
			if c.workflow > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.workflow)
				defer cancel()
			}
			at := time.Now().Add(c.deadline).UTC().Format(time.RFC3339Nano)
			_, _ = runner(t, graph(`{"id":"a","task":{"type":"echo","data":1,"deadline":"`+at+`"}}`), r).Run(ctx)
			if got := r.calls[0].spec; got.TimeoutMS != c.want || !got.Deadline.IsZero() {
				t.Errorf("%s: the job may take %d ms, and until %s; want %d ms", name, got.TimeoutMS, got.Deadline, c.want)
			}
		}
	})
}

// TestCancel: the end of the workflow ends its jobs for the same reason, and Run
// returns only when they have.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		run := runner(t, graph(step("a", "block", `1`), step("f", "flaky", `1`, `"retries":9`), step("b", "echo", `{"$from":"a"}`)), r)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(&core.Failure{Reason: core.ReasonCancelled, Message: "enough"}) })
		begun := time.Now()
		_, f := run.Run(ctx)
		if f == nil || f.Reason != core.ReasonCancelled || f.Message != "enough" || r.now != 0 || time.Since(begun) != 1500*time.Millisecond {
			t.Errorf("failure %v after %s, %d running", f, time.Since(begun), r.now)
		}
		if got := states(run); got != "a:cancelled:0/1 f:cancelled:0/1 b:skipped:0/0" {
			t.Error(got)
		}
	})
}

// TestWorkflowDeadline: the context's deadline is the workflow's.
func TestWorkflowDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, f := runner(t, graph(`{"id":"a","task":{"type":"block","data":1,"timeoutMs":60000}}`), r).Run(ctx)
		if f == nil || f.Reason != core.ReasonDeadline {
			t.Errorf("failure %v", f)
		}
		if got := r.calls[0].spec.TimeoutMS; got != 8000 {
			t.Errorf("the job may take %d ms; 3000 are left, and it is not to be the first to end", got)
		}
	})
}

// TestDataThatCannotBe: what only shows when a step starts fails that step, with
// the reason, and no job is made of it.
func TestDataThatCannotBe(t *testing.T) {
	long := `"` + strings.Repeat("x", 6<<20) + `"`
	many := `[` + strings.TrimSuffix(strings.Repeat(`{"$from":"a","path":"/1"},`, 1+template.MaxScan/len(long)), ",") + `]`
	turns := `[` + strings.TrimSuffix(strings.Repeat(`{"$from":"a","path":"/1"},{"$from":"b","path":"/1"},`, 1+template.MaxScan/len(long)/3), ",") + `]`
	deep := strings.Repeat("[", 27) + strings.Repeat("]", 27)
	for name, c := range map[string]struct{ first, second, message string }{
		"no element":        {`[1,2]`, step("b", "echo", `{"$from":"a","path":"/2"}`), `step "b": invalid_input: the result of step "a": path "/2": there is no element "2" in an array of 2`},
		"no field":          {`{"x":1}`, step("b", "echo", `{"$from":"a","path":"/y"}`), `step "b": invalid_input: the result of step "a": path "/y": there is no field "y"`},
		"neither":           {`7`, step("b", "echo", `{"$from":"a","path":"/0"}`), `step "b": invalid_input: the result of step "a": path "/0": there is no "0" in a value that is neither array nor object`},
		"no list":           {`{"x":1}`, step("b", "echo", `1`, `"map":{"over":{"from":"a"}}`), `step "b": invalid_input: what it maps over, the result of step "a", is not an array: {"x":1}`},
		"a list too long":   {`[` + strings.Repeat("1,", 10_000) + `1]`, step("b", "echo", `1`, `"map":{"over":{"from":"a"}}`), `step "b": invalid_input: the list from step "a" has 10001 elements; a map takes at most 10000`},
		"together too much": {long, step("b", "echo", `[{"$from":"a"},{"$from":"a"}]`), `step "b": invalid_input: its data would have more than 10485760 bytes`},
		"too much to scan":  {`[` + long + `,1]`, step("b", "echo", many), `step "b": invalid_input: its references would look through more than 1073741824 bytes of results`},
		"too much to read":  {`[` + long + `,1]`, step("b", "echo", `[`+long+`,1]`) + "," + step("c", "echo", turns), `step "c": invalid_input: its references would look through more than 1073741824 bytes of results`},
		"together too deep": {deep, step("b", "echo", `[[[[[[{"$from":"a"}]]]]]]`), `step "b": invalid_input: its data, put together, is not possible: `},
		"item has no field": {`[{"v":1},{"w":1}]`, step("b", "echo", `{"$item":true,"path":"/v"}`, `"map":{"over":{"from":"a"}}`), `step "b": invalid_input: element 1: path "/v": there is no field "v"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion()
				_, f := runner(t, graph(step("a", "echo", c.first), c.second), r).Run(t.Context())
				if f == nil || f.Reason != core.ReasonInvalidInput || !strings.HasPrefix(f.Message, c.message) {
					t.Errorf("failure %.300v", f)
				}
			})
		})
	}
}

// TestResultTooLarge: a workflow whose results do not fit together says so.
func TestResultTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := `"` + strings.Repeat("x", 6<<20) + `"`
		_, f := runner(t, graph(step("a", "echo", long), step("b", "echo", long)), newRegion()).Run(t.Context())
		if f == nil || f.Reason != core.ReasonExecutionFailed || !strings.Contains(f.Message, "at most 10485760 can be delivered") {
			t.Errorf("failure %v", f)
		}
	})
}

// TestTakeover: whoever runs the same workflow again, after the first runner died
// at any moment, gets the same result; nothing that had ended runs again.
func TestTakeover(t *testing.T) {
	g := graph(step("a", "echo", `[1,2,3]`), step("m", "flaky", `{"$item":true}`, `"map":{"over":{"from":"a"}}`, `"retries":3`),
		step("k", "echo", `4`), step("z", "echo", `[{"$from":"m"},{"$from":"k"}]`))
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond, time.Minute} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion()
				ctx, die := context.WithCancel(t.Context())
				first := make(chan struct{})
				go func() {
					defer close(first)
					_, _ = runner(t, g, r).Run(ctx)
				}()
				time.Sleep(after)
				synctest.Wait()
				r.mu.Lock()
				kept := maps.Clone(r.ended) // what the next coordinator finds
				r.mu.Unlock()
				die()
				<-first
				second := newRegion()
				second.ended, second.fails = maps.Clone(kept), r.fails
				got, f := runner(t, g, second).Run(t.Context())
				if f != nil || string(got) != `{"z":[[1,2,3],4]}` {
					t.Errorf("got %s, failure %v", got, f)
				}
				for _, c := range second.calls {
					if _, had := kept[c.id]; had {
						t.Errorf("job %s had ended and ran again", c.id)
					}
				}
			})
		})
	}
}

// TestForgotten: results that are not remembered any more are computed again, by
// the same jobs, and only those that are needed.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &forgetful{region: newRegion(), forget: map[core.TaskID]bool{workflow.JobID(home, flowID, "a", 0, 0): true, workflow.JobID(home, flowID, "m", 1, 0): true}}
		plan := parse(t, graph(step("a", "echo", `[1,2,3]`), step("m", "echo", `[{"$item":true}]`, `"map":{"over":{"from":"a"}}`),
			step("z", "echo", `{"$from":"m"}`, `"after":["w"]`), step("w", "echo", `0`, `"after":["m"]`)))
		got, f := workflow.NewRunner(flowID, home, plan, r, workflow.NewRoom()).Run(t.Context())
		if f != nil || string(got) != `{"z":[[1],[2],[3]]}` {
			t.Errorf("got %s, failure %v", got, f)
		}
		count := map[string]int{}
		for _, d := range r.data() {
			count[d]++
		}
		if count[`[2]`] != 2 || count[`[1]`] != 1 || count[`0`] != 1 {
			t.Errorf("jobs ran as often: %v", count)
		}
	})
}

// forgetful loses some results once.
type forgetful struct {
	*region
	forget map[core.TaskID]bool
}

func (r *forgetful) Result(id core.TaskID) (json.RawMessage, bool) {
	r.mu.Lock()
	if r.forget[id] {
		delete(r.forget, id)
		delete(r.ended, id)
	}
	r.mu.Unlock()
	return r.region.Result(id)
}

// TestEndWithoutReason: jobs that ended without a result or a reason are failures too.
func TestEndWithoutReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		r.ended[workflow.JobID(home, flowID, "a", 0, 0)] = core.TaskResult{Status: core.TaskFailed}
		_, f := runner(t, graph(step("a", "echo", `1`)), r).Run(t.Context())
		if f == nil || f.Reason != core.ReasonInternal || len(r.calls) != 0 {
			t.Errorf("failure %v, %d jobs", f, len(r.calls))
		}
	})
}

// TestWide: a thousand steps and a long chain end.
func TestWide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := []string{step("s0", "echo", `0`)}
		for i := 1; i < workflow.MaxSteps; i++ {
			chain = append(chain, step(fmt.Sprintf("s%d", i), "echo", fmt.Sprintf(`{"$from":"s%d"}`, i-1)))
		}
		slices.Reverse(chain)
		r := newRegion()
		got, f := runner(t, graph(chain...), r).Run(t.Context())
		if f != nil || !bytes.Equal(got, []byte(`{"s999":0}`)) || len(r.calls) != workflow.MaxSteps {
			t.Errorf("got %s, %v, %d jobs", got, f, len(r.calls))
		}
	})
}
