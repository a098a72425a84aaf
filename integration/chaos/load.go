package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// Load says how many jobs come, and how fast.
type Load struct {
	Rate     float64       `json:"ratePerSecond,omitempty"` // 0: only what the scenario hands in itself
	Jobs     int           `json:"jobs,omitempty"`          // stop after so many; 0: when Duration is over
	Duration time.Duration `json:"durationNs,omitempty"`
	Work     Work          `json:"work"`
	Timeout  time.Duration `json:"timeoutNs"` // of a job, from its acknowledgement
}

const (
	// maxInFlight bounds the jobs that clients wait for at once; one that is due
	// beyond waits, and the wait counts.
	maxInFlight = 8192
	// maxAsking bounds the requests that wait for a job's end at once: a node keeps
	// 1,024 connections, and submitting comes first.
	maxAsking = 384
	// submitFor is how long a client goes on trying to hand a job in.
	submitFor = 2 * time.Minute
	// askWait is how long one question for a job's end waits at the node.
	askWait = 2 * time.Second
	backOff = 50 * time.Millisecond
	slowest = time.Second
)

// Job is one job as its client sees it.
type Job struct {
	Key  string
	Task core.TaskID // valid after Acked is closed and before Done is, if it was acknowledged
	// Acked is closed when a gateway took the job, or the client gave up.
	Acked chan struct{}
	// Done is closed when it ended or nobody looks any more.
	Done chan struct{}

	body  []byte
	by    *Node // who acknowledged it
	life  int   // which of its lives
	ended bool  // valid after Done
}

// loader is the clients of the network.
type loader struct {
	log      *history.Log
	gateways []*Node
	load     Load
	units    uint64 // that a job is worth
	room     chan struct{}
	asking   chan struct{}
	running  sync.WaitGroup
	next     atomic.Int64
	done     atomic.Int64 // jobs that nobody watches any more
	taken    atomic.Int64 // jobs that were acknowledged

	mu   sync.Mutex
	jobs []*Job
}

func newLoader(log *history.Log, gateways []*Node, load Load) (*loader, error) {
	units, err := load.Work.units()
	return &loader{log: log, gateways: gateways, load: load, units: units, room: make(chan struct{}, maxInFlight), asking: make(chan struct{}, maxAsking)}, err
}

// arrive hands in jobs at the load's rate until they are all in or ctx ends. A job
// is due when it is due, however those before it fare.
func (l *loader) arrive(ctx context.Context) {
	start := time.Now()
	for i := 0; l.load.Rate > 0; i++ {
		due := start.Add(time.Duration(float64(i) / l.load.Rate * float64(time.Second)))
		over := l.load.Jobs > 0 && i >= l.load.Jobs || l.load.Jobs == 0 && due.Sub(start) >= l.load.Duration
		if over || !pause(ctx, time.Until(due)) {
			return
		}
		l.submit(ctx, due)
	}
}

// submit begins a job that was due at a time, and does not wait for it.
func (l *loader) submit(ctx context.Context, due time.Time) *Job {
	i := int(l.next.Add(1)) - 1
	body, want := l.load.Work.task(i, l.load.Timeout)
	j := &Job{Key: fmt.Sprintf("job-%d", i), body: body, Acked: make(chan struct{}), Done: make(chan struct{})}
	l.log.Add(history.Event{Kind: history.Sent, At: l.log.Since(due), Key: j.Key, Want: want, Timeout: l.load.Timeout, Parts: l.load.Work.parts(), Units: l.units})
	l.mu.Lock()
	l.jobs = append(l.jobs, j)
	l.mu.Unlock()
	l.running.Go(func() {
		defer l.done.Add(1)
		defer close(j.Done)
		select {
		case l.room <- struct{}{}:
			defer func() { <-l.room }()
		case <-ctx.Done():
			close(j.Acked)
			return
		}
		taken := l.handIn(ctx, j, i)
		close(j.Acked)
		if taken {
			l.follow(ctx, j, i)
		}
	})
	return j
}

