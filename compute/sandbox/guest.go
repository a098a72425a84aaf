package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tenzro/tenzro/core"
)

// guest is the parent's side of one child. A goroutine of its own reads what the
// child says and reaps it when it has nothing more to say; everything it says is
// taken for hostile once a job has run in it.
type guest struct {
	proc     *os.Process
	in       *os.File // requests go in
	out      *os.File // frames come out
	errors   *os.File // what it wrote to its standard error; read when it is dead
	gauge    *gauge
	greeting greeting // set before the first job
	place    *group   // its control group, nil for none

	jobs  int           // how many it was given; owned by whoever holds it
	since time.Time     // when it became idle
	spent time.Duration // CPU time it had used then

	hello   chan greeting           // gets one, before the first job
	current atomic.Pointer[running] // the job whose frames may come
	once    sync.Once               // reaps
	quiet   chan struct{}           // closed when nothing more is read from it
	gone    chan struct{}           // closed when it is dead, reaped and read to its end

	mu    sync.Mutex
	ended bool   // nothing may be sent to its process group any more: it may be another's
	end   ending // why it ends; the first reason stays
	state *os.ProcessState
}

// ending is why a job, or a child, ended.
type ending struct {
	reason  Reason
	message string
}

// running is one job in a guest.
type running struct {
	job   Job
	since time.Time
	left  int64 // bytes it may still say
	told  told  // of its output
	claim usage // what the child says that it used, believed where nobody else knows
	done  chan answer
}

// answer is the last frame of a job.
type answer struct {
	response []byte
	ending   ending
}

// listen reads the child's frames to their end and leaves nothing of it.
func (g *guest) listen() {
	defer close(g.gone)
	r := bufio.NewReaderSize(g.out, 4<<10)
	why := g.greet(r)
	for why == nil {
		why = g.frame(r)
	}
	close(g.quiet)
	g.kill(*why)
	g.reap()
}

// greet reads the first frame.
func (g *guest) greet(r io.Reader) *ending {
	text, err := expect(r, kindHello, maxSmall)
	if err != nil {
		return said(err)
	}
	var hello greeting
	if err := json.Unmarshal(text, &hello); err != nil {
		return said(err)
	}
	g.hello <- hello
	return nil
}

// frame reads one frame of a job. What it returns ends the child.
func (g *guest) frame(r io.Reader) *ending {
	k, n, err := readHeader(r)
	if err != nil {
		return said(err)
	}
	job := g.current.Load()
	switch {
	case k == kindDying && n <= maxSmall:
		return lastWords(r, n, job)
	case job == nil:
		return &ending{Crash, "the child spoke without being asked"}
	case (k == kindFailure || k == kindUsage) && n <= maxSmall:
	case k != kindResponse && (k != kindOutput || n > pieceHead+MaxPiece):
		return &ending{Crash, "the child broke the protocol"}
	case n > job.left:
		return &ending{OutputLimit, "more output than allowed"}
	default:
		job.left -= n
	}
	data, err := readBody(r, n)
	switch {
	case err != nil:
		return said(err)
	case k == kindUsage:
		if err := json.Unmarshal(data, &job.claim); err != nil {
			return said(err)
		}
	case k == kindOutput:
		return job.piece(data, time.Now())
	default:
		g.current.Store(nil)
		job.done <- finish(k, data)
	}
	return nil
}

func finish(k kind, data []byte) answer {
	if k == kindFailure {
		return answer{ending: ending{Crash, cut(string(data), maxMessage)}}
	}
	return answer{response: data}
}

// said turns the end of the pipe into an ending without a reason: the exit
// status knows more.
func said(err error) *ending {
	var bad *core.Error
	if errors.As(err, &bad) {
		return &ending{Crash, "the child broke the protocol: " + bad.Error()}
	}
	return &ending{}
}

// lastWords reads why a child ends by itself. It may be a lie, which changes
// nothing but the reason its own job is given.
func lastWords(r io.Reader, n int64, job *running) *ending {
	var d dying
	text, err := readBody(r, n)
	if err != nil || json.Unmarshal(text, &d) != nil {
		return &ending{}
	}
	if job != nil {
		job.claim = d.Used
	}
	why := ownReason(d.Reason, d.Message)
	return &why
}

// ownReason is the ending of a child that gives a reason itself.
func ownReason(reason Reason, message string) ending {
	switch reason {
	case MemoryLimit, CPULimit, Crash:
		return ending{reason, cut(message, maxMessage)}
	}
	return ending{Crash, "the child gave no reason that exists"}
}

