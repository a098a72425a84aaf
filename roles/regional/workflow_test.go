package regional

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

func graphOf(steps ...string) core.TaskSpec {
	return core.TaskSpec{Type: workflow.Type, Data: json.RawMessage(`{"steps":[` + strings.Join(steps, ",") + `]}`)}
}

// squares is a step that squares and sums each of n lists of one number.
func squares(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",[%d]", i+1)
	}
	return `{"id":"squares","map":{"over":[` + b.String()[1:] + `]},"task":{"type":"compute","data":{"input":{"$item":true},"operations":["square","sum"]}}}`
}

const total = `{"id":"total","reduce":{"from":"squares","operations":["sum"]}}`

// stepsOf asks the region for the steps of a workflow.
func (r *rig) stepsOf(id core.TaskID) (out []workflow.StepStatus) {
	r.t.Helper()
	s := r.v.Answer(context.Background(), gateway, &wire.JobQuery{ID: 1, TaskID: id, Op: wire.QueryWorkflow})
	if err := s.Validate(); err != nil || s.Fault != nil {
		r.t.Fatalf("the answer %+v: %v", s, err)
	}
	if err := json.Unmarshal(s.Output.Inline, &out); err != nil {
		r.t.Fatalf("steps %s: %v", s.Output.Inline, err)
	}
	return out
}

func brief(steps []workflow.StepStatus) string {
	var out []string
	for _, s := range steps {
		out = append(out, fmt.Sprintf("%s:%s:%d/%d", s.ID, s.State, s.Done, s.Jobs))
	}
	return strings.Join(out, " ")
}

// TestWorkflow: a graph is one job: its steps are jobs of the region, its result
// is the region's word, and its steps can be seen after its end.
func TestWorkflow(t *testing.T) {
	example, err := os.ReadFile("../../docs/examples/spread.workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T, r *rig) {
		var all []core.NodeID
		for n := range 3 {
			all = append(all, r.worker(n, 1, nil).id.ID())
		}
		context, _ := trace.Parse(traceparent)
		r.v.deps.Trace = trace.NewRing(0, nil)
		spec := core.TaskSpec{Type: workflow.Type, Data: example, Submitter: "alice", Priority: -3}
		j := r.offer(jobID, spec)
		if got := j.completed(); got != "55" {
			t.Errorf("the workflow gives %s", got)
		}
		unit := &jobs.Unit{Head: wire.Head(spec), InputHash: core.Sum(spec.Data)}
		if err := jobs.VerifyProof(keys.NewProofVerifier(), unit, r.id.ID(), j.result, j.result.Output.Inline, time.Now()); err != nil {
			t.Errorf("the workflow's proof: %v", err)
		}
		if j.result.Subtasks != 4 || !slices.Equal(j.result.Regions, []core.RegionID{east}) || len(j.result.Workers) == 0 {
			t.Errorf("the result says %+v", j.result)
		}
		for _, w := range j.result.Workers {
			if !slices.Contains(all, w) {
				t.Errorf("worker %s is none of the region", w)
			}
		}
		steps := r.stepsOf(jobID)
		if got := brief(steps); got != "squares:done:3/3 total:done:1/1 most:done:1/1 spread:done:1/1" {
			t.Error(got)
		}
		job, err := r.journal.Get(steps[3].TaskID)
		if err != nil || job.State != jobs.Completed || job.Spec.Type != vector.Type || job.Spec.Submitter != "alice" || job.Spec.Priority != -3 || string(job.Result.Result) != "55" {
			t.Errorf("the last step's own job: %+v, %v", job, err)
		}
		if c := r.v.deps.Trace.Context(steps[3].TaskID); c.ID() != context.ID() || c == r.v.deps.Trace.Context(jobID) {
			t.Errorf("it belongs to trace %s, the workflow to %s", c.ID(), context.ID())
		}
		if home, ok := steps[3].TaskID.Home(); !ok || home != east {
			t.Errorf("it lives in %q", home)
		}
		r.idle()
	})
}

