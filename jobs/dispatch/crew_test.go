package dispatch

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCrew: every function is run, all at once if need be; goroutines are used again,
// and none is left a lull after the last function, or when it is over.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		c := newCrew(over)
		var ran sync.WaitGroup
		burst := func(n int) {
			hold := make(chan struct{})
			ran.Add(n)
			for range n {
				c.run(func() { <-hold; ran.Done() })
			}
			close(hold)
			ran.Wait()
			synctest.Wait()
		}
		burst(3 * maxIdle)
		if n := c.idle.Load(); n != maxIdle {
			t.Errorf("%d goroutines wait, want %d", n, maxIdle)
		}
		time.Sleep(lull / 2)
		burst(maxIdle)
		if n := c.idle.Load(); n != maxIdle {
			t.Errorf("%d goroutines after the second burst, want the %d of the first", n, maxIdle)
		}
		time.Sleep(lull + 1)
		synctest.Wait()
		if n := c.idle.Load(); n != 0 {
			t.Errorf("%d goroutines are left after a lull", n)
		}
		burst(1)
		close(over)
		synctest.Wait()
		if n := c.idle.Load(); n != 0 {
			t.Errorf("%d goroutines are left when it is over", n)
		}
		burst(1) // somebody is late
	})
}
