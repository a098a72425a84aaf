package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// The result that a job is said to have is the one that the engine gives.
func TestWork(t *testing.T) {
	for _, w := range []Work{{}, {Parts: 3}, {CPU: time.Millisecond}, {CPU: 10 * time.Millisecond, Parts: 2}} {
		for _, i := range []int{0, 7, 9999} {
			body, want := w.task(i, time.Minute)
			var spec core.TaskSpec
			if err := json.Unmarshal(body, &spec); err != nil {
				t.Fatal(err)
			}
			if err := spec.Validate(); err != nil {
				t.Fatal(err)
			}
			got, err := vector.New().Run(t.Context(), spec.Data, compute.Report{})
			if err != nil || string(got.Result) != want {
				t.Errorf("%+v, job %d: %.40s, %v, not %s", w, i, got.Result, err, want)
			}
		}
		if units, err := w.units(); err != nil || units == 0 {
			t.Errorf("%+v is worth %d: %v", w, units, err)
		}
	}
}

func TestSums(t *testing.T) {
	got := sums("# HELP a x\n# TYPE a counter\na{b=\"c d\"} 2\na{b=\"e\"} 3\nplain 1.5\nbroken x\n{} 1\n\n")
	if want := map[string]float64{"a": 5, "plain": 1.5}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// Panics are found wherever a write is cut, with what follows them.
func TestLogbook(t *testing.T) {
	const text = "{\"message\":\"fine\"}\npanic: runtime error\n\ngoroutine 7 [running]:\nmain.main()\n"
	for size := 1; size <= len(text); size += 3 {
		l, err := newLogbook(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if _, err := l.Write(rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.Alarms(); len(got) != 4 || got[0] != "panic: runtime error" {
			t.Errorf("writes of %d bytes: %q", size, got)
		}
		if !strings.HasSuffix(l.Tail(), "main.main()") {
			t.Errorf("the tail is %q", l.Tail())
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestLeaks(t *testing.T) {
	before := Usage{Goroutines: 200, Descriptors: 30, MemoryMiB: 40}
	for name, tc := range map[string]struct {
		after Usage
		leaks bool
	}{
		"the same":             {before, false},
		"within the room":      {Usage{Goroutines: 260, Descriptors: 49}, false},
		"goroutines":           {Usage{Goroutines: 261, Descriptors: 30}, true},
		"descriptors":          {Usage{Goroutines: 200, Descriptors: 50}, true},
		"memory is told alone": {Usage{Goroutines: 200, Descriptors: 30, MemoryMiB: 900}, false},
	} {
		if got := (Leak{Before: before, After: tc.after}).leaks(); got != tc.leaks {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every scenario has a name, says what it does, and is shorter in a test.
func TestScenarios(t *testing.T) {
	for _, s := range Scenarios() {
		if found, err := Find(s.Name()); err != nil || found != s || s.About() == "" {
			t.Errorf("%q: %v, %v", s.Name(), found, err)
		}
		full, short := s.Plan(false), s.Plan(true)
		for _, p := range []Plan{full, short} {
			if p.Topology.Gateways == 0 || p.Topology.Coordinators == 0 || p.Topology.Workers == 0 || p.Load.Timeout == 0 || p.Terms.Completed == 0 {
				t.Errorf("%s: the plan %+v lacks something", s.Name(), p)
			}
		}
		if full.Load.Jobs < short.Load.Jobs || full.Load.Duration < short.Load.Duration || full.Rounds < short.Rounds || reflect.DeepEqual(full, short) {
			t.Errorf("%s: the short version is not shorter", s.Name())
		}
	}
	if _, err := Find("peace"); err == nil || !strings.Contains(err.Error(), "workers") {
		t.Errorf("an unknown scenario: %v", err)
	}
}

func TestPlanOfOptions(t *testing.T) {
	p := Options{Jobs: 7, Rate: 3, Workers: 4, Lease: time.Second, Faults: []string{"leader"}}.plan(freezeScenario{})
	if p.Load.Jobs != 7 || p.Load.Duration != 0 || p.Load.Rate != 3 || p.Topology.Workers != 4 || p.Topology.Lease != time.Second {
		t.Errorf("%+v", p)
	}
	if !p.Topology.Group || p.Topology.Coordinators != 3 {
		t.Errorf("no group to freeze the leader of: %+v", p.Topology)
	}
	if p := (Options{Duration: time.Hour}).plan(workersScenario{}); p.Load.Jobs != 0 || p.Load.Duration != time.Hour {
		t.Errorf("%+v", p.Load)
	}
}

// A report tells what broke in every form.
func TestReport(t *testing.T) {
	l, err := newLogbook(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, _ = l.Write([]byte("panic: at the disco\n"))
	log := history.NewLog(time.Now())
	log.Add(history.Event{Kind: history.Sent, Key: "a", Want: "1", Timeout: time.Minute})
	log.Add(history.Event{Kind: history.Hit, Node: "worker-1", Note: "kill -9"})
	a := &Arena{log: log, Net: &Network{Nodes: []*Node{{Name: "worker-1", log: l}}}}
	r := &Report{Scenario: "workers", Leaks: []Leak{{Node: "gateway-1"}}, Figures: map[string]string{"rounds": "3"}}
	r.finish(a, errors.New("worker-1 ignores SIGTERM"), time.Now())
	var text, object bytes.Buffer
	if err := errors.Join(r.Text(&text), r.JSON(&object)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"no job was acknowledged", "worker-1 panicked: panic: at the disco", "gateway-1 leaks", "ignores SIGTERM", "1 times no job came after it", "rounds"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the report does not say %q:\n%s", part, &text)
		}
	}
	var back Report
	if err := json.Unmarshal(object.Bytes(), &back); err != nil || len(back.Broken) != 4 {
		t.Errorf("%v: %q", err, back.Broken)
	}
}

// Network namespaces are made, talk, are cut and are gone afterwards.
func TestWalls(t *testing.T) {
	if err := CanWall(); err != nil {
		t.Skip(err)
	}
	w, err := buildWalls(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.remove()
	reach := func(from, to int) error {
		return tool(context.Background(), w.in(from, "ping", "-c", "1", "-W", "1", w.ip(to))...)
	}
	if _, err := os.Stat("/bin/ping"); err == nil {
		if err := reach(0, 1); err != nil {
			t.Error(err)
		}
		if err := w.deafen(t.Context(), 1, []int{0}); err != nil {
			t.Error(err)
		}
		if reach(0, 1) == nil {
			t.Error("a deaf node answers")
		}
	}
	if err := errors.Join(w.lose(t.Context(), 0, 10), w.narrow(t.Context(), 0, "1mbit"), w.heal(t.Context())); err != nil {
		t.Error(err)
	}
	if err := w.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/sys/class/net/" + w.bridge); err == nil {
		t.Error("the bridge is still there")
	}
}

// Every scenario that chooses knows the faults of its own plans.
func TestFaultsOfPlans(t *testing.T) {
	for _, s := range Scenarios() {
		for _, short := range []bool{false, true} {
			if err := CheckFaults(s, s.Plan(short).Faults); err != nil {
				t.Error(err)
			}
		}
	}
}
