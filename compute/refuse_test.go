package compute_test

import (
	"errors"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestBelow: an error of the decoder says where in the task it is, and keeps its
// hint.
func TestBelow(t *testing.T) {
	var d struct {
		Limits struct {
			Fuel int `json:"fuel"`
		} `json:"limits"`
	}
	for data, want := range map[string][2]string{
		`{"limits":{"feul":1}}`: {"data.limits.feul", "the nearest field is fuel; correct or remove it"},
		`{"limits":{"fuel":{}}`: {"data.limits.fuel", ""},
		`5`:                     {"data", ""},
	} {
		err := compute.Below(wire.DecodeStrictClosed([]byte(data), &d))
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != want[0] || e.Hint != want[1] {
			t.Errorf("%s: %v (%q), want %q", data, err, e.Hint, want)
		}
	}
	if err := compute.Below(errors.New("odd")); err.Error() != "data: odd" || !errors.Is(err, core.Invalid) {
		t.Errorf("%v", err)
	}
}

// TestCounts: a task is cut into one part at least, and into no more than it can be.
func TestCounts(t *testing.T) {
	for n, allowed := range map[int]bool{-1: false, 0: false, 1: true, 3: true, 4: false} {
		if err := compute.CheckShards(n, 3); (err == nil) != allowed || err != nil && !errors.Is(err, core.Invalid) {
			t.Errorf("%d shards of 3: %v", n, err)
		}
		if err := compute.CheckPartials(n, 3); (err == nil) != allowed || err != nil && !errors.Is(err, core.Invalid) {
			t.Errorf("%d partial results of 3: %v", n, err)
		}
	}
}
