package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// MaxPath is the longest JSON pointer of a reference, in bytes.
const MaxPath = 256

// CheckPath checks that p is a JSON pointer (RFC 6901).
func CheckPath(p string) error {
	switch {
	case len(p) > MaxPath:
		return core.Errorf(core.Invalid, "path", "a path of %d bytes is too long; it has at most %d", len(p), MaxPath)
	case p != "" && p[0] != '/':
		return core.Errorf(core.Invalid, "path", `path %.40q does not begin with "/"`, p).WithHint(`write a JSON pointer such as "/0" or "/values/2"`)
	}
	for i := range len(p) {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return core.Errorf(core.Invalid, "path", `path %.40q has "~" that is followed by neither 0 nor 1`, p)
		}
	}
	return nil
}

// Resolve returns the part of b that the pointer p names.
func Resolve(b []byte, p string) ([]byte, error) {
	at := space(b, 0)
	b = b[at:valueEnd(b, at)]
	if p == "" {
		return b, nil
	}
	for word := range strings.SplitSeq(p[1:], "/") {
		word = strings.NewReplacer("~1", "/", "~0", "~").Replace(word)
		part, why := member(b, word)
		if why != "" {
			return nil, fmt.Errorf("path %.64q: %s", p, why)
		}
		b = part
	}
	return b, nil
}

// member returns one element of an array or field of an object.
func member(b []byte, name string) (part []byte, why string) {
	if b[0] != '[' && b[0] != '{' {
		return nil, fmt.Sprintf("there is no %.40q in a value that is neither array nor object", name)
	}
	index, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(index) != name {
		index = -1 // of no element
	}
	n := 0
	each(b, 0, func(key []byte, at int) int {
		end := valueEnd(b, at)
		if key == nil && n == index || key != nil && spells(key, name) {
			part = b[at:end]
			return len(b) // what follows is not looked at
		}
		n++
		return end
	})
	if part == nil && b[0] == '[' {
		return nil, fmt.Sprintf("there is no element %.40q in an array of %d", name, n)
	}
	if part == nil {
		return nil, fmt.Sprintf("there is no field %.40q", name)
	}
	return part, ""
}

// spells reports whether a key, with its quotes, is name. Few keys have escapes, and
// only those that may be name are decoded.
func spells(key []byte, name string) bool {
	text := key[1 : len(key)-1]
	escape := bytes.IndexByte(text, '\\')
	if escape < 0 {
		return string(text) == name
	}
	if escape > len(name) || string(text[:escape]) != name[:escape] || len(text) > 6*len(name) { // \u0061 is one byte
		return false
	}
	var field string
	return json.Unmarshal(key, &field) == nil && field == name
}
