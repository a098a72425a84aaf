package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// bad is one input that must be refused. Its file is
// testdata/bad/<carrier>-<name>.<kind>.json.
type bad struct {
	name string
	raw  []byte
	kind core.Kind
	op   string // what the error must name; "*" = anything
}

func (b bad) file(carrier string) string {
	return fmt.Sprintf("bad/%s-%s.%s.json", carrier, b.name, b.kind)
}

// swapped returns the golden body of t with one piece replaced.
func swapped(t Type, old, new string) string {
	body, err := appendBody(nil, sample(t), MaxBody)
	if err != nil || bytes.Count(body, []byte(old)) != 1 {
		panic(fmt.Sprintf("%s has %q %d times, %v", t, old, bytes.Count(body, []byte(old)), err))
	}
	return strings.Replace(string(body), old, new, 1)
}

func swappedFrame(t Type, old, new string) []byte { return frameOf(t, swapped(t, old, new)) }

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// badText is what no JSON text of this network may have.
func badText() []bad {
	renew := func(body string) []byte { return frameOf(TypeLeaseRenew, body) }
	progress := func(v string) []byte { return renew(`{"lease":"41","progress":` + v + `}`) }
	const at = "items[0].body"
	return []bad{
		{"duplicate_key", renew(`{"lease":"41","progress":0.5,"progress":0.6}`), core.Invalid, at + ".progress"},
		{"duplicate_key_escaped", renew(`{"lease":"41","progress":0.5,"pro\u0067ress":0.6}`), core.Invalid, at + ".progress"},
		{"duplicate_unknown_key", renew(`{"lease":"41","progress":0.5,"x":1,"x":1}`), core.Invalid, at + ".x"},
		{"duplicate_key_in_payload", swappedFrame(TypeJobOffer, `"operations":`, `"input":`), core.Invalid, at + ".data.inline.input"},
		{"case_variant_key", renew(`{"lease":"41","Progress":0.5}`), core.Invalid, at + ".Progress"},
		{"case_variant_key_long_s", renew(`{"lea\u017fe":"41","progress":0.5}`), core.Invalid, at + ".lea\u017fe"},
		{"depth_33", renew(`{"lease":"41","progress":0.5,"x":` + nested(MaxDepth) + `}`), core.Invalid, "*"},
		{"depth_33_in_payload", swappedFrame(TypeJobResult, `{"inline":55}`, `{"inline":`+nested(MaxDepth+1)+`}`), core.Invalid, "*"},
		{"not_utf8", renew("{\"lease\":\"41\",\"progress\":0.5,\"x\":\"\xff\"}"), core.Invalid, at + ".x"},
		{"half_surrogate", renew(`{"lease":"41","progress":0.5,"x":"\ud800"}`), core.Invalid, at + ".x"},
		{"control_character", renew("{\"lease\":\"41\",\"progress\":0.5,\"x\":\"\n\"}"), core.Invalid, at + ".x"},
		{"bad_escape", renew(`{"lease":"41","progress":0.5,"x":"\x41"}`), core.Invalid, at + ".x"},
		{"nan", progress(`NaN`), core.Invalid, at + ".progress"},
		{"nan_as_string", progress(`"NaN"`), core.Invalid, at + ".progress"},
		{"number_beyond_float64", progress(`1e400`), core.Invalid, at + ".progress"},
		{"number_of_65_characters", progress("0." + strings.Repeat("1", MaxNumber-1)), core.Invalid, at + ".progress"},
		{"number_leading_zero", progress(`00.5`), core.Invalid, at},
		{"number_leading_point", progress(`.5`), core.Invalid, at + ".progress"},
		{"truncated", []byte(`{"v":1,"items":[{"type":"lease_renew","body":{"lease":"41","progress":0.`), core.Invalid, "*"},
		{"null_body", renew(`null`), core.Invalid, at},
		{"array_body", renew(`[]`), core.Invalid, at},
		{"comma_at_the_end", renew(`{"lease":"41","progress":0.5,}`), core.Invalid, at},
		{"comment", renew(`{"lease":"41",/**/"progress":0.5}`), core.Invalid, at},
	}
}

