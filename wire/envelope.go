package wire

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// Bounds of an envelope.
const (
	// MaxEnvelope is the largest envelope in bytes.
	MaxEnvelope = MaxFrame
	// MaxAge is how old an envelope may be. Shorter loses messages to slow gossip
	// and slow clocks; longer makes Replay remember more.
	MaxAge = 120 * time.Second
	// MaxAhead is how far an author's clock may run ahead of ours.
	MaxAhead = 60 * time.Second
)

const algorithm = "ed25519"

// Envelope is a signed message as it was received. Open alone makes one whose
// signature holds.
type Envelope struct {
	Type  Type
	ID    string // 32 hex digits, random
	Net   core.NetworkID
	From  core.NodeID
	Time  time.Time       // UTC, when it was sealed by its author's clock
	Nonce string          // 32 hex digits; an author's nonces sort in the order of sealing
	Body  json.RawMessage // exactly the signed bytes
	Sig   []byte
}

// sealed is the form of an envelope in JSON; its fields are in the order in
// which they must be.
type sealed struct {
	V     int             `json:"v"`
	Type  Type            `json:"type"`
	ID    string          `json:"id"`
	Net   core.NetworkID  `json:"net"`
	From  core.NodeID     `json:"from"`
	TS    string          `json:"ts"`
	Nonce string          `json:"nonce"`
	Body  json.RawMessage `json:"body"`
	Sig   signature       `json:"sig"`
}

//archtest:constant
var sealedShape = shapeOf(reflect.TypeFor[sealed]())

type signature struct {
	Alg   string `json:"alg"`
	Value string `json:"value"`
}

// Seal signs b as s and returns the envelope's bytes. Its errors are those of
// AppendBatch; a body whose inline payload has white space is Invalid here.
func Seal(s keys.Signer, net core.NetworkID, now time.Time, b Body) ([]byte, error) {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	return seal(s, net, now, b, random)
}

func seal(s keys.Signer, net core.NetworkID, now time.Time, b Body, random [24]byte) ([]byte, error) {
	body, err := appendBody(nil, b, MaxBody)
	if err != nil {
		return nil, err
	}
	if err := compact(body); err != nil {
		return nil, err
	}
	now = now.UTC()
	e := Envelope{Type: b.Type(), ID: hex.EncodeToString(random[:16]), Net: net, From: s.ID(), Time: now,
		Nonce: nonceTime(now) + hex.EncodeToString(random[16:]), Body: body}
	e.Sig = s.Sign(keys.DomainEnvelope, e.signed()...)
	out := e.append(nil)
	if len(out) > MaxEnvelope {
		return nil, tooBig(b.Type(), len(out), MaxEnvelope)
	}
	return out, nil
}

