package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenzro/tenzro/core"
)

// CheckWords wants words or numbers in the list at field, for example "data.args".
func CheckWords(field string, words []json.RawMessage) error {
	if len(words) > MaxArgs {
		return invalid(field, "put long input into stdin or a file", "%s has %d entries; at most %d are allowed", field, len(words), MaxArgs)
	}
	total := 0
	for i, raw := range words {
		if total += len(raw); total > MaxWords {
			return invalid(field, "put long input into stdin or a file", "%s has more than %d bytes", field, MaxWords)
		}
		field := At(field, i)
		word, isWord := AsWord(raw)
		switch {
		case isWord && strings.ContainsRune(word, 0):
			return invalid(field, "put binary input into stdin or a file", "%s contains a zero byte", field)
		case !isWord && !isNumber(raw):
			return invalid(field, "write anything longer into stdin, input or a file", "%s is neither a number nor a string", field)
		}
	}
	return nil
}

// At is the path of entry i of the list at field.
func At(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// AsArg returns an argument of a command: a string, or a number as it is written.
func AsArg(raw json.RawMessage) (word string, ok bool) {
	if word, ok = AsWord(raw); !ok && isNumber(raw) {
		return string(bytes.TrimSpace(raw)), true
	}
	return word, ok
}

// AsWord returns the text of a JSON string.
func AsWord(raw json.RawMessage) (word string, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return word, json.Unmarshal(raw, &word) == nil
}

func isNumber(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// CheckEnv checks an environment, the field "data.env".
func CheckEnv(env map[string]string) error {
	if len(env) > MaxEnv {
		return invalid("data.env", "put long input into a file", "data.env has %d entries; at most %d are allowed", len(env), MaxEnv)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		field := fmt.Sprintf("data.env[%.40q]", name)
		switch total += len(name) + len(value); {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return invalid(field, "use names such as LANG", "data.env has a name that is empty or contains '=' or a zero byte")
		case strings.ContainsRune(value, 0):
			return invalid(field, "put binary input into a file", "%s contains a zero byte", field)
		case total > MaxWords:
			return invalid("data.env", "put long input into a file", "data.env has more than %d bytes", MaxWords)
		}
	}
	return nil
}

// CheckFiles checks the paths of files, the field "data.files".
func CheckFiles(files map[string][]byte) error {
	if len(files) > MaxFiles {
		return invalid("data.files", "put them into one archive", "data.files has %d entries; at most %d are allowed", len(files), MaxFiles)
	}
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if why := BadPath(name); why != "" {
			return invalid(fmt.Sprintf("data.files[%.60q]", name), "use paths such as data/input.txt", "the file name %.60q %s", name, why)
		}
		for parent := name; ; {
			i := strings.LastIndexByte(parent, '/')
			if i < 0 {
				break
			}
			parent = parent[:i]
			if _, isFile := files[parent]; isFile {
				return invalid(fmt.Sprintf("data.files[%.60q]", name), "rename one of them", "the file %.60q is inside %.60q, which is a file too", name, parent)
			}
		}
	}
	return nil
}

// BadPath says what is wrong with the path of a file, "" for nothing: it is relative to
// "/", clean, and short.
func BadPath(name string) string {
	if len(name) > MaxPathBytes {
		return fmt.Sprintf("has more than %d bytes", MaxPathBytes)
	}
	if !utf8.ValidString(name) || strings.ContainsAny(name, "\x00\\") {
		return "contains a backslash, a zero byte or no valid UTF-8"
	}
	parts := strings.Split(name, "/")
	if len(parts) > MaxPathDepth {
		return fmt.Sprintf("is more than %d levels deep", MaxPathDepth)
	}
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || len(p) > MaxNameBytes {
			return `has a part that is empty, ".", ".." or too long`
		}
	}
	return ""
}

func invalid(field, hint, format string, args ...any) error {
	return core.Errorf(core.Invalid, field, format, args...).WithHint(hint)
}
