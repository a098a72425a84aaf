package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

const uuid7 = "01a1f8be-2eb3-72f7-a2e0-1e47cf580a86"

// TestTaskID: an id carries its home region, whatever the region is called; one
// that a client chose carries none.
//
// spec 0.59 0.65
func TestTaskID(t *testing.T) {
	for _, c := range []struct {
		name string
		id   TaskID
		home RegionID
		ok   bool
	}{
		{"made here", NewTaskID("us-east", uuid7), "us-east", true},
		{"longest region", NewTaskID(RegionID(strings.Repeat("a", MaxRegionLen)), uuid7), RegionID(strings.Repeat("a", MaxRegionLen)), true},
		{"chosen by a client", "abc123", "", false},
		{"no region", TaskID("-" + uuid7), "", false},
		{"region of bad characters", TaskID("US_East-" + uuid7), "", false},
		{"dashes elsewhere", TaskID("us-east-" + strings.Repeat("0", 36)), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseTaskID(string(c.id)); err != nil {
				t.Errorf("it is no task id: %v", err)
			}
			if home, ok := c.id.Home(); home != c.home || ok != c.ok {
				t.Errorf("home is %q, %v", home, ok)
			}
		})
	}
}

// TestNames: what is no name is refused with the field that is wrong.
func TestNames(t *testing.T) {
	parsers := map[string]func(string) error{
		"region":  func(s string) error { _, err := ParseRegionID(s); return err },
		"network": func(s string) error { _, err := ParseNetworkID(s); return err },
		"taskId":  func(s string) error { _, err := ParseTaskID(s); return err },
	}
	for field, parse := range parsers {
		if err := parse("us-east"); err != nil {
			t.Errorf("%s us-east: %v", field, err)
		}
		for _, bad := range []string{"", "a/b", "a b", "é", "../x", strings.Repeat("a", 65)} {
			var e *Error
			if err := parse(bad); !errors.As(err, &e) || e.Kind != Invalid || e.Op != field {
				t.Errorf("%s %q: %v", field, bad, err)
			}
		}
	}
	for _, bad := range []string{"-us", "us-", "Us", strings.Repeat("a", MaxRegionLen+1)} {
		if _, err := ParseRegionID(bad); err == nil {
			t.Errorf("region %q is taken", bad)
		}
	}
}

