package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime/metrics"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// One target per message. The oracle beyond "no panic": what was decoded encodes
// to bytes that decode to the same message and encode to the same bytes, a
// message that writes itself writes what encoding/json writes, and decoding
// allocates in proportion to its input.

func FuzzHello(f *testing.F)               { fuzzBody(f, TypeHello) }
func FuzzPull(f *testing.F)                { fuzzBody(f, TypePull) }
func FuzzJobOffer(f *testing.F)            { fuzzBody(f, TypeJobOffer) }
func FuzzJobAccept(f *testing.F)           { fuzzBody(f, TypeJobAccept) }
func FuzzJobReject(f *testing.F)           { fuzzBody(f, TypeJobReject) }
func FuzzLeaseRenew(f *testing.F)          { fuzzBody(f, TypeLeaseRenew) }
func FuzzLeaseRevoke(f *testing.F)         { fuzzBody(f, TypeLeaseRevoke) }
func FuzzJobResult(f *testing.F)           { fuzzBody(f, TypeJobResult) }
func FuzzJobVerify(f *testing.F)           { fuzzBody(f, TypeJobVerify) }
func FuzzJobReward(f *testing.F)           { fuzzBody(f, TypeJobReward) }
func FuzzJobQuery(f *testing.F)            { fuzzBody(f, TypeJobQuery) }
func FuzzJobState(f *testing.F)            { fuzzBody(f, TypeJobState) }
func FuzzAdopt(f *testing.F)               { fuzzBody(f, TypeAdopt) }
func FuzzClaim(f *testing.F)               { fuzzBody(f, TypeClaim) }
func FuzzCoordinators(f *testing.F)        { fuzzBody(f, TypeCoordinators) }
func FuzzAd(f *testing.F)                  { fuzzBody(f, TypeAd) }
func FuzzJobAnnouncement(f *testing.F)     { fuzzBody(f, TypeAnnouncement) }
func FuzzWorkerCapabilities(f *testing.F)  { fuzzBody(f, TypeCapabilities) }
func FuzzRegionSummary(f *testing.F)       { fuzzBody(f, TypeSummary) }
func FuzzResultDigests(f *testing.F)       { fuzzBody(f, TypeDigests) }
func FuzzReputationUpdate(f *testing.F)    { fuzzBody(f, TypeReputation) }
func FuzzHealth(f *testing.F)              { fuzzBody(f, TypeHealth) }
func FuzzAggregationProposal(f *testing.F) { fuzzBody(f, TypeProposal) }
func FuzzAggregationVote(f *testing.F)     { fuzzBody(f, TypeVote) }

func fuzzBody(f *testing.F, typ Type) {
	body, err := appendBody(nil, sample(typ), MaxBody)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		checkFrame(t, frameOf(typ, string(body)))
		checkLikeJSON(t, body, registry[typ].empty(), registry[typ].empty())
	})
}

// FuzzBatch gives the whole frame to the fuzzer.
func FuzzBatch(f *testing.F) {
	for _, v := range append(badShell(), badText()...) {
		f.Add(v.raw)
	}
	frame, _, err := AppendBatch(nil, sample(TypePull), sample(TypeJobOffer))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Fuzz(checkFrame)
}

func checkFrame(t *testing.T, frame []byte) {
	before := allocated()
	batch, err := DecodeBatch(frame)
	if spent := allocated() - before; spent > 1<<20+uint64(len(frame))*512 {
		t.Fatalf("decoding %d bytes allocated %d", len(frame), spent)
	}
	if err != nil {
		if batch.Bodies != nil || core.KindOf(err) == core.Internal {
			t.Fatalf("%+v with error %v", batch, err)
		}
		return
	}
	for _, b := range batch.Bodies {
		checkFixedPoint(t, b)
	}
}

func checkFixedPoint(t *testing.T, b Body) {
	checkDirect(t, b)
	once, _, err := AppendBatch(nil, b)
	if core.KindOf(err) == core.Exhausted { // escaped, it no longer fits
		return
	}
	if err != nil {
		t.Fatalf("%+v was decoded but cannot be encoded: %v", b, err)
	}
	again, err := DecodeBatch(once)
	if err != nil || len(again.Bodies) != 1 {
		t.Fatalf("%s: %v", once, err)
	}
	twice, _, err := AppendBatch(nil, again.Bodies[0])
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%v\n%s\n%s", err, once, twice)
	}
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// checkLikeJSON: what DecodeStrict accepts, encoding/json accepts with the same
// value.
func checkLikeJSON(t *testing.T, text []byte, strict, loose any) {
	if err := DecodeStrict(text, strict); err != nil {
		if core.KindOf(err) != core.Invalid {
			t.Fatalf("error is %v (%v)", core.KindOf(err), err)
		}
		return
	}
	if err := json.Unmarshal(text, loose); err != nil {
		t.Fatalf("accepted %q, which encoding/json refuses: %v", text, err)
	}
	if !reflect.DeepEqual(strict, loose) {
		t.Fatalf("%q decodes to\n%+v, with encoding/json to\n%+v", text, strict, loose)
	}
}

// FuzzDecodeStrict compares with encoding/json on types of every kind.
func FuzzDecodeStrict(f *testing.F) {
	for _, text := range []string{everythingText, `{"N":null,"Deep":{"Deep":{"S":"x"}}}`, `[1,2]`, `"x"`, `{"a":{"A":1}}`, `-0`, `{"Q":"-0"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkLikeJSON(t, text, new(everything), new(everything))
		checkLikeJSON(t, text, new(any), new(any))
		checkLikeJSON(t, text, new(core.TaskSpec), new(core.TaskSpec))
		checkLikeJSON(t, text, new(core.LocalStatus), new(core.LocalStatus))
	})
}

// FuzzOpen: no envelope that the fuzzer changes may open, and what opens is in
// its one form.
func FuzzOpen(f *testing.F) {
	for _, v := range badEnvelopes() {
		f.Add(v.raw)
	}
	for _, typ := range Types() {
		f.Add(sealSample(sample(typ)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, b, err := Open(raw, testNet, testNow())
		if (err == nil) != (e != nil) || (err == nil) != (b != nil) {
			t.Fatalf("%v %v %v", e, b, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(e.append(nil), raw) {
			t.Fatalf("%s opens but is not in its exact form", raw)
		}
		checkFixedPoint(t, b)
	})
}
