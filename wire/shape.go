package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// kind is how a value is put into its Go type.
type kind uint8

const (
	kindOther   kind = iota // left to encoding/json once it was read strictly
	kindRaw                 // json.RawMessage: the bytes as they are
	kindJSON                // decodes itself from JSON
	kindText                // decodes itself from a string
	kindPointer             // to elem
	kindStruct              // of fields
	kindSlice               // of elem
	kindBytes               // base64
	kindString
	kindBool
	kindInt
	kindUint
	kindFloat
)

// shape is what the reader has to know of a Go type: how to fill it, and which
// keys encoding/json would bind, because that binds them in any case.
type shape struct {
	kind   kind
	object bool // fields are all the keys that mean something
	fields []field
	elem   *shape // of a pointer, slice, array or map; nil when nothing is known
}

type field struct {
	name   string
	shape  *shape
	at     int  // in the struct
	quoted bool // the number is inside a string
}

// shapeOf describes t, which may be nil.
func shapeOf(t reflect.Type) *shape {
	if t == nil {
		return &shape{}
	}
	return describer{}.of(t)
}

// describer remembers the structs it has begun, so that a recursive type ends.
type describer map[reflect.Type]*shape

func (d describer) of(t reflect.Type) *shape {
	p := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return &shape{kind: kindRaw}
	case t == reflect.TypeFor[json.Number]():
		return &shape{}
	case t.Kind() == reflect.Pointer:
		return &shape{kind: kindPointer, elem: d.of(t.Elem())}
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return &shape{kind: kindJSON}
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &shape{kind: kindText}
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.ofStruct(t)
	case reflect.Slice:
		elem := d.of(t.Elem())
		if t.Elem().Kind() == reflect.Uint8 && elem.kind == kindUint {
			return &shape{kind: kindBytes}
		}
		return &shape{kind: kindSlice, elem: elem}
	case reflect.Array, reflect.Map:
		return &shape{elem: d.of(t.Elem())}
	}
	return &shape{kind: scalar(t.Kind())}
}

func scalar(k reflect.Kind) kind {
	switch k {
	case reflect.String:
		return kindString
	case reflect.Bool:
		return kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return kindUint
	case reflect.Float64:
		return kindFloat
	}
	return kindOther
}

func (d describer) ofStruct(t reflect.Type) *shape {
	if s, ok := d[t]; ok {
		return s
	}
	s := &shape{kind: kindStruct, object: true}
	d[t] = s
	var embedded []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && structOf(f.Type) != nil:
			s.kind = kindOther
			embedded = append(embedded, d.ofStruct(structOf(f.Type)).fields...)
		case f.IsExported():
			s.add(field{orName(name, f.Name), d.of(f.Type), i, strings.Contains(options, "string")})
		}
	}
	for _, f := range embedded { // the outer struct's own field hides the embedded one
		if s.index([]byte(f.name), 0) < 0 {
			s.fields = append(s.fields, f)
		}
	}
	return s
}

// add adds a field of the struct itself. What is inside a string and not an
// integer is rare enough to be left to encoding/json.
func (s *shape) add(f field) {
	if f.quoted && f.shape.kind != kindUint && f.shape.kind != kindInt {
		s.kind = kindOther
	}
	s.fields = append(s.fields, f)
}

func orName(tag, name string) string {
	if tag == "" {
		return name
	}
	return tag
}

func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// index returns the place of the field named exactly key, -1 for none. Keys come
// mostly in field order, so the search begins at next.
func (s *shape) index(key []byte, next int) int {
	for i := next; i < len(s.fields); i++ {
		if string(key) == s.fields[i].name {
			return i
		}
	}
	for i := 0; i < next && i < len(s.fields); i++ {
		if string(key) == s.fields[i].name {
			return i
		}
	}
	return -1
}

// variant returns the name that encoding/json would bind key to although it is
// written otherwise, "" for none.
func (s *shape) variant(key []byte) string {
	for _, f := range s.fields {
		if strings.EqualFold(string(key), f.name) {
			return f.name
		}
	}
	return ""
}
