package regional

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// numbers is a JSON array of n integers.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",%d", (i*7919)%1000-500)
	}
	return "[" + b.String()[1:] + "]"
}

// TestSplitEqualsAlone: however a job is cut and whoever computes the parts, the
// region gives the very bytes that one node gives, under proofs for them.
//
// spec 0.10 0.12 0.26 0.28 0.29 4.57
func TestSplitEqualsAlone(t *testing.T) {
	for _, c := range []struct {
		operations string
		cuttable   bool
	}{
		{`["square","sum"]`, true}, {`["negate","abs"]`, true}, {`["mean"]`, true}, {`["stddev","sqrt"]`, true}, {`["min"]`, true},
		{`["sort"]`, false}, {`["square","median"]`, false},
	} {
		for _, parallelism := range []int{0, 1, 2, 7} {
			t.Run(fmt.Sprintf("%s in %d", c.operations, parallelism), func(t *testing.T) {
				bubble(t, func(t *testing.T, r *rig) {
					for n := range 3 {
						r.worker(n, 2, nil)
					}
					spec := specOf(numbers(1000), c.operations, parallelism)
					j := r.offer(jobID, spec)
					if got := j.completed(); got != alone(t, spec) {
						t.Errorf("the region gives %s, one node %s", got, alone(t, spec))
					}
					parts := 1
					if c.cuttable {
						parts = max(1, parallelism)
					}
					checkEvidence(t, r, j.result, spec, parts)
					r.idle()
				})
			})
		}
	}
}

// checkEvidence wants the job's own proof first and then one for every part.
func checkEvidence(t *testing.T, r *rig, got *wire.JobResult, spec core.TaskSpec, parts int) {
	t.Helper()
	unit := &jobs.Unit{Head: wire.Head(spec), InputHash: core.Sum(spec.Data)}
	signer := r.id.ID()
	if parts == 1 {
		signer = got.Workers[0]
	} else if len(got.Proofs) != 1+parts {
		t.Errorf("%d proofs for %d parts", len(got.Proofs), parts)
	}
	if err := jobs.VerifyProof(keys.NewProofVerifier(), unit, signer, got, got.Output.Inline, time.Now()); err != nil {
		t.Errorf("the job's proof: %v", err)
	}
	names := r.names()
	want := []event.Name{event.TaskReceived, event.SubtaskCompleted, event.TaskAggregated}
	for i, n := range []int{1, parts, 1} {
		if count(names, want[i]) != n {
			t.Errorf("%d events %s, want %d", count(names, want[i]), want[i], n)
		}
	}
	if !slices.Equal(got.Regions, []core.RegionID{east}) {
		t.Errorf("computed in %v", got.Regions)
	}
}

// TestOnlyCapableWorkers: subtasks go to local nodes that meet the requirements;
// when there is none in time, the job ends with what is missing.
//
// spec 0.26 0.64
func TestOnlyCapableWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		low := r.worker(1, 4, func(a *wire.Ad) { a.Tier = core.TierInference })
		small := r.worker(2, 4, func(a *wire.Ad) { a.Resources.MemoryMB, a.Resources.FreeMemoryMB = 512, 512 })
		other := r.worker(3, 4, func(a *wire.Ad) { a.Runtimes = []core.TaskType{"vsa"} })
		spec := specOf(numbers(100), `["sum"]`, 10)
		spec.Requirements = core.Requirements{MinTier: core.TierAggregator, CPU: 80, MemoryMB: 1024}
		start := time.Now()
		f := r.offer(jobID, spec).failed()
		if f.Reason != core.ReasonNoCapableWorker || !strings.Contains(f.Message, "1024 MiB") {
			t.Errorf("ended with %v", f)
		}
		if took := time.Since(start); took < core.DefaultQueueTimeout || took > core.DefaultQueueTimeout+5*time.Second {
			t.Errorf("it waited %s for somebody able", took)
		}
		fit := r.worker(4, 4, nil)
		r.offer("second", spec).completed()
		for _, w := range []*worker{low, small, other} {
			if n := len(w.offers()); n != 0 {
				t.Errorf("an unable worker was offered %d subtasks", n)
			}
		}
		if n := len(fit.offers()); n != 10 {
			t.Errorf("the able one was offered %d subtasks", n)
		}
		r.idle()
	})
}

