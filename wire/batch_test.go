package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

func offers(n int, data json.RawMessage) []Body {
	out := make([]Body, n)
	for i := range out {
		o := sampleOffer()
		o.Index, o.Lease, o.Data = i, LeaseID(i), Payload{Inline: data}
		out[i] = o
	}
	return out
}

// A batch of any size becomes frames within the limits, and comes back whole and
// in order.
//
// spec 0.23
func TestBatchSplitsIntoFrames(t *testing.T) {
	for _, c := range []struct {
		name   string
		bodies []Body
		frames int
	}{
		{"one", offers(1, sampleData()), 1},
		{"as many as a frame may have", offers(MaxItems, json.RawMessage("1")), 1},
		{"one more", offers(MaxItems+1, json.RawMessage("1")), 2},
		{"big payloads", offers(5, json.RawMessage(`"`+strings.Repeat("x", MaxInline-2)+`"`)), 5},
		{"middling payloads", offers(10, json.RawMessage(`"`+strings.Repeat("x", 12<<10)+`"`)), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Body
			frames := 0
			for rest := c.bodies; len(rest) > 0; frames++ {
				frame, n, err := AppendBatch(nil, rest...)
				if err != nil || n == 0 || len(frame) > MaxFrame {
					t.Fatalf("%d taken, %d bytes, %v", n, len(frame), err)
				}
				b, err := DecodeBatch(frame)
				if err != nil {
					t.Fatal(err)
				}
				got, rest = append(got, b.Bodies...), rest[n:]
			}
			if !reflect.DeepEqual(got, c.bodies) || frames != c.frames {
				t.Errorf("%d bodies in %d frames, want %d in %d", len(got), frames, len(c.bodies), c.frames)
			}
		})
	}
}

func TestAppendBatchRefuses(t *testing.T) {
	wordy := sampleResult()
	wordy.Output.Inline = json.RawMessage(`"` + strings.Repeat("x", MaxInline-2) + `"`)
	for range core.MaxProofsShown {
		wordy.Proofs = append(wordy.Proofs[:len(wordy.Proofs):len(wordy.Proofs)], sampleProof())
	}
	wordy.Proofs = wordy.Proofs[:core.MaxProofsShown]
	for range MaxWorkersShown - 1 {
		wordy.Workers = append(wordy.Workers, node(2).ID())
	}
	broken := sampleResult()
	broken.Output.Inline = json.RawMessage(`{"a":1,"a":2}`)
	spaced := sampleResult()
	spaced.Output.Inline = json.RawMessage("55\n")
	for _, c := range []struct {
		name   string
		bodies []Body
		kind   core.Kind
		op     string
	}{
		{"nothing", nil, core.Invalid, "items"},
		{"a value out of range", []Body{&LeaseRenew{Progress: 2}}, core.Invalid, "progress"},
		{"a payload that the other side would refuse", []Body{broken}, core.Invalid, "output.inline.a"},
		{"a payload with white space around it", []Body{spaced}, core.Invalid, "output.inline"},
		{"more than a frame holds", []Body{wordy}, core.Exhausted, "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := []byte("before")
			out, n, err := AppendBatch(dst, c.bodies...)
			checkRefused(t, err, bad{kind: c.kind, op: c.op})
			if n != 0 || string(out) != "before" {
				t.Errorf("%d taken, %q", n, out)
			}
		})
	}
	t.Run("behind a good one it waits for its turn", func(t *testing.T) {
		frame, n, err := AppendBatch(nil, &JobAccept{Lease: 1}, &LeaseRenew{Progress: 2})
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if b, err := DecodeBatch(frame); err != nil || len(b.Bodies) != 1 {
			t.Error(b, err)
		}
	})
	t.Run("by reference it fits", func(t *testing.T) {
		wordy.Output = Payload{Blob: &BlobRef{Digest: core.Sum(wordy.Output.Inline), Size: MaxInline}}
		if _, n, err := AppendBatch(nil, wordy); err != nil || n != 1 {
			t.Error(n, err)
		}
	})
}

// An inline payload keeps every byte: its digest is part of signed proofs.
func TestInlinePayloadKeepsItsBytes(t *testing.T) {
	exact := json.RawMessage("{ \"html\" : \"<a>&\u2028\",\n\t\"n\":[1.0, 1e2 ,-0] }")
	state := sampleState()
	state.Output.Inline = exact
	offer := sampleOffer()
	offer.Data.Inline, offer.InputHash = exact, core.Sum(exact)
	result := sampleResult()
	result.Output.Inline = exact
	frame, n, err := AppendBatch(nil, offer, result, state)
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	b, err := DecodeBatch(frame)
	if err != nil {
		t.Fatal(err)
	}
	got := b.Bodies[0].(*JobOffer)
	if core.Sum(got.Data.Inline) != got.InputHash {
		t.Errorf("input is %s", got.Data.Inline)
	}
	for _, p := range []Payload{b.Bodies[1].(*JobResult).Output, b.Bodies[2].(*JobState).Output} {
		if !bytes.Equal(p.Inline, exact) {
			t.Errorf("output is %s", p.Inline)
		}
	}
}

// What was decoded does not change when the frame's buffer is used again.
func TestDecodedBodiesOwnTheirBytes(t *testing.T) {
	frame, _, err := AppendBatch(nil, sampleOffer())
	if err != nil {
		t.Fatal(err)
	}
	b, err := DecodeBatch(frame)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if !reflect.DeepEqual(b.Bodies[0], sampleOffer()) {
		t.Errorf("%+v", b.Bodies[0])
	}
}