// kill ends the child and everything in its process group at once. It does not
// wait.
func (g *guest) kill(why ending) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end.reason == OK {
		g.end = why
	}
	if g.ended {
		return
	}
	if err := killGroup(g.proc.Pid); err != nil {
		_ = g.proc.Kill() // it is dead already, and the group with it
	}
	// Nobody waits for what may still hold the pipes.
	_ = g.out.SetReadDeadline(time.Unix(1, 0))
	_ = g.in.SetWriteDeadline(time.Unix(1, 0))
	hurry(g.proc.Pid)
}

// reap waits for the end of a killed child and closes all that was its own.
func (g *guest) reap() {
	g.once.Do(func() {
		g.mu.Lock()
		_ = killGroup(g.proc.Pid)
		g.ended = true
		g.mu.Unlock()
		state, _ := g.proc.Wait() // it cannot fail: nobody else waits for it
		why := diagnose(state, g.lastErrors())
		if g.place.killed() {
			why = ending{MemoryLimit, "the child ran out of memory"}
		}
		g.mu.Lock()
		g.state = state
		if g.end.reason == OK {
			g.end = why
		}
		g.mu.Unlock()
		for _, c := range []io.Closer{g.in, g.out, g.errors, g.gauge, g.place} {
			_ = c.Close()
		}
	})
}

// lastErrors returns what the dead child left on its standard error.
func (g *guest) lastErrors() string {
	_ = g.errors.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	text, _ := io.ReadAll(io.LimitReader(g.errors, 16<<10)) // as much as there is
	return string(text)
}

// diagnose tells from the remains why a child died by itself.
func diagnose(state *os.ProcessState, text string) ending {
	for line := range strings.Lines(text) {
		if why, ok := strings.CutPrefix(line, lastCry); ok {
			reason, message, _ := strings.Cut(why, " ")
			return ownReason(Reason(reason), message)
		}
	}
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to allocate", "failed to create new OS thread"} {
		if strings.Contains(text, sign) {
			return ending{MemoryLimit, "the child ran out of memory"}
		}
	}
	message := "the child ended"
	if state != nil {
		message = state.String()
		if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGXCPU {
			return ending{CPULimit, message}
		}
	}
	for line := range strings.Lines(text) {
		for _, start := range []string{"panic: ", "fatal error: ", "SIG"} {
			if strings.HasPrefix(line, start) {
				return ending{Crash, cut(message+": "+line, maxMessage)}
			}
		}
	}
	return ending{Crash, message}
}

// greeted waits for the child to be ready.
func (g *guest) greeted(ctx context.Context) (greeting, error) {
	timer := time.NewTimer(helloLimit)
	defer timer.Stop()
	select {
	case hello := <-g.hello:
		return hello, nil
	case <-g.gone:
		return greeting{}, g.stillborn()
	case <-ctx.Done():
		g.dismiss()
		return greeting{}, ctx.Err()
	case <-timer.C:
		g.dismiss()
		return greeting{}, core.Errorf(core.Timeout, "sandbox", "the child was not ready within %s", helloLimit)
	}
}

// stillborn says why a child is gone that was never ready.
func (g *guest) stillborn() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end.reason == Cancelled {
		return core.Errorf(core.Unavailable, "sandbox", "the child was ended at its start: %s", g.end.message)
	}
	return core.Errorf(core.Internal, "sandbox", "the child died at its start: %s", g.end.message)
}

// dismiss ends a guest that has no job. It does not wait.
func (g *guest) dismiss() { g.kill(ending{Cancelled, "not needed any more"}) }

// alive reports whether the child can be given a job.
func (g *guest) alive() bool {
	select {
	case <-g.gone:
		return false
	default:
		g.mu.Lock()
		defer g.mu.Unlock()
		return !g.ended && g.end.reason == OK
	}
}

// exit returns how the child ended, nil while it lives.
func (g *guest) exit() *os.ProcessState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// rest notes when the child became idle.
func (g *guest) rest(now time.Time) {
	g.since = now
	g.spent, _ = g.gauge.used()
}

// restless reports whether an idle child uses more than its runtime needs: keep
// bytes, and half a second of CPU time for the collections after its last job.
func (g *guest) restless(keep int64) bool {
	const allowed = 500 * time.Millisecond
	used, ok := g.gauge.used()
	return ok && used-g.spent > allowed || g.gauge.held() > keep
}