// TestInvalidResults: a result without a proof that fits it counts for nothing:
// the worker is blamed, told why, not paid and not asked again, and another one
// computes the subtask.
//
// spec 0.10 4.22 4.52 4.56 4.57 4.58 4.59
func TestInvalidResults(t *testing.T) {
	for _, c := range []struct {
		name, why string
		spoil     func(w *worker, data []byte) *wire.JobResult
	}{
		{"no proof", "no proof", func(w *worker, data []byte) *wire.JobResult {
			return &wire.JobResult{Output: w.compute(data).Output}
		}},
		{"for another input", "another input", func(w *worker, _ []byte) *wire.JobResult { return w.answer([]byte("{}"), json.RawMessage("55")) }},
		{"for another output", "another output", func(w *worker, data []byte) *wire.JobResult {
			r := w.compute(data)
			r.Output.Inline = json.RawMessage("56")
			return r
		}},
		{"a forged signature", "checking the proof", func(w *worker, data []byte) *wire.JobResult {
			r := w.compute(data)
			r.Proofs[0].Signature = slices.Clone(r.Proofs[0].Signature)
			r.Proofs[0].Signature[7] ^= 1
			return r
		}},
		{"in another's name", "proof is of node", func(_ *worker, data []byte) *wire.JobResult {
			return (&worker{id: identity(77)}).compute(data)
		}},
		{"in another's name and as if from another region", "proof is of node", func(_ *worker, data []byte) *wire.JobResult {
			r := (&worker{id: identity(77)}).compute(data)
			r.Regions = []core.RegionID{west}
			return r
		}},
		{"another's name on its own signature", "checking the proof", func(w *worker, data []byte) *wire.JobResult {
			r := (&worker{id: identity(77)}).compute(data)
			r.Proofs[0].NodeID = w.id.ID()
			return r
		}},
		{"another operation", "the proof is for", func(w *worker, data []byte) *wire.JobResult {
			r := w.compute(data)
			r.Proofs[0].OperationType = "inference"
			return r
		}},
		{"an old proof", "clock is off", func(w *worker, data []byte) *wire.JobResult {
			r := w.compute(data)
			r.Proofs[0].Timestamp -= time.Hour.Milliseconds()
			return r
		}},
		{"another quality", "claims a metric of 0.94", func(w *worker, data []byte) *wire.JobResult {
			r := w.compute(data)
			r.Proofs[0].ResultMetric = 0.94
			keys.SignProof(w.id, &r.Proofs[0])
			return r
		}},
		{"an impossible value", "result", func(w *worker, data []byte) *wire.JobResult { return w.answer(data, json.RawMessage(`[55]`)) }},
		{"no JSON", "result", func(w *worker, data []byte) *wire.JobResult { return w.answer(data, json.RawMessage(`55 55`)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				liar := r.worker(1, 4, nil)
				liar.run = func(_ context.Context, data []byte) *wire.JobResult { return c.spoil(liar, data) }
				j := r.offer(jobID, sample())
				settle()
				if got := liar.refusals(); len(got) != 1 || !strings.Contains(got[0], c.why) {
					t.Errorf("the worker hears %q, want something about %q", got, c.why)
				}
				honest := r.worker(2, 4, nil)
				if got := j.completed(); got != "55" {
					t.Errorf("the job gives %s", got)
				}
				if got := j.result; !slices.Equal(got.Workers, []core.NodeID{honest.id.ID()}) || !slices.Equal(got.Regions, []core.RegionID{east}) {
					t.Errorf("computed by %v in %v", got.Workers, got.Regions)
				}
				if kept, err := r.journal.Get(jobID); err != nil || len(kept.Attempts) != 2 || kept.Attempts[0].Outcome != string(jobs.ResultRefused) ||
					kept.Attempts[0].Finished.IsZero() || kept.Attempts[1].Outcome != "ok" {
					t.Errorf("the record of attempts is %+v, %v", kept.Attempts, err)
				}
				if got := r.conductOf(liar.id.ID()); !slices.Equal(got, []dispatch.Conduct{dispatch.Lied}) {
					t.Errorf("the liar's conduct is %v", got)
				}
				time.Sleep(dispatch.RewardDelay + time.Second) // rewards are paid in batches
				synctest.Wait()
				if len(liar.offers()) != 1 || liar.credits() != 0 || honest.credits() == 0 {
					t.Errorf("the liar was asked %d times and paid %d, the other paid %d", len(liar.offers()), liar.credits(), honest.credits())
				}
			})
		})
	}
}

// TestAcceptedMeansRecorded: a region takes a job only once its journal has it,
// and says busy when the journal does not.
//
// spec 0.12 4.22
func TestAcceptedMeansRecorded(t *testing.T) {
	bubbleWith(t, options{records: journal.Limits{Open: 1}}, func(t *testing.T, r *rig) {
		ticket, no := r.v.Take(gateway, offerOf(jobID, sample()))
		if no != nil {
			t.Fatalf("refused: %+v", no)
		}
		if _, err := r.journal.Get(jobID); !errors.Is(err, core.NotFound) {
			t.Errorf("before its data is there the journal says %v", err)
		}
		if no := ticket.Prepare(r.ctx, sample().Data); no != nil {
			t.Fatalf("refused: %+v", no)
		}
		if j, err := r.journal.Get(jobID); err != nil || j.State != jobs.Committed || j.Gateway != gateway ||
			!bytes.Equal(j.Spec.Data, sample().Data) || r.v.InProgress() != 1 {
			t.Errorf("the journal has %+v, %v; %d in progress", j, err, r.v.InProgress())
		}
		if _, no := r.take("another", sample()); no == nil || no.Reason != wire.RefusedFull || no.RetryAfterMS == 0 {
			t.Errorf("a full journal answers %+v", no)
		}
		if r := ticket.Run(r.ctx, sample().Data, func(float64) {}); r.Failure == nil || r.Failure.Reason != core.ReasonNoCapableWorker {
			t.Errorf("without a worker it ends with %+v", r)
		}
		r.idle()
	})
}

