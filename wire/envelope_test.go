package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// spec 0.23
func TestEnvelopeRoundTrip(t *testing.T) {
	for _, typ := range Types() {
		t.Run(string(typ), func(t *testing.T) {
			raw, err := Seal(node(1), testNet, testNow(), sample(typ))
			if err != nil {
				t.Fatal(err)
			}
			e, b, err := Open(raw, testNet, testNow().Add(MaxAge))
			if err != nil {
				t.Fatal(err)
			}
			if e.From != node(1).ID() || e.Type != typ || !e.Time.Equal(testNow()) || !reflect.DeepEqual(b, sample(typ)) {
				t.Errorf("%+v %+v", e, b)
			}
		})
	}
}

// Origin tells who and when at any age, and of what has no exact form nothing.
func TestOrigin(t *testing.T) {
	raw := sealSample(sample(TypeHealth))
	if from, at, err := Origin(raw); err != nil || from != node(1).ID() || !at.Equal(testNow()) {
		t.Errorf("%s at %s, %v", from, at, err)
	}
	for _, bad := range [][]byte{nil, []byte("{}"), append([]byte(" "), raw...)} {
		if from, at, err := Origin(bad); err == nil || from != "" || !at.IsZero() {
			t.Errorf("%.20q: %s at %s, %v", bad, from, at, err)
		}
	}
}

// An envelope is good from MaxAhead before its time, by the reader's clock, to
// MaxAge after it.
//
// spec 4.55
func TestEnvelopeFreshness(t *testing.T) {
	raw := sealSample(sample(TypeHealth))
	for _, c := range []struct {
		name string
		at   time.Duration
		ok   bool
	}{
		{"now", 0, true},
		{"as old as allowed", MaxAge, true},
		{"older", MaxAge + 1, false},
		{"as early as allowed", -MaxAhead, true},
		{"earlier", -MaxAhead - 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Open(raw, testNet, testNow().Add(c.at))
			if c.ok && err != nil || !c.ok && !errors.Is(err, core.Timeout) {
				t.Error(err)
			}
		})
	}
}

// An author's nonces sort in the order of sealing and are never the same twice,
// even within one tick of the clock.
//
// spec 4.55
func TestNoncesAreOrdered(t *testing.T) {
	var nonces []string
	seen := map[string]bool{}
	for i := range 200 {
		raw, err := Seal(node(1), testNet, testNow().Add(time.Duration(i)*time.Nanosecond), sample(TypePull))
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := Open(raw, testNet, testNow())
		if err != nil {
			t.Fatal(err)
		}
		nonces = append(nonces, e.Nonce)
		same, err := Seal(node(1), testNet, testNow(), sample(TypePull))
		if err != nil {
			t.Fatal(err)
		}
		e, _, err = Open(same, testNet, testNow())
		if err != nil || seen[e.Nonce] || seen[e.ID] {
			t.Fatalf("%+v, %v", e, err)
		}
		seen[e.Nonce], seen[e.ID] = true, true
	}
	if !slices.IsSorted(nonces) {
		t.Error("nonces are not sorted")
	}
}

func TestSealRefuses(t *testing.T) {
	spaced := sampleOffer()
	spaced.Data.Inline = json.RawMessage(`{ "input": [1] }`)
	for _, c := range []struct {
		name string
		b    Body
		op   string
	}{
		{"a value out of range", &LeaseRenew{Progress: -1}, "progress"},
		{"a payload with white space", spaced, "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Seal(node(1), testNet, testNow(), c.b)
			checkRefused(t, err, bad{kind: core.Invalid, op: c.op})
		})
	}
}

// Fields of a newer minor version do not make an envelope unreadable.
func TestEnvelopeWithUnknownField(t *testing.T) {
	_, b, err := Open(sealedBody(`{"lease":"41","progress":0.5,"mood":"good"}`), testNet, testNow())
	if err != nil || !reflect.DeepEqual(b, sample(TypeLeaseRenew)) {
		t.Errorf("%+v, %v", b, err)
	}
	_, _, err = Open(sealedBody(`{"lease":"41","progress":0.5,"mood": "good"}`), testNet, testNow())
	checkRefused(t, err, bad{kind: core.Invalid, op: "body"})
}

// Every byte of an envelope matters.
func TestEnvelopeEveryByteMatters(t *testing.T) {
	raw := sealSample(sample(TypeReputation))
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, _, err := Open(changed, testNet, testNow()); err == nil {
			t.Errorf("byte %d (%q) may be changed", i, raw[i])
		}
	}
}

