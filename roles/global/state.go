package global

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/registry"
)

// State keeps the global view and tells when it changes: which regions there are
// and how many of their coordinators are alive. Free capacity moves all the time
// and is no change.
type State struct {
	regions *registry.Regions
	events  *event.Bus
}

// NewState returns a view over the known regions.
func NewState(regions *registry.Regions, events *event.Bus) *State {
	return &State{regions: regions, events: events}
}

// lookEvery is how often the view is compared with the last one.
const lookEvery = time.Second

// Serve tells network_state_changed until ctx ends.
func (s *State) Serve(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := s.regions.GlobalState(time.Now())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			next := s.regions.GlobalState(now)
			if changed(last, next) {
				s.events.Publish(event.Event{Name: event.NetworkStateChanged, Data: next})
			}
			last = next
		}
	}
}

func changed(a, b core.GlobalState) bool {
	if len(a.Regions) != len(b.Regions) || a.ActiveValidators != b.ActiveValidators || a.TotalValidators != b.TotalValidators {
		return true
	}
	for i := range a.Regions {
		if a.Regions[i].ID != b.Regions[i].ID {
			return true
		}
	}
	return false
}
