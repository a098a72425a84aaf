package wasm

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// MaxOutput bounds what a program leaves behind, in bytes: standard output,
// standard error and files together, so that the result fits into
// core.MaxTaskBytes.
const MaxOutput = 7 << 20

// maxValues bounds the results of a function; convert allows no more.
const maxValues = 256

// Result is the result of a task that ended by itself. Byte strings are base64 in
// JSON, so that they are exact and can be the stdin or a file of another task.
type Result struct {
	Stdout   []byte `json:"stdout"`
	Stderr   []byte `json:"stderr"`
	ExitCode uint32 `json:"exitCode"`
	Fuel     int64  `json:"fuel"` // used
	// Values are what a function returned: an i32 is a number, an i64 a string of
	// digits, a float a number, or "NaN", "Infinity" or "-Infinity".
	Values []json.RawMessage `json:"values,omitempty"`
	// Files are those the program made and left below "/", by path.
	Files map[string][]byte `json:"files,omitempty"`
}

// Encode returns the one text that stands for r.
func (r Result) Encode() (json.RawMessage, error) {
	r.Stdout, r.Stderr = present(r.Stdout), present(r.Stderr)
	for name, content := range r.Files {
		r.Files[name] = present(content)
	}
	return json.Marshal(r)
}

// present makes a missing byte string an empty one: "" and not null.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// DecodeResult reads a result and checks its bounds. The error is core.Corrupt.
func DecodeResult(raw []byte) (Result, error) {
	var r Result
	if len(raw) > core.MaxTaskBytes {
		return r, corrupt("has %d bytes; at most %d can be delivered", len(raw), core.MaxTaskBytes)
	}
	if err := wire.DecodeStrictClosed(raw, &r); err != nil {
		return r, corrupt("cannot be read: %v", err)
	}
	return r, r.check()
}

func corrupt(format string, args ...any) error {
	return core.Errorf(core.Corrupt, "result", "result "+format, args...)
}

func (r Result) check() error {
	total := len(r.Stdout) + len(r.Stderr)
	for name, content := range r.Files {
		if why := program.BadPath(name); why != "" {
			return corrupt("has a file %.60q whose name %s", name, why)
		}
		total += len(content)
	}
	switch {
	case total > MaxOutput:
		return corrupt("has %d bytes of output; at most %d are allowed", total, MaxOutput)
	case len(r.Files) > program.MaxFiles:
		return corrupt("has %d files; at most %d are allowed", len(r.Files), program.MaxFiles)
	case len(r.Values) > maxValues:
		return corrupt("has %d values; at most %d are allowed", len(r.Values), maxValues)
	}
	for i, v := range r.Values {
		if !isValue(v) {
			return corrupt("has %.40q as value %d, which is no number", v, i)
		}
	}
	return nil
}

// possible reports why r cannot be the result of t.
func (r Result) possible(t *Task) error {
	switch {
	case r.Fuel < 0 || r.Fuel > t.Limits.Fuel:
		return corrupt("used %d units of fuel of %d", r.Fuel, t.Limits.Fuel)
	case t.command() && len(r.Values) > 0:
		return corrupt("has values, and a command returns none")
	case !t.command() && r.ExitCode != 0 && len(r.Values) > 0:
		return corrupt("has values and an exit code")
	}
	for name := range r.Files {
		if _, given := t.Files[name]; given {
			return corrupt("changed the file %.60q, which was given to be read", name)
		}
	}
	return nil
}

// canonical reports whether raw is the text that Encode makes of r.
func (r Result) canonical(raw []byte) bool {
	again, err := r.Encode()
	return err == nil && bytes.Equal(again, raw)
}

// isValue reports whether raw can be a value: a finite number, or a string with a
// number in it.
func isValue(raw json.RawMessage) bool {
	if word, ok := program.AsWord(raw); ok {
		return isWholeNumber(word) || word == "NaN" || word == "Infinity" || word == "-Infinity"
	}
	var f float64
	return json.Unmarshal(raw, &f) == nil && !math.IsInf(f, 0)
}
