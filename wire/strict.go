package wire

import (
	"reflect"

	"github.com/tenzro/tenzro/core"
)

// Bounds of every JSON text this package reads.
const (
	// MaxDepth is the deepest nesting of arrays and objects. It counts from the
	// outermost value, and again from each json.RawMessage, whose inside is read
	// by somebody else: what the HTTP API accepted must still fit into a message.
	MaxDepth = 32
	// MaxNumber is the longest number in characters.
	MaxNumber = 64
)

// DecodeStrict decodes the one JSON value in b into the value v points at. It
// is encoding/json without its leniencies: invalid UTF-8, half surrogates,
// duplicate keys, keys that match a field only in other case, depth beyond
// MaxDepth, numbers beyond MaxNumber and anything after the value are refused.
// Unknown fields are ignored. Errors are core.Invalid with the path of the
// value, for example "data.input[3]", as Op.
func DecodeStrict(b []byte, v any) error {
	_, err := decode(b, v, knownShape(v), false)
	return err
}

// DecodeStrictClosed is DecodeStrict that also refuses fields that v does not
// have, naming the field: for input written by people, where an unknown field is
// a misspelt one.
func DecodeStrictClosed(b []byte, v any) error {
	_, err := decode(b, v, knownShape(v), true)
	return err
}

// specShape is kept because every submission needs it.
//
//archtest:constant
var specShape = shapeOf(reflect.TypeFor[core.TaskSpec]())

// knownShape takes the shape of a message from the registry, has that of a task
// ready and builds any other.
func knownShape(v any) *shape {
	if _, ok := v.(*core.TaskSpec); ok {
		return specShape
	}
	if m, ok := v.(Body); ok {
		if e, ok := registry[m.Type()]; ok && reflect.TypeOf(v) == e.of {
			return e.shape
		}
	}
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer {
		return shapeOf(t.Elem())
	}
	return nil
}

// decode reads b into what v points at, which has shape s; known reports whether every field
// was.
func decode(b []byte, v any, s *shape, closed bool) (known bool, err error) {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return false, core.Errorf(core.Internal, "decode", "decoding into %T, which is no pointer to a value", v)
	}
	r := reader{b: b, closed: closed}
	if err := r.whole(s, into.Elem()); err != nil {
		return false, err
	}
	return !r.unknown, nil
}
