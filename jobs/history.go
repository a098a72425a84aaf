package jobs

import (
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

// A job's history is a function of its record. The number of an event is the
// time it has in the record, in nanoseconds, and for what has no time of its own
// a place right behind another's. Two attempts never share a time: Tick keeps
// step between them, whatever the clock of the node that writes says. So a
// record that grew gives the same numbers for what was there before, and greater
// ones for what is new.
const (
	step = time.Microsecond // between two times of a record that are numbers

	afterCommit   = 1 * time.Nanosecond // behind the time that it follows
	afterPlan     = 2 * time.Nanosecond
	afterDone     = 10 * time.Nanosecond
	afterProgress = 20 * time.Nanosecond
	afterMerge    = 100 * time.Nanosecond
	afterEnd      = 500 * time.Nanosecond
)

// Tick returns the time for the next attempt that begins or ends in j: now, or
// later when the record's clock was ahead.
func (j Job) Tick(now time.Time) time.Time {
	if next := j.Updated.Add(step); now.Before(next) {
		return next
	}
	return now
}

// Begin notes that a node took a subtask.
func (j Job) Begin(index, attempt int, worker core.NodeID, now time.Time) Job {
	j.Updated = j.Tick(now)
	j.Attempts = append(j.Attempts, core.Attempt{Index: index, Attempt: attempt, Worker: worker, Started: j.Updated})
	j.Attempts = j.Attempts[max(0, len(j.Attempts)-core.MaxAttemptsShown):]
	return j
}

// OutcomeOK is the outcome of an attempt whose result was accepted.
const OutcomeOK = "ok"

// Close notes how the last attempt that a node has open at a subtask ended.
// Attempts must be the caller's own.
func (j Job) Close(index int, worker core.NodeID, outcome string, now time.Time) Job {
	j.Updated = j.Tick(now)
	if outcome == OutcomeOK {
		j.Done++
	}
	for i := len(j.Attempts) - 1; i >= 0; i-- {
		if a := &j.Attempts[i]; a.Index == index && a.Worker == worker && a.Outcome == "" {
			a.Finished, a.Outcome = j.Updated, outcome
			break
		}
	}
	return j
}

// History returns what happened to a job behind event number after, oldest
// first. Of the attempts only the last core.MaxAttemptsShown are remembered;
// where subtasks were done by others, subtask_done leaps.
func (j Job) History(after uint64) core.TaskEvents {
	h := &history{job: j, after: after, out: []core.TaskEvent{}}
	h.beginning()
	h.attempts()
	h.ending()
	return core.TaskEvents{Events: h.out, Final: j.State.Final()}
}

// history is a list in the making.
type history struct {
	job   Job
	after uint64
	out   []core.TaskEvent
}

// add appends an event whose number is offset behind at, unless it is known.
func (h *history) add(at time.Time, offset time.Duration, e core.TaskEvent) {
	if e.ID = uint64(max(0, at.UnixNano()+int64(offset))); e.ID > h.after {
		e.TaskID = h.job.ID
		h.out = append(h.out, e)
	}
}

func (h *history) beginning() {
	j := h.job
	h.add(j.Created, 0, core.TaskEvent{Event: core.EventReceived, Time: j.Created})
	if j.State >= Committed {
		h.add(j.Created, afterCommit, core.TaskEvent{Event: core.EventCommitted, Time: j.Created})
	}
	if j.Subtasks > 0 {
		h.add(j.Created, afterPlan, core.TaskEvent{Event: core.EventPlanned, Subtasks: j.Subtasks})
	}
}

// mark is the beginning or end of an attempt.
type mark struct {
	at      time.Time
	attempt int // in Job.Attempts
	end     bool
}

func (h *history) attempts() {
	j := h.job
	marks, last := h.marks(), j.Created
	done := j.Done - h.accepted() // by attempts that are not remembered any more
	for _, m := range marks {
		last = m.at
		a := j.Attempts[m.attempt]
		if !m.end {
			a.Finished, a.Outcome = time.Time{}, ""
			h.add(m.at, 0, core.TaskEvent{Event: core.EventAttemptStarted, Time: m.at, Attempt: &a})
			continue
		}
		h.add(m.at, 0, core.TaskEvent{Event: core.EventAttemptEnded, Time: m.at, Attempt: &a})
		if a.Outcome == OutcomeOK {
			done++
			h.add(m.at, afterDone, core.TaskEvent{Event: core.EventSubtaskDone, Time: m.at, Done: done, Subtasks: j.Subtasks})
			h.verifying(m.at, done)
		}
	}
	if len(j.Attempts) >= core.MaxAttemptsShown && j.Updated.After(last) && !j.State.Final() { // one that is not remembered ended
		h.add(j.Updated, afterProgress, core.TaskEvent{Event: core.EventSubtaskDone, Time: j.Updated, Done: j.Done, Subtasks: j.Subtasks})
	}
}

// verifying tells that the last of several subtasks was done at a time.
func (h *history) verifying(at time.Time, done int) {
	if n := h.job.Subtasks; n > 1 && done == n {
		h.add(at, afterMerge, core.TaskEvent{Event: core.EventVerifying, Time: at, Subtasks: n, Done: done})
	}
}

// accepted counts the remembered attempts whose results were accepted.
func (h *history) accepted() (n int) {
	for _, a := range h.job.Attempts {
		if a.Outcome == OutcomeOK {
			n++
		}
	}
	return n
}

// marks returns the beginnings and ends of the attempts, oldest first.
func (h *history) marks() []mark {
	var out []mark
	for i, a := range h.job.Attempts {
		out = append(out, mark{at: a.Started, attempt: i})
		if a.Outcome != "" {
			out = append(out, mark{at: a.Finished, attempt: i, end: true})
		}
	}
	slices.SortStableFunc(out, func(a, b mark) int { return a.at.Compare(b.at) })
	return out
}

func (h *history) ending() {
	j := h.job
	names := map[State]core.EventName{Completed: core.EventCompleted, Failed: core.EventFailed,
		Cancelled: core.EventCancelled, Expired: core.EventExpired}
	if name, over := names[j.State]; over {
		h.add(j.Updated, afterEnd, core.TaskEvent{Event: name, Time: j.Updated, Subtasks: j.Subtasks, Done: j.Done, Failure: j.Result.Failure})
	}
}

// closeAll notes that the job ended under those attempts that were still open.
func (j Job) closeAll(outcome string, now time.Time) Job {
	j.Attempts = slices.Clone(j.Attempts)
	for i := range j.Attempts {
		if a := &j.Attempts[i]; a.Outcome == "" {
			j.Updated = j.Tick(now)
			a.Finished, a.Outcome = j.Updated, outcome
		}
	}
	return j
}
