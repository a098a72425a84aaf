package container

import (
	"bytes"
	"encoding/json"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// MaxOutput bounds what a container writes, in bytes: standard output and error
// together, so that the result fits into core.MaxTaskBytes.
const MaxOutput = 7 << 20

// maxExitCode is the highest exit code of a process.
const maxExitCode = 255

// Result is the result of a task that ended by itself. Byte strings are base64 in
// JSON, so that they are exact and can be the stdin or a file of another task.
type Result struct {
	Stdout   []byte `json:"stdout"`
	Stderr   []byte `json:"stderr"`
	ExitCode int    `json:"exitCode"` // 128 and the number of a signal that ended it
}

// Encode returns the one text that stands for r.
func (r Result) Encode() (json.RawMessage, error) {
	for _, b := range []*[]byte{&r.Stdout, &r.Stderr} {
		if *b == nil {
			*b = []byte{} // "" and not null
		}
	}
	return json.Marshal(r)
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
	switch total := len(r.Stdout) + len(r.Stderr); {
	case total > MaxOutput:
		return corrupt("has %d bytes of output; at most %d are allowed", total, MaxOutput)
	case r.ExitCode < 0 || r.ExitCode > maxExitCode:
		return corrupt("has the exit code %d; it is 0 to %d", r.ExitCode, maxExitCode)
	}
	return nil
}

// canonical reports whether raw is the text that Encode makes of r.
func (r Result) canonical(raw []byte) bool {
	again, err := r.Encode()
	return err == nil && bytes.Equal(again, raw)
}
