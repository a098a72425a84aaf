package floor_test

import (
	"encoding/json"
	"testing"

	"github.com/tenzro/tenzro/bench/internal/floor"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

// TestJob: many jobs at once come back verified over the one stream.
func TestJob(t *testing.T) {
	r, err := floor.Start(t.Context(), json.RawMessage(tiny.Data), tiny.Result)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := measure.Run(t.Context(), 16, 200, 0, r.Job); err != nil {
		t.Error(err)
	}
}

// TestWrongResult: a result that is not the expected one is an error, so the
// yardstick cannot be fast by doing nothing.
func TestWrongResult(t *testing.T) {
	r, err := floor.Start(t.Context(), json.RawMessage(tiny.Data), "56")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Job(t.Context()) == nil {
		t.Error("56 is not the sum of the squares")
	}
}
