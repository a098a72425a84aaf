package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"

	"github.com/tenzro/tenzro/core"
)

// carrier is a message with a payload.
type carrier interface {
	// payload returns the key of the payload and its inline bytes.
	payload() (key string, inline json.RawMessage)
	// bare returns a copy without the inline bytes.
	bare() Body
}

var _ = []carrier{(*JobOffer)(nil), (*JobResult)(nil), (*JobState)(nil)}

func (m *JobOffer) payload() (string, json.RawMessage) { return "data", m.Data.Inline }

func (m *JobResult) payload() (string, json.RawMessage) { return "output", m.Output.Inline }

func (m *JobState) payload() (string, json.RawMessage) { return "output", m.Output.Inline }

func (m *JobOffer) bare() Body {
	c := *m
	c.Data.Inline = nil
	return &c
}

func (m *JobResult) bare() Body {
	c := *m
	c.Output.Inline = nil
	return &c
}

func (m *JobState) bare() Body {
	c := *m
	c.Output.Inline = nil
	return &c
}

// appendBody appends the encoding of b, of at most room bytes. It refuses what
// the other side would refuse.
func appendBody(dst []byte, b Body, room int) ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	room = min(room, Limit(b.Type()))
	if err := checkInline(b, room); err != nil {
		return nil, err
	}
	out, err := encodeWhole(dst, b)
	if err != nil {
		return nil, err
	}
	if size := len(out) - len(dst); size > room {
		return nil, tooBig(b.Type(), size, room)
	}
	return out, nil
}

// checkInline looks at the inline payload of b, if it has one.
func checkInline(b Body, room int) error {
	c, ok := b.(carrier)
	if !ok {
		return nil
	}
	key, inline := c.payload()
	switch {
	case len(inline) == 0:
		return nil
	case len(inline) > room:
		return tooBig(b.Type(), len(inline), room)
	}
	return within(key+".inline", strictInline(inline))
}

// encodeWhole appends b with its inline payload byte for byte. encoding/json
// would compact and escape the payload, and its digest would be that of other
// bytes; so it is put into the empty place that its absence leaves.
func encodeWhole(dst []byte, b Body) ([]byte, error) {
	if d, ok := b.(direct); ok {
		if out, ok := d.appendTo(dst); ok {
			return out, nil
		}
	}
	text, err := encodeAny(b)
	return append(dst, text...), err
}

// encodeAny encodes every kind of message.
func encodeAny(b Body) ([]byte, error) {
	c, ok := b.(carrier)
	if !ok {
		return marshal(b, 0)
	}
	key, inline := c.payload()
	const member = `"inline":`
	text, err := marshal(c.bare(), len(member)+len(inline))
	if err != nil || len(inline) == 0 {
		return text, err
	}
	place := `"` + key + `":{`
	at := bytes.Index(text, []byte(place+`}`)) + len(place)
	text = slices.Insert(text, at, inline...)
	return slices.Insert(text, at, []byte(member)...), nil
}

// strictInline refuses a payload that the other side would refuse, or whose
// outer white space it could not tell from the message's.
func strictInline(inline []byte) error {
	r := reader{b: inline}
	if err := r.whole(nil, reflect.Value{}); err != nil {
		return err
	}
	if len(bytes.TrimSpace(inline)) != len(inline) {
		return core.Errorf(core.Invalid, "", "the payload has white space around it")
	}
	return nil
}

func tooBig(t Type, size, room int) error {
	return core.Errorf(core.Exhausted, "body", "%s message has %d bytes; there is room for %d", t, size, room).
		WithHint("send the payload by reference")
}

// marshal writes what encoding/json writes, but leaves <, > and & as they are:
// the form is signed, and other languages have no reason to escape them.
// The result has room for extra more bytes.
func marshal(v any, extra int) ([]byte, error) {
	out := make(sink, 0, 512+extra)
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, core.Errorf(core.Invalid, "body", "encode message: %w", err)
	}
	return out[:len(out)-1], nil // without the encoder's line end
}

// sink is a writer into one slice; the encoder writes once.
type sink []byte

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// check is the last gate of a message that was decoded from size bytes.
func (e entry) check(b Body, size int) error {
	if size > e.limit {
		return core.Errorf(core.Invalid, "", "body has %d bytes; at most %d", size, e.limit)
	}
	return b.Validate()
}

// within puts parent before the path of an Invalid error.
func within(parent string, err error) error {
	var own *core.Error
	if err == nil || !errors.As(err, &own) || own.Kind != core.Invalid {
		return err
	}
	return core.Errorf(own.Kind, join(parent, own.Op), "%w", own.Err).WithHint(own.Hint)
}
