package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// Report is what a run showed.
type Report struct {
	Scenario string              `json:"scenario"`
	Seed     uint64              `json:"seed"`
	Started  time.Time           `json:"started"`
	Took     time.Duration       `json:"tookNs"`
	Plan     Plan                `json:"plan"`
	Verdict  history.Verdict     `json:"verdict"`
	Restarts int                 `json:"restarts"`
	Panics   map[string][]string `json:"panics"` // I7: by node, with what follows them
	Leaks    []Leak              `json:"leaks"`  // I6: nodes that hold more than before
	Usage    []Leak              `json:"usage"`  // all nodes that ran at the end
	Figures  map[string]string   `json:"figures,omitempty"`
	Broken   []string            `json:"broken"` // a line for each invariant that did not hold
}

// finish judges what was written down.
func (r *Report) finish(a *Arena, stopped error, start time.Time) {
	r.Took = time.Since(start)
	r.Verdict = history.Judge(a.log.Events(), a.log.Since(time.Now()))
	r.Restarts = a.restarts
	r.Panics = map[string][]string{}
	for _, n := range a.Net.Nodes {
		if lines := n.log.Alarms(); len(lines) > 0 {
			r.Panics[n.Name] = lines
		}
	}
	r.Broken = r.Verdict.Broken(a.Plan.Terms)
	for _, name := range slices.Sorted(maps.Keys(r.Panics)) {
		r.Broken = append(r.Broken, fmt.Sprintf("%s panicked: %.200s", name, r.Panics[name][0]))
	}
	for _, l := range r.Leaks {
		r.Broken = append(r.Broken, fmt.Sprintf("%s leaks: %d goroutines and %d descriptors, before %d and %d", l.Node,
			l.After.Goroutines, l.After.Descriptors, l.Before.Goroutines, l.Before.Descriptors))
	}
	if stopped != nil {
		r.Broken = append(r.Broken, strings.Split(stopped.Error(), "\n")...)
	}
}

// JSON writes the report as one JSON object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	v := r.Verdict
	row("scenario", "%s, seed %d, %s", r.Scenario, r.Seed, r.Took.Round(time.Second))
	row("submitted", "%d", v.Submitted)
	row("acknowledged", "%d", v.Acknowledged)
	row("completed", "%d%s", v.Completed, percent(v.Completed, v.Acknowledged))
	for _, reason := range slices.Sorted(maps.Keys(v.Failed)) {
		row("failed", "%d %s", v.Failed[reason], reason)
	}
	row("refused", "%d never acknowledged", v.Refused)
	row("LOST", "%d", v.Lost.Count)
	row("duplicated", "%d", v.Duplicated.Count)
	row("wrong", "%d", v.Wrong.Count)
	row("open", "%d", v.Open)
	row("re-dispatched", "%d%s", v.Redispatched, percent(v.Redispatched, v.Acknowledged))
	row("run twice", "%d of %d subtasks", v.RunTwice, v.Needed)
	row("credited", "%d of %d units of work", v.Credited, v.Owed)
	row("in doubt", "%d attempts to submit, worth %d units", v.InDoubt, v.InDoubtUnits)
	row("acknowledged after", "%s", latency(v.Ack))
	row("ended after", "%s", latency(v.End))
	for _, line := range gapRows(v.Gaps) {
		row("after "+line[0], "%s", line[1])
	}
	row("restarts", "%d", r.Restarts)
	row("panics", "%d nodes", len(r.Panics))
	row("leaks", "%d nodes", len(r.Leaks))
	for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
		row(name, "%s", r.Figures[name])
	}
	for _, line := range r.Broken {
		row("BROKEN", "%s", line)
	}
	if len(r.Broken) == 0 {
		row("held", "every invariant")
	}
	return t.Flush()
}

func percent(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.2f %%)", 100*float64(n)/float64(of))
}

func latency(l history.Latency) string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s", short(l.P50), short(l.P99), short(l.Max))
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// gapRows sums up the gaps by fault: how many there were, and the times until the
// next job was acknowledged and until the next one ended.
func gapRows(gaps []history.Gap) (rows [][2]string) {
	acks, ends, order := map[string][]time.Duration{}, map[string][]time.Duration{}, []string{}
	none := map[string]int{}
	for _, g := range gaps {
		if _, seen := none[g.Fault]; !seen {
			order, none[g.Fault] = append(order, g.Fault), 0
		}
		if g.NextAck < 0 || g.NextEnd < 0 {
			none[g.Fault]++
			continue
		}
		acks[g.Fault], ends[g.Fault] = append(acks[g.Fault], g.NextAck), append(ends[g.Fault], g.NextEnd)
	}
	for _, fault := range order {
		ack, end := history.Summarize(acks[fault]), history.Summarize(ends[fault])
		text := fmt.Sprintf("%d times: next acknowledged p50 %s max %s, next ended p50 %s max %s", ack.Count+none[fault], short(ack.P50), short(ack.Max), short(end.P50), short(end.Max))
		if none[fault] > 0 {
			text += fmt.Sprintf("; %d times no job came after it", none[fault])
		}
		rows = append(rows, [2]string{fault, text})
	}
	return rows
}