// badShell is wrong around the bodies.
func badShell() []bad {
	const item = `{"type":"job_accept","body":{"lease":"41"}}`
	shell := func(s string) []byte { return []byte(s) }
	return []bad{
		{"empty", nil, core.Invalid, ""},
		{"no_items", shell(`{"v":1,"items":[]}`), core.Invalid, ""},
		{"version_12", shell(`{"v":12,"items":[` + item + `]}`), core.Unsupported, "v"},
		{"version_2", shell(`{"v":2,"items":[` + item + `]}`), core.Unsupported, "v"},
		{"white_space", shell(`{"v":1, "items":[` + item + `]}`), core.Invalid, ""},
		{"trailing_data", shell(`{"v":1,"items":[` + item + `]} `), core.Invalid, ""},
		{"trailing_comma", shell(`{"v":1,"items":[` + item + `,]}`), core.Invalid, ""},
		{"unknown_member", shell(`{"v":1,"items":[` + item + `],"x":1}`), core.Invalid, ""},
		{"65_items", shell(`{"v":1,"items":[` + item + strings.Repeat(","+item, MaxItems) + `]}`), core.Invalid, "items"},
		{"type_upper_case", shell(`{"v":1,"items":[{"type":"JOB_ACCEPT","body":{"lease":"41"}}]}`), core.Invalid, ""},
		{"type_too_long", shell(`{"v":1,"items":[{"type":"` + strings.Repeat("a", 33) + `","body":{}}]}`), core.Invalid, ""},
		{"body_before_type", shell(`{"v":1,"items":[{"body":{"lease":"41"},"type":"job_accept"}]}`), core.Invalid, ""},
		{"broken_unknown_type", shell(`{"v":1,"items":[{"type":"later","body":{"a":1,"a":1}}]}`), core.Invalid, "items[0].body.a"},
		{"second_item_wrong", shell(`{"v":1,"items":[` + item + `,{"type":"job_accept","body":{"lease":41}}]}`), core.Invalid, "items[1].body.lease"},
		{"oversize", append(shell(`{"v":1,"items":[`), bytes.Repeat([]byte(" "), MaxFrame)...), core.Invalid, ""},
		{"body_oversize", frameOf(TypeJobAccept, `{"lease":"41","x":"`+strings.Repeat("x", 1<<10)+`"}`), core.Invalid, "items[0].body"},
	}
}