// nonceTime is the first half of a nonce: the time in nanoseconds as 16 hex
// digits, so that nonces sort by time.
func nonceTime(t time.Time) string { return fmt.Sprintf("%016x", uint64(t.UnixNano())) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// signed is what the signature covers, in order.
func (e *Envelope) signed() [][]byte {
	return [][]byte{[]byte(e.Net), []byte(e.Type), []byte(e.ID), []byte(e.From), []byte(stamp(e.Time)), []byte(e.Nonce), e.Body}
}

// append appends the one encoding of e. Every text in it is free of characters
// that JSON escapes.
func (e *Envelope) append(dst []byte) []byte {
	for _, member := range [][2]string{{`{"v":1,"type":"`, string(e.Type)}, {`","id":"`, e.ID}, {`","net":"`, string(e.Net)},
		{`","from":"`, string(e.From)}, {`","ts":"`, stamp(e.Time)}, {`","nonce":"`, e.Nonce}} {
		dst = append(append(dst, member[0]...), member[1]...)
	}
	dst = append(append(dst, `","body":`...), e.Body...)
	dst = append(dst, `,"sig":{"alg":"`+algorithm+`","value":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Sig)
	return append(dst, `"}}`...)
}

// Open reads an envelope of network net at time now and returns it with its
// message. The error's kind says what to do with the one who passed it on:
// Invalid (malformed or not valid) and Denied (forged, or of another network)
// are his fault, Timeout (older than MaxAge or more than MaxAhead in the future)
// and Unsupported (a version, algorithm or type unknown here) are not. Whether
// it was seen before is Replay's question.
func Open(raw []byte, net core.NetworkID, now time.Time) (*Envelope, Body, error) {
	e, err := parse(raw)
	if err != nil {
		return nil, nil, err
	}
	if e.Net != net {
		return nil, nil, core.Errorf(core.Denied, "net", "envelope is of network %.40q, not %q", e.Net, net)
	}
	if err := e.fresh(now); err != nil {
		return nil, nil, err
	}
	if err := forged("sig", keys.Verify(e.From, keys.DomainEnvelope, e.Sig, e.signed()...)); err != nil {
		return nil, nil, err
	}
	b, err := e.message()
	if err != nil {
		return nil, nil, err
	}
	return e, b, nil
}

// Origin returns who raw, an envelope in its exact form, says sealed it and when.
// Unlike Open it looks at neither network, age nor signature: what it returns is a
// claim, good to learn the clock of an author who was proved in another way.
func Origin(raw []byte) (from core.NodeID, at time.Time, err error) {
	e, err := parse(raw)
	if err != nil {
		return "", time.Time{}, err
	}
	return e.From, e.Time, nil
}

// parse reads the members and requires that they are written as append does.
func parse(raw []byte) (*Envelope, error) {
	if len(raw) > MaxEnvelope {
		return nil, core.Errorf(core.Invalid, "", "envelope has %d bytes; at most %d", len(raw), MaxEnvelope)
	}
	var in sealed
	if _, err := decode(raw, &in, sealedShape, false); err != nil {
		return nil, err
	}
	if in.V != 1 || in.Sig.Alg != algorithm {
		return nil, core.Errorf(core.Unsupported, "v", "envelope version %d with signature %.20q is not known", in.V, in.Sig.Alg)
	}
	at, err := time.Parse(time.RFC3339Nano, in.TS)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "ts", "ts %.40q is not a time", in.TS)
	}
	sig, err := base64.StdEncoding.DecodeString(in.Sig.Value)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "sig.value", "sig.value is not base64")
	}
	e := &Envelope{in.Type, in.ID, in.Net, in.From, at, in.Nonce, in.Body, sig}
	if !bytes.Equal(e.append(make([]byte, 0, len(raw))), raw) {
		return nil, core.Errorf(core.Invalid, "", "envelope is not in its exact form")
	}
	return e, e.validate()
}

// validate checks the members on their own.
func (e *Envelope) validate() error {
	if !isHex(e.ID, 32) || !isHex(e.Nonce, 32) {
		return core.Errorf(core.Invalid, "id", "id and nonce must be 32 lower-case hex digits")
	}
	if e.Nonce[:16] != nonceTime(e.Time) {
		return core.Errorf(core.Invalid, "nonce", "nonce does not begin with the time of ts")
	}
	if len(e.Body) == 0 {
		return core.Errorf(core.Invalid, "body", "body is missing")
	}
	return validNode("from", e.From)
}

func isHex(s string, n int) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return len(s) == n
}

func (e *Envelope) fresh(now time.Time) error {
	if age := now.Sub(e.Time); age > MaxAge || age < -MaxAhead {
		return core.Errorf(core.Timeout, "ts", "envelope was sealed %s before now; it must be -%s to %s", age, MaxAhead, MaxAge)
	}
	return nil
}

// message decodes the body, which must be in its own compact form.
func (e *Envelope) message() (Body, error) {
	known, ok := registry[e.Type]
	if !ok {
		return nil, core.Errorf(core.Unsupported, "type", "message type %.40q is not known", e.Type)
	}
	if err := compact(e.Body); err != nil {
		return nil, err
	}
	b := known.empty()
	exact, err := decode(e.Body, b, known.shape, false)
	if err == nil {
		err = known.check(b, len(e.Body))
	}
	if err != nil {
		return nil, within("body", err)
	}
	if !exact { // a field of a newer minor version: what we do not know we cannot write
		return b, nil
	}
	again, err := appendBody(nil, b, MaxBody)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, e.Body) {
		return nil, core.Errorf(core.Invalid, "body", "body is not in its own form: encoding it again gives other bytes")
	}
	return b, nil
}

// compact refuses JSON with white space between its tokens.
func compact(body []byte) error {
	var tight bytes.Buffer
	if err := json.Compact(&tight, body); err != nil || tight.Len() != len(body) {
		return core.Errorf(core.Invalid, "body", "body is not compact JSON")
	}
	return nil
}
