package testnet

import (
	"testing"
	"time"
)

// pollEvery is the pause between two looks.
const pollEvery = 10 * time.Millisecond

// Await repeats check until it passes and returns how long that took. The test
// fails with what check said last when it does not pass within the limit.
func Await(t testing.TB, what string, within time.Duration, check func() error) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		took := time.Since(start)
		if err == nil {
			return took
		}
		if took > within {
			t.Fatalf("waited %s for %s: %v", took.Round(time.Millisecond), what, err)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("waiting for %s: %v; %v", what, t.Context().Err(), err)
		}
	}
}
