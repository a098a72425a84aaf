package regional

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// chatty plans tasks that write output.
type chatty struct{ vector.Vector }

func (chatty) Writes(json.RawMessage) bool { return true }

var talkative = options{edit: func(d *Deps) { d.Planners = map[core.TaskType]compute.Planner{vector.Type: chatty{vector.New()}} }}

// says makes the worker answer with its own name as output, and block.
func (w *worker) says(text string) {
	w.block()
	w.writes = func(q *wire.JobQuery) *wire.JobState {
		part := core.OutputPart{Run: 1, Attempt: 1, Pieces: []core.OutputPiece{{Stream: core.Stdout, Offset: q.Output.Stdout, Data: []byte(text)}}}
		raw, err := json.Marshal(part)
		return &wire.JobState{ID: q.ID, Output: wire.Payload{Inline: raw}, Fault: wire.FaultOf(err)}
	}
}

// hears asks the region what a subtask wrote.
func (r *rig) hears(subtask int) (string, error) {
	r.t.Helper()
	s := r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryOutput, Output: &core.OutputFrom{Subtask: subtask}})
	if s.Fault != nil {
		return "", s.Fault.Err()
	}
	part, err := wire.DecodeOutputPart(s.Output.Inline, core.OutputFrom{})
	if err != nil || len(part.Pieces) != 1 {
		r.t.Fatalf("%s: %v", s.Output.Inline, err)
	}
	return string(part.Pieces[0].Data), nil
}

func (r *rig) writing() core.OutputState {
	r.t.Helper()
	s := r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryOutput})
	state, err := wire.DecodeOutputState(s.Output.Inline, jobID)
	if err != nil {
		r.t.Fatalf("%+v: %v", s.Fault, err)
	}
	return state
}

// reader counts how often data is read for what it writes.
type reader struct {
	vector.Vector
	read *atomic.Int64
}

func (r reader) Writes(json.RawMessage) bool {
	r.read.Add(1)
	return true
}

// TestOutputReadsDataOnce: however often it is asked which subtasks write, the region
// reads the data of a job that runs once.
func TestOutputReadsDataOnce(t *testing.T) {
	var read atomic.Int64
	planners := map[core.TaskType]compute.Planner{vector.Type: reader{vector.New(), &read}}
	bubbleWith(t, options{edit: func(d *Deps) { d.Planners = planners }}, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil).block()
		r.offer(jobID, specOf(numbers(10), `["sum"]`, 1))
		settle()
		for range 5 {
			if s := r.writing(); !s.Writes {
				t.Errorf("%+v", s)
			}
		}
		if n := read.Load(); n != 1 {
			t.Errorf("the data was read %d times", n)
		}
		if err := r.v.Cancel(t.Context(), jobID); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOutputIsPassedOn: a region asks whoever runs a subtask, and when nobody does any
// more, whoever ran it last.
func TestOutputIsPassedOn(t *testing.T) {
	bubbleWith(t, talkative, func(t *testing.T, r *rig) {
		if s := r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryOutput}); !errors.Is(s.Fault.Err(), core.NotFound) {
			t.Errorf("an unknown task: %v", s.Fault)
		}
		first, second := r.worker(1, 1, nil), r.worker(2, 1, nil)
		first.says("first")
		second.says("second")
		gate := make(chan struct{})
		first.run = func(_ context.Context, data []byte) *wire.JobResult {
			<-gate
			return first.compute(data)
		}
		j := r.offer(jobID, specOf(numbers(1000), `["sum"]`, 2))
		settle()
		if s := r.writing(); !s.Writes || !slices.Equal(s.Running, []int{0, 1}) || s.Subtasks != 2 || s.Status != core.TaskRunning {
			t.Errorf("%+v", s)
		}
		names := map[string]int{}
		for i := range 2 {
			name, err := r.hears(i)
			if err != nil {
				t.Error(err)
			}
			names[name] = i
		}
		if _, err := r.hears(2); len(names) != 2 || !errors.Is(err, core.NotFound) {
			t.Errorf("%v, of a third %v", names, err)
		}
		close(gate)
		settle()
		if s := r.writing(); !slices.Equal(s.Running, []int{names["second"]}) {
			t.Errorf("one has ended: %+v", s)
		}
		if name, err := r.hears(names["first"]); name != "first" || err != nil {
			t.Errorf("of the one that has ended: %q, %v", name, err)
		}
		if err := r.v.Cancel(t.Context(), jobID); err != nil {
			t.Fatal(err)
		}
		if s := r.writing(); len(s.Running) != 0 || s.Status != core.TaskCancelled {
			t.Errorf("after the end: %+v", s)
		}
		j.end()
	})
}

// TestOutputOfAHelpingRegion: what a subtask writes in another region comes through
// its coordinator.
func TestOutputOfAHelpingRegion(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		far := westWorker(helper, 2, 8)
		far.says("far away")
		home.offer(jobID, sample(), east, west)
		join(8)
		settle()
		if text, err := home.hears(0); text != "far away" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if err := home.v.Cancel(t.Context(), jobID); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOutputIsChecked: what a worker answers is not believed, and its refusal is told.
func TestOutputIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		answer *wire.JobState
		kind   core.Kind
	}{
		"nothing":       {&wire.JobState{Output: wire.Payload{Inline: json.RawMessage("null")}}, core.Corrupt},
		"no run":        {&wire.JobState{Output: wire.Payload{Inline: json.RawMessage(`{"run":"0","attempt":1,"pieces":[],"over":true}`)}}, core.Corrupt},
		"what is known": {&wire.JobState{Output: wire.Payload{Inline: json.RawMessage(`{"run":"7","attempt":1,"pieces":[{"stream":"stdout","offset":"4","data":"eA=="}],"over":true}`)}}, core.Corrupt},
		"a fault":       {&wire.JobState{Fault: wire.FaultOf(core.Errorf(core.NotFound, "subtask", "gone"))}, core.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				w := r.worker(1, 1, nil)
				w.says("")
				w.writes = func(*wire.JobQuery) *wire.JobState { return c.answer }
				r.offer(jobID, sample())
				settle()
				s := r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryOutput, Output: &core.OutputFrom{Run: 7, Stdout: 5}})
				if err := s.Fault.Err(); core.KindOf(err) != c.kind || len(s.Output.Inline) > 0 {
					t.Errorf("%+v, %v", s, err)
				}
				if s := r.writing(); s.Writes || len(s.Running) > 0 {
					t.Errorf("a task of this type writes: %+v", s)
				}
				if err := r.v.Cancel(t.Context(), jobID); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestOutputWithoutALeader: whoever does not lead does not know, and so many questions
// wait at once.
func TestOutputWithoutALeader(t *testing.T) {
	bubbleWith(t, talkative, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		w.says("x")
		r.offer(jobID, sample())
		settle()
		r.v.listening.Store(maxListening)
		if _, err := r.hears(0); !errors.Is(err, core.Exhausted) {
			t.Error(fmt.Errorf("one more: %w", err))
		}
		r.v.listening.Store(0)
		r.depose()
		settle()
		if s := r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryOutput}); !errors.Is(s.Fault.Err(), core.Unavailable) {
			t.Errorf("without a leader: %+v", s)
		}
	})
}