// handIn submits a job until a gateway takes it, always with the same key, and
// with another gateway after each failure.
func (l *loader) handIn(ctx context.Context, j *Job, i int) bool {
	end := time.Now().Add(submitFor)
	why := ""
	for try := 0; ; try++ {
		gateway := l.gateways[(i+try)%len(l.gateways)]
		life := gateway.Life()
		status, id, problem, err := gateway.submit(ctx, j.Key, j.body)
		switch {
		case err != nil:
			why = err.Error()
		case status == http.StatusAccepted:
			j.Task, j.by, j.life = id, gateway, life
			l.log.Add(history.Event{Kind: history.Acked, Key: j.Key, Task: id, Node: gateway.Name})
			l.taken.Add(1)
			return true
		case hopeless(status):
			l.log.Add(history.Event{Kind: history.Refused, Key: j.Key, Node: gateway.Name, Note: problem})
			return false
		default:
			why = fmt.Sprintf("%d %s", status, problem)
		}
		if !undialed(err) {
			l.log.Add(history.Event{Kind: history.Doubtful, Key: j.Key, Node: gateway.Name, Note: why})
		}
		if time.Now().After(end) || !pause(ctx, min(slowest, backOff<<min(try, 10))) {
			l.log.Add(history.Event{Kind: history.Refused, Key: j.Key, Node: gateway.Name, Note: why})
			return false
		}
	}
}

// undialed reports whether a request never left: nobody listened.
func undialed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// hopeless reports whether trying again changes nothing.
func hopeless(status int) bool {
	return status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests && status != http.StatusConflict
}

// follow asks for a job's end until it comes or is too late, at another gateway
// whenever one fails.
func (l *loader) follow(ctx context.Context, j *Job, i int) {
	end := time.Now().Add(l.load.Timeout + history.Grace)
	for try := 0; time.Now().Before(end) && ctx.Err() == nil; {
		gateway := l.gateways[(i+try)%len(l.gateways)]
		status, result, err := l.ask(ctx, gateway, j.Task)
		switch {
		case err == nil && status == http.StatusOK:
			l.ended(ctx, j, gateway, result)
			return
		case err == nil && status == http.StatusConflict: // not yet
		default:
			try++
			pause(ctx, min(slowest, backOff<<min(try, 10)))
		}
	}
}

func (l *loader) ask(ctx context.Context, gateway *Node, id core.TaskID) (int, core.TaskResult, error) {
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
		return gateway.result(ctx, id, askWait)
	case <-ctx.Done():
		return 0, core.TaskResult{}, ctx.Err()
	}
}

// ended writes down a job's end and its attempts. All processes share one clock:
// the end was when its record was last changed, if that is not later than we
// heard of it.
func (l *loader) ended(ctx context.Context, j *Job, gateway *Node, r core.TaskResult) {
	j.ended = true
	heard := time.Now()
	at := heard
	for try := range 5 {
		s, err := l.gateways[try%len(l.gateways)].status(ctx, j.Task)
		if err == nil && s.Status.Final() {
			if !s.Updated.IsZero() && s.Updated.Before(heard) && s.Updated.After(s.Created) {
				at = s.Updated
			}
			l.log.Add(history.Event{Kind: history.Tried, Key: j.Key, Task: j.Task, Node: gateway.Name, Attempts: s.Attempts})
			break
		}
		if !pause(ctx, backOff<<try) {
			break
		}
	}
	e := endOf(j, gateway, r)
	e.At = l.log.Since(at)
	l.log.Add(e)
}

func endOf(j *Job, gateway *Node, r core.TaskResult) history.Event {
	e := history.Event{Kind: history.Ended, Key: j.Key, Task: r.TaskID, Node: gateway.Name, State: r.Status, Result: string(r.Result)}
	if r.Failure != nil {
		e.Reason = r.Failure.Reason
	}
	return e
}

// burst hands in n jobs at once and returns them.
func (l *loader) burst(ctx context.Context, n int) []*Job {
	jobs := make([]*Job, n)
	for i := range jobs {
		jobs[i] = l.submit(ctx, time.Now())
	}
	return jobs
}

// all returns the jobs so far.
func (l *loader) all() []*Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Job(nil), l.jobs...)
}
