package cli

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// quickEnd is how long a program is given to end before its node is asked for what it
// writes: earlier there is nothing to hear.
const quickEnd = 100 * time.Millisecond

// programOutput shows what a program writes while it runs, and in the end what its
// result has beyond that: no byte twice.
type programOutput struct {
	note           io.Writer // where people are told
	stdout, stderr shownStream
	failed         error // of writing
}

// shownStream is how far a stream has been shown.
type shownStream struct {
	name core.Stream
	to   io.Writer
	n    int64
	sum  maphash.Hash
	lost bool // a gap came: what follows is for the result to say
}

func (s *shell) newProgramOutput() *programOutput {
	return &programOutput{note: s.Err, stdout: shownStream{name: core.Stdout, to: s.Out}, stderr: shownStream{name: core.Stderr, to: s.Err}}
}

func (p *programOutput) of(s core.Stream) *shownStream {
	if s == core.Stderr {
		return &p.stderr
	}
	return &p.stdout
}

// listen shows what a task writes until stop is called, which waits a little for the
// last of it. That it cannot be heard is no error: the result has it all.
func (p *programOutput) listen(ctx context.Context, cl *client.Client, id core.TaskID) (stop func(wait time.Duration)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if pause(ctx, quickEnd); ctx.Err() == nil {
			_ = cl.Output(ctx, id, core.OutputQuery{Follow: true}, p.hear)
		}
	}()
	return func(wait time.Duration) {
		select {
		case <-done:
		case <-time.After(wait):
		}
		cancel()
		<-done
	}
}

func (p *programOutput) hear(e core.OutputEvent) error {
	if e.Event == core.OutputData && e.Offset != nil {
		p.piece(p.of(e.Stream), *e.Offset, e.Data)
	}
	return p.failed
}

// next shows a piece that follows the one before.
func (p *programOutput) next(s core.Stream, data []byte) { p.piece(p.of(s), p.of(s).n, data) }

// piece shows a piece that begins at offset. Another attempt of the same program
// writes the same: what was shown is not shown again.
func (p *programOutput) piece(of *shownStream, offset int64, data []byte) {
	if of.lost = of.lost || offset > of.n; of.lost || p.failed != nil {
		return
	}
	if known := of.n - offset; known < int64(len(data)) {
		p.write(of, data[known:])
	}
}

func (p *programOutput) write(of *shownStream, data []byte) {
	if _, err := of.to.Write(data); err != nil {
		p.failed = err
		return
	}
	of.n += int64(len(data))
	_, _ = of.sum.Write(data) // it cannot fail
}

// finish shows what the result has and was not shown.
func (p *programOutput) finish(stdout, stderr []byte) error {
	p.complete(&p.stderr, stderr)
	p.complete(&p.stdout, stdout)
	return p.failed
}

// complete shows the rest of a stream; should the result begin otherwise than what
// was shown, all of it.
func (p *programOutput) complete(of *shownStream, all []byte) {
	if p.failed != nil {
		return
	}
	if of.n > int64(len(all)) || maphash.Bytes(of.sum.Seed(), all[:of.n]) != of.sum.Sum64() {
		fmt.Fprintf(p.note, "\ntenzro: the %s above is of an attempt that does not count; the result has this one:\n", of.name)
		of.n = 0
	}
	p.write(of, all[of.n:])
}