// TestWorkflowGuide: every graph of the guide gives what stands behind it there.
func TestWorkflowGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/workflows.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(guide), "```json\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, strings.TrimSpace(text))
	}
	if len(blocks) < 8 || len(blocks)%2 != 0 {
		t.Fatalf("%d blocks of JSON", len(blocks))
	}
	for i := 0; i < len(blocks); i += 2 {
		bubble(t, func(t *testing.T, r *rig) {
			r.worker(1, 4, nil)
			if got := r.offer(jobID, core.TaskSpec{Type: workflow.Type, Data: json.RawMessage(blocks[i])}).completed(); got != blocks[i+1] {
				t.Errorf("%s\ngives %s, the guide says %s", blocks[i], got, blocks[i+1])
			}
			r.idle()
		})
	}
}

// TestWorkflowIsSeen: while it runs, status and steps say how far it is.
func TestWorkflowIsSeen(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		gate := make(chan struct{})
		w.run = func(_ context.Context, data []byte) *wire.JobResult {
			<-gate
			return w.compute(data)
		}
		j := r.offer(jobID, graphOf(squares(4), total))
		gate <- struct{}{}
		settle()
		if got := brief(r.stepsOf(jobID)); got != "squares:running:1/4 total:waiting:0/0" {
			t.Error(got)
		}
		s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{ID: 1, TaskID: jobID, Op: wire.QueryStatus}).Status
		if s.Status != core.TaskRunning || s.Subtasks != 2 || s.Progress != 0.125 || s.Type != workflow.Type {
			t.Errorf("status %+v", s)
		}
		close(gate)
		if got := j.completed(); got != `{"total":30}` {
			t.Errorf("got %s", got)
		}
		r.idle()
	})
}

// TestWorkflowFails: the reason and the step are told, and nothing is left over.
func TestWorkflowFails(t *testing.T) {
	for name, c := range map[string]struct {
		spec   core.TaskSpec
		reason core.Reason
		text   string
	}{
		"a step": {graphOf(squares(2), `{"id":"bad","task":{"type":"compute","data":{"input":[{"$from":"squares"}],"operations":["sum"]}}}`),
			core.ReasonInvalidInput, `step "bad": invalid_input: data.input[0] `},
		"its graph":      {core.TaskSpec{Type: workflow.Type, Data: json.RawMessage(`{"steps":[]}`)}, core.ReasonInvalidInput, "the workflow has no steps"},
		"nobody is able": {graphOf(`{"id":"a","task":{"type":"compute","requirements":{"minTier":"trainer"},"data":{"input":[1],"operations":["sum"]}}}`), core.ReasonNoCapableWorker, `step "a": no_capable_worker: `},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.worker(1, 2, nil)
				f := r.offer(jobID, c.spec).failed()
				if f.Reason != c.reason || !strings.HasPrefix(f.Message, c.text) {
					t.Errorf("failure %v", f)
				}
				r.idle()
			})
		})
	}
}

// TestWorkflowCancelled: cancelling the workflow reaches the worker of a running
// step at once, and what waited never begins.
func TestWorkflowCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		w.block()
		j := r.offer(jobID, graphOf(squares(3), total))
		settle()
		begun := time.Now()
		s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{ID: 1, TaskID: jobID, Op: wire.QueryCancel})
		if s.Fault != nil || s.Status.Status != core.TaskCancelled {
			t.Errorf("answered %+v", s)
		}
		settle()
		if took := time.Since(begun); took > time.Second || len(w.causes) == 0 || len(w.causes) != len(w.offers()) {
			t.Errorf("%s, the worker stopped %d of %d jobs", took, len(w.causes), len(w.offers()))
		}
		if f := j.failed(); f.Reason != core.ReasonCancelled || f.Message != "the submitter cancelled the task" {
			t.Errorf("failure %v", f)
		}
		if got := brief(r.stepsOf(jobID)); got != "squares:cancelled:0/3 total:skipped:0/0" {
			t.Error(got)
		}
		if open := r.journal.Open(); len(open) != 0 {
			t.Errorf("%d jobs are open", len(open))
		}
		s = r.v.Answer(t.Context(), gateway, &wire.JobQuery{ID: 1, TaskID: jobID, Op: wire.QueryCancel})
		if !errors.Is(s.Fault.Err(), core.Conflict) {
			t.Errorf("cancelled twice: %+v", s)
		}
		r.idle()
	})
}