// Types of a newer version are dropped and counted; fields of a newer version
// are ignored.
//
// spec 0.23
func TestNewerMinorVersion(t *testing.T) {
	frame := `{"v":1,"items":[{"type":"later","body":{"a":[1]}},{"type":"job_accept","body":{"lease":"7","mood":{"good":true}}},{"type":"much_later","body":3}]}`
	b, err := DecodeBatch([]byte(frame))
	if err != nil || b.Unknown != 2 || !reflect.DeepEqual(b.Bodies, []Body{&JobAccept{Lease: 7}}) {
		t.Errorf("%+v, %v", b, err)
	}
}

// The table of types is complete and consistent.
//
// spec 2.23 4.22
func TestRegistry(t *testing.T) {
	for _, typ := range Types() {
		b, ok := New(typ)
		if !ok || b.Type() != typ || Limit(typ) < 1<<10 || Limit(typ) > MaxBody || len(typ) > maxTypeName {
			t.Errorf("%s: %T, %v, limit %d", typ, b, ok, Limit(typ))
		}
	}
	if b, ok := New("nothing"); ok || b != nil || Limit("nothing") != 0 {
		t.Errorf("unknown type gives %v", b)
	}
	for _, typ := range []Type{"job_announcement", "worker_capabilities", "job_result", "reputation_update",
		"job_offer", "job_accept", "job_reject", "job_verify", "job_reward"} {
		if _, ok := New(typ); !ok {
			t.Errorf("the documented %s is missing", typ)
		}
	}
}

// The largest message that Validate allows, its payload by reference, fits the
// limit of its type.
func TestLargestMessagesFit(t *testing.T) {
	long := time.Date(2026, 11, 20, 9, 0, 0, 123456789, time.FixedZone("", 3600))
	for _, b := range largest(long) {
		t.Run(string(b.Type()), func(t *testing.T) {
			out, err := appendBody(nil, b, MaxBody)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d bytes", len(out), Limit(b.Type()))
		})
	}
}

func many[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func largest(at time.Time) []Body {
	id := core.TaskID(strings.Repeat("t", 64))
	peer := core.NodeID(strings.Repeat("n", 52))
	region := core.RegionID(strings.Repeat("r", core.MaxRegionLen))
	text, name := strings.Repeat("m", maxMessage), strings.Repeat("w", maxName)
	failure := &core.Failure{Reason: core.ReasonAttemptsExhausted, Message: text}
	proofs := many(core.MaxProofsShown, sampleProof())
	blob := Payload{Blob: &BlobRef{Size: core.MaxTaskBytes}}
	ad := sampleAd()
	ad.Region, ad.Roles, ad.Arch, ad.Issued, ad.Expires = region, many(16, name), strings.Repeat("a", 16), at, at.Add(MaxAdLife)
	ad.Runtimes = many(64, core.TaskType(name))
	ad.Accelerators = many(64, core.Accelerator{Vendor: name, Name: strings.Repeat("g", 64), MemoryMB: core.MaxMemoryMB})
	reward := sampleReward()
	reward.At, reward.Entries = at, many(MaxRewards, Reward{TaskID: id, Index: 4095, Units: 1 << 62})
	offer := sampleOffer()
	offer.TaskID, offer.Data, offer.Gateway, offer.Regions, offer.Deadline = id, blob, peer, many(maxRegions, region), at
	result := sampleResult()
	result.TaskID, result.Output, result.Proofs = id, blob, proofs
	result.Workers, result.Regions = many(MaxWorkersShown, peer), many(maxRegions, region)
	shared := *result
	shared.Proofs = sharedProofs()
	state := sampleState()
	state.Output = blob
	*state.Status = core.TaskStatus{TaskID: id, Type: core.TaskType(name), Region: region, Gateway: peer, Created: at, Updated: at,
		Attempts: many(core.MaxAttemptsShown, core.Attempt{Index: 4095, Attempt: 100, Worker: peer, Started: at, Finished: at, Outcome: "attempts_exhausted"}), Failure: failure}
	*state.Result = core.TaskResult{TaskID: id, Failure: failure, Regions: result.Regions, Workers: result.Workers, Proofs: proofs}
	announcement := sample(TypeAnnouncement).(*JobAnnouncement)
	announcement.TaskID, announcement.Task, announcement.Region, announcement.Expires = id, core.TaskType(name), region, at
	return []Body{
		offer, result, &shared, state, reward, announcement, &ad, &WorkerCapabilities{Ad: ad},
		&Hello{Version: 1, Network: testNet, Region: region, Roles: many(16, name), Ad: &ad},
		&JobReject{Reason: RefusedUnknown, Message: text, RetryAfterMS: 3600000},
		&JobVerify{TaskID: id, Message: text},
		&ResultDigests{Results: many(128, ResultDigest{TaskID: id, Status: core.TaskCancelled})},
		&Health{NodeID: peer, State: core.Offline, Region: region, Roles: many(16, name), Version: strings.Repeat("v", 64)},
		&RegionSummary{Region: region, Coordinator: peer, Runtimes: many(64, core.TaskType(name))},
		&AggregationVote{ID: string(id), Voter: peer, Outcome: "dissolved", Members: many(256, peer)},
		&AggregationProposal{ID: string(id), Proposer: peer, Region: region, Target: core.TierTrainer, Expires: at},
		&Claim{Epoch: MaxEpoch, Leases: many(MaxClaims, ClaimedLease{Lease: 1<<63 - 1, TaskID: id, Index: 4095, Attempt: 100, Epoch: MaxEpoch,
			Progress: 0.12345678901234568, Finished: true})},
		&ReputationUpdate{NodeID: peer, Cause: strings.Repeat("c", 64)},
	}
}