// TestAnswer: status, progress and result are told as the journal and the running
// subtasks have them.
func TestAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ask := func(op wire.QueryOp) *wire.JobState {
			t.Helper()
			s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{ID: 9, TaskID: jobID, Op: op})
			if err := s.Validate(); err != nil || s.ID != 9 {
				t.Fatalf("the answer %+v cannot be sent: %v", s, err)
			}
			return s
		}
		if s := ask(wire.QueryStatus); !errors.Is(s.Fault.Err(), core.NotFound) {
			t.Errorf("of an unknown task: %+v", s)
		}
		w := r.worker(1, 1, nil)
		gate := make(chan struct{})
		w.run = func(_ context.Context, data []byte) *wire.JobResult {
			<-gate
			return w.compute(data)
		}
		j := r.offer(jobID, specOf(numbers(100), `["sum"]`, 4))
		settle()
		if s := ask(wire.QueryResult); s.Result != nil || s.Status.Status != core.TaskRunning || s.Status.Subtasks != 4 || s.Status.Progress != 0 {
			t.Errorf("at the start: %+v", s.Status)
		}
		if _, err := r.v.Result(jobID); !errors.Is(err, core.Conflict) {
			t.Errorf("the result of an open job: %v", err)
		}
		gate <- struct{}{}
		settle()
		if s := ask(wire.QueryStatus).Status; s.Progress != 0.25 || len(s.Attempts) != 2 || s.Attempts[0].Outcome != "ok" || s.Attempts[1].Outcome != "" {
			t.Errorf("after one of four: %+v", s)
		}
		close(gate)
		want := j.completed()
		s := ask(wire.QueryResult)
		if s.Status.Status != core.TaskCompleted || s.Status.Progress != 1 || string(s.Output.Inline) != want || s.Result.Status != core.TaskCompleted || len(s.Result.Proofs) != 5 {
			t.Errorf("at the end: %+v %+v", s.Status, s.Result)
		}
		if got, err := r.v.Result(jobID); err != nil || string(got.Result) != want {
			t.Errorf("result %+v, %v", got, err)
		}
	})
}

// TestManyWorkers: a job on more workers than a message may name is told all the
// same.
func TestManyWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const many = wire.MaxWorkersShown + 40
		gate := make(chan struct{}) // until each has one
		for n := range many {
			w := r.worker(n, 1, nil)
			w.run = func(_ context.Context, data []byte) *wire.JobResult {
				<-gate
				return w.compute(data)
			}
		}
		spec := specOf(numbers(4*many), `["square","sum"]`, many)
		j := r.offer(jobID, spec)
		close(gate)
		if got := j.completed(); got != alone(t, spec) {
			t.Errorf("the job gives %s", got)
		}
		j.result.Attempt = 1
		j.result.TaskID = jobID
		if err := j.result.Validate(); err != nil || len(j.result.Workers) != wire.MaxWorkersShown {
			t.Errorf("a result that names %d workers: %v", len(j.result.Workers), err)
		}
		s := r.v.Answer(t.Context(), gateway, &wire.JobQuery{TaskID: jobID, Op: wire.QueryResult})
		if err := s.Validate(); err != nil {
			t.Errorf("an answer that names %d workers and %d attempts: %v", len(s.Result.Workers), len(s.Status.Attempts), err)
		}
		r.idle()
	})
}

// TestLastAttempts: of many attempts the last ones are shown.
func TestLastAttempts(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil)
		r.offer(jobID, specOf(numbers(1000), `["sum"]`, 100)).completed()
		j, err := r.journal.Get(jobID)
		if err != nil || len(j.Attempts) != core.MaxAttemptsShown || j.Attempts[core.MaxAttemptsShown-1].Index != 99 {
			t.Errorf("%d attempts are shown, %v", len(j.Attempts), err)
		}
	})
}

// TestAppendNew: everything once, up to a number.
func TestAppendNew(t *testing.T) {
	var list []int
	for _, v := range []int{3, 1, 3, 2, 1, 4} {
		list = appendNew(list, v, 3)
	}
	if !slices.Equal(list, []int{3, 1, 2}) {
		t.Errorf("got %v", list)
	}
}

// TestUnknownTypeOfAnotherRegion: what nobody here can compute is not taken from
// another region.
func TestUnknownTypeOfAnotherRegion(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		o := offerOf(jobID, core.TaskSpec{Type: "vsa", Data: json.RawMessage(`{}`)})
		o.Class = wire.ClassSubtask
		if _, no := r.v.Take(gateway, o); no == nil || no.Reason != wire.RefusedUnable {
			t.Errorf("answered %+v", no)
		}
		o.Task.Type = vector.Type
		if _, no := r.v.Take(gateway, o); no != nil {
			t.Errorf("answered %+v", no)
		}
	})
}