// TestWorkflowDeadline: a workflow that takes too long expires with all its jobs.
func TestWorkflowDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil).block()
		spec := graphOf(squares(1))
		spec.TimeoutMS = 5000
		begun := time.Now()
		if f := r.offer(jobID, spec).failed(); f.Reason != core.ReasonDeadline {
			t.Errorf("failure %v", f)
		}
		if took := time.Since(begun); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("it took %s", took)
		}
		if job, err := r.journal.Get(jobID); err != nil || job.State != jobs.Expired || len(r.journal.Open()) != 0 {
			t.Errorf("the journal has %v, %v and %d open jobs", job.State, err, len(r.journal.Open()))
		}
		r.idle()
	})
}

// mortal is a journal whose owner can die: then it takes nothing any more.
type mortal struct {
	journal.Journal
	dead atomic.Bool
	ends *atomic.Int64 // jobs that it made final; may be nil
}

func (m *mortal) err() error {
	if m.dead.Load() {
		return core.Errorf(core.Internal, "journal", "the node is dead")
	}
	return nil
}

func (m *mortal) Commit(ctx context.Context, job jobs.Job) error {
	return cmpErr(m.err(), func() error { return m.Journal.Commit(ctx, job) })
}

func (m *mortal) Update(id core.TaskID, fn func(jobs.Job) (jobs.Job, error)) error {
	return cmpErr(m.err(), func() error { return m.Journal.Update(id, fn) })
}

func (m *mortal) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	if err := m.err(); err != nil {
		return jobs.Job{}, err
	}
	job, err := m.Journal.End(ctx, r, now)
	if err == nil && m.ends != nil {
		m.ends.Add(1)
	}
	return job, err
}

func cmpErr(err error, do func() error) error {
	if err != nil {
		return err
	}
	return do()
}

// TestWorkflowTakenOver: a coordinator that dies in the middle leaves a journal
// with which the next one ends the workflow; what had ended does not run again.
func TestWorkflowTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := &mortal{Journal: journal.NewMemory(journal.Limits{})}
		first := newRig(t, east, 1000, options{journal: func(journal.Journal) journal.Journal { return record }})
		w := first.worker(1, 2, nil)
		n := atomic.Int64{}
		w.run = func(ctx context.Context, data []byte) *wire.JobResult {
			if n.Add(1) > 5 { // of the eight elements five are computed, then everything hangs
				<-ctx.Done()
				return failed(failureOf(context.Cause(ctx)))
			}
			return w.compute(data)
		}
		spec := graphOf(squares(8), total)
		j := first.offer(jobID, spec)
		settle()
		if got := brief(first.stepsOf(jobID)); got != "squares:running:5/8 total:waiting:0/0" {
			t.Fatal(got)
		}
		record.dead.Store(true)
		first.stop()
		<-j.done
		if job, err := record.Get(jobID); err != nil || job.State.Final() {
			t.Fatalf("the journal has %v, %v", job.State, err)
		}

		next := newRig(t, east, 1001, options{epoch: 2, journal: func(journal.Journal) journal.Journal { return record.Journal }})
		defer next.stop()
		heir := next.worker(2, 2, nil)
		if got := next.offer(jobID, spec).completed(); got != `{"total":204}` {
			t.Errorf("the next coordinator gives %s", got)
		}
		got, err := next.v.Result(jobID)
		if err != nil {
			t.Fatal(err)
		}
		if ran := len(heir.offers()); ran != 4 {
			t.Errorf("%d jobs ran again or anew; three elements and the total were left", ran)
		}
		if len(got.Workers) != 2 || got.Proofs[0].NodeID != next.id.ID() {
			t.Errorf("workers %v, proof of %s", got.Workers, got.Proofs[0].NodeID)
		}
		next.idle()
	})
}

