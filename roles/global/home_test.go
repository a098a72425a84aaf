package global

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry"
)

// TestHomes: where a task goes in each mode, and when it is worth a moment's wait.
//
// spec 2.38 2.39 2.40
func TestHomes(t *testing.T) {
	const solo, gateway core.RegionID = "solo", "solo-other"
	list := func(r ...core.RegionID) []core.RegionID { return r }
	both := list(east, west)
	type want struct {
		regions []core.RegionID
		sure    bool
	}
	for _, c := range []struct {
		name                 string
		s                    sight
		hybrid, primary, p2p want
	}{
		{"regions and own workers", sight{able: both, capable: true, workers: true},
			want{both, true}, want{list(solo, east, west), true}, want{list(solo), true}},
		{"regions, and no worker here", sight{able: both}, want{both, true}, want{both, true}, want{list(solo), true}},
		{"regions, and workers here that cannot do it", sight{able: both, workers: true}, want{both, true}, want{both, false}, want{list(solo), true}},
		{"a region that cannot do it, and own workers that can", sight{known: west, capable: true, workers: true},
			want{list(west), true}, want{list(solo), true}, want{list(solo), true}},
		{"a region that cannot do it, and nobody here", sight{known: west}, want{list(west), true}, want{list(west), true}, want{list(solo), true}},
		{"a region this node works for", sight{near: east, known: west}, want{list(east), true}, want{list(east), true}, want{list(east), true}},
		{"a gateway this node works for, and it can do it itself", sight{near: gateway, capable: true, workers: true},
			want{list(gateway), true}, want{list(solo), true}, want{list(solo), true}},
		{"no region, own workers", sight{capable: true, workers: true}, want{list(solo), true}, want{list(solo), true}, want{list(solo), true}},
		{"nobody at all", sight{}, want{list(solo), true}, want{list(solo), true}, want{list(solo), true}},
		{"nobody yet", sight{looking: true}, want{list(solo), false}, want{list(solo), false}, want{list(solo), true}},
		{"own workers, and regions may come", sight{looking: true, capable: true, workers: true},
			want{list(solo), false}, want{list(solo), true}, want{list(solo), true}},
		{"a region was found at once", sight{looking: true, able: both}, want{both, true}, want{both, true}, want{list(solo), true}},
		{"this node keeps one of the regions", sight{own: west, able: both, near: west, capable: true, workers: true},
			want{both, true}, want{list(west, east), true}, want{list(west), true}},
	} {
		if c.s.own == "" {
			c.s.own = solo
		}
		for m, w := range map[core.Mode]want{core.ModeHybrid: c.hybrid, core.ModeP2PPrimary: c.primary, core.ModeP2P: c.p2p} {
			if got, sure := homes(m, c.s); !slices.Equal(got, w.regions) || sure != w.sure {
				t.Errorf("%s, %s: %v (sure %v), want %v (%v)", c.name, m, got, sure, w.regions, w.sure)
			}
		}
	}
}

// TestPickIsPatient: a moment's patience for regions right after the start and for
// workers that are able, and no more than that.
//
// spec 2.38 2.39
func TestPickIsPatient(t *testing.T) {
	const solo core.RegionID = "solo"
	type world struct {
		*registry.Regions
		Surroundings
	}
	for _, c := range []struct {
		name  string
		mode  core.Mode
		setup func(w *world, start time.Time)
		want  core.RegionID
		after time.Duration
	}{
		{"hybrid: a region is found", core.ModeHybrid, func(w *world, start time.Time) {
			w.Looking = func() bool { return time.Since(start) < 3*time.Second }
			time.AfterFunc(900*time.Millisecond, func() { hear(t, w.Regions, summary(east, 2, core.TierTrainer, 4, 1, 1)) })
		}, east, 900 * time.Millisecond},
		{"hybrid: none is found", core.ModeHybrid, func(w *world, start time.Time) {
			w.Looking = func() bool { return time.Since(start) < 3*time.Second }
		}, solo, 3 * time.Second},
		{"p2p primary: an able worker comes", core.ModeP2PPrimary, func(w *world, start time.Time) {
			hear(t, w.Regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
			w.Workers = func(core.Requirements, core.TaskType) (any, capable bool) {
				return true, time.Since(start) >= 500*time.Millisecond
			}
		}, solo, 500 * time.Millisecond},
		{"p2p primary: none comes", core.ModeP2PPrimary, func(w *world, start time.Time) {
			hear(t, w.Regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
			w.Workers = func(core.Requirements, core.TaskType) (any, capable bool) { return true, false }
		}, east, capablePatience},
		{"p2p: nothing is waited for", core.ModeP2P, func(w *world, start time.Time) {
			hear(t, w.Regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
			w.Looking = func() bool { return true }
		}, solo, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				w := &world{registry.NewRegions(), around(solo, "")}
				w.Mode = func() core.Mode { return c.mode }
				c.setup(w, start)
				got := NewCrossRegion(w.Regions, w.Surroundings).Pick(t.Context(), sample().Requirements, sample().Type, 1)
				if took := time.Since(start); got[0] != c.want || took < c.after || took > c.after+2*lookAgain {
					t.Errorf("picked %v after %s, want %s after %s", got, took, c.want, c.after)
				}
			})
		})
	}
}

// TestPickOfOneWhoLeft: nobody waits for a submitter who has gone.
func TestPickOfOneWhoLeft(t *testing.T) {
	node := around("solo", "")
	node.Looking = func() bool { return true }
	left, leave := context.WithCancel(t.Context())
	leave()
	if got := NewCrossRegion(registry.NewRegions(), node).Pick(left, sample().Requirements, sample().Type, 1); got[0] != "solo" {
		t.Errorf("picked %v", got)
	}
}

// TestKeyWherePeersComeFirst: a key belongs to the gateway's own region there, as
// two gateways agree on no other.
func TestKeyWherePeersComeFirst(t *testing.T) {
	for _, c := range []struct {
		mode core.Mode
		want bool // every key stays
	}{{core.ModeHybrid, false}, {core.ModeP2PPrimary, true}} {
		bubble(t, func(t *testing.T, r *rig) {
			r.mode = c.mode
			hear(t, r.regions, summary("solo", 1, core.TierTrainer, 4, 1, 1))
			hear(t, r.regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
			all := true
			for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // nobody is linked: the error names the home
				_, err := r.c.Submit(t.Context(), sample(), key)
				all = all && err != nil && strings.Contains(err.Error(), "region solo")
			}
			if all != c.want {
				t.Errorf("%s: all keys stay here: %v", c.mode, all)
			}
		})
	}
}
