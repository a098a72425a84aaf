package global

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/registry"
)

// TestStateTellsChanges: the view of the network tells when regions come and go,
// and only then.
//
// spec 0.9 0.72
func TestStateTellsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		regions, bus := registry.NewRegions(), event.New(0)
		told := bus.Subscribe(0, 64)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- NewState(regions, bus).Serve(ctx) }()
		next := func(what string, want ...core.RegionID) {
			t.Helper()
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			if len(told.C()) == 0 && want == nil {
				return
			}
			if len(told.C()) != 1 {
				t.Fatalf("%s: %d events, want %v", what, len(told.C()), want)
			}
			e := <-told.C()
			state, ok := e.Data.(core.GlobalState)
			if e.Name != event.NetworkStateChanged || !ok || len(state.Regions) != len(want) {
				t.Fatalf("%s: told %+v, want regions %v", what, e, want)
			}
			for i, r := range state.Regions {
				if r.ID != want[i] {
					t.Errorf("%s: regions %v, want %v", what, state.Regions, want)
				}
			}
		}
		next("nothing happened")
		s := summary(east, 1, core.TierTrainer, 4, 1, 1)
		hear(t, regions, s)
		next("a region came", east)
		busy := *s
		busy.Sequence, busy.Capacity, busy.Workers = 2, core.Capacity{}, 3
		hear(t, regions, &busy)
		next("a region got busy")
		hear(t, regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
		next("a second coordinator came", east)
		hear(t, regions, summary(west, 3, core.TierTrainer, 4, 1, 1))
		next("another region came", west, east)
		time.Sleep(registry.SummaryLife + lookEvery) // all of them fall silent
		synctest.Wait()
		var last event.Event
		for len(told.C()) > 0 {
			last = <-told.C()
		}
		if state, ok := last.Data.(core.GlobalState); !ok || len(state.Regions) != 0 || state.ActiveValidators != 0 || state.TotalValidators != 3 {
			t.Errorf("after the silence the state is %+v", last.Data)
		}
		stop()
		if err := <-ended; err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}
