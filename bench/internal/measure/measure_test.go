package measure_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenzro/tenzro/bench/internal/measure"
)

// TestPercentile: a percentile is a latency that occurred, and the highest for
// 100.
func TestPercentile(t *testing.T) {
	took := make([]time.Duration, 100)
	for i := range took {
		took[len(took)-1-i] = time.Duration(i+1) * time.Millisecond
	}
	s := measure.NewSample(took)
	for p, want := range map[float64]time.Duration{0: 1 * time.Millisecond, 50: 51 * time.Millisecond, 99: 100 * time.Millisecond, 100: 100 * time.Millisecond} {
		if got := s.Percentile(p); got != want {
			t.Errorf("percentile %v is %s, want %s", p, got, want)
		}
	}
	if got := measure.NewSample(nil).Percentile(50); got != 0 {
		t.Errorf("percentile of nothing is %s", got)
	}
}

// TestRatio: the ratio is the median of the pairs' own ratios, so that one pair
// under load does not decide.
func TestRatio(t *testing.T) {
	pairs := []measure.Pair{{Yardstick: 1, Subject: 2}, {Yardstick: 100, Subject: 900}, {Yardstick: 2, Subject: 6}}
	if got := measure.Ratio(pairs); got != 3 {
		t.Errorf("ratio %v, want 3", got)
	}
	if y, s := measure.Yardstick(pairs), measure.Subject(pairs); y != 2 || s != 6 {
		t.Errorf("medians %v and %v, want 2 and 6", y, s)
	}
	if got := measure.Ratio(pairs[:2]); got != 5.5 {
		t.Errorf("ratio of two pairs %v, want 5.5", got)
	}
}

// TestPairsAlternate: yardstick and subject take turns.
func TestPairsAlternate(t *testing.T) {
	order := ""
	half := func(name string) func() (float64, error) {
		return func() (float64, error) { order += name; return 1, nil }
	}
	if _, err := measure.Pairs(3, half("a"), half("b")); err != nil || order != "ababab" {
		t.Errorf("order %q, %v", order, err)
	}
}

// TestRun: every operation runs once, never more at a time than asked for, and
// the first error ends the rest.
func TestRun(t *testing.T) {
	var now, most, ran atomic.Int64
	s, err := measure.Run(t.Context(), 4, 1000, 0, func(context.Context) error {
		most.Store(max(most.Load(), now.Add(1)))
		ran.Add(1)
		now.Add(-1)
		return nil
	})
	if err != nil || ran.Load() != 1000 || s.Ops != 1000 || most.Load() > 4 || s.PerSecond() <= 0 {
		t.Errorf("%d ran, %d at a time, %+v, %v", ran.Load(), most.Load(), s.Cost, err)
	}
	broken := errors.New("broken")
	ran.Store(0)
	_, err = measure.Run(t.Context(), 1, 1000, 0, func(context.Context) error {
		if ran.Add(1) == 10 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || ran.Load() != 10 {
		t.Errorf("%d ran, %v", ran.Load(), err)
	}
}

// TestWithout takes off what an idle process burns in the same time.
func TestWithout(t *testing.T) {
	got := measure.Cost{Wall: 2 * time.Second, CPU: time.Second}.Without(measure.Cost{Wall: time.Second, CPU: 100 * time.Millisecond})
	if got.CPU != 800*time.Millisecond {
		t.Errorf("CPU %s, want 800ms", got.CPU)
	}
}

// TestBest: every call counts towards a slice, and the first error ends them.
func TestBest(t *testing.T) {
	calls := 0
	if ns, err := measure.Best(3, 5, func() error { calls++; return nil }); err != nil || calls != 15 || ns < 0 || ns > 1e10 {
		t.Errorf("%v ns after %d calls, %v", ns, calls, err)
	}
	broken := errors.New("broken")
	if _, err := measure.Best(3, 5, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
}
