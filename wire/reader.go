package wire

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/tenzro/tenzro/core"
)

// reader reads one JSON text once, byte by byte, and refuses what strict
// decoding refuses. Each method leaves i behind what it read.
type reader struct {
	b       []byte
	i       int
	closed  bool // unknown fields are refused
	unknown bool // a field was unknown
}

// flaw is why the text was refused. The path grows on the way out, so that
// good input pays nothing for it.
type flaw struct {
	path, why, hint string
	value           bool // a text that its type does not know
}

func (f *flaw) under(parent string) *flaw {
	f.path = join(parent, f.path)
	return f
}

func join(parent, child string) string {
	switch {
	case child == "" || parent == "" || child[0] == '[':
		return parent + child
	}
	return parent + "." + child
}

func (f *flaw) err() error {
	at := f.path
	if at == "" {
		at = "the value"
	}
	return core.Errorf(core.Invalid, f.path, "%s %s", at, f.why).WithHint(f.hint)
}

// broken is the flaw of a byte that JSON does not have here.
func (r *reader) broken() *flaw {
	if r.i >= len(r.b) {
		return &flaw{why: "ends in the middle"}
	}
	return &flaw{why: "is not JSON at byte " + strconv.Itoa(r.i)}
}

// space skips white space and returns the next byte, 0 at the end.
func (r *reader) space() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\n', '\t', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *reader) word(w string) *flaw {
	if len(r.b)-r.i < len(w) || string(r.b[r.i:r.i+len(w)]) != w {
		return r.broken()
	}
	r.i += len(w)
	return nil
}

// number reads a number, whose first character is there, and returns it.
func (r *reader) number() ([]byte, *flaw) {
	from := r.i
	if r.b[r.i] == '-' {
		r.i++
	}
	if r.peek() == '0' {
		r.i++
	} else if !r.digits() {
		return nil, r.broken()
	}
	if r.peek() == '.' {
		if r.i++; !r.digits() {
			return nil, r.broken()
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.i++
		if c := r.peek(); c == '+' || c == '-' {
			r.i++
		}
		if !r.digits() {
			return nil, r.broken()
		}
	}
	if r.i-from > MaxNumber {
		return nil, &flaw{why: "has more than " + strconv.Itoa(MaxNumber) + " characters"}
	}
	return r.b[from:r.i], nil
}

func (r *reader) peek() byte {
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return 0
}

// digits reads decimal digits and reports whether there was one.
func (r *reader) digits() bool {
	from := r.i
	for r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9' {
		r.i++
	}
	return r.i > from
}

// text reads a string, whose quote is there, and returns what it means; without
// escapes that is a part of b itself.
func (r *reader) text() ([]byte, *flaw) {
	from, ascii, escaped := r.i, true, false
	for r.i++; r.i < len(r.b); {
		switch c := r.b[r.i]; {
		case c == '"':
			r.i++
			written := r.b[from+1 : r.i-1]
			if !ascii && !utf8.Valid(written) {
				return nil, &flaw{why: "is not valid UTF-8"}
			}
			if escaped {
				written = unescape(r.b[from:r.i])
			}
			return written, nil
		case c == '\\':
			escaped = true
			if f := r.escape(); f != nil {
				return nil, f
			}
			continue
		case c < ' ':
			return nil, &flaw{why: "has a control character at byte " + strconv.Itoa(r.i)}
		case c >= utf8.RuneSelf:
			ascii = false
		}
		r.i++
	}
	return nil, r.broken()
}

// unescape returns the text of a quoted string that the reader accepted.
func unescape(quoted []byte) []byte {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil // cannot happen: it was accepted
	}
	return []byte(s)
}

// escape reads one escape, a surrogate pair included.
func (r *reader) escape() *flaw {
	if r.i+1 >= len(r.b) {
		r.i = len(r.b)
		return r.broken()
	}
	switch r.b[r.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		r.i += 2
		return nil
	case 'u':
		return r.unicode()
	}
	return r.broken()
}

func (r *reader) unicode() *flaw {
	u, ok := hex4(r.b, r.i)
	if !ok {
		return r.broken()
	}
	r.i += 6
	if u < 0xd800 || u > 0xdfff {
		return nil
	}
	low, ok := hex4(r.b, r.i)
	if u > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
		return &flaw{why: "has half a surrogate pair"}
	}
	r.i += 6
	return nil
}

// hex4 reads the escape \uXXXX at i.
func hex4(b []byte, i int) (u rune, ok bool) {
	if len(b)-i < 6 || b[i] != '\\' || b[i+1] != 'u' {
		return 0, false
	}
	for _, c := range b[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return u, true
}
