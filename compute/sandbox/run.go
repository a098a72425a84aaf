package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// pollEvery is how often memory and CPU time of a running job are looked at. It
// bounds how far over its limits a job gets; looking costs about ten
// microseconds.
const pollEvery = 5 * time.Millisecond

// burialLimit is how long Run waits for a killed child to be dead and reaped.
const burialLimit = 50 * time.Millisecond

// writtenLimit is how long the writer of a request may need to notice that the
// child has read it.
const writtenLimit = time.Second

// run gives job to the child and watches it to its end. The child is dead
// afterwards unless the answer was a clean one, which ok tells.
func (g *guest) run(ctx context.Context, job Job) (res Result, ok bool) {
	g.jobs++
	start := time.Now()
	r := &running{job: job, since: start, left: job.Limits.Output, done: make(chan answer, 1)}
	g.gauge.begin(job.Limits)
	g.current.Store(r)
	sent := make(chan struct{})
	go g.send(r, sent)
	a, ok := g.supervise(ctx, r)
	if ok {
		g.gauge.told(r.claim, true)
		ok = g.read(sent)
	} else {
		a = g.remains() // after which nobody writes to r any more
		g.gauge.told(r.claim, false)
	}
	<-sent
	res = Result{Response: a.response, Reason: a.ending.reason, Message: a.ending.message, Wall: time.Since(start)}
	res.CPU, res.PeakMemory = g.account()
	return res, ok
}

// send writes the order and the request, beside the supervision: a child that
// does not read must not keep us from killing it. sent is closed afterwards.
func (g *guest) send(r *running, sent chan<- struct{}) {
	defer close(sent)
	text, err := json.Marshal(order{Handler: r.job.Handler, Memory: r.job.Limits.Memory, CPU: r.job.Limits.CPU, Stream: r.job.Output != nil})
	if err != nil {
		return // impossible for these types, and the job would end at its deadline
	}
	frames := make([]byte, 0, len(text)+2*headerSize+min(len(r.job.Request), maxPiece))
	frames = append(appendHeader(frames, kindJob, len(text)), text...)
	frames = appendHeader(frames, kindRequest, len(r.job.Request))
	rest := r.job.Request
	if len(rest) <= maxPiece {
		frames, rest = append(frames, rest...), nil
	}
	if _, err := g.in.Write(frames); err == nil && len(rest) > 0 {
		_, _ = g.in.Write(rest) // the reader notices a dead child
	}
}

// read reports whether the child has taken its whole request: one that answers
// before that has an engine no more, and the rest would be in the next one's way.
func (g *guest) read(sent <-chan struct{}) bool {
	timer := time.NewTimer(writtenLimit)
	defer timer.Stop()
	select {
	case <-sent:
		return true
	case <-timer.C:
		g.dismiss()
		return false
	}
}

// supervise waits for the answer, and kills the child when that takes more of
// anything than allowed. ok is false when there is no answer.
func (g *guest) supervise(ctx context.Context, r *running) (a answer, ok bool) {
	wall := time.NewTimer(r.job.Limits.Wall)
	defer wall.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		var why ending
		select {
		case a = <-r.done:
			return a, true
		case <-g.gone:
			return a, false
		case <-ctx.Done():
			why = interrupted(ctx)
		case <-wall.C:
			why = ending{Deadline, "it took longer than " + r.job.Limits.Wall.String()}
		case <-poll.C:
			why = g.gauge.check(r.job.Limits)
		}
		if why.reason != OK {
			g.gauge.look()
			g.kill(why)
			return a, false
		}
	}
}

func interrupted(ctx context.Context) ending {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ending{Deadline, "the caller's deadline passed"}
	}
	return ending{Cancelled, "the caller cancelled it"}
}

// remains tells why the child died, once its output is over. It waits a little
// for the funeral: on a machine under load a process of the lowest priority takes
// its time to die, but it computes nothing any more.
func (g *guest) remains() answer {
	g.kill(ending{})
	go g.reap() // even while the reader waits in Job.Output
	<-g.quiet
	g.mu.Lock()
	why := g.end
	g.mu.Unlock()
	if why.reason != OK {
		timer := time.NewTimer(burialLimit)
		defer timer.Stop()
		select {
		case <-g.gone:
		case <-timer.C:
		}
		return answer{ending: why}
	}
	<-g.gone // it ended by itself, and how is not known before
	g.mu.Lock()
	defer g.mu.Unlock()
	return answer{ending: g.end}
}

// account returns what the job used. The kernel tells it of a process that lives
// or dies; of one that is dead and reaped, whoever reaped it.
func (g *guest) account() (cpu time.Duration, peak int64) {
	g.gauge.look()
	used, ok := g.gauge.used()
	if !ok {
		<-g.gone
	}
	if state := g.exit(); state != nil {
		used = state.SystemTime() + state.UserTime()
	}
	return max(0, used-g.gauge.cpu), g.gauge.peak()
}
