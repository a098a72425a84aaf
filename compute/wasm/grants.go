package wasm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkArgs wants words or numbers. Whether they fit the parameters of a function
// only the module tells.
func (t *Task) checkArgs() error {
	if len(t.Args) > MaxArgs {
		return invalid("data.args", "put long input into stdin or a file", "data.args has %d entries; at most %d are allowed", len(t.Args), MaxArgs)
	}
	total := 0
	for i, raw := range t.Args {
		field := argField(i)
		if total += len(raw); total > MaxWords {
			return invalid("data.args", "put long input into stdin or a file", "data.args has more than %d bytes", MaxWords)
		}
		word, isWord := asWord(raw)
		switch {
		case isWord && strings.ContainsRune(word, 0):
			return invalid(field, "put binary input into stdin or a file", "%s contains a zero byte", field)
		case !isWord && !isNumber(raw):
			return invalid(field, "write anything longer into stdin, input or a file", "%s is neither a number nor a string", field)
		}
	}
	return nil
}

func argField(i int) string { return fmt.Sprintf("data.args[%d]", i) }

// asArg returns an argument of a command: a string, or a number as it is written.
func asArg(raw json.RawMessage) (word string, ok bool) {
	if word, ok = asWord(raw); !ok && isNumber(raw) {
		return string(bytes.TrimSpace(raw)), true
	}
	return word, ok
}

// asWord returns the text of a JSON string.
func asWord(raw json.RawMessage) (word string, ok bool) {
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

func (t *Task) checkEnv() error {
	if len(t.Env) > MaxEnv {
		return invalid("data.env", "put long input into a file", "data.env has %d entries; at most %d are allowed", len(t.Env), MaxEnv)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		value := t.Env[name]
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

func (t *Task) checkFiles() error {
	if len(t.Files) > MaxFiles {
		return invalid("data.files", "put them into one archive", "data.files has %d entries; at most %d are allowed", len(t.Files), MaxFiles)
	}
	names := slices.Sorted(maps.Keys(t.Files))
	for _, name := range names {
		if why := badPath(name); why != "" {
			return invalid(fmt.Sprintf("data.files[%.60q]", name), "use paths such as data/input.txt", "the file name %.60q %s", name, why)
		}
		for parent := name; ; {
			i := strings.LastIndexByte(parent, '/')
			if i < 0 {
				break
			}
			if parent = parent[:i]; t.has(parent) {
				return invalid(fmt.Sprintf("data.files[%.60q]", name), "rename one of them", "the file %.60q is inside %.60q, which is a file too", name, parent)
			}
		}
	}
	return nil
}

func (t *Task) has(file string) bool {
	_, ok := t.Files[file]
	return ok
}

// badPath says what is wrong with the path of a file: it is relative to "/",
// clean, and short.
func badPath(name string) string {
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
		if p == "" || p == "." || p == ".." || len(p) > maxNameBytes {
			return `has a part that is empty, ".", ".." or too long`
		}
	}
	return ""
}
