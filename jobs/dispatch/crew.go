package dispatch

import "sync/atomic"

// maxIdle is how many goroutines of a crew wait for work at most.
const maxIdle = 64

// crew runs functions in goroutines that take another one when theirs is done: a
// stack that has grown need not grow again, which is several percent of what a
// tiny job costs. As many run as there are functions; those that wait end with over.
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
	for {
		f()
		f = nil // nothing it holds is kept
		if c.idle.Add(1) > maxIdle || !c.wait(&f) {
			c.idle.Add(-1)
			return
		}
		c.idle.Add(-1)
	}
}

// wait returns false when there will be no more functions.
func (c *crew) wait(f *func()) bool {
	select {
	case *f = <-c.next:
		return true
	case <-c.over:
		return false
	}
}
