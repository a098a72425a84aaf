package history_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

const (
	timeout = 10 * time.Second
	horizon = 10 * time.Minute
)

func sent(key, want string) history.Event {
	return history.Event{Kind: history.Sent, At: time.Second, Key: key, Want: want, Timeout: timeout, Parts: 1, Units: 5}
}

func acked(key, task string) history.Event {
	return history.Event{Kind: history.Acked, At: 1100 * time.Millisecond, Key: key, Task: core.TaskID(task), Node: "gateway-1"}
}

func completed(key, task, result string) history.Event {
	return history.Event{Kind: history.Ended, At: 2 * time.Second, Key: key, Task: core.TaskID(task), Node: "gateway-1", State: core.TaskCompleted, Result: result}
}

func failed(key, task string, reason core.Reason) history.Event {
	e := completed(key, task, "")
	e.State, e.Reason = core.TaskFailed, reason
	return e
}

func at(e history.Event, t time.Duration) history.Event { e.At = t; return e }

func by(e history.Event, node string) history.Event { e.Node = node; return e }

func tried(key string, attempts ...core.Attempt) history.Event {
	return history.Event{Kind: history.Tried, At: 3 * time.Second, Key: key, Task: "r-1", Attempts: attempts}
}

func counted(node string, life int, n uint64) history.Event {
	return history.Event{Kind: history.Counted, At: 4 * time.Second, Node: node, Life: life, Count: n}
}

func paid(node string, life int, units uint64) history.Event {
	return history.Event{Kind: history.Counted, At: 4 * time.Second, Node: node, Life: life, Units: units}
}

func doubt(key string) history.Event {
	return history.Event{Kind: history.Doubtful, At: 1050 * time.Millisecond, Key: key, Node: "gateway-1", Note: "timeout"}
}

func hit(t time.Duration) history.Event {
	return history.Event{Kind: history.Hit, At: t, Node: "leader", Note: "kill -9"}
}

func good() []history.Event {
	return []history.Event{sent("a", "55"), acked("a", "r-1"), completed("a", "r-1", "55")}
}

func and(more ...history.Event) []history.Event { return append(good(), more...) }

