package compute

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// MaxReferences is how many references to objects the data of a task has at most.
const MaxReferences = 4096

// referenceKey is the one key of a reference: {"object":"<id>"}.
const referenceKey = "object"

// Form is how the bytes of an object stand in the data of a task.
type Form uint8

// The forms.
const (
	AsBase64 Form = iota // any bytes, as a string of base64
	AsText               // UTF-8, as a string
	AsJSON               // JSON, as it is
)

// Reference is a place in the data of a task that names an object instead of having
// its bytes.
type Reference struct {
	Begin, End int // bytes of the data: where {"object":"<id>"} stands
	Object     core.ObjectID
	Form       Form
	Field      string // the JSON path from "data" on
}

// Referrer is what a planner has besides when parts of its tasks may be named by the
// objects that have them. Only the gateway that takes a task in calls it: it puts the
// bytes in place before anybody judges, records or runs the task.
type Referrer interface {
	// References returns where data, JSON that was read strictly and may have holes,
	// names objects, in the order of the bytes. Its errors are core.Invalid with the
	// JSON path of the wrong field as Op.
	References(data json.RawMessage) ([]Reference, error)
}

// MayRefer reports whether there can be a reference in data at all. It is cheap.
func MayRefer(data json.RawMessage) bool {
	return bytes.Contains(data, []byte(`"`+referenceKey+`"`))
}

// ReferenceAt reads the value at data[begin:end], which may be a reference, and adds
// it to refs if it is one.
func ReferenceAt(refs []Reference, data json.RawMessage, begin, end int, form Form, field string) ([]Reference, error) {
	text := data[begin:end]
	if len(text) == 0 || text[0] != '{' || !MayRefer(text) {
		return refs, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil || keys[referenceKey] == nil {
		return refs, nil // something else, for the planner to judge
	}
	var name string
	if err := json.Unmarshal(keys[referenceKey], &name); err != nil || len(keys) > 1 {
		return refs, Invalid(field, "must have an object's id and nothing else").WithHint(`write {"object":"<id>"}`)
	}
	id, err := core.ParseObjectID(name)
	if err != nil {
		return refs, Invalid(field, "names no object: %v", err).WithHint(`put it with "tenzro object put" and write {"object":"<id>"}`)
	}
	if len(refs) == MaxReferences {
		return refs, Invalid(field, "is one reference too many; a task has at most %d", MaxReferences)
	}
	return append(refs, Reference{Begin: begin, End: end, Object: id, Form: form, Field: field}), nil
}

// Within returns references of a task's data as they are in a text that has the data
// at byte at, under path.
func Within(refs []Reference, at int, path string) []Reference {
	for i, r := range refs {
		r.Begin, r.End = r.Begin+at, r.End+at
		r.Field = path + strings.TrimPrefix(r.Field, "data")
		refs[i] = r
	}
	return refs
}

// Unresolved is the error of a planner for data that names an object: whoever is
// asked to run it has no objects, and should have got the bytes.
func Unresolved(r Reference) error {
	return Invalid(r.Field, "names object %s, and only the gateway that takes a task in puts objects in place", r.Object).
		WithHint("submit the task with POST /api/v1/tasks")
}

// Undecoded is why data, whose decoder says err, is none of p's tasks: it may name
// objects that nobody has put in place.
func Undecoded(p Referrer, data json.RawMessage, err error) error {
	var whole json.RawMessage
	if wire.DecodeStrict(data, &whole) == nil {
		if refs, bad := p.References(data); bad == nil && len(refs) > 0 {
			return Unresolved(refs[0])
		}
	}
	return Below(err)
}

// Resolve returns data with the bytes of objects in place of the references to them,
// which open gets. More than core.MaxTaskBytes in all is core.Exhausted with "data" as
// Op; bytes that cannot stand where they should, core.Invalid with the field.
func Resolve(data json.RawMessage, refs []Reference, open func(core.ObjectID) ([]byte, error)) (json.RawMessage, error) {
	if len(refs) == 0 {
		return data, nil
	}
	opened := map[core.ObjectID][]byte{} // each has its place in the result, so they are bounded too
	out, last := json.RawMessage{}, 0
	for _, r := range refs {
		object, have := opened[r.Object]
		if !have {
			var err error
			if object, err = open(r.Object); err != nil {
				return nil, err
			}
			opened[r.Object] = object
		}
		if least := len(out) + r.Begin - last + len(object); least > core.MaxTaskBytes {
			return nil, tooLarge(r)
		}
		out = append(out, data[last:r.Begin]...)
		last = r.End
		var err error
		if out, err = r.put(out, object); err != nil {
			return nil, err
		}
		if len(out) > core.MaxTaskBytes {
			return nil, tooLarge(r)
		}
	}
	end := refs[len(refs)-1]
	if out = append(out, data[last:]...); len(out) > core.MaxTaskBytes {
		return nil, tooLarge(end)
	}
	return out, nested(out, refs)
}

// nested refuses data that JSON in the place of references has made too deep.
func nested(data json.RawMessage, refs []Reference) error {
	for _, r := range refs {
		if r.Form != AsJSON {
			continue
		}
		var whole json.RawMessage
		if err := wire.DecodeStrict(data, &whole); err != nil {
			return Invalid("data", "is not possible with the JSON of objects in place: %v", err)
		}
		return nil
	}
	return nil
}

func tooLarge(r Reference) error {
	return core.Errorf(core.Exhausted, "data", "with object %s in place of %s the task has more than %d bytes", r.Object, r.Field, core.MaxTaskBytes).
		WithHint("split the work over several tasks; base64 adds a third to an object")
}

// put appends an object in the form it has there.
func (r Reference) put(out, object []byte) ([]byte, error) {
	switch r.Form {
	case AsText:
		if !utf8.Valid(object) {
			return nil, Invalid(r.Field, "is the text of object %s, which is not UTF-8", r.Object)
		}
		return appendText(out, object), nil
	case AsJSON:
		var whole json.RawMessage
		if err := wire.DecodeStrict(object, &whole); err != nil {
			return nil, Invalid(r.Field, "is the JSON of object %s, which is none: %v", r.Object, err)
		}
		return append(out, whole...), nil
	}
	out = append(out, '"')
	out = base64.StdEncoding.AppendEncode(out, object)
	return append(out, '"'), nil
}

// appendText appends a text of valid UTF-8 as JSON, with nothing escaped that need not
// be. It stops when it has become too long.
func appendText(out, text []byte) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
		if len(out) > core.MaxTaskBytes {
			return out
		}
	}
	return append(out, '"')
}
