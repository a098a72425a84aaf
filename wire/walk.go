package wire

import (
	"reflect"
	"strconv"
)

// whole reads a text of one value into v.
func (r *reader) whole(s *shape, v reflect.Value) error {
	f := r.top(s, v)
	if f == nil {
		if r.space(); r.i < len(r.b) {
			f = &flaw{why: "is followed by more bytes"}
		}
	}
	if f != nil {
		return f.err()
	}
	return nil
}

// top reads the outermost value. There null is no object with every field left
// out, as it is to encoding/json.
func (r *reader) top(s *shape, v reflect.Value) *flaw {
	if r.space() == 'n' && s != nil && s.object {
		return mismatch("null")
	}
	return r.value(s, MaxDepth, v)
}

// value reads one value, which may nest depth levels, into v. A zero v is only
// checked against s; a nil s means that nothing is known of it.
func (r *reader) value(s *shape, depth int, v reflect.Value) *flaw {
	if s == nil {
		return r.skip(nil, depth)
	}
	c := r.space()
	switch {
	case s.kind <= kindJSON:
		return r.span(s, depth, v)
	case c == 'n':
		return r.null(s, v)
	case s.kind == kindPointer:
		return r.value(s.elem, depth, pointed(v))
	case s.kind == kindStruct && c == '{', s.kind == kindSlice && c == '[':
		return r.nest(s, depth, v)
	}
	return r.scalar(s, c, v)
}

// pointed makes a pointer point somewhere and returns where.
func pointed(v reflect.Value) reflect.Value {
	if !v.IsValid() {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// span reads a value, whose first byte is there, whose bytes its type decodes.
func (r *reader) span(s *shape, depth int, v reflect.Value) *flaw {
	if s.kind == kindRaw {
		depth = MaxDepth
	}
	from := r.i
	if f := r.skip(s, depth); f != nil || !v.IsValid() {
		return f
	}
	return s.decode(r.b[from:r.i], v)
}

// null reads null, which leaves a value that cannot be nil as it was.
func (r *reader) null(s *shape, v reflect.Value) *flaw {
	if f := r.word("null"); f != nil {
		return f
	}
	if v.IsValid() && (s.kind == kindPointer || s.kind == kindSlice || s.kind == kindBytes) {
		v.SetZero()
	}
	return nil
}

// skip reads any value; of s only the keys matter.
func (r *reader) skip(s *shape, depth int) *flaw {
	var f *flaw
	switch c := r.space(); {
	case c == '-' || c >= '0' && c <= '9':
		_, f = r.number()
	case c == '"':
		_, f = r.text()
	case c == '{' || c == '[':
		return r.nest(s, depth, reflect.Value{})
	case c == 't':
		return r.word("true")
	case c == 'f':
		return r.word("false")
	case c == 'n':
		return r.word("null")
	default:
		return r.broken()
	}
	return f
}

// nest reads an array or object one level down.
func (r *reader) nest(s *shape, depth int, v reflect.Value) *flaw {
	if depth == 0 {
		return &flaw{why: "is nested deeper than " + strconv.Itoa(MaxDepth) + " levels"}
	}
	if r.b[r.i] == '{' {
		return r.object(s, depth-1, v)
	}
	return r.array(s, depth-1, v)
}

func (r *reader) array(s *shape, depth int, v reflect.Value) *flaw {
	var elem *shape
	if s != nil {
		elem = s.elem
	}
	if v.IsValid() {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	if r.i++; r.space() == ']' {
		r.i++
		return nil
	}
	for n := 0; ; n++ {
		if f := r.value(elem, depth, extended(v, n)); f != nil {
			return f.under("[" + strconv.Itoa(n) + "]")
		}
		if end, f := r.comma(']'); end || f != nil {
			return f
		}
	}
}

// extended returns a new element n at the end of slice v.
func extended(v reflect.Value, n int) reflect.Value {
	if !v.IsValid() {
		return v
	}
	v.Grow(1)
	v.SetLen(n + 1)
	v.Index(n).SetZero()
	return v.Index(n)
}

func (r *reader) object(s *shape, depth int, v reflect.Value) *flaw {
	if r.i++; r.space() == '}' {
		r.i++
		return nil
	}
	keys := keyset{shape: s}
	for {
		name, known, f := r.key(&keys)
		if f == nil {
			f = r.member(s, name, known, depth, v)
		}
		if f != nil {
			return f.under(pathName(name))
		}
		if end, f := r.comma('}'); end || f != nil {
			return f
		}
	}
}

// key reads a key and its colon.
func (r *reader) key(keys *keyset) (name []byte, known *field, f *flaw) {
	if r.space() != '"' {
		return nil, nil, r.broken()
	}
	if name, f = r.text(); f != nil {
		return nil, nil, f
	}
	if known, f = keys.add(name); f != nil {
		return name, nil, f
	}
	if r.space() != ':' {
		return name, nil, r.broken()
	}
	r.i++
	return name, known, nil
}

// member reads the value behind a key of s, whose name is known or not.
func (r *reader) member(s *shape, name []byte, known *field, depth int, v reflect.Value) *flaw {
	switch {
	case known == nil && s != nil && s.object:
		if r.unknown = true; r.closed {
			return &flaw{why: "is not a known field", hint: s.suggest(name)}
		}
		return r.value(nil, depth, reflect.Value{})
	case known == nil && s != nil: // a map
		return r.value(s.elem, depth, reflect.Value{})
	case known == nil:
		return r.value(nil, depth, reflect.Value{})
	case !v.IsValid():
		return r.value(known.shape, depth, v)
	case known.quoted:
		return r.quoted(known.shape, v.Field(known.at))
	}
	return r.value(known.shape, depth, v.Field(known.at))
}

// comma reads what stands behind an element and reports whether it was the last.
func (r *reader) comma(closing byte) (end bool, f *flaw) {
	switch r.space() {
	case ',':
		r.i++
		return false, nil
	case closing:
		r.i++
		return true, nil
	}
	return false, r.broken()
}