// TestWorkflowOfManyCoordinators: two hundred steps end although the coordinator
// dies again and again; every step has one end, and few jobs are computed twice.
func TestWorkflowOfManyCoordinators(t *testing.T) {
	const steps, slots, lives = 200, 4, 8
	graph := make([]string, steps)
	for i := range graph {
		from := "1"
		if i >= 10 { // ten chains side by side
			from = fmt.Sprintf(`{"$from":"s%d"}`, i-10)
		}
		graph[i] = fmt.Sprintf(`{"id":"s%d","task":{"type":"compute","data":{"input":[%s,1],"operations":["sum"]}}}`, i, from)
	}
	spec := graphOf(graph...)
	synctest.Test(t, func(t *testing.T) {
		record, ends, computed := journal.NewMemory(journal.Limits{}), &atomic.Int64{}, &atomic.Int64{}
		var got core.TaskResult
		died := 0
		for life := 0; got.Status != core.TaskCompleted; life++ {
			if life > lives+1 {
				t.Fatalf("not done after %d coordinators: %+v", life, got)
			}
			mine := &mortal{Journal: record, ends: ends}
			r := newRig(t, east, 1000+life, options{epoch: uint64(life + 1), journal: func(journal.Journal) journal.Journal { return mine }})
			w := &worker{id: identity(1)}
			n := atomic.Int64{}
			w.run = func(ctx context.Context, data []byte) *wire.JobResult {
				if n.Add(1) > steps/lives {
					<-ctx.Done()
					return failed(failureOf(context.Cause(ctx)))
				}
				computed.Add(1)
				return w.compute(data)
			}
			r.link(w, slots, nil)
			if life == 0 {
				r.offer(jobID, spec)
			}
			time.Sleep(time.Second)
			if job, err := record.Get(jobID); err == nil && job.State.Final() {
				got = job.Result
			} else {
				died++
				mine.dead.Store(true)
			}
			r.stop()
			synctest.Wait()
		}
		if want := `{"s190":21,"s191":21`; !strings.HasPrefix(string(got.Result), want) || died < lives-1 {
			t.Errorf("%d died; the result is %.60s", died, got.Result)
		}
		if n := ends.Load(); n != steps+2 { // the workflow and its record
			t.Errorf("%d jobs ended; the workflow has %d steps", n, steps)
		}
		if n := computed.Load(); n > steps+int64(died)*slots {
			t.Errorf("%d computations of %d steps", n, steps)
		}
	})
}

// TestWorkflowHandedOver: a coordinator that loses the region leaves the workflow
// and the jobs of its steps open in the journal.
func TestWorkflowHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil).block()
		j := r.offer(jobID, graphOf(squares(2), total))
		settle()
		r.depose()
		if f := j.failed(); f.Reason != jobs.HandedOver {
			t.Errorf("the gateway was told %v", f)
		}
		settle()
		if open := r.journal.Open(); len(open) != 3 {
			t.Errorf("%d jobs are open: want the workflow and two elements", len(open))
		}
		if job, err := r.journal.Get(jobID); err != nil || job.State.Final() {
			t.Errorf("the workflow is %s, %v", job.State, err)
		}
	})
}

// TestWorkflowWaitsForRoom: steps are recorded as the region has room for them; a
// workflow that is wider than the journal goes through it in turns.
func TestWorkflowWaitsForRoom(t *testing.T) {
	bubbleWith(t, options{records: journal.Limits{Open: 3}}, func(t *testing.T, r *rig) {
		r.worker(1, 4, nil)
		if got := r.offer(jobID, graphOf(squares(20), total)).completed(); got != `{"total":2870}` {
			t.Errorf("got %s", got)
		}
		r.idle()
	})
}

// TestWorkflowForgets: with a journal that forgets results before they are used,
// they are computed again.
func TestWorkflowForgets(t *testing.T) {
	bubbleWith(t, options{records: journal.Limits{Finished: 3}}, func(t *testing.T, r *rig) {
		r.worker(1, 4, nil)
		if got := r.offer(jobID, graphOf(squares(20), total)).completed(); got != `{"total":2870}` {
			t.Errorf("got %s", got)
		}
		r.idle()
	})
}

// TestWorkflowKnowsItsJobs: a task that somebody gave the id of a step's job does
// not pass for the step.
func TestWorkflowKnowsItsJobs(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 4, nil)
		if got := r.offer(workflow.JobID(east, jobID, "total", 0, 0), specOf(`[1000]`, `["sum"]`, 0)).completed(); got != "1000" {
			t.Fatalf("got %s", got)
		}
		f := r.offer(jobID, graphOf(squares(2), total)).failed()
		if f.Reason != core.ReasonInternal || !strings.Contains(f.Message, "another task has the id of this step's job") {
			t.Errorf("failure %v", f)
		}
		r.idle()
	})
}

