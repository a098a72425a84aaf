package jobs

import (
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestWhy: what a person is told in each situation, to the word. Five seconds have
// passed, ten minutes are allowed, thirty seconds of them without a worker.
func TestWhy(t *testing.T) {
	const deadline = "; its deadline is in 9m55s"
	ended := func(reason core.Reason, message string) func(Job) Job {
		return func(j Job) Job {
			return mustEnd(t, j, FailedResult(j.ID, &core.Failure{Reason: reason, Message: message}), dawn.Add(4*time.Second))
		}
	}
	see := []string{"see every step: tenzro workflow get us-east-01890a5d-ac96-774b-bcce-b302099a8057"}
	lower := []string{"submit it with lower requirements (minTier, cpu, memoryMB)", "start a worker that meets them", "submit it with a longer queueTimeoutMs"}
	tests := []struct {
		name    string
		job     func(Job) Job
		facts   Facts
		situate func(*Situation)
		because string
		helps   []string
	}{
		{"nobody is linked", nil, Facts{Waits: 4}, nil,
			"it waits: no worker is linked to region us-east; it ends in 25s if nobody comes" + deadline,
			[]string{"start a worker for the region: tenzro run --role local", "submit it with a longer queueTimeoutMs if workers come and go"}},
		{"nobody is able", nil, Facts{Waits: 4, Children: 3, Missing: "nobody has tier trainer; best is aggregator"}, nil,
			"it waits: none of 3 linked nodes can run it: nobody has tier trainer; best is aggregator; it ends in 25s if nobody comes" + deadline, lower},
		{"who is able rests", nil, Facts{Waits: 4, Children: 3, Resting: 1, Missing: "the only capable worker rests: on battery"}, nil,
			"it waits: 1 node could run it and takes no work now: the only capable worker rests: on battery; it ends in 25s if nobody comes" + deadline,
			[]string{"submit it with a queueTimeoutMs that lasts until then", "start another worker for the region"}},
		{"the queue time is over", nil, Facts{Waits: 4, Children: 1, Missing: "x"}, func(s *Situation) { s.Now = dawn.Add(time.Minute) },
			"it waits: none of 1 linked node can run it: x; its queue time is over; its deadline is in 9m0s", lower},
		{"all are busy", nil, Facts{Waits: 4, Children: 3, Capable: 2, Queued: 20, Ahead: 7}, nil,
			"it waits: 2 nodes could run it, all are busy; 7 ask for the same and come first, 20 wait in all" + deadline,
			[]string{"wait: it is taken in turn", "start more workers for the region"}},
		{"after a lost attempt", func(j Job) Job {
			return j.Begin(0, 1, "12D3KooWworker01", dawn).Close(0, "12D3KooWworker01", "lease_expired", dawn)
		}, Facts{Waits: 1, Lost: 2, Backoff: time.Second, Children: 1, Capable: 1, Free: 1}, nil,
			"it waits: 2 attempts were lost (the last by worker01: lease_expired), the next begins in 1s" + deadline, nil},
		{"all have failed it", func(j Job) Job { return j.Begin(0, 1, "w1", dawn).Close(0, "w1", "refused", dawn) },
			Facts{Waits: 1, Children: 2, Tried: 2}, nil,
			"it waits: every node that could run it (2) has failed it before (the last by w1: refused); it ends in 25s if nobody comes" + deadline,
			[]string{"start another worker for the region", "look at the attempts: tenzro task get us-east-01890a5d-ac96-774b-bcce-b302099a8057"}},
		{"about to be offered", nil, Facts{Waits: 4, Children: 1, Capable: 1, Free: 1}, nil,
			"it waits: 1 node could take it now; it is about to be offered" + deadline, nil},
		{"offered", nil, Facts{Offered: 1, Nodes: 1}, nil, "a node was asked to take it and has not answered yet",
			[]string{"wait a second: without an answer it goes to another node"}},
		{"all of it runs", func(j Job) Job { j.Done = 1; return j }, Facts{Leased: 3, Nodes: 2}, nil,
			"it runs: 1 of 4 subtasks done, 3 at work on 2 nodes" + deadline, nil},
		{"some of it runs", nil, Facts{Leased: 1, Nodes: 1, Waits: 3, Children: 1, Capable: 1, Queued: 3}, nil,
			"it runs: 0 of 4 subtasks done, 1 at work on 1 node, 3 wait: 1 node could run it, all are busy; 0 ask for the same and come first, 3 wait in all" + deadline,
			[]string{"wait: it is taken in turn", "start more workers for the region"}},
		{"the last result", nil, Facts{}, nil, "the last result is being checked", nil},
		{"merging", func(j Job) Job { j.Done = 4; return j }, Facts{}, nil, "every subtask is done; the results are being merged", nil},
		{"not planned yet", func(j Job) Job { j.Subtasks = 0; return j }, Facts{}, nil,
			"the task is recorded; its input is being fetched and cut into subtasks", nil},
		{"a workflow that has not begun", nil, Facts{}, func(s *Situation) { s.Steps = &Steps{} },
			"the workflow is recorded; its steps are about to begin" + deadline, nil},
		{"a workflow between two tasks", nil, Facts{}, func(s *Situation) { s.Steps = &Steps{Done: 1, All: 5} },
			"it runs: 1 of 5 steps done; the next tasks of its steps are about to begin, or wait to be tried again" + deadline, see},
		{"a workflow whose task waits", nil, Facts{}, func(s *Situation) {
			s.Steps = &Steps{Done: 1, All: 5, Open: 3, Why: core.TaskWhy{TaskID: "us-east-1", Because: "it waits: no worker is linked", Helps: []string{"start one"}}}
		}, "it runs: 1 of 5 steps done, 3 tasks under way; of task us-east-1: it waits: no worker is linked", append([]string{"start one"}, see...)},
		{"a workflow is done", func(j Job) Job {
			return mustEnd(t, j, core.TaskResult{Status: core.TaskCompleted}, dawn.Add(4*time.Second))
		}, Facts{}, func(s *Situation) { s.Steps = &Steps{Done: 5, All: 5} }, "the workflow is done: 5 steps, in 4s", nil},
		{"a workflow is too late", ended(core.ReasonDeadline, "x"), Facts{}, func(s *Situation) { s.Steps = &Steps{Done: 2, All: 5} },
			"its time of 10m0s was over with 2 of 5 steps done", append(see, "submit it again with a longer timeoutMs", "start more workers for region us-east")},
		{"no leader", nil, Facts{Waits: 4}, func(s *Situation) { s.Blocked = "it has no leader" },
			"region us-east cannot bring any task forward: it has no leader",
			[]string{"nothing is lost: the task goes on when the region does", "ask the region's operator to look at its nodes with `tenzro doctor`"}},
		{"assigned to a node", nil, Facts{}, func(s *Situation) { s.Assigned = true },
			"it was assigned to one node, which has no room for it yet" + deadline,
			[]string{"wait: it is taken in turn", "submit it to a gateway instead: any node may then run it"}},
		{"done", func(j Job) Job {
			return mustEnd(t, j, core.TaskResult{Status: core.TaskCompleted}, dawn.Add(4*time.Second))
		}, Facts{}, nil, "the task is done: 4 subtasks, in 4s", nil},
		{"ended: nobody came", ended(core.ReasonNoCapableWorker, "nobody has tier trainer"), Facts{}, nil,
			"within its queue time of 30s nobody came that could run it: nobody has tier trainer",
			[]string{"submit it again with lower requirements (minTier, cpu, memoryMB)", "start a worker that meets them", "submit it again with a longer queueTimeoutMs"}},
		{"ended: too late", ended(core.ReasonDeadline, "x"), Facts{}, nil, "its time of 10m0s was over with 0 of 4 subtasks done",
			[]string{"submit it again with a longer timeoutMs", "submit it again with more parallelism", "start more workers for region us-east"}},
		{"ended: all attempts lost", func(j Job) Job {
			j = j.Begin(0, 1, "w1", dawn).Close(0, "w1", "link_lost", dawn).Begin(0, 2, "w1", dawn).Close(0, "w1", "link_lost", dawn)
			return ended(core.ReasonAttemptsExhausted, "node w1 left; it was the last of the attempts")(j)
		}, Facts{}, nil, "every attempt was lost: node w1 left; it was the last of the attempts; 2 attempts were lost on 1 node",
			[]string{"submit it again: the nodes that failed may be gone", "look at the attempts: tenzro task get us-east-01890a5d-ac96-774b-bcce-b302099a8057"}},
		{"ended: cancelled", ended(core.ReasonCancelled, "the submitter cancelled the task"), Facts{}, nil,
			"it was cancelled: the submitter cancelled the task", nil},
		{"ended: bad data", ended(core.ReasonInvalidInput, "no such operation."), Facts{}, nil, "its data cannot be run: no such operation",
			[]string{"correct the data and submit it again"}},
		{"ended: overflow", ended(core.ReasonOverflow, "1e308 squared"), Facts{}, nil, "a value left the range of numbers: 1e308 squared",
			[]string{"scale the input down and submit it again"}},
		{"ended: the engine failed", ended(core.ReasonExecutionFailed, "out of luck"), Facts{}, nil, "running it failed: out of luck",
			[]string{"correct the task and submit it again; another node would fail too"}},
		{"ended: a bug", ended(core.ReasonInternal, "boom"), Facts{}, nil, "the network failed: boom",
			[]string{"submit it again", "report it when it happens again, with the task's id"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := planned(t, 4)
			if tt.job != nil {
				j = tt.job(j)
			}
			s := Situation{Now: dawn.Add(5 * time.Second), Region: "us-east", Facts: tt.facts}
			if tt.situate != nil {
				tt.situate(&s)
			}
			w := j.Why(s)
			if w.Because != tt.because || !slices.Equal(w.Helps, tt.helps) || w.Status != j.State.Task() || w.TaskID != j.ID || w.Helps == nil {
				t.Errorf("because %s\nhelps %q\nwant    %s\nhelps %q", w.Because, w.Helps, tt.because, tt.helps)
			}
		})
	}
}

// TestFacts: what a board knows of the units of a task, step by step.
func TestFacts(t *testing.T) {
	b := NewBoard(Limits{}, world{"small": {}}, 1)
	unit := func(task core.TaskID, i int) Unit {
		return Unit{Key: Key{task, i}, Class: wire.ClassSubtask, Head: wire.TaskHead{Type: "compute"}, QueueUntil: dawn.Add(time.Minute), Deadline: dawn.Add(time.Hour)}
	}
	add := func(u Unit) {
		t.Helper()
		if err := b.Add(u, dawn); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, now time.Time, want Facts) {
		t.Helper()
		got := b.Facts("task", 2, now)
		got.Missing = "" // the matcher's own words
		if got != want {
			t.Errorf("%s: %+v\nwant %+v", when, got, want)
		}
	}
	check("nothing here", dawn, Facts{})
	add(unit("other", 0))
	add(unit("task", 0))
	add(unit("task", 1))
	check("nobody linked", dawn, Facts{Waits: 2, Queued: 3, Ahead: 1})
	b.Join(ChildInfo{ID: "a"})
	check("linked, asking for nothing", dawn, Facts{Waits: 2, Queued: 3, Ahead: 1, Children: 1, Capable: 1})
	b.Grant("a", wire.ClassSubtask, 2, dawn)
	check("offered", dawn, Facts{Waits: 1, Offered: 1, Nodes: 1, Queued: 1, Children: 1, Capable: 1})
	var lease wire.LeaseID
	for _, e := range b.Effects() {
		if e.Offer != nil && e.Offer.Unit.Task == "task" {
			lease = e.Offer.Lease
		}
	}
	b.Accepted("a", lease, dawn)
	check("leased", dawn, Facts{Waits: 1, Leased: 1, Nodes: 1, Queued: 1, Children: 1, Capable: 1})
	b.Resulted("a", lease, dawn)
	b.Retry(Key{"task", 0}, "a", true, "wrong", dawn)
	lost := 0
	for _, e := range b.Effects() {
		if e.Lost != nil {
			if lost++; e.Lost.Reason != ResultRefused || e.Lost.Child != "a" || e.Lost.Unit.Key != (Key{"task", 0}) {
				t.Errorf("lost %+v", e.Lost)
			}
		}
	}
	if lost != 1 {
		t.Errorf("%d attempts were lost", lost)
	}
	if f := b.Facts("task", 1, dawn); f.Waits != 1 || f.Tried != 1 || f.Capable != 0 || f.Lost != 1 {
		t.Errorf("refused: %+v", f)
	}
}