// badValues are well-formed bodies that mean nothing.
func badValues() []bad {
	const at = "items[0].body"
	return []bad{
		{"lease_is_a_number", frameOf(TypeJobAccept, `{"lease":41}`), core.Invalid, at + ".lease"},
		{"lease_negative", frameOf(TypeJobAccept, `{"lease":"-1"}`), core.Invalid, at + ".lease"},
		{"lease_beyond_64_bits", frameOf(TypeJobAccept, `{"lease":"18446744073709551616"}`), core.Invalid, at + ".lease"},
		{"lease_leading_zero", frameOf(TypeJobAccept, `{"lease":"041"}`), core.Invalid, at + ".lease"},
		{"credits_fraction", swappedFrame(TypePull, `"credits":8`, `"credits":8.5`), core.Invalid, at + ".credits"},
		{"credits_too_many", swappedFrame(TypePull, `"credits":8`, `"credits":4097`), core.Invalid, at + ".credits"},
		{"rests_too_long", swappedFrame(TypePull, `on battery`, strings.Repeat("on battery", 12)), core.Invalid, at + ".rests"},
		{"class_unknown", swappedFrame(TypePull, `"subtask"`, `"batch"`), core.Invalid, at + ".class"},
		{"bad_hex", swappedFrame(TypeReputation, `"evidence":"`, `"evidence":"zz`), core.Invalid, at + ".evidence"},
		{"upper_case_hex", swappedFrame(TypeReputation, sampleEvidence(), strings.ToUpper(sampleEvidence())), core.Invalid, at + ".evidence"},
		{"unknown_bit", swappedFrame(TypeAd, `"can":4`, `"can":1073741828`), core.Invalid, at + ".can"},
		{"unknown_tier", swappedFrame(TypeProposal, `"trainer"`, `"giant"`), core.Invalid, at + ".targetTier"},
		{"bad_base64", swappedFrame(TypeJobReward, `"signature":"`, `"signature":"*`), core.Invalid, at + ".signature"},
		{"bad_time", swappedFrame(TypeAnnouncement, `"expires":"2026`, `"expires":"yesterday`), core.Invalid, at + ".expires"},
		{"ad_lives_too_long", swappedFrame(TypeAd, `"expires":"2026-11-20T09:30:00`, `"expires":"2026-11-20T09:30:01`), core.Invalid, at + ".expires"},
		{"task_id_with_slash", swappedFrame(TypeJobQuery, `"us-east-`, `"us/east-`), core.Invalid, at + ".taskId"},
		{"progress_above_1", swappedFrame(TypeLeaseRenew, `0.5`, `1.5`), core.Invalid, at + ".progress"},
		{"refusal_unknown", swappedFrame(TypeJobReject, `"busy"`, `"tired"`), core.Invalid, at + ".reason"},
		{"payload_missing", swappedFrame(TypeJobResult, `{"inline":55}`, `{}`), core.Invalid, at + ".output"},
		{"payload_twice", swappedFrame(TypeJobResult, `{"inline":55}`, `{"inline":55,"blob":{"digest":"`+core.Sum(nil).String()+`","size":2}}`), core.Invalid, at + ".output"},
		{"blob_too_big", swappedFrame(TypeJobResult, `{"inline":55}`, `{"blob":{"digest":"`+core.Sum(nil).String()+`","size":10485761}}`), core.Invalid, at + ".output"},
		{"inclusion_too_long", swappedFrame(TypeJobResult, `"result_metric"`, `"inclusion":"`+strings.Repeat("A", 200)+`","result_metric"`), core.Invalid, at + ".proofs.proof.inclusion"},
		{"proofs_33_with_inclusion", proofsFrame(append(sharedProofs(), sharedProofs()[0])), core.Invalid, at + ".proofs"},
		{"proofs_65", proofsFrame(many(core.MaxProofsShown+1, sampleProof())), core.Invalid, at + ".proofs"},
		{"cpu_above_100", swappedFrame(TypeJobOffer, `"cpu":80`, `"cpu":180`), core.Invalid, at + ".task.requirements.cpu"},
		{"epoch_0", swappedFrame(TypeAdopt, `"epoch":"4"`, `"epoch":"0"`), core.Invalid, at + ".epoch"},
		{"epoch_beyond_31_bits", swappedFrame(TypeAdopt, `"epoch":"4"`, `"epoch":"2147483648"`), core.Invalid, at + ".epoch"},
		{"adopt_without_region", swappedFrame(TypeAdopt, `"us-east"`, `""`), core.Invalid, at + ".region"},
		{"claim_of_lease_0", swappedFrame(TypeClaim, `"12884901929"`, `"0"`), core.Invalid, at + ".leases.lease"},
		{"claim_of_attempt_0", swappedFrame(TypeClaim, `"attempt":2`, `"attempt":0`), core.Invalid, at + ".leases.attempt"},
		{"claim_progress_above_1", swappedFrame(TypeClaim, `0.5`, `1.5`), core.Invalid, at + ".leases.progress"},
		{"claim_of_129", frameOf(TypeClaim, `{"epoch":"4","leases":[`+strings.Repeat(`{"lease":"1","taskId":"t","index":0,"attempt":1,"epoch":"1"},`, MaxClaims)+
			`{"lease":"1","taskId":"t","index":0,"attempt":1,"epoch":"1"}],"more":false}`), core.Invalid, at + ".leases"},
		{"coordinators_of_no_region", swappedFrame(TypeCoordinators, `"us-east"`, `""`), core.Invalid, at + ".region"},
		{"coordinators_17", frameOf(TypeCoordinators, `{"region":"us-east","members":[`+strings.Repeat(`"12D3",`, MaxMembers)+`"12D3"]}`), core.Invalid, at + ".members"},
		{"coordinators_none", frameOf(TypeCoordinators, `{"region":"us-east","members":[]}`), core.Invalid, at + ".members"},
		{"coordinators_without_name", swappedFrame(TypeCoordinators, string(node(1).ID()), ""), core.Invalid, at + ".members"},
		{"network_missing", swappedFrame(TypeHello, `{"version":2,"network":"testnet",`, `{"version":2,`), core.Invalid, at + ".network"},
	}
}