// TestWorkflowOffers: what is refused, and what the question for the steps of
// other tasks is answered with.
func TestWorkflowOffers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		o := offerOf(jobID, graphOf(squares(1)))
		o.Class = wire.ClassSubtask
		if _, no := r.v.Take(gateway, o); no == nil || no.Reason != wire.RefusedUnable {
			t.Errorf("as a subtask: %+v", no)
		}
		if got := r.offer("plain", sample()).completed(); got != "55" {
			t.Errorf("got %s", got)
		}
		s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{ID: 1, TaskID: "plain", Op: wire.QueryWorkflow})
		if !errors.Is(s.Fault.Err(), core.NotFound) || s.Validate() != nil {
			t.Errorf("the steps of a task: %+v", s)
		}
		w.block()
		var all []*job
		for i := range maxWorkflows {
			all = append(all, r.offer(core.TaskID(fmt.Sprintf("w%d", i)), graphOf(`{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}}`)))
		}
		if _, no := r.v.Take(gateway, offerOf(jobID, graphOf(squares(1)))); no == nil || no.Reason != wire.RefusedFull || no.RetryAfterMS == 0 {
			t.Errorf("one more than enough: %+v", no)
		}
		if _, no := r.v.Take(gateway, offerOf("w0", graphOf(`{"id":"a","task":{"type":"compute","data":{"input":[1],"operations":["sum"]}}}`))); no != nil {
			t.Errorf("one that is running, offered again: %+v", no)
		}
		for _, j := range all {
			j.revoke(&core.Failure{Reason: core.ReasonCancelled, Message: "enough"})
			if f := j.failed(); f.Reason != core.ReasonCancelled {
				t.Errorf("failure %v", f)
			}
		}
		r.idle()
	})
}

// TestWorkflowCancelledEarly: a workflow that is cancelled before it runs has no
// steps and leaves nothing behind.
func TestWorkflowCancelledEarly(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ticket, no := r.take(jobID, graphOf(squares(1)))
		if no != nil {
			t.Fatal(no)
		}
		if got := r.stepsOf(jobID); len(got) != 0 {
			t.Errorf("steps %+v", got)
		}
		if err := r.v.Cancel(r.ctx, jobID); err != nil {
			t.Fatal(err)
		}
		if res := ticket.Run(t.Context(), graphOf(squares(1)).Data, func(float64) {}); res.Failure == nil || res.Failure.Reason != core.ReasonCancelled {
			t.Errorf("result %+v", res)
		}
		r.idle()
	})
}

// TestWhyOfWorkflow: a workflow is where its tasks are: it is told why one of them waits,
// and in the end how many steps were done.
func TestWhyOfWorkflow(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		spec := graphOf(`{"id":"m","map":{"over":[1,2,3]},"task":{"type":"compute","data":{"input":[{"$item":true}],"operations":["sum"]},"queueTimeoutMs":600000}}`,
			`{"id":"s","reduce":{"from":"m","operations":["sum"]}}`)
		j := r.offer(jobID, spec)
		settle()
		why, err := r.v.Why(jobID)
		if err != nil || !strings.HasPrefix(why.Because, "it runs: 0 of 2 steps done, 3 tasks under way; of task us-east-") || !strings.Contains(why.Because, "no worker is linked to region us-east") {
			t.Errorf("without a worker: %+v, %v", why, err)
		}
		if !slices.Contains(why.Helps, "start a worker for the region: tenzro run --role local") || !slices.Contains(why.Helps, "see every step: tenzro workflow get "+string(jobID)) {
			t.Errorf("what helps: %q", why.Helps)
		}
		r.worker(1, 1, nil)
		if got := j.completed(); got != `{"s":6}` {
			t.Errorf("the workflow gives %s", got)
		}
		if why, err := r.v.Why(jobID); err != nil || !strings.HasPrefix(why.Because, "the workflow is done: 2 steps, in ") {
			t.Errorf("done: %+v, %v", why, err)
		}
		r.idle()
	})
}
