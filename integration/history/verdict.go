package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

// maxFindings bounds how many findings of a kind are described; all are counted.
const maxFindings = 20

// Verdict is what a run amounts to. Every job is counted in one of Refused,
// Completed, Failed, Open, and Lost where it never ended.
type Verdict struct {
	Submitted    int                 `json:"submitted"`
	Refused      int                 `json:"refused"` // never acknowledged: the client knows that
	Acknowledged int                 `json:"acknowledged"`
	Completed    int                 `json:"completed"`
	Failed       map[core.Reason]int `json:"failed"`
	Open         int                 `json:"open"` // not ended when nobody looked any more, and not late yet
	Lost         Findings            `json:"lost"`
	Duplicated   Findings            `json:"duplicated"`
	Wrong        Findings            `json:"wrong"` // completed with another result
	Redispatched int                 `json:"redispatched"`

	// Executed subtasks are those that workers completed and lived to say so, Needed
	// those of completed jobs; RunTwice is the difference where it is positive.
	Executed uint64 `json:"executed"`
	Needed   uint64 `json:"needed"`
	RunTwice uint64 `json:"runTwice"`
	// Credited units of work are what workers were credited, Owed what all
	// acknowledged jobs are worth: more than that can never be right.
	Credited uint64 `json:"credited"`
	Owed     uint64 `json:"owed"`
	// InDoubt attempts to submit got no answer that says whether they were taken, and
	// InDoubtUnits is what they are worth: the price of answers that get lost where
	// a key is known to one gateway only.
	InDoubt      int    `json:"inDoubt"`
	InDoubtUnits uint64 `json:"inDoubtUnits"`

	Ack  Latency `json:"ackLatency"` // from when the job was due to its acknowledgement
	End  Latency `json:"endLatency"` // from when the job was due to its end
	Gaps []Gap   `json:"gaps"`
}

// Findings are jobs of which something is wrong.
type Findings struct {
	Count int       `json:"count"`
	First []Finding `json:"first,omitempty"` // at most maxFindings
}

// Finding says what is wrong with one job.
type Finding struct {
	Key  string      `json:"key"`
	Task core.TaskID `json:"task"`
	Why  string      `json:"why"`
}

// Gap is how long a fault kept others waiting; -1 is for ever.
type Gap struct {
	Fault   string        `json:"fault"`
	Node    string        `json:"node"`
	At      time.Duration `json:"atNs"`
	NextAck time.Duration `json:"nextAckNs"`
	NextEnd time.Duration `json:"nextEndNs"`
}

// find counts a finding. A job may be found more than once, each for a reason.
func (v *Verdict) find(f *Findings, j *job, format string, args ...any) {
	f.Count++
	if len(f.First) < maxFindings {
		f.First = append(f.First, Finding{Key: j.key, Task: j.acked[0].Task, Why: fmt.Sprintf(format, args...)})
	}
}

// Terms are what a verdict must meet beyond the zeros; a zero field asks for
// nothing.
type Terms struct {
	Completed float64       `json:"completedShare,omitempty"` // at least this share of the acknowledged jobs
	RunTwice  float64       `json:"runTwiceShare,omitempty"`  // less than this share of the needed subtasks
	NextAck   time.Duration `json:"nextAckNs,omitempty"`      // after every fault a job is acknowledged sooner than this
	Credited  float64       `json:"creditedShare,omitempty"`  // at least this share of the units owed was credited
	// StrictKeys: a key is one job in the whole network, so that no attempt in doubt
	// may be credited beside the one that was acknowledged.
	StrictKeys bool `json:"strictKeys,omitempty"`
	// Beside: the network also ran what the history does not know, so that credits
	// say nothing about its jobs.
	Beside bool `json:"beside,omitempty"`
}

// Broken returns a line for each invariant and term that does not hold.
func (v Verdict) Broken(t Terms) (lines []string) {
	say := func(broken bool, format string, args ...any) {
		if broken {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	say(v.Acknowledged == 0, "no job was acknowledged: nothing was shown")
	say(v.Lost.Count > 0, "%d lost%s", v.Lost.Count, v.Lost.example())
	say(v.Duplicated.Count > 0, "%d duplicated%s", v.Duplicated.Count, v.Duplicated.example())
	say(v.Wrong.Count > 0, "%d wrong results%s", v.Wrong.Count, v.Wrong.example())
	due := v.Owed
	if !t.StrictKeys {
		due += v.InDoubtUnits
	}
	say(v.Credited > due && !t.Beside, "%d units of work were credited, all jobs together are worth %d", v.Credited, due)
	say(float64(v.Credited) < t.Credited*float64(v.Owed), "%d units of work were credited of %d, less than %.4f of them", v.Credited, v.Owed, t.Credited)
	say(v.Open > 0, "%d not ended when the run was over", v.Open)
	say(v.share(v.Completed) < t.Completed, "%.4f of the acknowledged jobs completed, not %.4f", v.share(v.Completed), t.Completed)
	say(t.RunTwice > 0 && float64(v.RunTwice) >= t.RunTwice*float64(v.Needed), "%d of %d subtasks ran twice, not less than %.2f of them", v.RunTwice, v.Needed, t.RunTwice)
	if t.NextAck > 0 {
		for _, g := range v.Gaps {
			say(g.NextAck < 0 || g.NextAck >= t.NextAck, "%s after %s of %s the next job was acknowledged, not within %s", g.NextAck.Round(time.Millisecond), g.Fault, g.Node, t.NextAck)
		}
	}
	return lines
}

func (f Findings) example() string {
	if len(f.First) == 0 {
		return ""
	}
	return fmt.Sprintf(", for example %s (%s): %s", f.First[0].Task, f.First[0].Key, f.First[0].Why)
}

func (v Verdict) share(n int) float64 {
	if v.Acknowledged == 0 {
		return 1
	}
	return float64(n) / float64(v.Acknowledged)
}

// Latency sums up times.
type Latency struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50Ns"`
	P99   time.Duration `json:"p99Ns"`
	Max   time.Duration `json:"maxNs"`
}

// Summarize returns the nearest-rank percentiles of times, which it sorts.
func Summarize(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	slices.Sort(times)
	rank := func(percent int) time.Duration { return times[max(0, (len(times)*percent+99)/100-1)] }
	return Latency{Count: len(times), P50: rank(50), P99: rank(99), Max: times[len(times)-1]}
}
