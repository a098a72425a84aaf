package compute

import "github.com/tenzro/tenzro/core"

// Report is where a running task tells how it goes. The zero Report is for tasks
// that nobody watches; an executor calls its methods either way, from one goroutine
// at a time.
type Report struct {
	// OnProgress takes the finished share, 0..1; nil when nobody wants to know.
	OnProgress func(share float64)
	// OnOutput takes the next piece of what the task writes to one of its streams:
	// soon after it was written, in order and, when the task completes, all of it. It
	// must not block and copies what it keeps. nil when nobody wants it: then an
	// executor need not collect any.
	OnOutput func(s core.Stream, piece []byte)
}

// Progress tells the finished share.
func (r Report) Progress(share float64) {
	if r.OnProgress != nil {
		r.OnProgress(share)
	}
}

// Output hands on a piece of a stream.
func (r Report) Output(s core.Stream, piece []byte) {
	if r.OnOutput != nil && len(piece) > 0 {
		r.OnOutput(s, piece)
	}
}

// Share returns a report of part of the task, which takes from to to of its whole
// progress.
func (r Report) Share(from, to float64) Report {
	if r.OnProgress == nil {
		return r
	}
	whole := r.OnProgress
	r.OnProgress = func(p float64) { whole(from + float64(p*(to-from))) }
	return r
}
