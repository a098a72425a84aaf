package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Grace is how long after its deadline a job that was acknowledged may take to
// say how it ended.
const Grace = 60 * time.Second

// job is everything that was said about one key.
type job struct {
	key                          string
	sent                         Event
	acked, ended, unknown, tried []Event
	doubts                       int
}

// Judge says what the events of a run that was watched until horizon amount to.
func Judge(events []Event, horizon time.Duration) Verdict {
	v := Verdict{Failed: map[core.Reason]int{}}
	jobs := byKey(events)
	var acks, ends []time.Duration
	owner := map[core.TaskID]string{}
	for _, key := range slices.Sorted(maps.Keys(jobs)) {
		j := jobs[key]
		v.Submitted++
		v.InDoubt += j.doubts
		v.InDoubtUnits += uint64(j.doubts) * j.sent.Units
		if len(j.acked) == 0 {
			v.Refused++
			continue
		}
		v.Acknowledged++
		acks = append(acks, j.acked[0].At-j.sent.At)
		if end, ok := v.end(j, horizon); ok {
			ends = append(ends, end-j.sent.At)
		}
		v.consistent(j, owner)
		v.attempts(j)
	}
	v.counted(events, jobs)
	v.Ack, v.End = Summarize(acks), Summarize(ends)
	v.Gaps = gaps(events)
	return v
}

// byKey sorts events into jobs, each list in order of time.
func byKey(events []Event) map[string]*job {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	jobs := map[string]*job{}
	for _, e := range events {
		if e.Key == "" {
			continue
		}
		j := jobs[e.Key]
		if j == nil {
			j = &job{key: e.Key}
			jobs[e.Key] = j
		}
		j.add(e)
	}
	return jobs
}

func (j *job) add(e Event) {
	switch e.Kind {
	case Sent:
		j.sent = e
	case Acked:
		j.acked = append(j.acked, e)
	case Ended:
		j.ended = append(j.ended, e)
	case Unknown:
		j.unknown = append(j.unknown, e)
	case Tried:
		j.tried = append(j.tried, e)
	case Doubtful:
		j.doubts++
	}
}

// end counts how an acknowledged job ended and returns when.
func (v *Verdict) end(j *job, horizon time.Duration) (time.Duration, bool) {
	due := j.acked[0].At + j.sent.Timeout + Grace
	switch {
	case len(j.ended) == 0 && horizon < due:
		v.Open++
		return 0, false
	case len(j.ended) == 0:
		v.find(&v.Lost, j, "not seen to end within its deadline and %s", Grace)
		return 0, false
	case j.ended[0].At > due:
		v.find(&v.Lost, j, "ended %s after its deadline", (j.ended[0].At - due + Grace).Round(time.Millisecond))
	}
	first := j.ended[0]
	if first.State == core.TaskCompleted {
		v.Completed++
		if first.Result != j.sent.Want {
			v.find(&v.Wrong, j, "%s says %.80s, not %.80s", first.Node, first.Result, j.sent.Want)
		}
		return first.At, true
	}
	v.Failed[first.Reason]++
	if first.Reason == "" {
		v.find(&v.Lost, j, "%s without a reason", first.State)
	}
	return first.At, true
}

// consistent looks for one key with two ids, one id for two keys, two different
// ends, and a node that forgot.
func (v *Verdict) consistent(j *job, owner map[core.TaskID]string) {
	id := j.acked[0].Task
	for _, e := range slices.Concat(j.acked, j.ended) {
		if e.Task != id {
			v.find(&v.Duplicated, j, "one key, two ids: %s, and %s at %s", id, e.Task, e.Node)
			break
		}
	}
	if other, ok := owner[id]; ok {
		v.find(&v.Duplicated, j, "one id, two keys: %s is also that of %s", id, other)
	}
	owner[id] = j.key
	for _, e := range j.ended {
		first := j.ended[0]
		if e.State != first.State || e.Reason != first.Reason || e.Result != first.Result {
			v.find(&v.Duplicated, j, "two ends: %s at %s, %s at %s", first.end(), first.Node, e.end(), e.Node)
			break
		}
	}
	if len(j.unknown) > 0 {
		v.find(&v.Lost, j, "%s does not know how it ended: %s", j.unknown[0].Node, j.unknown[0].Note)
	}
}

func (e Event) end() string { return fmt.Sprintf("%s %s %.40s", e.State, e.Reason, e.Result) }

// attempts counts a job's subtasks that were given out again, and those accepted
// more than once.
func (v *Verdict) attempts(j *job) {
	if len(j.tried) == 0 {
		return
	}
	last := j.tried[len(j.tried)-1]
	tries, accepted := map[int]int{}, map[int]int{}
	for _, a := range last.Attempts {
		tries[a.Index] = max(tries[a.Index]+1, a.Attempt)
		if a.Outcome == "ok" {
			accepted[a.Index]++
		}
	}
	again := false
	for index, n := range tries {
		again = again || n > 1
		if accepted[index] > 1 {
			v.find(&v.Duplicated, j, "subtask %d counted %d times", index, accepted[index])
		}
	}
	if again {
		v.Redispatched++
	}
}

// counted compares what workers say they completed with what there was to do.
func (v *Verdict) counted(events []Event, jobs map[string]*job) {
	type process struct {
		node string
		life int
	}
	last := map[process]Event{}
	for _, e := range events {
		if e.Kind == Counted {
			p := process{e.Node, e.Life}
			e.Count, e.Units = max(e.Count, last[p].Count), max(e.Units, last[p].Units)
			last[p] = e
		}
	}
	for _, e := range last {
		v.Executed += e.Count
		v.Credited += e.Units
	}
	for _, j := range jobs {
		if len(j.acked) > 0 {
			v.Owed += j.sent.Units
		}
		if len(j.ended) > 0 && j.ended[0].State == core.TaskCompleted {
			v.Needed += uint64(max(1, j.sent.Parts))
		}
	}
	if v.Executed > v.Needed {
		v.RunTwice = v.Executed - v.Needed
	}
}

// gaps measures how long after each fault the next job was acknowledged, and the
// next one ended.
func gaps(events []Event) (out []Gap) {
	after := func(at time.Duration, kind Kind) time.Duration {
		next := time.Duration(-1)
		for _, e := range events {
			if e.Kind == kind && e.At > at && (next < 0 || e.At-at < next) {
				next = e.At - at
			}
		}
		return next
	}
	for _, e := range events {
		if e.Kind == Hit {
			out = append(out, Gap{Fault: e.Note, Node: e.Node, At: e.At, NextAck: after(e.At, Acked), NextEnd: after(e.At, Ended)})
		}
	}
	slices.SortStableFunc(out, func(a, b Gap) int { return cmp.Compare(a.At, b.At) })
	return out
}