// TestRoles: every documented role name maps to types and capabilities, comma
// lists and the alias included; a node has exactly the three types.
//
// spec 0.1 0.34 1.5 1.8 1.10 1.11 4.4 4.5 4.6
func TestRoles(t *testing.T) {
	for _, c := range []struct {
		names   string
		set     string
		highest NodeType
		can     string
		tier    Tier
	}{
		{"global", "global", Global, "gateway", TierAny},
		{"regional", "regional", Regional, "gateway coordinate", TierAny},
		{"local", "local", Local, "compute", TierAny},
		{"inference", "inference", Local, "compute", TierInference},
		{"aggregator", "aggregator", Local, "compute", TierAggregator},
		{"trainer", "trainer", Local, "compute", TierTrainer},
		{"training", "trainer", Local, "compute", TierTrainer},
		{"feedback", "feedback", Local, "observe", TierAny},
		{"compute", "compute", Local, "compute", TierAny},
		{"storage", "storage", Local, "store", TierAny},
		{"full", "full", Global, "gateway coordinate compute store observe", TierAny},
		{"validator", "validator", Global, "gateway validate", TierAny},
		{"local, global,global", "global local", Global, "gateway compute", TierAny},
		{"inference,trainer", "inference trainer", Local, "compute", TierTrainer},
	} {
		t.Run(c.names, func(t *testing.T) {
			set, err := ParseRoles(c.names)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(strings.Join(set.Names(), " "), "|", set.Highest(), "|", strings.Join(set.Can().Names(), " "), "|", set.Tier())
			want := fmt.Sprint(c.set, "|", c.highest, "|", c.can, "|", c.tier)
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for _, bad := range []string{"", ",", "king", "auto"} {
		var e *Error
		if _, err := ParseRoles(bad); !errors.As(err, &e) || e.Op != "role" {
			t.Errorf("role %q: %v", bad, err)
		}
	}
}

// TestTiers: inference < aggregator < trainer; "training" is read, "trainer" is
// written, anything else is refused.
//
// spec 0.64
func TestTiers(t *testing.T) {
	if !(TierInference < TierAggregator && TierAggregator < TierTrainer) {
		t.Error("the tiers are out of order")
	}
	for in, want := range map[string]string{`"inference"`: `"inference"`, `"training"`: `"trainer"`, `""`: `""`} {
		var tier Tier
		if err := json.Unmarshal([]byte(in), &tier); err != nil {
			t.Fatal(err)
		}
		if out, err := json.Marshal(tier); err != nil || string(out) != want {
			t.Errorf("%s gives %s, %v", in, out, err)
		}
	}
	if err := new(Tier).UnmarshalText([]byte("feedback")); KindOf(err) != Invalid {
		t.Errorf("feedback is a duty, not a tier: %v", err)
	}
}

// TestTaskSpec: bounds are checked and the field that breaks one is named.
//
// spec 0.58 0.64
func TestTaskSpec(t *testing.T) {
	good := TaskSpec{Type: "compute", Requirements: Requirements{CPU: 80, MemoryMB: 1024}, Data: json.RawMessage(`{}`)}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	if good.QueueTimeout() != DefaultQueueTimeout || good.Timeout() != DefaultTimeout {
		t.Errorf("defaults are %s and %s", good.QueueTimeout(), good.Timeout())
	}
	for field, spoil := range map[string]func(*TaskSpec){
		"type":                  func(s *TaskSpec) { s.Type = "a/b" },
		"data":                  func(s *TaskSpec) { s.Data = json.RawMessage("null") },
		"parallelism":           func(s *TaskSpec) { s.Parallelism = MaxParallelism + 1 },
		"queueTimeoutMs":        func(s *TaskSpec) { s.QueueTimeoutMS = -1 },
		"timeoutMs":             func(s *TaskSpec) { s.TimeoutMS = MaxTimeout.Milliseconds() + 1 },
		"deadline":              func(s *TaskSpec) { s.TimeoutMS, s.Deadline = 1000, time.Now().Add(time.Hour) },
		"priority":              func(s *TaskSpec) { s.Priority = -MaxPriority - 1 },
		"submitter":             func(s *TaskSpec) { s.Submitter = strings.Repeat("x", MaxSubmitter+1) },
		"requirements.maxPrice": func(s *TaskSpec) { s.Requirements.MaxPrice = MaxAmount + 1 },
		"requirements.cpu":      func(s *TaskSpec) { s.Requirements.CPU = 101 },
		"requirements.runtime":  func(s *TaskSpec) { s.Requirements.Runtime = "container/0123456789abcdef0123456" },
		"requirements.memoryMB": func(s *TaskSpec) { s.Requirements.MemoryMB = -1 },
	} {
		s := good
		spoil(&s)
		var e *Error
		if err := s.Validate(); !errors.As(err, &e) || e.Kind != Invalid || e.Op != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestDeadline: a deadline is a time to come, at most MaxTimeout away, and what a
// task expires by; nobody can set who submitted it from outside.
func TestDeadline(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		spec  TaskSpec
		until time.Duration // from now
		wrong bool
	}{
		{"none is the default", TaskSpec{}, DefaultTimeout, false},
		{"a duration", TaskSpec{TimeoutMS: 5000}, 5 * time.Second, false},
		{"a time", TaskSpec{Deadline: now.Add(time.Minute)}, time.Minute, false},
		{"just now", TaskSpec{Deadline: now}, 0, true},
		{"long past", TaskSpec{Deadline: now.Add(-time.Hour)}, -time.Hour, true},
		{"the last possible", TaskSpec{Deadline: now.Add(MaxTimeout)}, MaxTimeout, false},
		{"too far", TaskSpec{Deadline: now.Add(MaxTimeout + time.Second)}, MaxTimeout, true},
	} {
		err := c.spec.CheckDeadline(now)
		var e *Error
		if (err != nil) != c.wrong || err != nil && (!errors.As(err, &e) || e.Kind != Invalid || e.Op != "deadline" || e.Hint == "") {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := c.spec.Until(now); !got.Equal(now.Add(c.until)) {
			t.Errorf("%s: until %s", c.name, got)
		}
	}
	var s TaskSpec
	if err := json.Unmarshal([]byte(`{"type":"compute","Submitter":"mallory","submitter":"mallory"}`), &s); err != nil || s.Submitter != "" {
		t.Errorf("submitter %q, %v", s.Submitter, err)
	}
}

// TestAmount: one decimal form both ways, never a JSON number.
func TestAmount(t *testing.T) {
	for _, good := range []string{"0", "7", "1000000000000000000"} {
		var a Amount
		if err := json.Unmarshal([]byte(`"`+good+`"`), &a); err != nil || a.String() != good {
			t.Errorf("%s gives %s, %v", good, a, err)
		}
	}
	for _, bad := range []string{`7`, `""`, `"-1"`, `"+1"`, `"01"`, `"1.5"`, `"1e3"`, `"1000000000000000001"`, `"99999999999999999999"`} {
		var a Amount
		if json.Unmarshal([]byte(bad), &a) == nil {
			t.Errorf("%s is taken as %s", bad, a)
		}
	}
}

// TestErrors: errors.Is works by kind through wrapping, and a Kind keeps its
// number, which crosses the wire.
func TestErrors(t *testing.T) {
	cause := errors.New("boom")
	err := fmt.Errorf("doing: %w", Errorf(Denied, "op", "not you: %w", cause).WithHint("ask"))
	if !errors.Is(err, Denied) || errors.Is(err, Invalid) || !errors.Is(err, cause) || KindOf(err) != Denied {
		t.Errorf("%v is not what it was made of", err)
	}
	if KindOf(cause) != Internal {
		t.Error("an error of unknown kind must be internal")
	}
	want := "internal invalid not_found exists denied conflict exhausted unavailable timeout corrupt unsupported full"
	var names []string
	for k := Internal; k < kindCount; k++ {
		names = append(names, k.String())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("kinds are %s", got)
	}
}

// TestProof: the signed parts cover every field but the signature, each bounded.
//
// spec 4.56
func TestProof(t *testing.T) {
	p := Proof{OperationType: "vsa_evolution", NodeID: "node", Timestamp: 1700000000000, InputHash: Sum([]byte("in")),
		OutputHash: Sum([]byte("out")), ResultMetric: 0.94, Signature: make([]byte, 64)}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"operation_type", "node_id", "timestamp", "input_hash", "output_hash", "result_metric", "signature"} {
		if !strings.Contains(string(text), `"`+field+`":`) {
			t.Errorf("field %s is missing in %s", field, text)
		}
	}
	base := fmt.Sprint(p.SigningParts())
	for name, change := range map[string]func(*Proof){
		"operation_type": func(p *Proof) { p.OperationType = "compute" },
		"node_id":        func(p *Proof) { p.NodeID = "other" },
		"timestamp":      func(p *Proof) { p.Timestamp++ },
		"input_hash":     func(p *Proof) { p.InputHash[0]++ },
		"output_hash":    func(p *Proof) { p.OutputHash[0]++ },
		"result_metric":  func(p *Proof) { p.ResultMetric = 0.95 },
	} {
		q := p
		change(&q)
		if fmt.Sprint(q.SigningParts()) == base {
			t.Errorf("%s is not signed", name)
		}
	}
	p.ResultMetric = 1.01
	if KindOf(p.Validate()) != Invalid {
		t.Error("a metric above 1 is taken")
	}
}

// TestDigest: exactly 64 lower-case hex digits, both ways.
func TestDigest(t *testing.T) {
	d := Sum([]byte("x"))
	var back Digest
	if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d || d.IsZero() {
		t.Errorf("%s comes back as %s, %v", d, back, err)
	}
	for _, bad := range []string{"", d.String()[1:], strings.ToUpper(d.String()), strings.Repeat("g", 64)} {
		if back.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("digest %q is taken", bad)
		}
	}
}

// TestObjectID: the digest of the bytes, in one form; no path is one.
func TestObjectID(t *testing.T) {
	id := ObjectOf([]byte("x"))
	back, err := ParseObjectID(id.String())
	if err != nil || back != id || id.String() != Sum([]byte("x")).String() {
		t.Errorf("%s comes back as %s, %v", id, back, err)
	}
	for _, bad := range []string{"", id.String()[1:], strings.ToUpper(id.String()), "../" + id.String()[3:], strings.Repeat("/", 64), id.String() + "\x00"} {
		if _, err := ParseObjectID(bad); KindOf(err) != Invalid {
			t.Errorf("object id %q gives %v, want invalid", bad, err)
		}
	}
}

// TestResourcesPlus: what machines have adds up, what is free of them does not, and
// the sum stays in its type.
func TestResourcesPlus(t *testing.T) {
	a := Resources{Cores: 2, CPUScore: 1.5, MemoryMB: 10, DiskMB: 100, FreeCPU: 50, FreeMemoryMB: 5, FreeDiskMB: 50}
	if got, want := a.Plus(a), (Resources{Cores: 4, MemoryMB: 20, DiskMB: 200}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	huge := Resources{MemoryMB: math.MaxInt64 - 1, DiskMB: math.MaxInt64}
	if got := huge.Plus(a); got.MemoryMB != math.MaxInt64 || got.DiskMB != math.MaxInt64 {
		t.Errorf("got %+v", got)
	}
}
