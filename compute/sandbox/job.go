package sandbox

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Handler is what runs inside a child: one request in, one response out. output
// streams pieces of what the guest writes, as they appear; it may be called from one
// goroutine at a time, copies what it is given, and waits while the parent is slow.
// It is nil when nobody wants them. Who has many small pieces collects them first:
// a job may have so many frames (frameRate), and one more for every 4 KiB. ctx ends never: a job that is not wanted any more is killed with its
// process. An error is told to the parent as text and the child lives on; after a
// panic it does not.
type Handler func(ctx context.Context, request []byte, output func(s core.Stream, piece []byte)) (response []byte, err error)

// Limits bound one job. A field that is 0 means its default.
type Limits struct {
	// Memory is how many bytes the child may hold beyond what an idle one holds.
	// It must hold the request, the response and all that the
	// handler keeps meanwhile. Default 256 MiB, at least 1 MiB.
	Memory int64
	// CPU is the time on processors, all threads of the child together, the
	// garbage collector's too. Default: no limit but Wall.
	CPU time.Duration
	// Wall is the time from when a child is there to do the job to its answer.
	// Default 1 min, at most 24 h.
	Wall time.Duration
	// Output is the number of bytes streamed, with the heads of their frames, and
	// responded together. Default 1 MiB, at most 1 GiB.
	Output int64
}

// The defaults and bounds of Limits.
const (
	DefaultMemory = 256 << 20
	DefaultWall   = time.Minute
	DefaultOutput = 1 << 20

	minMemory = 1 << 20
	maxMemory = 1 << 40
	maxWall   = 24 * time.Hour
	maxOutput = 1 << 30

	// MaxRequest is how long a request may be, in bytes.
	MaxRequest = 256 << 20
)

// Job is one call of a handler in a child.
type Job struct {
	Handler string // a name in the map that Main got
	Request []byte // at most MaxRequest bytes; must not change until Run returns
	Limits  Limits
	// Output gets what the guest streams: each stream in order, nothing missing, and
	// never after Run returned. With nil the child sends none. The slice is the
	// callee's, MaxPiece bytes at most. While it does not return the guest waits, and
	// the limits go on counting.
	Output func(s core.Stream, piece []byte)
}

// Reason is why a job ended without a response.
type Reason string

// The reasons. All but Cancelled are the guest's own doing.
const (
	OK          Reason = ""             // there is a response
	Deadline    Reason = "deadline"     // Limits.Wall, or the deadline of the context
	CPULimit    Reason = "cpu_limit"    // Limits.CPU
	MemoryLimit Reason = "memory_limit" // Limits.Memory
	OutputLimit Reason = "output_limit" // Limits.Output
	Crash       Reason = "crash"        // the child died, broke the protocol, or the handler failed
	Cancelled   Reason = "cancelled"    // the context was cancelled
)

// Result is how a job ended and what it took.
type Result struct {
	Response []byte // nil unless Reason is OK
	Reason   Reason
	// Message says more about a Reason in at most 512 printable ASCII characters.
	// Part of it may come from the guest.
	Message string
	// CPU is what the kernel counted for the child from the job's begin to its
	// end; where the system does not tell (see Active) the child says it.
	CPU  time.Duration
	Wall time.Duration
	// PeakMemory is the most bytes held at once beyond what an idle child holds.
	PeakMemory int64
}

// filled returns j with defaults in place of zeros, or a core.Invalid error.
func (j Job) filled() (Job, error) {
	l := &j.Limits
	setDefault(&l.Memory, DefaultMemory)
	setDefault(&l.Wall, DefaultWall)
	setDefault(&l.Output, DefaultOutput)
	switch {
	case len(j.Request) > MaxRequest:
		return j, core.Errorf(core.Invalid, "request", "%d bytes, at most %d are allowed", len(j.Request), MaxRequest)
	case l.Memory < minMemory || l.Memory > maxMemory:
		return j, core.Errorf(core.Invalid, "limits.memory", "%d bytes, want %d to %d", l.Memory, minMemory, int64(maxMemory))
	case l.CPU < 0:
		return j, core.Errorf(core.Invalid, "limits.cpu", "%s is negative", l.CPU)
	case l.Wall < 0 || l.Wall > maxWall:
		return j, core.Errorf(core.Invalid, "limits.wall", "%s, want 0 to %s", l.Wall, maxWall)
	case l.Output < 0 || l.Output > maxOutput:
		return j, core.Errorf(core.Invalid, "limits.output", "%d bytes, want 0 to %d", l.Output, maxOutput)
	}
	return j, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
