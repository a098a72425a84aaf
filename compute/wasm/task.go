package wasm

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Type is the task type this engine runs.
const Type core.TaskType = "wasm"

// StartFunction is what a WASI command exports, and the default of Task.Function.
const StartFunction = "_start"

// Bounds and defaults of Limits. A unit of fuel is about a third of a nanosecond
// of compiled code.
const (
	DefaultFuel     = 10_000_000_000        // some seconds
	MaxFuel         = 1_000_000_000_000_000 // a number that JSON keeps exactly
	DefaultMemoryMB = 256
	MaxMemoryMB     = 4096 // all a 32-bit address reaches
)

// Task is the data of a task of this type. Byte strings are base64 in JSON.
type Task struct {
	Module []byte `json:"module"`
	// Function is the export to call; empty is StartFunction, a WASI command.
	Function string `json:"function,omitempty"`
	// Args are a command's words: strings, or numbers as they are written. Any other
	// function takes numbers, or strings with numbers, by the types of its parameters.
	Args  []json.RawMessage `json:"args,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	Stdin []byte            `json:"stdin,omitempty"`
	// Input is Stdin as JSON, in the characters it is written in; Decode moves it
	// there.
	Input json.RawMessage `json:"input,omitempty"`
	// Files are what the program finds below "/", read-only, by path.
	Files  map[string][]byte `json:"files,omitempty"`
	Limits Limits            `json:"limits,omitzero"`
}

// Limits is what a program may use up; zero means the default.
type Limits struct {
	Fuel     int64 `json:"fuel,omitempty"`
	MemoryMB int64 `json:"memoryMB,omitempty"` // of the module's memory, MiB
	// TimeoutMS bounds the time on the worker, compiling included; 0 leaves it to
	// the task's own deadline.
	TimeoutMS int64 `json:"timeoutMs,omitempty"`
}

// Decode reads the data of a task, checks everything that does not take looking
// into the module, and fills in the defaults. Errors are core.Invalid with the
// path of the field, from "data" on, as Op.
func Decode(data []byte) (Task, error) {
	var t Task
	if len(data) > core.MaxTaskBytes {
		return t, core.Errorf(core.Invalid, "data", "data has %d bytes; at most %d are allowed", len(data), core.MaxTaskBytes)
	}
	if err := wire.DecodeStrictClosed(data, &t); err != nil {
		return t, compute.Undecoded(Planner{}, data, err)
	}
	if t.Input != nil {
		if t.Stdin != nil {
			return t, invalid("data.input", "leave one of them out", "data.input and data.stdin are both given")
		}
		t.Stdin, t.Input = t.Input, nil
	}
	t.fill()
	return t, t.check()
}

func invalid(field, hint, format string, args ...any) error {
	return core.Errorf(core.Invalid, field, format, args...).WithHint(hint)
}

func (t *Task) fill() {
	if t.Function == "" {
		t.Function = StartFunction
	}
	if t.Limits.Fuel == 0 {
		t.Limits.Fuel = DefaultFuel
	}
	if t.Limits.MemoryMB == 0 {
		t.Limits.MemoryMB = DefaultMemoryMB
	}
}

// command reports whether the task is a WASI command.
func (t *Task) command() bool { return t.Function == StartFunction }

func (t *Task) check() error {
	for _, check := range []func() error{t.checkModule, t.Limits.check,
		func() error { return program.CheckWords("data.args", t.Args) },
		func() error { return program.CheckEnv(t.Env) },
		func() error { return program.CheckFiles(t.Files) }} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkModule looks at the header only: converting takes a tenth of a second for
// a large module, which a gateway must not be made to spend.
func (t *Task) checkModule() error {
	const field = "data.module"
	switch {
	case len(t.Module) == 0:
		return invalid(field, "put the bytes of the .wasm file into it, as base64", "data.module is missing")
	case !bytes.HasPrefix(t.Module, []byte("\x00asm")):
		return invalid(field, "send the binary format, not text", "data.module is not a WebAssembly module")
	case !bytes.HasPrefix(t.Module, []byte("\x00asm\x01\x00\x00\x00")):
		return invalid(field, "send a core module of version 1, not a component", "data.module has an unknown version of the binary format")
	case len(t.Module) > convert.MaxInput:
		return invalid(field, "strip debug information", "data.module has %d bytes; at most %d are allowed", len(t.Module), convert.MaxInput)
	case len(t.Function) > program.MaxNameBytes || !utf8.ValidString(t.Function) || strings.HasPrefix(t.Function, convert.ReservedPrefix):
		return invalid("data.function", "name a function that the module exports", "data.function %.40q is not the name of a function", t.Function)
	}
	return nil
}

func (l Limits) check() error {
	for _, c := range []struct {
		field     string
		value, hi int64
	}{
		{"fuel", l.Fuel, MaxFuel},
		{"memoryMB", l.MemoryMB, MaxMemoryMB},
		{"timeoutMs", l.TimeoutMS, core.MaxTimeout.Milliseconds()},
	} {
		if c.value < 0 || c.value > c.hi {
			return invalid("data.limits."+c.field, "leave it out for the default", "data.limits.%s is %d; it must be 0 to %d", c.field, c.value, c.hi)
		}
	}
	return nil
}

// timeout returns how long the task may take on the worker; 0 = there is no bound
// of its own.
func (l Limits) timeout() time.Duration { return time.Duration(l.TimeoutMS) * time.Millisecond }
