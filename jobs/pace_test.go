package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestPace: the 95th percentile of the last runtimes, scaled by weight, never
// below the floor and never out of too few.
func TestPace(t *testing.T) {
	second := func(n int) []time.Duration {
		out := make([]time.Duration, n)
		for i := range out {
			out[i] = time.Duration(i+1) * time.Second
		}
		return out
	}
	for _, c := range []struct {
		name   string
		took   []time.Duration
		weight int64 // of the units that were seen
		of     int64 // of the unit that is asked about
		want   time.Duration
	}{
		{"nobody knows", nil, 1, 1, 0},
		{"too few", second(19), 1, 1, 0},
		{"enough", second(20), 1, 1, 19 * time.Second},
		{"twice the weight", second(20), 1, 2, 38 * time.Second},
		{"heavier ones were seen", second(20), 10, 1, 1900 * time.Millisecond},
		{"the floor", second(20), 1000, 1, time.Second},
		{"no weight counts as one", second(20), 0, -5, 19 * time.Second},
		{"only the last 64 count", append(second(1000), make([]time.Duration, 64)...), 1, 1, time.Second},
		{"beyond all time", second(20), 1, 1 << 62, core.MaxTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pace
			for _, d := range c.took {
				p.add(d, c.weight)
			}
			if got := p.limit(c.of, 20, time.Second); got != c.want {
				t.Errorf("slow after %s, want %s", got, c.want)
			}
		})
	}
}

// Of the classes of work only the newest are remembered.
func TestPacesAreBounded(t *testing.T) {
	var p paces
	unit := func(i int) *Unit {
		return &Unit{Head: wire.TaskHead{Type: core.TaskType(fmt.Sprint("t", i))}}
	}
	first := p.of(unit(0))
	if p.of(unit(0)) != first {
		t.Error("a class has two paces")
	}
	for i := range 3 * maxPaces {
		p.of(unit(i))
	}
	if len(p.known) != maxPaces || len(p.order) != maxPaces || p.of(unit(0)) == first {
		t.Errorf("%d classes are remembered in %d places", len(p.known), len(p.order))
	}
}
