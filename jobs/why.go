package jobs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Situation is what a region knows besides a job's record.
type Situation struct {
	Now    time.Time
	Region core.RegionID
	Facts  Facts
	// Blocked is why the region cannot bring any job forward now, for example that
	// it has no leader; empty when it can.
	Blocked string
	// Assigned is set for a task that was handed to one node itself, past any region.
	Assigned bool
	Steps    *Steps // of a workflow, nil for any other job
}

// Steps is where the steps of a workflow are.
type Steps struct {
	Done, All int          // steps; 0 of 0 before they begin
	Open      int          // tasks of theirs that are under way
	Why       core.TaskWhy // of one of those tasks, of which nothing runs if there is one like that
}

// Why says why a job is where it is and what would help. It is a pure function of
// the record and the situation.
func (j Job) Why(s Situation) core.TaskWhy {
	w := core.TaskWhy{TaskID: j.ID, Status: j.State.Task(), Helps: []string{}}
	because, helps := j.because(s)
	w.Because, w.Helps = because, append(w.Helps, helps...)
	return w
}

func (j Job) because(s Situation) (string, []string) {
	switch f := s.Facts; {
	case j.State == Completed && s.Steps != nil:
		return fmt.Sprintf("the workflow is done: %s, in %s", count(s.Steps.All, "step"), shown(j.Updated.Sub(j.Created))), nil
	case j.State == Completed:
		return fmt.Sprintf("the task is done: %s, in %s", count(j.Subtasks, "subtask"), shown(j.Updated.Sub(j.Created))), nil
	case j.State.Final():
		return j.ended(s)
	case s.Blocked != "":
		return "region " + string(s.Region) + " cannot bring any task forward: " + s.Blocked,
			[]string{"nothing is lost: the task goes on when the region does", "ask the region's operator to look at its nodes with `tenzro doctor`"}
	case s.Assigned && j.State == Running:
		return "it runs on the node that it was assigned to" + j.timeLeft(s), nil
	case s.Assigned:
		return "it was assigned to one node, which has no room for it yet" + j.timeLeft(s),
			[]string{"wait: it is taken in turn", "submit it to a gateway instead: any node may then run it"}
	case s.Steps != nil:
		return j.stepping(s)
	case j.State == Verifying || j.Subtasks > 0 && j.Done >= j.Subtasks:
		return "every subtask is done; the results are being merged", nil
	case j.Subtasks == 0:
		return "the task is recorded; its input is being fetched and cut into subtasks", nil
	case f.Leased > 0:
		return j.runs(s)
	case f.Offered > 0:
		return "a node was asked to take it and has not answered yet", []string{"wait a second: without an answer it goes to another node"}
	case f.Waits == 0:
		return "the last result is being checked", nil
	}
	return j.waits(s)
}

// stepping explains a workflow that has not ended.
func (j Job) stepping(s Situation) (string, []string) {
	w := s.Steps
	text := fmt.Sprintf("it runs: %d of %s done", w.Done, count(w.All, "step"))
	switch {
	case w.All == 0:
		return "the workflow is recorded; its steps are about to begin" + j.timeLeft(s), nil
	case w.Open == 0:
		return text + "; the next tasks of its steps are about to begin, or wait to be tried again" + j.timeLeft(s), []string{j.seeSteps()}
	}
	return fmt.Sprintf("%s, %s under way; of task %s: %s", text, count(w.Open, "task"), w.Why.TaskID, w.Why.Because), append(slices.Clone(w.Why.Helps), j.seeSteps())
}

func (j Job) seeSteps() string { return "see every step: tenzro workflow get " + string(j.ID) }

// runs explains a job of which something runs.
func (j Job) runs(s Situation) (string, []string) {
	text := fmt.Sprintf("it runs: %d of %s done, %d at work on %s", j.Done, count(j.Subtasks, "subtask"), s.Facts.Leased, count(s.Facts.Nodes, "node"))
	if s.Facts.Waits == 0 {
		return text + j.timeLeft(s), nil
	}
	wait, helps := j.obstacle(s)
	return fmt.Sprintf("%s, %d wait: %s", text, s.Facts.Waits, wait) + j.timeLeft(s), helps
}

// waits explains a job of which nothing runs.
func (j Job) waits(s Situation) (string, []string) {
	wait, helps := j.obstacle(s)
	return "it waits: " + wait + j.timeLeft(s), helps
}

