package jobs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
)

var dawn = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// told writes events as one line each, without their numbers.
func told(events []core.TaskEvent) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s", e.Event)
		if a := e.Attempt; a != nil {
			fmt.Fprintf(&b, " %d/%d %s %s", a.Index, a.Attempt, a.Worker, a.Outcome)
		}
		if e.Subtasks > 0 {
			fmt.Fprintf(&b, " %d of %d", e.Done, e.Subtasks)
		}
		if e.Failure != nil {
			fmt.Fprintf(&b, " %s", e.Failure.Reason)
		}
		b.WriteByte('\n')
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

// planned is a recorded job of n subtasks.
func planned(t testing.TB, n int) Job {
	t.Helper()
	j := NewJob("us-east-01890a5d-ac96-774b-bcce-b302099a8057", core.TaskSpec{Type: "compute"}, "gateway", dawn)
	for _, s := range []State{Committed, Planned} {
		var err error
		if j, err = j.To(s, dawn); err != nil {
			t.Fatal(err)
		}
	}
	j.Subtasks = n
	return j
}

func mustEnd(t testing.TB, j Job, r core.TaskResult, now time.Time) Job {
	t.Helper()
	j, err := j.End(r, now)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestHistory: what is told of a job, in order, with every attempt's end.
//
// spec 2.66
func TestHistory(t *testing.T) {
	at := func(s int) time.Time { return dawn.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		name string
		job  func() Job
		want string
	}{
		{"just received", func() Job { return NewJob("a", core.TaskSpec{}, "", dawn) }, "received\n"},
		{"one subtask", func() Job {
			j := planned(t, 1).Begin(0, 1, "w1", at(1)).Close(0, "w1", OutcomeOK, at(2))
			return mustEnd(t, j, core.TaskResult{Status: core.TaskCompleted}, at(2))
		}, "received\ncommitted\nplanned 0 of 1\nattempt_started 0/1 w1\nattempt_ended 0/1 w1 ok\nsubtask_done 1 of 1\ncompleted 1 of 1\n"},
		{"a lost attempt, and merging", func() Job {
			j := planned(t, 2).Begin(0, 1, "w1", at(1)).Begin(1, 1, "w2", at(1)).Close(0, "w1", string(LeaseExpired), at(16)).
				Begin(0, 2, "w2", at(16)).Close(1, "w2", OutcomeOK, at(17)).Close(0, "w2", OutcomeOK, at(18))
			j, err := j.To(Verifying, at(18))
			if err != nil {
				t.Fatal(err)
			}
			return j
		}, "received\ncommitted\nplanned 0 of 2\nattempt_started 0/1 w1\nattempt_started 1/1 w2\nattempt_ended 0/1 w1 lease_expired\n" +
			"attempt_started 0/2 w2\nattempt_ended 1/1 w2 ok\nsubtask_done 1 of 2\nattempt_ended 0/2 w2 ok\nsubtask_done 2 of 2\nverifying 2 of 2\n"},
		{"cancelled under a running attempt", func() Job {
			j := planned(t, 1).Begin(0, 1, "w1", at(1))
			return mustEnd(t, j, FailedResult(j.ID, &core.Failure{Reason: core.ReasonCancelled}), at(3))
		}, "received\ncommitted\nplanned 0 of 1\nattempt_started 0/1 w1\nattempt_ended 0/1 w1 cancelled\ncancelled 0 of 1 cancelled\n"},
		{"nobody came", func() Job {
			j := planned(t, 1)
			return mustEnd(t, j, FailedResult(j.ID, &core.Failure{Reason: core.ReasonNoCapableWorker}), at(30))
		}, "received\ncommitted\nplanned 0 of 1\nfailed 0 of 1 no_capable_worker\n"},
		{"too late", func() Job {
			j := planned(t, 1)
			return mustEnd(t, j, FailedResult(j.ID, &core.Failure{Reason: core.ReasonDeadline}), at(600))
		}, "received\ncommitted\nplanned 0 of 1\nexpired 0 of 1 deadline\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := tt.job()
			h := j.History(0)
			if got := told(h.Events); got != tt.want || h.Final != j.State.Final() {
				t.Errorf("final %v\n%swant\n%s", h.Final, got, tt.want)
			}
		})
	}
}

// TestHistoryNumbersStay: however a record grows, and whatever the clocks of those
// who write it say, a client that asks again with the last number it saw gets
// every event once and in order, and the same events as one that asks at the end.
func TestHistoryNumbersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "subtasks")
		j := NewJob("a", core.TaskSpec{}, "", dawn)
		var seen []core.TaskEvent
		last := uint64(0)
		look := func() {
			for _, e := range j.History(last).Events {
				if e.ID <= last {
					t.Fatalf("event %d after event %d", e.ID, last)
				}
				seen, last = append(seen, e), e.ID
			}
		}
		now := func() time.Time { // of some node: clocks differ and jump
			return dawn.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "clock")) * time.Nanosecond)
		}
		step := func(next Job, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if j = next; rapid.Bool().Draw(t, "look") {
				look()
			}
		}
		step(j.To(Committed, now()))
		j.Subtasks = n
		step(j.To(Planned, now()))
		open := map[int]core.NodeID{}
		for k := range rapid.IntRange(0, 30).Draw(t, "steps") {
			i := rapid.IntRange(0, n-1).Draw(t, "subtask")
			if w, busy := open[i]; busy {
				delete(open, i)
				outcome := string(LinkLost)
				if j.Done < n && rapid.Bool().Draw(t, "ok") {
					outcome = OutcomeOK
				}
				step(j.Close(i, w, outcome, now()), nil)
			} else if j.Done < n {
				open[i] = core.NodeID(fmt.Sprint("w", k))
				step(j.Begin(i, k+1, open[i], now()), nil)
			}
		}
		if rapid.Bool().Draw(t, "ends") {
			result := core.TaskResult{Status: core.TaskCompleted}
			if rapid.Bool().Draw(t, "fails") {
				result = FailedResult(j.ID, &core.Failure{Reason: core.ReasonDeadline})
			}
			step(j.End(result, now()))
		}
		look()
		if got, want := told(seen), told(j.History(0).Events); got != want {
			t.Fatalf("looking now and then:\n%sat the end:\n%s", got, want)
		}
	})
}

// TestHistoryIsBounded: a job of many attempts tells the last ones, how far it is,
// and its end.
func TestHistoryIsBounded(t *testing.T) {
	const many = 4 * core.MaxAttemptsShown
	j := planned(t, many)
	for i := range many {
		j = j.Begin(i, 1, "w", dawn)
	}
	j = j.Close(0, "w", OutcomeOK, dawn) // not remembered any more
	h := j.History(0)
	last := h.Events[len(h.Events)-1]
	if len(h.Events) > 3*core.MaxAttemptsShown || last.Event != core.EventSubtaskDone || last.Done != 1 {
		t.Errorf("%d events, the last %+v", len(h.Events), last)
	}
	j = mustEnd(t, j, core.TaskResult{Status: core.TaskCompleted}, dawn)
	if h := j.History(last.ID); !h.Final || h.Events[len(h.Events)-1].Event != core.EventCompleted {
		t.Errorf("at the end %+v", h)
	}
}
