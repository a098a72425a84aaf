package template

import (
	"encoding/json"

	"github.com/tenzro/tenzro/core"
)

// Walking over JSON that was read strictly before: nothing here checks it again.

// space returns the first place at or behind i that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the place behind the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the place behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			for i < len(b) && b[i] != ',' && b[i] != ']' && b[i] != '}' && b[i] != ' ' && b[i] != '\n' && b[i] != '\t' && b[i] != '\r' {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// each calls fn with every member of the array or object in b, which begins at i:
// the key as it is written, with quotes (empty in an array), and where the value
// begins. fn returns where it ends, or len(b) to see no more. each returns the place
// behind the whole.
func each(b []byte, i int, fn func(key []byte, at int) (end int)) int {
	object := b[i] == '{'
	for i = space(b, i+1); i < len(b) && b[i] != ']' && b[i] != '}'; {
		var key []byte
		if object {
			end := stringEnd(b, i)
			key = b[i:end]
			i = space(b, space(b, end)+1) // behind the colon
		}
		i = space(b, fn(key, i))
		if i < len(b) && b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return i + 1
}

// Range calls fn with the elements of the array b, parts of it, until fn returns
// false. A value that is no array is not ok.
func Range(b []byte, fn func(element []byte) bool) (ok bool) {
	at := space(b, 0)
	if at >= len(b) || b[at] != '[' {
		return false
	}
	each(b, at, func(_ []byte, i int) int {
		end := valueEnd(b, i)
		if !fn(b[i:end]) {
			return len(b)
		}
		return end
	})
	return true
}

// Elements returns the elements of the array b, as parts of it, and how many there
// are; beyond most they are only counted. A value that is no array is not ok.
func Elements(b []byte, most int) (list [][]byte, n int, ok bool) {
	ok = Range(b, func(element []byte) bool {
		if n++; n <= most {
			list = append(list, element)
		}
		return true
	})
	return list, n, ok
}

// TaskAt returns the type of the task that begins at or behind at in b, and where its
// data begins and ends: both 0 when it has none. Nothing is checked: a type that is no
// text is "".
func TaskAt(b []byte, at int) (kind core.TaskType, begin, end int) {
	Children(b, at, func(key string, lo, hi int) {
		switch key {
		case "type":
			_ = json.Unmarshal(b[lo:hi], &kind) // what is no text is judged later
		case "data":
			begin, end = lo, hi
		}
	})
	return kind, begin, end
}

// Children calls fn with every member of the object or element of the array that
// begins at or behind at in b: the key as it is written, without quotes (empty in an
// array), and where the value begins and ends. Any other value has none.
func Children(b []byte, at int, fn func(key string, begin, end int)) {
	at = space(b, at)
	if at >= len(b) || b[at] != '{' && b[at] != '[' {
		return
	}
	each(b, at, func(key []byte, i int) int {
		end := valueEnd(b, i)
		if len(key) > 1 {
			key = key[1 : len(key)-1]
		}
		fn(string(key), i, end)
		return end
	})
}