// proofsFrame is a result with these proofs.
func proofsFrame(list []core.Proof) []byte {
	r := sampleResult()
	r.Proofs = list
	body, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return frameOf(TypeJobResult, string(body))
}

func sampleEvidence() string { return core.Sum([]byte("proof")).String() }

// sealedWith signs members and body as they are, however wrong.
func sealedWith(change func(e *Envelope)) []byte {
	body, err := appendBody(nil, sample(TypeLeaseRenew), MaxBody)
	if err != nil {
		panic(err)
	}
	e := Envelope{Type: TypeLeaseRenew, ID: strings.Repeat("0a", 16), Net: testNet, From: node(1).ID(), Time: testNow(),
		Nonce: nonceTime(testNow()) + "0001020304050607", Body: body}
	change(&e)
	e.Sig = node(1).Sign(keys.DomainEnvelope, e.signed()...)
	return e.append(nil)
}

func sealedAt(t time.Time) []byte {
	return sealedWith(func(e *Envelope) { e.Time, e.Nonce = t, nonceTime(t)+"0001020304050607" })
}

func sealedBody(body string) []byte { return sealedWith(func(e *Envelope) { e.Body = []byte(body) }) }

// tampered replaces a piece of a good envelope after it was signed.
func tampered(old, new string) []byte {
	raw := sealedWith(func(*Envelope) {})
	if bytes.Count(raw, []byte(old)) != 1 {
		panic(fmt.Sprintf("%q is there %d times in %s", old, bytes.Count(raw, []byte(old)), raw))
	}
	return bytes.Replace(raw, []byte(old), []byte(new), 1)
}

func badEnvelopes() []bad {
	const body = `{"lease":"41","progress":0.5}`
	return []bad{
		{"wrong_network", sealedWith(func(e *Envelope) { e.Net = "othernet" }), core.Denied, "net"},
		{"forged_network", tampered(`"net":"testnet"`, `"net":"othernet"`), core.Denied, "net"},
		{"forged_body", tampered(`0.5`, `0.6`), core.Denied, "sig"},
		{"forged_author", tampered(string(node(1).ID()), string(node(2).ID())), core.Denied, "sig"},
		{"forged_id", tampered(`"id":"0a`, `"id":"0b`), core.Denied, "sig"},
		{"forged_type", tampered(`"lease_renew"`, `"job_accept"`), core.Denied, "sig"},
		{"forged_nonce", tampered(`07","body"`, `08","body"`), core.Denied, "sig"},
		{"forged_signature", tampered(`"value":"`, `"value":"AAAA`), core.Denied, "sig"},
		{"author_is_no_key", tampered(string(node(1).ID()), "nobody"), core.Denied, "sig"},
		{"stale", sealedAt(testNow().Add(-MaxAge - time.Nanosecond)), core.Timeout, "ts"},
		{"future", sealedAt(testNow().Add(MaxAhead + time.Nanosecond)), core.Timeout, "ts"},
		{"nonce_of_another_time", sealedWith(func(e *Envelope) { e.Time = e.Time.Add(1) }), core.Invalid, "nonce"},
		{"time_with_offset", tampered(`123456789Z`, `123456789+00:00`), core.Invalid, ""},
		{"time_is_a_word", tampered(`2026-11-20T09:00:00.123456789Z`, `now`), core.Invalid, "ts"},
		{"id_upper_case", sealedWith(func(e *Envelope) { e.ID = strings.Repeat("0A", 16) }), core.Invalid, "id"},
		{"unknown_type", sealedWith(func(e *Envelope) { e.Type = "later" }), core.Unsupported, "type"},
		{"version_2", tampered(`{"v":1,`, `{"v":2,`), core.Unsupported, "v"},
		{"version_2_with_more_members", tampered(`{"v":1,`, `{"v":2,"x":1,`), core.Unsupported, "v"},
		{"algorithm_none", tampered(`"ed25519"`, `"none"`), core.Unsupported, "v"},
		{"not_compact", sealedBody(`{"lease":"41", "progress":0.5}`), core.Invalid, "body"},
		{"keys_in_other_order", sealedBody(`{"progress":0.5,"lease":"41"}`), core.Invalid, "body"},
		{"number_in_other_form", sealedBody(`{"lease":"41","progress":5e-1}`), core.Invalid, "body"},
		{"duplicate_key", sealedBody(`{"lease":"41","lease":"41","progress":0.5}`), core.Invalid, "body.lease"},
		{"case_variant_key", sealedBody(`{"Lease":"41","progress":0.5}`), core.Invalid, "body.Lease"},
		{"value_out_of_range", sealedBody(`{"lease":"41","progress":2}`), core.Invalid, "body.progress"},
		{"body_null", sealedBody(`null`), core.Invalid, "body"},
		{"white_space", tampered(`,"sig"`, `, "sig"`), core.Invalid, ""},
		{"duplicate_member", tampered(`"body":`, `"body":`+body+`,"body":`), core.Invalid, "body"},
		{"unknown_member", tampered(`,"sig"`, `,"x":1,"sig"`), core.Invalid, ""},
		{"trailing_data", append(sealedWith(func(*Envelope) {}), '{'), core.Invalid, ""},
		{"oversize", bytes.Repeat([]byte(" "), MaxEnvelope+1), core.Invalid, ""},
		{"empty", nil, core.Invalid, ""},
	}
}