// planted are histories and the one invariant or term each breaks.
func planted() map[string]struct {
	events []history.Event
	terms  history.Terms
	broken string // a part of the one line; "" when nothing is
} {
	type row = struct {
		events []history.Event
		terms  history.Terms
		broken string
	}
	late := 1100*time.Millisecond + timeout + history.Grace
	return map[string]row{
		"a good job":                            {good(), history.Terms{Completed: 1}, ""},
		"refused, which is no loss":             {and(sent("b", "1"), history.Event{Kind: history.Refused, Key: "b"}), history.Terms{}, ""},
		"failed with a reason":                  {and(sent("b", "1"), acked("b", "r-2"), failed("b", "r-2", core.ReasonDeadline)), history.Terms{}, ""},
		"ended in the grace":                    {[]history.Event{sent("a", "55"), acked("a", "r-1"), at(completed("a", "r-1", "55"), late)}, history.Terms{}, ""},
		"one end from two gateways":             {and(by(completed("a", "r-1", "55"), "gateway-2")), history.Terms{}, ""},
		"the same id for a repeated key":        {and(by(acked("a", "r-1"), "gateway-2")), history.Terms{}, ""},
		"nothing happened":                      {nil, history.Terms{}, "nothing was shown"},
		"never ended":                           {and(sent("b", "1"), acked("b", "r-2")), history.Terms{}, "1 lost, for example r-2 (b): not seen to end"},
		"ended too late":                        {[]history.Event{sent("a", "55"), acked("a", "r-1"), at(completed("a", "r-1", "55"), late+1)}, history.Terms{}, "1 lost, for example r-1 (a): ended 1m0s after its deadline"},
		"failed without a reason":               {and(sent("b", "1"), acked("b", "r-2"), failed("b", "r-2", "")), history.Terms{}, "1 lost, for example r-2 (b): failed without a reason"},
		"forgotten after its end":               {and(history.Event{Kind: history.Unknown, At: 9 * time.Second, Key: "a", Task: "r-1", Node: "gateway-2"}), history.Terms{}, "1 lost, for example r-1 (a): gateway-2 does not know how it ended"},
		"one key, two ids":                      {and(acked("a", "r-9")), history.Terms{}, "1 duplicated, for example r-1 (a): one key, two ids"},
		"one key, an end under another id":      {and(completed("a", "r-9", "55")), history.Terms{}, "one key, two ids"},
		"one id, two keys":                      {and(sent("b", "55"), acked("b", "r-1"), completed("b", "r-1", "55")), history.Terms{}, "one id, two keys"},
		"another result at another gateway":     {and(at(by(completed("a", "r-1", "54"), "gateway-2"), 5*time.Second)), history.Terms{}, "1 duplicated, for example r-1 (a): two ends"},
		"completed, then failed":                {and(at(failed("a", "r-1", core.ReasonDeadline), 5*time.Second)), history.Terms{}, "two ends"},
		"a subtask counted twice":               {and(tried("a", core.Attempt{Index: 0, Attempt: 1, Outcome: "ok"}, core.Attempt{Index: 0, Attempt: 2, Outcome: "ok"})), history.Terms{}, "subtask 0 counted 2 times"},
		"a subtask tried twice":                 {and(tried("a", core.Attempt{Index: 0, Attempt: 1, Outcome: "lost"}, core.Attempt{Index: 0, Attempt: 2, Outcome: "ok"})), history.Terms{}, ""},
		"two subtasks":                          {and(tried("a", core.Attempt{Index: 0, Attempt: 1, Outcome: "ok"}, core.Attempt{Index: 1, Attempt: 1, Outcome: "ok"})), history.Terms{}, ""},
		"a wrong result":                        {[]history.Event{sent("a", "55"), acked("a", "r-1"), completed("a", "r-1", "54")}, history.Terms{}, "1 wrong results, for example r-1 (a): gateway-1 says 54, not 55"},
		"too many failures":                     {and(sent("b", "1"), acked("b", "r-2"), failed("b", "r-2", core.ReasonDeadline)), history.Terms{Completed: 0.999}, "0.5000 of the acknowledged jobs completed"},
		"run twice":                             {and(counted("w", 1, 2)), history.Terms{RunTwice: 0.05}, "1 of 1 subtasks ran twice"},
		"run twice over two lives":              {and(counted("w", 1, 1), counted("w", 2, 1)), history.Terms{RunTwice: 0.05}, "1 of 1 subtasks ran twice"},
		"credited for what there was":           {and(paid("w", 1, 3), paid("v", 1, 2)), history.Terms{}, ""},
		"credited twice":                        {and(paid("w", 1, 5), paid("v", 1, 5)), history.Terms{}, "10 units of work were credited, all jobs together are worth 5"},
		"credited for work beside it":           {and(paid("w", 1, 5), paid("v", 1, 5)), history.Terms{Beside: true}, ""},
		"credited for an attempt in doubt":      {and(doubt("a"), paid("w", 1, 10)), history.Terms{}, ""},
		"credited for more than the doubts":     {and(doubt("a"), paid("w", 1, 11)), history.Terms{}, "11 units of work were credited, all jobs together are worth 10"},
		"keys that hold leave no doubt":         {and(doubt("a"), paid("w", 1, 10)), history.Terms{StrictKeys: true}, "10 units of work were credited"},
		"credited twice over two lives":         {and(paid("w", 1, 5), paid("w", 2, 1)), history.Terms{}, "6 units of work were credited"},
		"credited in full":                      {and(paid("w", 1, 3), paid("v", 1, 2)), history.Terms{Credited: 1}, ""},
		"credited for too little":               {and(paid("w", 1, 4)), history.Terms{Credited: 1}, "4 units of work were credited of 5, less than 1.0000 of them"},
		"counters that grow are one life":       {and(counted("w", 1, 0), counted("w", 1, 1), counted("w", 1, 1)), history.Terms{RunTwice: 0.05}, ""},
		"the next acknowledgement was too late": {and(hit(time.Millisecond)), history.Terms{NextAck: time.Second}, "1.099s after kill -9 of leader the next job"},
		"no acknowledgement after a fault":      {and(hit(time.Minute)), history.Terms{NextAck: time.Second}, "after kill -9 of leader the next job"},
		"acknowledged in time after a fault":    {and(hit(time.Second)), history.Terms{NextAck: time.Second}, ""},
	}
}

