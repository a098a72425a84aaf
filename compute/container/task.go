package container

import (
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Type is the task type this engine runs.
const Type core.TaskType = "container"

// Bounds and defaults of Limits.
const (
	DefaultMemoryMB = 256
	MinMemoryMB     = 16 // an engine takes no less than 6, and a container has to start in it
	MaxMemoryMB     = 1 << 20
	DefaultCPUs     = 1
	MinCPUs         = 0.01 // as an engine has it
	MaxCPUs         = 1024
	DefaultPids     = 64
	MaxPids         = 4096
	DefaultTimeout  = time.Minute
)

// Task is the data of a task of this type. Byte strings are base64 in JSON.
type Task struct {
	// Image is "name@sha256:<64 hex digits>", or "sha256:<64 hex digits>", the id that
	// an engine gives an image.
	Image string `json:"image"`
	// Command is the program and its first arguments, instead of the image's entry
	// point; Args follow it, instead of the image's. Strings, or numbers as they are
	// written.
	Command []json.RawMessage `json:"command,omitempty"`
	Args    []json.RawMessage `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"` // beside the image's
	Stdin   []byte            `json:"stdin,omitempty"`
	// Input is Stdin as JSON, in the characters it is written in; Decode moves it
	// there.
	Input json.RawMessage `json:"input,omitempty"`
	// Files are what the program finds below FilesDir, read-only, by path.
	Files  map[string][]byte `json:"files,omitempty"`
	Limits Limits            `json:"limits,omitzero"`
}

// Limits is what a container may use up; zero means the default.
type Limits struct {
	MemoryMB  int64   `json:"memoryMB,omitempty"` // of all its processes and of its files in memory, MiB
	CPUs      float64 `json:"cpus,omitempty"`     // cores' worth of time
	Pids      int64   `json:"pids,omitempty"`     // processes and threads at once
	TimeoutMS int64   `json:"timeoutMs,omitempty"`
}

// Decode reads the data of a task, checks it and fills in the defaults. Errors are
// core.Invalid with the path of the field, from "data" on, as Op.
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
	t.Limits.fill()
	return t, t.check()
}

func invalid(field, hint, format string, args ...any) error {
	return core.Errorf(core.Invalid, field, format, args...).WithHint(hint)
}

func (l *Limits) fill() {
	if l.MemoryMB == 0 {
		l.MemoryMB = DefaultMemoryMB
	}
	if l.CPUs == 0 {
		l.CPUs = DefaultCPUs
	}
	if l.Pids == 0 {
		l.Pids = DefaultPids
	}
	if l.TimeoutMS == 0 {
		l.TimeoutMS = DefaultTimeout.Milliseconds()
	}
}

func (t *Task) check() error {
	for _, check := range []func() error{
		t.checkImage, t.Limits.check,
		func() error { return program.CheckWords("data.command", t.Command) },
		func() error { return program.CheckWords("data.args", t.Args) },
		func() error { return program.CheckEnv(t.Env) },
		func() error { return program.CheckFiles(t.Files) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) checkImage() error {
	const field, hint = "data.image", "name it by its digest, as docker inspect shows it: name@sha256:<64 hex digits>"
	if t.Image == "" {
		return invalid(field, hint, "data.image is missing")
	}
	if _, err := ParseRef(t.Image); err != nil {
		return invalid(field, hint, "data.image %.200q %s", t.Image, err.Error())
	}
	return nil
}

func (l Limits) check() error {
	for _, c := range []struct {
		field         string
		value, lo, hi float64
	}{
		{"memoryMB", float64(l.MemoryMB), MinMemoryMB, MaxMemoryMB},
		{"cpus", l.CPUs, MinCPUs, MaxCPUs},
		{"pids", float64(l.Pids), 1, MaxPids},
		{"timeoutMs", float64(l.TimeoutMS), 1, float64(core.MaxTimeout.Milliseconds())},
	} {
		if !(c.value >= c.lo && c.value <= c.hi) { // NaN is not
			return invalid("data.limits."+c.field, "leave it out for the default", "data.limits.%s is %v; it must be %v to %v", c.field, c.value, c.lo, c.hi)
		}
	}
	return nil
}

// timeout returns how long the task may take on the worker.
func (l Limits) timeout() time.Duration { return time.Duration(l.TimeoutMS) * time.Millisecond }

// units is what the limits let a container take, in nanoseconds of one core, starting
// it included.
func (l Limits) units() float64 {
	return startUnits + float64(l.CPUs*float64(l.timeout().Nanoseconds()))
}

// words returns a list that check accepted as texts.
func words(list []json.RawMessage) []string {
	var texts []string
	for _, raw := range list {
		word, _ := program.AsArg(raw)
		texts = append(texts, word)
	}
	return texts
}
