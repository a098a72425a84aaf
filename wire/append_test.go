package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// checkDirect: a message that writes itself writes what encoding/json writes, or
// says that it cannot.
func checkDirect(t *testing.T, b Body) (wrote bool) {
	t.Helper()
	d, ok := b.(direct)
	if !ok {
		return false
	}
	const before = "before"
	got, ok := d.appendTo([]byte(before))
	if !ok {
		return false
	}
	want, err := encodeAny(b)
	if err != nil || string(got) != before+string(want) {
		t.Fatalf("%T writes itself as\n%s, encoding/json as\n%s, %v", b, got, want, err)
	}
	return true
}

// The messages of every job write themselves, with all and with none of what may
// be left out.
func TestDirect(t *testing.T) {
	blob := Payload{Blob: &BlobRef{core.Sum([]byte("x")), 1 << 40}}
	zone := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", -5400))
	head := TaskHead{Type: "compute", Parallelism: 7, QueueTimeoutMS: 8, TimeoutMS: math.MaxInt64}
	for name, b := range map[string]Body{
		"pull": sample(TypePull), "pull of nothing": &Pull{}, "negative": &Pull{Credits: -1, FreeMemoryMB: math.MinInt64},
		"offer": sampleOffer(), "offer of nothing": &JobOffer{},
		"offer by reference": &JobOffer{Lease: math.MaxUint64, Data: blob, Task: head, Deadline: zone, Gateway: "<&>", Regions: []core.RegionID{"a"}},
		"memory alone":       &JobOffer{Task: TaskHead{Requirements: core.Requirements{MemoryMB: 1}}},
		"processor alone":    &JobOffer{Task: TaskHead{Requirements: core.Requirements{CPU: 1}}},
		"accept":             &JobAccept{}, "renew": sample(TypeLeaseRenew), "renew at 0": &LeaseRenew{}, "renew at -0": &LeaseRenew{Progress: math.Copysign(0, -1)},
		"renew at a third": &LeaseRenew{Progress: 1.0 / 3}, "renew at the start": &LeaseRenew{Progress: 1e-6},
		"result": sampleResult(), "result of nothing": &JobResult{},
		"failure":           &JobResult{Failure: &core.Failure{Reason: core.ReasonOverflow, Message: "too <big> & 'wide'"}},
		"two of everything": &JobResult{Output: blob, Proofs: []core.Proof{sampleProof(), sampleProof()}, Workers: []core.NodeID{"a", "b"}, Regions: []core.RegionID{"c", "d"}, Subtasks: 2},
		"shared signatures": &JobResult{Output: blob, Proofs: sharedProofs()[:2]},
		"verify":            sample(TypeJobVerify), "verify no": &JobVerify{Message: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			if !checkDirect(t, b) {
				t.Errorf("%+v does not write itself", b)
			}
		})
	}
}

// Values that JSON writes in a form of its own are left to encoding/json.
func TestNotDirect(t *testing.T) {
	proof := sampleProof()
	proof.ResultMetric = 1e-7
	unsigned := sampleProof()
	unsigned.Signature = nil
	for name, b := range map[string]direct{
		"quote":          &JobVerify{Message: `"`},
		"backslash":      &JobVerify{Message: `\`},
		"control":        &JobVerify{Message: "a\nb"},
		"delete":         &JobVerify{Message: "\x7f"},
		"beyond ASCII":   &JobVerify{Message: "é"},
		"line separator": &JobVerify{Message: "\u2028"},
		"not UTF-8":      &JobVerify{Message: "\xff"},
		"exponent":       &LeaseRenew{Progress: 1e-7},
		"no number":      &LeaseRenew{Progress: math.NaN()},
		"proof":          &JobResult{Proofs: []core.Proof{proof}},
		"no signature":   &JobResult{Proofs: []core.Proof{unsigned}},
		"year 10000":     &JobOffer{Deadline: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"zone":           &JobOffer{Deadline: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 30*3600))},
	} {
		t.Run(name, func(t *testing.T) {
			if out, ok := b.appendTo(nil); ok {
				t.Errorf("writes itself as %s", out)
			}
		})
	}
}

// What a message does not write itself is encoded all the same.
func TestAppendFallsBack(t *testing.T) {
	m := &JobVerify{TaskID: sampleTask, Message: "schlägt \"fehl\"\n"}
	got, err := appendBody([]byte("x"), m, MaxBody)
	want, _ := json.Marshal(m)
	if err != nil || !bytes.Equal(got, append([]byte("x"), want...)) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
