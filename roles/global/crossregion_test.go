package global

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// TestPick: regions come by capacity and performance, those that cannot run the
// task not at all; there is always one.
//
// spec 0.2 0.7
func TestPick(t *testing.T) {
	const solo core.RegionID = "solo"
	for _, c := range []struct {
		name  string
		known []*wire.RegionSummary
		near  core.RegionID
		want  []core.RegionID
	}{
		{"more capacity first", []*wire.RegionSummary{
			summary(west, 1, core.TierTrainer, 4, 0.3, 1), summary(east, 2, core.TierTrainer, 4, 0.9, 1)}, "", []core.RegionID{east, west}},
		{"better performance first", []*wire.RegionSummary{
			summary(west, 1, core.TierTrainer, 4, 0.9, 0.9), summary(east, 2, core.TierTrainer, 4, 0.9, 0.2)}, "", []core.RegionID{west, east}},
		{"both count", []*wire.RegionSummary{
			summary(west, 1, core.TierTrainer, 4, 1, 0.3), summary(east, 2, core.TierTrainer, 4, 0.6, 0.9)}, "", []core.RegionID{east, west}},
		{"a tier too low is out", []*wire.RegionSummary{
			summary(west, 1, core.TierInference, 40, 1, 1), summary(east, 2, core.TierAggregator, 1, 0.1, 0.1)}, "", []core.RegionID{east}},
		{"able is better than near", []*wire.RegionSummary{
			summary(west, 1, core.TierInference, 4, 1, 1), summary(east, 2, core.TierTrainer, 4, 1, 1)}, west, []core.RegionID{east}},
		{"nobody able: the nearest all the same", []*wire.RegionSummary{
			summary(west, 1, core.TierInference, 9, 1, 1), summary(east, 2, core.TierInference, 4, 1, 1)}, east, []core.RegionID{east}},
		{"nobody able or near: the one with most workers", []*wire.RegionSummary{
			summary(west, 1, core.TierInference, 9, 1, 1), summary(east, 2, core.TierInference, 4, 1, 1)}, "", []core.RegionID{west}},
		{"regions without workers: one of them", []*wire.RegionSummary{summary(east, 2, core.TierAny, 0, 0, 1)}, "", []core.RegionID{east}},
		{"no region: a region of one", nil, "", []core.RegionID{solo}},
		{"none heard of but near one", nil, west, []core.RegionID{west}},
	} {
		t.Run(c.name, func(t *testing.T) {
			regions := registry.NewRegions()
			for _, s := range c.known {
				hear(t, regions, s)
			}
			pick := NewCrossRegion(regions, around(solo, c.near))
			for seed := range uint64(20) {
				if got := pick.Pick(t.Context(), sample().Requirements, sample().Type, seed); !slices.Equal(got, c.want) {
					t.Fatalf("seed %d: picked %v, want %v", seed, got, c.want)
				}
			}
		})
	}
}

// around is a node in hybrid mode that has been there for long.
func around(own, near core.RegionID) Surroundings {
	return Surroundings{Own: func() core.RegionID { return own }, Nearest: func() core.RegionID { return near },
		Mode:    func() core.Mode { return core.ModeHybrid },
		Workers: func(core.Requirements, core.TaskType) (any, capable bool) { return false, false },
		Looking: func() bool { return false }}
}

// TestPickEqualRegions: equal regions share the work.
func TestPickEqualRegions(t *testing.T) {
	regions := registry.NewRegions()
	hear(t, regions, summary(west, 1, core.TierTrainer, 4, 1, 1))
	hear(t, regions, summary(east, 2, core.TierTrainer, 4, 1, 1))
	pick := NewCrossRegion(regions, around("solo", ""))
	first := map[core.RegionID]int{}
	for seed := range uint64(100) {
		first[pick.Pick(t.Context(), sample().Requirements, sample().Type, seed)[0]]++
	}
	if first[east] < 25 || first[west] < 25 {
		t.Errorf("of 100 tasks the regions got %v", first)
	}
}

// TestPickNamesNoMoreThanAnOfferMay: a network of many regions does not make
// offers that nobody can decode.
func TestPickNamesNoMoreThanAnOfferMay(t *testing.T) {
	regions := registry.NewRegions()
	for i := range 100 {
		hear(t, regions, summary(core.RegionID(fmt.Sprint("r", i)), byte(i+1), core.TierTrainer, 1, 1, 1))
	}
	pick := NewCrossRegion(regions, around("solo", ""))
	o := &wire.JobOffer{Lease: 1, TaskID: "t", Attempt: 1, Class: wire.ClassJob, Task: wire.Head(sample()), Data: wire.Payload{Inline: sample().Data},
		TTLMS: 1, Regions: pick.Pick(t.Context(), sample().Requirements, sample().Type, 1)}
	if err := o.Validate(); err != nil || len(o.Regions) < 50 {
		t.Errorf("an offer with the %d picked regions: %v", len(o.Regions), err)
	}
}
