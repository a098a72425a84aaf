package sim

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Campaign is a number of seeds to run.
type Campaign struct {
	From, Seeds uint64
	Bug         Bug
	Parallel    int  // seeds at once; 0: one
	Stop        bool // at the first that breaks
	Logf        func(format string, args ...any)
	Nodes       bool
	// Done hears of every seed, one after the other; nil: nobody does.
	Done func(seed uint64, r Report)
}

// Totals is what became of the seeds of a campaign.
type Totals struct {
	Seeds, Broken      int
	First              uint64 // seed that broke, the lowest; valid if Broken > 0
	Jobs, Runs, Again  int
	Completed, Refused int
	Struck             map[Point]int
	Virtual, Wall      time.Duration
}

// Run runs the seeds, each in a bubble of virtual time of its own. t carries the
// bubbles; it does not fail when a seed breaks, but for goroutines left behind.
func (c Campaign) Run(t *testing.T) Totals {
	var next atomic.Uint64
	var stop atomic.Bool
	var mu sync.Mutex
	totals := Totals{Struck: map[Point]int{}}
	begun := time.Now()
	one := func() {
		for n := next.Add(1) - 1; n < c.Seeds && !stop.Load(); n = next.Add(1) - 1 {
			seed := c.From + n
			r := c.bubble(t, seed)
			mu.Lock()
			totals.add(seed, r)
			if c.Done != nil {
				c.Done(seed, r)
			}
			mu.Unlock()
			if len(r.Broken) > 0 && c.Stop {
				stop.Store(true)
			}
		}
	}
	var all sync.WaitGroup
	for range max(1, c.Parallel) {
		all.Go(one)
	}
	all.Wait()
	totals.Wall = time.Since(begun)
	return totals
}

// bubble runs one seed. A bubble whose goroutines cannot go on panics.
func (c Campaign) bubble(t *testing.T, seed uint64) (r Report) {
	defer func() {
		if p := recover(); p != nil {
			r.Broken = append(r.Broken, fmt.Sprintf("%v\n%s", p, debug.Stack()))
		}
	}()
	plan := NewPlan(seed)
	synctest.Test(t, func(*testing.T) {
		r = Run(plan, Options{Bug: c.Bug, Logf: c.Logf, Nodes: c.Nodes})
	})
	return r
}

func (s *Totals) add(seed uint64, r Report) {
	s.Seeds++
	if len(r.Broken) > 0 {
		if s.Broken++; s.Broken == 1 || seed < s.First {
			s.First = seed
		}
	}
	s.Jobs += r.Verdict.Acknowledged
	s.Completed += r.Verdict.Completed
	s.Refused += r.Verdict.Refused
	s.Runs += r.Runs
	s.Again += r.Again
	s.Virtual += r.Took
	for p, n := range r.Struck {
		s.Struck[p] += n
	}
}