// spec 4.55
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplay(2, ReplayWindow)
		a, b := node(1).ID(), node(2).ID()
		for _, step := range []struct {
			name string
			from core.NodeID
			id   string
			wait time.Duration
			want bool
		}{
			{name: "new", from: a, id: "1"},
			{name: "again", from: a, id: "1", want: true},
			{name: "another author's", from: b, id: "1"},
			{name: "at the end of the window", from: a, id: "1", wait: ReplayWindow - 1, want: true},
			{name: "after it", from: a, id: "1", wait: 1},
			{name: "a third pushes the longest unseen out", from: a, id: "2"},
			{name: "which is new again", from: b, id: "1"},
			{name: "while the last is not", from: a, id: "2", want: true},
		} {
			time.Sleep(step.wait)
			if got := r.Seen(step.from, step.id); got != step.want {
				t.Errorf("%s: seen is %v", step.name, got)
			}
		}
	})
}

// Of many who ask at once about one envelope, one is told that it is new.
func TestReplayIsAtomic(t *testing.T) {
	r := NewReplay(0, ReplayWindow)
	fresh := make(chan bool, 64)
	var wg sync.WaitGroup
	for range cap(fresh) {
		wg.Go(func() { fresh <- !r.Seen("n", "1") })
	}
	wg.Wait()
	close(fresh)
	n := 0
	for f := range fresh {
		if f {
			n++
		}
	}
	if n != 1 {
		t.Errorf("new to %d", n)
	}
}

// A statement signed for one purpose, author or content is worth nothing for
// another.
func TestSignedStatements(t *testing.T) {
	ad, reward := sampleAd(), sampleReward()
	if err := errors.Join(VerifyAd(&ad), VerifyReward(reward)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		err  func() error
	}{
		{"ad changed", func() error { ad := sampleAd(); ad.MaxSlots++; return VerifyAd(&ad) }},
		{"ad of another", func() error { ad := sampleAd(); ad.NodeID = node(1).ID(); return VerifyAd(&ad) }},
		{"ad unsigned", func() error { ad := sampleAd(); ad.Signature = nil; return VerifyAd(&ad) }},
		{"ad signed as a reward", func() error {
			ad := sampleAd()
			msg, err := adSigned(&ad)
			ad.Signature = node(2).Sign(DomainReward, msg)
			return errors.Join(err, VerifyAd(&ad))
		}},
		{"reward raised", func() error { r := sampleReward(); r.Entries[0].Units++; return VerifyReward(r) }},
		{"reward for another", func() error { r := sampleReward(); r.Worker = node(3).ID(); return VerifyReward(r) }},
		{"reward signed as an ad", func() error {
			r := sampleReward()
			msg, err := rewardSigned(r)
			r.Signature = node(1).Sign(keys.DomainAd, msg)
			return errors.Join(err, VerifyReward(r))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.err(); !errors.Is(err, core.Denied) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A signature survives the trip: decoding and verifying needs nothing else.
func TestSignaturesSurviveTheWire(t *testing.T) {
	frame, _, err := AppendBatch(nil, sample(TypeAd), sample(TypeJobReward), sample(TypeHello))
	if err != nil {
		t.Fatal(err)
	}
	b, err := DecodeBatch(frame)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(VerifyAd(b.Bodies[0].(*Ad)), VerifyReward(b.Bodies[1].(*JobReward)), VerifyAd(b.Bodies[2].(*Hello).Ad)); err != nil {
		t.Error(err)
	}
}

func TestFault(t *testing.T) {
	long := strings.Repeat("ü", MaxFaultText)
	for _, c := range []struct {
		name string
		err  error
		want Fault
	}{
		{"of a kind", core.Errorf(core.Exhausted, "queue", "queue is full").WithHint("try later"), Fault{core.Exhausted, "queue", "queue is full", "try later"}},
		{"wrapped", fmt.Errorf("asking: %w", core.Errorf(core.NotFound, "taskId", "no such task")), Fault{core.NotFound, "taskId", "asking: no such task", ""}},
		{"plain", errors.New("broken"), Fault{core.Internal, "", "broken", ""}},
		{"long, cut between characters", core.Errorf(core.Invalid, "x", "x%s", long), Fault{core.Invalid, "x", "x" + long[:MaxFaultText-2], ""}},
		{"not UTF-8", errors.New("a\xffb"), Fault{core.Internal, "", "ab", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := FaultOf(c.err)
			if *f != c.want {
				t.Fatalf("fault is %+v", f)
			}
			back := f.Err()
			var e *core.Error
			if !errors.As(back, &e) || e.Kind != c.want.Kind || e.Op != c.want.Field || e.Error() != c.want.Message || e.Hint != c.want.Hint {
				t.Errorf("error is %+v", back)
			}
			if _, _, err := AppendBatch(nil, &JobState{Fault: f}); err != nil {
				t.Error(err)
			}
		})
	}
	if FaultOf(nil) != nil || (*Fault)(nil).Err() != nil {
		t.Error("no error is a fault")
	}
	if err := (&Fault{Kind: 200, Message: "from the future"}).Err(); !errors.Is(err, core.Internal) {
		t.Errorf("kind of %v is %v", err, core.KindOf(err))
	}
}
