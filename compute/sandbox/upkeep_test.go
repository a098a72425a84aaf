package sandbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestBackoff has children that die at their start, each of which makes the pool
// want another: they are started ever less often, and the pool is swept all the
// while. When one lives again the next is started as soon as it is wanted.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wanted, start := make(chan struct{}, 1), time.Now()
		want := func() {
			select {
			case wanted <- struct{}{}:
			default:
			}
		}
		var mu sync.Mutex
		var starts []time.Duration
		swept, well := 0, false
		u := upkeep{wanted: wanted, log: zerolog.Nop(), sweep: func(time.Time) {
			mu.Lock()
			defer mu.Unlock()
			swept++
		}, fill: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if starts = append(starts, time.Since(start)); len(starts) > 1000 {
				cancel() // no time passes in a loop
			}
			if well {
				return nil
			}
			want()
			return errors.New("the child died at its start")
		}}
		done := make(chan struct{})
		go func() { defer close(done); u.run(ctx) }()
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		var due []time.Duration
		for at, wait := time.Duration(0), backoffFrom; at <= 2*time.Minute; at, wait = at+wait, min(2*wait, backoffTo) {
			due = append(due, at)
		}
		mu.Lock()
		if !slices.Equal(starts, due) || swept != 12 {
			t.Errorf("started at %v, want %v; swept %d times", starts, due, swept)
		}
		well = true
		mu.Unlock()
		time.Sleep(backoffTo)
		synctest.Wait()
		mu.Lock()
		before := len(starts)
		mu.Unlock()
		want()
		synctest.Wait()
		mu.Lock()
		if len(starts) != before+1 {
			t.Errorf("%d starts after one was wanted, %d before", len(starts), before)
		}
		mu.Unlock()
		cancel()
		<-done
	})
}