// Whatever is malformed, unknown, forged, stale or of another network is refused
// with the kind in its file name, and the error names the place.
//
// spec 0.23 4.55
func TestBadVectors(t *testing.T) {
	files := map[string]bool{}
	run := func(carrier string, vectors []bad, open func(raw []byte) error) {
		for _, v := range vectors {
			t.Run(carrier+"/"+v.name, func(t *testing.T) {
				raw := v.raw
				if len(raw) <= 16<<10 { // the big ones would only fill the repository
					files[v.file(carrier)] = true
					golden(t, v.file(carrier), raw)
				}
				checkRefused(t, open(raw), v)
			})
		}
	}
	run("frame", slices.Concat(badText(), badShell(), badValues()), func(raw []byte) error {
		_, err := DecodeBatch(raw)
		return err
	})
	run("envelope", badEnvelopes(), func(raw []byte) error {
		_, _, err := Open(raw, testNet, testNow())
		return err
	})
	noOtherFiles(t, files)
}

func checkRefused(t *testing.T, err error, v bad) {
	t.Helper()
	var e *core.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a core.Error of kind %v", err, v.kind)
	}
	if e.Kind != v.kind || (e.Op != v.op && v.op != "*") {
		t.Errorf("error is %v at %q (%v), want %v at %q", e.Kind, e.Op, err, v.kind, v.op)
	}
}

func noOtherFiles(t *testing.T, known map[string]bool) {
	all, err := filepath.Glob("testdata/bad/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if name := strings.TrimPrefix(filepath.ToSlash(f), "testdata/"); !known[name] {
			if *update {
				_ = os.Remove(f)
			} else {
				t.Errorf("%s belongs to no vector", f)
			}
		}
	}
}

// TestNotValid: a refused frame says whether its messages are well-formed, so that a
// newer version's values can be told from garbage.
func TestNotValid(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  bool
	}{
		"a class of a newer version":    {swappedFrame(TypePull, `"subtask"`, `"batch"`), true},
		"a tier of a newer version":     {swappedFrame(TypeProposal, `"trainer"`, `"giant"`), true},
		"a refusal of a newer version":  {swappedFrame(TypeJobReject, `"busy"`, `"tired"`), true},
		"a capability of a newer one":   {swappedFrame(TypeAd, `"can":4`, `"can":1073741828`), true},
		"more than the bound":           {swappedFrame(TypePull, `"credits":8`, `"credits":4097`), true},
		"another type":                  {frameOf(TypeJobAccept, `{"lease":41}`), false},
		"a key twice":                   {frameOf(TypeJobAccept, `{"lease":"1","lease":"1"}`), false},
		"a body that ends":              {frameOf(TypeJobAccept, `{"lease":"1"`), false},
		"a body larger than its type's": {frameOf(TypeJobAccept, `{"lease":"0","x":"`+strings.Repeat("x", 1<<10)+`"}`), false},
		"another version":               {[]byte(`{"v":2,"items":[]}`), false},
		"no frame":                      {[]byte("hello"), false},
	} {
		if _, err := DecodeBatch(c.frame); err == nil || NotValid(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
