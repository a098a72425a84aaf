package regional

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// asked puts a question to the region as a gateway would.
func (r *rig) asked(q wire.JobQuery) *wire.JobState {
	r.t.Helper()
	if err := q.Validate(); err != nil {
		r.t.Fatal(err)
	}
	s := r.v.Answer(r.t.Context(), gateway, &q)
	if err := s.Validate(); err != nil {
		r.t.Fatalf("answer %+v: %v", s, err)
	}
	return s
}

func (r *rig) events(after uint64) core.TaskEvents {
	r.t.Helper()
	told, err := wire.DecodeTaskEvents(r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryEvents, After: after}).Output.Inline, jobID, after)
	if err != nil {
		r.t.Fatal(err)
	}
	return told
}

func (r *rig) why() core.TaskWhy {
	r.t.Helper()
	why, err := wire.DecodeTaskWhy(r.asked(wire.JobQuery{TaskID: jobID, Op: wire.QueryWhy}).Output.Inline, jobID)
	if err != nil {
		r.t.Fatal(err)
	}
	return why
}

func names(events []core.TaskEvent) (out []core.EventName) {
	for _, e := range events {
		out = append(out, e.Event)
	}
	return out
}

// TestEventsOfAJob: a job is told step by step; a lost attempt has an end and a
// cause, and whoever asks again behind an event gets only what is new.
//
// spec 2.66
func TestEventsOfAJob(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := r.worker(1, 1, nil)
		w.block()
		j := r.offer(jobID, sample())
		settle()
		begun := r.events(0)
		want := []core.EventName{core.EventReceived, core.EventCommitted, core.EventPlanned, core.EventAttemptStarted}
		if got := names(begun.Events); !slices.Equal(got, want) || begun.Final {
			t.Fatalf("at the start %v", got)
		}
		last := begun.Events[len(begun.Events)-1].ID
		if again := r.events(last); len(again.Events) != 0 || again.Final {
			t.Errorf("nothing happened, told %v", names(again.Events))
		}
		if why := r.why(); !strings.HasPrefix(why.Because, "it runs: 0 of 1 subtask done, 1 at work on 1 node; its deadline is in ") {
			t.Errorf("running because %s", why.Because)
		}
		_ = w.link.Close()
		time.Sleep(time.Second) // it might have come back
		settle()
		if why := r.why(); !strings.HasPrefix(why.Because, "it waits: no worker is linked to region us-east; it ends in ") {
			t.Errorf("waiting because %s", why.Because)
		}
		r.worker(2, 1, nil)
		j.completed()
		rest := r.events(last)
		want = []core.EventName{core.EventAttemptEnded, core.EventAttemptStarted, core.EventAttemptEnded, core.EventSubtaskDone, core.EventCompleted}
		if got := names(rest.Events); !slices.Equal(got, want) || !rest.Final || rest.Events[0].Attempt.Outcome != "link_lost" || rest.Events[2].Attempt.Outcome != "ok" {
			t.Errorf("after it %v %+v", got, rest)
		}
		if again := r.events(rest.Events[len(rest.Events)-1].ID); len(again.Events) != 0 || !again.Final {
			t.Errorf("after the end %+v", again)
		}
	})
}

// TestRefusedAttemptIsTold: an attempt whose result was wrong ends as refused.
func TestRefusedAttemptIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		liar := r.worker(1, 1, nil)
		liar.run = func(_ context.Context, data []byte) *wire.JobResult {
			return liar.answer([]byte("other data"), []byte("1"))
		}
		j := r.offer(jobID, sample())
		settle()
		r.worker(2, 1, nil)
		j.completed()
		var outcomes []string
		for _, e := range r.events(0).Events {
			if e.Event == core.EventAttemptEnded {
				outcomes = append(outcomes, e.Attempt.Outcome)
			}
		}
		if !slices.Equal(outcomes, []string{"result_refused", "ok"}) {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}

// TestList: newest first, by state and type, page by page, without attempts.
//
// spec 2.66
func TestList(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 1, nil)
		var ids []core.TaskID
		for i := range 5 {
			id := core.NewTaskID(east, fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a80%02d", i))
			ids = append([]core.TaskID{id}, ids...)
			r.offer(id, sample()).completed()
			time.Sleep(time.Millisecond)
		}
		list := func(f core.TaskFilter) (out []core.TaskID) {
			t.Helper()
			tasks, err := wire.DecodeTaskList(r.asked(wire.JobQuery{Op: wire.QueryList, List: &f}).Output.Inline, f.Limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range tasks {
				if len(s.Attempts) > 0 || s.Status != core.TaskCompleted {
					t.Errorf("listed %+v", s)
				}
				out = append(out, s.TaskID)
			}
			return out
		}
		third, err := r.journal.Get(ids[2])
		if err != nil {
			t.Fatal(err)
		}
		after := core.Cursor{Created: third.Created, ID: third.ID}.String()
		for _, c := range []struct {
			name string
			f    core.TaskFilter
			want []core.TaskID
		}{
			{"all", core.TaskFilter{Limit: 100}, ids},
			{"two", core.TaskFilter{Limit: 2}, ids[:2]},
			{"behind the third", core.TaskFilter{Limit: 100, After: after}, ids[3:]},
			{"completed", core.TaskFilter{Limit: 100, Status: core.TaskCompleted, Type: "compute", Region: east}, ids},
			{"failed", core.TaskFilter{Limit: 100, Status: core.TaskFailed}, nil},
			{"of another type", core.TaskFilter{Limit: 100, Type: "other"}, nil},
			{"of another region", core.TaskFilter{Limit: 100, Region: west}, nil},
		} {
			if got := list(c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	})
}

// TestQuestionsAboutUnknownTasks are told so.
func TestQuestionsAboutUnknownTasks(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for _, op := range []wire.QueryOp{wire.QueryEvents, wire.QueryWhy} {
			if s := r.asked(wire.JobQuery{TaskID: jobID, Op: op}); !errors.Is(s.Fault.Err(), core.NotFound) {
				t.Errorf("%s: %+v", op, s)
			}
		}
	})
}
