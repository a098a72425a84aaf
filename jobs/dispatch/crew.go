package dispatch

import (
	"sync/atomic"
	"time"
)

const (
	// maxIdle is how many goroutines of a crew wait for work at most.
	maxIdle = 64
	// lull is how long one waits.
	lull = time.Second
)

// crew runs functions in goroutines that take another one when theirs is done: a
// stack that has grown need not grow again, which is several percent of what a
// tiny job costs. As many run as there are functions; those that wait end after a
// lull, or with over.
type crew struct {
	next chan func()
	over <-chan struct{}
	idle atomic.Int64
}

func newCrew(over <-chan struct{}) *crew { return &crew{next: make(chan func()), over: over} }

// run runs f beside the caller, as a go statement does.
func (c *crew) run(f func()) {
	select {
	case c.next <- f:
	default:
		go c.serve(f)
	}
}

func (c *crew) serve(f func()) {
	over := time.NewTimer(lull)
	defer over.Stop()
	for f != nil {
		f()
		f = nil // nothing it holds is kept
		if c.idle.Add(1) <= maxIdle {
			over.Reset(lull)
			f = c.wait(over.C)
		}
		c.idle.Add(-1)
	}
}

// wait returns the next function, nil for none.
func (c *crew) wait(lull <-chan time.Time) func() {
	select {
	case f := <-c.next:
		return f
	case <-lull:
	case <-c.over:
	}
	return nil
}
