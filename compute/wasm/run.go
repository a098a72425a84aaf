package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/core"
)

// bytesPerFuel is how many bytes the host moves for a unit of fuel, as bulk
// operations of the guest do.
const bytesPerFuel = 8

// run is one guest from its first instruction to its last.
type run struct {
	fuel, stack api.MutableGlobal // nil before the module is there
	args        []string          // of a command, its name included
	words       int64             // bytes of arguments and environment
	memory      allocator
	fs          *memFS
	stdin       io.Reader
	stdout      output
	stderr      output
	written     int64 // to both outputs
	live        *live // nil when nobody looks
	rand        *rand.ChaCha8
}

// newRun prepares what a task grants.
func newRun(req *request) (*run, error) {
	r := &run{memory: allocator{limit: uint64(req.MemoryMB) << 20}, rand: rand.NewChaCha8([32]byte{})}
	r.stdout.of, r.stderr.of = r, r
	r.stdin = &input{of: r, left: req.stdin}
	if err := r.name(req); err != nil {
		return nil, err
	}
	r.fs = newMemFS(r.move)
	for _, name := range req.Names {
		if err := r.fs.grant(name, req.files[name]); err != nil {
			return nil, fmt.Errorf("granting file %q: %w", name, err)
		}
	}
	return r, nil
}

// name collects the words of a command and counts what it is told.
func (r *run) name(req *request) error {
	if req.command() {
		r.args = []string{programName}
		for _, raw := range req.Args {
			word, ok := program.AsArg(raw)
			if !ok {
				return fmt.Errorf("argument %d of a command is neither string nor number", len(r.args))
			}
			r.args = append(r.args, word)
			r.words += int64(len(word))
		}
	}
	for k, v := range req.Env {
		r.words += int64(len(k) + len(v))
	}
	return nil
}

// attach finds the counters of an instance and fills up the fuel.
func (r *run) attach(mod api.Module, fuel int64) error {
	var ok bool
	if r.fuel, ok = mod.ExportedGlobal(convert.FuelExport).(api.MutableGlobal); !ok {
		return fmt.Errorf("the converted module has no %s", convert.FuelExport)
	}
	if r.stack, ok = mod.ExportedGlobal(convert.StackExport).(api.MutableGlobal); !ok {
		return fmt.Errorf("the converted module has no %s", convert.StackExport)
	}
	r.fuel.Set(uint64(fuel))
	return nil
}

// charge takes fuel for what the host does; the guest stops when there is not
// enough, as in its own code.
func (r *run) charge(units int64) {
	left := int64(r.fuel.Get()) - units
	r.fuel.Set(uint64(left))
	if left < 0 {
		r.stop(errFuel)
	}
}

// move charges for bytes that the host moves.
func (r *run) move(n int) { r.charge(int64(n) / bytesPerFuel) }

var (
	errFuel   = errors.New("out of fuel")
	errOutput = errors.New("too much output")
)

// stop ends the guest that has called the host.
func (r *run) stop(err error) {
	panic(err) // impossible: to leave a guest otherwise; the engine makes it the error of the call
}

// ended says how a call ended: nil, nil when it returned or left with an exit
// code, a failure of the task, or an error that no guest can cause.
func (r *run) ended(err error) (exit *sys.ExitError, failure error) {
	var bug runtime.Error
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &exit):
		return exit, nil
	case errors.As(err, &bug):
		return nil, fmt.Errorf("calling the guest: %w", err)
	case errors.Is(err, errOutput):
		return nil, failed(core.ReasonOutputLimit, "the program wrote more than %d bytes to its outputs%s", int64(MaxOutput), r.lastWords())
	}
	fuel, stack := int64(r.fuel.Get()), int64(r.stack.Get())
	switch stop := convert.StopOf(fuel, stack); {
	case stop == convert.StopFuel:
		return nil, failed(core.ReasonOutOfFuel, "the program used up its fuel%s", r.lastWords())
	case stop == convert.StopStack:
		return nil, failed(core.ReasonStackOverflow, "the program called itself too often%s", r.lastWords())
	case r.memory.refused:
		return nil, failed(core.ReasonMemoryLimit, "the program asked for more than %d MiB of memory and gave up: %s%s",
			r.memory.limit>>20, firstLine(err), r.lastWords())
	}
	return nil, failed(core.ReasonTrap, "%s%s", firstLine(err), r.lastWords())
}

// firstLine leaves out the engine's account of the stack, whose frames have no
// names any more.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return bounded(strings.TrimSuffix(strings.TrimPrefix(line, "wasm error: "), " (recovered by wazero)"))
}

// lastWords is the end of what the program wrote to its standard error, for the
// message of its failure.
func (r *run) lastWords() string {
	const most = 200
	text := strings.TrimSpace(string(r.stderr.buf))
	if text == "" {
		return ""
	}
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return fmt.Sprintf("; it wrote %q", strings.ToValidUTF8(text, "?"))
}

// output is what a program writes to a standard stream.
type output struct {
	of  *run
	buf []byte
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.of.move(len(b))
	if o.of.written += int64(len(b)); o.of.written > MaxOutput {
		o.of.stop(errOutput)
	}
	if o.of.live != nil {
		o.of.live.write(o, b)
		return len(b), nil
	}
	o.buf = append(o.buf, b...)
	return len(b), nil
}

// input is the standard input.
type input struct {
	of   *run
	left []byte
}

// Read implements io.Reader.
func (i *input) Read(b []byte) (int, error) {
	if len(i.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, i.left)
	i.left = i.left[n:]
	i.of.move(n)
	return n, nil
}

// Read implements io.Reader: the same sequence for every program, so that results
// can be compared.
func (r *run) Read(b []byte) (int, error) {
	r.charge(int64(len(b)))
	return r.rand.Read(b)
}

// context carries the run into the host's functions.
func (r *run) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, runKey{}, r)
}
