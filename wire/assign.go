package wire

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// scalar reads a string, number or boolean, which begins with c, into v as
// encoding/json would, or refuses it as a value of the wrong type.
func (r *reader) scalar(s *shape, c byte, v reflect.Value) *flaw {
	switch {
	case c == '"':
		text, f := r.text()
		if f != nil || !v.IsValid() {
			return f
		}
		return s.fromText(text, v)
	case c == '-' || c >= '0' && c <= '9':
		number, f := r.number()
		if f != nil || !v.IsValid() {
			return f
		}
		return s.fromNumber(number, v)
	case c == 't' || c == 'f':
		if f := r.word(strconv.FormatBool(c == 't')); f != nil || !v.IsValid() {
			return f
		}
		if s.kind != kindBool {
			return mismatch("boolean")
		}
		v.SetBool(c == 't')
		return nil
	case c == '{':
		return mismatch("object")
	case c == '[':
		return mismatch("array")
	}
	return r.broken()
}

func (s *shape) fromText(text []byte, v reflect.Value) *flaw {
	switch s.kind {
	case kindString:
		v.SetString(string(text))
	case kindText:
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text); err != nil {
			f := refused(err)
			f.value = true
			return f
		}
	case kindBytes:
		b, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, text)
		if err != nil || len(text) != base64.StdEncoding.EncodedLen(len(b)) {
			return &flaw{why: "is not base64"}
		}
		v.SetBytes(b)
	default:
		return mismatch("string")
	}
	return nil
}

func (s *shape) fromNumber(number []byte, v reflect.Value) *flaw {
	switch s.kind {
	case kindInt:
		n, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return notInteger(v)
		}
		v.SetInt(n)
	case kindUint:
		n, err := strconv.ParseUint(string(number), 10, 64)
		if err != nil || v.OverflowUint(n) {
			return notInteger(v)
		}
		v.SetUint(n)
	case kindFloat:
		x, err := strconv.ParseFloat(string(number), 64)
		if err != nil {
			return &flaw{why: "is beyond the range of a number"}
		}
		v.SetFloat(x)
	default:
		return mismatch("number")
	}
	return nil
}

// quoted reads an integer inside a string, in the one form it is written.
func (r *reader) quoted(s *shape, v reflect.Value) *flaw {
	c := r.space()
	if c == 'n' {
		return r.null(s, v)
	}
	if c != '"' {
		return &flaw{why: "must be an integer inside a string"}
	}
	text, f := r.text()
	if f != nil {
		return f
	}
	inner := reader{b: text}
	if c := inner.peek(); c != '-' && (c < '0' || c > '9') {
		return &flaw{why: "must be an integer inside a string"}
	}
	if number, f := inner.number(); f != nil || len(number) != len(text) {
		return &flaw{why: "must be an integer inside a string"}
	}
	return s.fromNumber(text, v)
}

// decode hands the bytes of a value that was read strictly to its type.
func (s *shape) decode(b []byte, v reflect.Value) *flaw {
	var err error
	switch s.kind {
	case kindRaw:
		v.SetBytes(append(make([]byte, 0, len(b)), b...))
	case kindJSON:
		err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(b)
	default:
		err = json.Unmarshal(b, v.Addr().Interface())
	}
	if err != nil {
		return refused(err)
	}
	return nil
}

func mismatch(what string) *flaw { return &flaw{why: "cannot be a JSON " + what} }

func notInteger(v reflect.Value) *flaw {
	return &flaw{why: "must be an integer in the range of " + v.Kind().String()}
}

// refused is a type's own word on its bytes; it may quote them, so it is cut.
func refused(err error) *flaw {
	text := err.Error()
	return &flaw{why: "is not valid: " + strings.ToValidUTF8(text[:min(len(text), 200)], "")}
}