// obstacle says what keeps the subtask that waits longest from being taken.
func (j Job) obstacle(s Situation) (string, []string) {
	f := s.Facts
	switch {
	case f.Backoff > 0:
		return fmt.Sprintf("%s lost%s, the next begins in %s", plural(f.Lost, "attempt was", "attempts were"), j.lastLoss(), shown(f.Backoff)), nil
	case f.Children == 0:
		return "no worker is linked to region " + string(s.Region) + j.queueLeft(s),
			[]string{"start a worker for the region: tenzro run --role local", "submit it with a longer queueTimeoutMs if workers come and go"}
	case f.Capable == 0 && f.Tried > 0:
		return fmt.Sprintf("every node that could run it (%d) has failed it before%s", f.Tried, j.lastLoss()) + j.queueLeft(s),
			[]string{"start another worker for the region", "look at the attempts: tenzro task get " + string(j.ID)}
	case f.Capable == 0 && f.Resting > 0:
		return fmt.Sprintf("%s could run it and takes no work now: %s", plural(f.Resting, "node", "nodes"), f.Missing) + j.queueLeft(s),
			[]string{"submit it with a queueTimeoutMs that lasts until then", "start another worker for the region"}
	case f.Capable == 0:
		return fmt.Sprintf("none of %s can run it: %s", plural(f.Children, "linked node", "linked nodes"), f.Missing) + j.queueLeft(s),
			[]string{"submit it with lower requirements (minTier, cpu, memoryMB)", "start a worker that meets them", "submit it with a longer queueTimeoutMs"}
	case f.Free == 0:
		return fmt.Sprintf("%s could run it, all are busy; %d ask for the same and come first, %d wait in all",
				plural(f.Capable, "node", "nodes"), f.Ahead, f.Queued),
			[]string{"wait: it is taken in turn", "start more workers for the region"}
	}
	return fmt.Sprintf("%s could take it now; it is about to be offered", plural(f.Free, "node", "nodes")), nil
}

// queueLeft says how long somebody may still come.
func (j Job) queueLeft(s Situation) string {
	left := j.Created.Add(j.Spec.QueueTimeout()).Sub(s.Now)
	if left <= 0 {
		return "; its queue time is over"
	}
	return "; it ends in " + shown(left) + " if nobody comes"
}

// timeLeft says how long the job may still take.
func (j Job) timeLeft(s Situation) string {
	return "; its deadline is in " + shown(max(0, j.Deadline().Sub(s.Now)))
}

// lastLoss says how the last attempt that did not count ended.
func (j Job) lastLoss() string {
	for i := len(j.Attempts) - 1; i >= 0; i-- {
		if a := j.Attempts[i]; a.Outcome != "" && a.Outcome != OutcomeOK {
			return fmt.Sprintf(" (the last by %s: %s)", a.Worker.Short(), a.Outcome)
		}
	}
	return ""
}

// ended explains a job that has no result.
func (j Job) ended(s Situation) (string, []string) {
	f := j.Result.Failure
	if f == nil {
		return "the task is " + string(j.State.Task()), nil
	}
	message := strings.TrimSuffix(f.Message, ".")
	if s.Steps != nil && f.Reason == core.ReasonDeadline {
		return fmt.Sprintf("its time of %s was over with %d of %s done", shown(j.Spec.Timeout()), s.Steps.Done, count(s.Steps.All, "step")),
			[]string{j.seeSteps(), "submit it again with a longer timeoutMs", "start more workers for region " + string(s.Region)}
	}
	switch f.Reason {
	case core.ReasonNoCapableWorker:
		return fmt.Sprintf("within its queue time of %s nobody came that could run it: %s", shown(j.Spec.QueueTimeout()), message),
			[]string{"submit it again with lower requirements (minTier, cpu, memoryMB)", "start a worker that meets them", "submit it again with a longer queueTimeoutMs"}
	case core.ReasonDeadline:
		return fmt.Sprintf("its time of %s was over with %d of %s done", shown(j.Spec.Timeout()), j.Done, count(j.Subtasks, "subtask")),
			[]string{"submit it again with a longer timeoutMs", "submit it again with more parallelism", "start more workers for region " + string(s.Region)}
	case core.ReasonAttemptsExhausted:
		return "every attempt was lost: " + message + j.losses(),
			[]string{"submit it again: the nodes that failed may be gone", "look at the attempts: tenzro task get " + string(j.ID)}
	case core.ReasonCancelled:
		return "it was cancelled: " + message, nil
	case core.ReasonInvalidInput:
		return "its data cannot be run: " + message, []string{"correct the data and submit it again"}
	case core.ReasonOverflow:
		return "a value left the range of numbers: " + message, []string{"scale the input down and submit it again"}
	case core.ReasonOutOfFuel:
		return "it used up its fuel: " + message, []string{"submit it again with more limits.fuel, or with less to do"}
	case core.ReasonMemoryLimit:
		return "it needed more memory than it may have: " + message, []string{"submit it again with more limits.memoryMB"}
	case core.ReasonOutputLimit:
		return "it wrote too much: " + message, []string{"have it write less, or split the work over several tasks"}
	case core.ReasonInvalidModule:
		return "its module cannot be run: " + message, []string{"build it for WASI preview 1, for example with GOOS=wasip1 GOARCH=wasm; tenzro wasm convert says what is wrong"}
	case core.ReasonTrap, core.ReasonStackOverflow:
		return "its program failed: " + message, []string{"correct the program and submit it again; another node would fail too"}
	case core.ReasonExecutionFailed:
		return "running it failed: " + message, []string{"correct the task and submit it again; another node would fail too"}
	}
	return "the network failed: " + message, []string{"submit it again", "report it when it happens again, with the task's id"}
}

// losses counts the remembered attempts by how they ended.
func (j Job) losses() string {
	lost, nodes := 0, map[core.NodeID]bool{}
	for _, a := range j.Attempts {
		if a.Outcome != "" && a.Outcome != OutcomeOK {
			lost++
			nodes[a.Worker] = true
		}
	}
	if lost == 0 {
		return ""
	}
	return fmt.Sprintf("; %s lost on %s", plural(lost, "attempt was", "attempts were"), plural(len(nodes), "node", "nodes"))
}

// count is "3 subtasks".
func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shown rounds a time for people.
func shown(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