// Every planted history breaks exactly what it should, in whatever order its
// events were written down.
func TestPlanted(t *testing.T) {
	for name, tc := range planted() {
		t.Run(name, func(t *testing.T) {
			v := history.Judge(tc.events, horizon)
			lines := v.Broken(tc.terms)
			switch {
			case tc.broken == "" && len(lines) > 0:
				t.Errorf("found %q in a good history", lines)
			case tc.broken != "" && (len(lines) != 1 || !strings.Contains(lines[0], tc.broken)):
				t.Errorf("found %q, not one line about %q", lines, tc.broken)
			}
			shuffled := append([]history.Event(nil), tc.events...)
			rng := rand.New(rand.NewPCG(1, 2))
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if other := len(history.Judge(shuffled, horizon).Broken(tc.terms)); other != len(lines) {
				t.Errorf("another order of events breaks %d terms, not %d", other, len(lines))
			}
		})
	}
}

// A job that nobody watched long enough is open, which is broken too.
func TestOpen(t *testing.T) {
	v := history.Judge([]history.Event{sent("a", "55"), acked("a", "r-1")}, 30*time.Second)
	if v.Open != 1 || v.Lost.Count != 0 {
		t.Errorf("%d open and %d lost", v.Open, v.Lost.Count)
	}
	if lines := v.Broken(history.Terms{}); len(lines) != 1 || !strings.Contains(lines[0], "not ended when the run was over") {
		t.Errorf("broken: %q", lines)
	}
}

// Every job is counted once, and findings beyond the bound are counted too.
func TestCounts(t *testing.T) {
	events := and(sent("b", "1"), acked("b", "r-2"), failed("b", "r-2", core.ReasonDeadline), sent("c", "1"))
	for i := range 30 {
		key := "lost-" + string(rune('A'+i))
		events = append(events, sent(key, "1"), acked(key, "r-"+key))
	}
	v := history.Judge(events, horizon)
	if v.Submitted != 33 || v.Acknowledged != 32 || v.Refused != 1 || v.Completed != 1 || v.Lost.Count != 30 || len(v.Lost.First) != 20 {
		t.Errorf("the verdict is %+v", v)
	}
	if want := map[core.Reason]int{core.ReasonDeadline: 1}; !reflect.DeepEqual(v.Failed, want) {
		t.Errorf("failed: %v", v.Failed)
	}
	if v.Ack.Count != 32 || v.Ack.Max != 100*time.Millisecond || v.End.P50 != time.Second {
		t.Errorf("latencies %+v and %+v", v.Ack, v.End)
	}
}

func TestSummarize(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i))
	}
	if l := history.Summarize(times); l != (history.Latency{Count: 200, P50: 100, P99: 198, Max: 200}) {
		t.Errorf("%+v", l)
	}
	if l := history.Summarize([]time.Duration{7}); l != (history.Latency{Count: 1, P50: 7, P99: 7, Max: 7}) {
		t.Errorf("%+v", l)
	}
	if l := history.Summarize(nil); l != (history.Latency{}) {
		t.Errorf("%+v", l)
	}
}

// A log keeps the time it is given and fills in what is missing.
func TestLog(t *testing.T) {
	l := history.NewLog(time.Now().Add(-time.Hour))
	l.Add(sent("a", "1"))
	l.Add(history.Event{Kind: history.Acked, Key: "a"})
	events := l.Events()
	if len(events) != 2 || events[0].At != time.Second || events[1].At < time.Hour {
		t.Errorf("events %+v", events)
	}
	events[0].Key = "changed"
	if l.Events()[0].Key != "a" {
		t.Error("the log can be changed from outside")
	}
}
