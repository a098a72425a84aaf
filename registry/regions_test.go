package registry

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

func summary(coordinator core.NodeID, region core.RegionID, change func(*wire.RegionSummary)) *wire.RegionSummary {
	s := &wire.RegionSummary{Region: region, Coordinator: coordinator, Sequence: 1, Workers: 2, ByTier: map[string]int{"aggregator": 2},
		FreeSlots: 8, Capacity: core.Capacity{CPU: 0.5, Memory: 0.5, Storage: 0.5}, Performance: 0.9, Runtimes: []core.TaskType{"compute"}}
	if change != nil {
		change(s)
	}
	return s
}

func heard(t testing.TB, summaries ...*wire.RegionSummary) *Regions {
	t.Helper()
	r := NewRegions()
	for _, s := range summaries {
		if err := r.PutSummary(s.Coordinator, s, start()); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// many is so many images.
func many(n int) (all []core.TaskType) {
	for i := range n {
		all = append(all, core.TaskType(fmt.Sprintf("container/%02d", i)))
	}
	return all
}

// A summary names task types before images, of which there may be too many.
func TestSummaryNamesTypesFirst(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	put(t, table, 1, start(), func(ad *wire.Ad) { ad.Runtimes = append([]core.TaskType{"wasm", "container"}, many(40)...) })
	put(t, table, 2, start(), func(ad *wire.Ad) { ad.Runtimes = append([]core.TaskType{"compute"}, many(62)[30:]...) })
	got := table.Summary("us-east", "c", 0, 1, 1, start())
	want := append([]core.TaskType{"compute", "container", "wasm"}, many(61)...)
	if !slices.Equal(got.Runtimes, want) || got.Validate() != nil {
		t.Errorf("%v", got.Runtimes)
	}
}

// A coordinator's summary counts and averages its live workers.
func TestTableSummary(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	busy := put(t, table, 1, start(), nil)
	put(t, table, 2, start(), func(ad *wire.Ad) {
		ad.Tier, ad.Region, ad.Runtimes = core.TierTrainer, "", []core.TaskType{"wasm", "compute"}
	})
	put(t, table, 3, start(), func(ad *wire.Ad) { ad.Region = "eu-west" })
	put(t, table, 4, start(), func(ad *wire.Ad) { ad.Can = core.CanStore })
	table.Remove(put(t, table, 5, start(), nil))
	if _, err := table.Beat(busy, Free{CPU: 50, MemoryMB: 4096, Active: 3}, start()); err != nil {
		t.Fatal(err)
	}
	got := table.Summary("us-east", "coordinator", 7, 1.5, 9, start())
	want := &wire.RegionSummary{Region: "us-east", Coordinator: "coordinator", Sequence: 9, Workers: 2, ByTier: map[string]int{"aggregator": 1, "trainer": 1},
		FreeSlots: 5, Queue: 7, Capacity: core.Capacity{CPU: 0.75, Memory: 0.75, Storage: 0.5}, Performance: 1, Runtimes: []core.TaskType{"compute", "wasm"}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	if empty := NewTable(Config{}).Summary("us-east", "c", 0, 0, 1, start()); empty.Workers != 0 || empty.Capacity != (core.Capacity{}) || empty.Validate() != nil {
		t.Fatalf("empty: %+v", empty)
	}
}

func TestPutSummaryRefuses(t *testing.T) {
	cases := []struct {
		name string
		from core.NodeID
		s    *wire.RegionSummary
		kind core.Kind
	}{
		{"somebody else's", "b", summary("a", "us-east", func(s *wire.RegionSummary) { s.Sequence = 2 }), core.Denied},
		{"replay", "a", summary("a", "us-east", nil), core.Conflict},
		{"out of bounds", "a", summary("a", "us-east", func(s *wire.RegionSummary) { s.Sequence, s.Performance = 2, math.NaN() }), core.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := heard(t, summary("a", "us-east", nil))
			if err := r.PutSummary(c.from, c.s, start()); core.KindOf(err) != c.kind || err == nil {
				t.Fatalf("PutSummary = %v, want kind %v", err, c.kind)
			}
		})
	}
}

func TestRegionsAreBounded(t *testing.T) {
	r := NewRegions()
	for i := range MaxCoordinators {
		id := core.NodeID(fmt.Sprint("c", i))
		if err := r.PutSummary(id, summary(id, "us-east", nil), start()); err != nil {
			t.Fatal(err)
		}
	}
	one := summary("one more", "us-east", nil)
	if err := r.PutSummary("one more", one, start()); core.KindOf(err) != core.Exhausted {
		t.Fatalf("PutSummary = %v", err)
	}
	if err := r.PutSummary("one more", one, start().Add(SummaryLife)); err != nil || len(r.heard) != 1 {
		t.Fatalf("PutSummary = %v; %d remembered", err, len(r.heard))
	}
}

// The global state is a view kept from the coordinators' summaries: regions in
// order, capacity weighted by workers, validators known and active.
// spec 0.9 0.63 2.16
func TestGlobalState(t *testing.T) {
	r := heard(t,
		summary("a", "us-east", func(s *wire.RegionSummary) { s.Workers = 3 }),
		summary("b", "us-east", func(s *wire.RegionSummary) { s.Workers, s.Performance = 1, 0.1 }),
		summary("c", "eu-west", func(s *wire.RegionSummary) {
			s.Workers, s.Performance, s.Capacity = 1, 0.8, core.Capacity{CPU: 0.9, Memory: 0.1, Storage: 1}
		}))
	got := r.GlobalState(start())
	want := core.GlobalState{Regions: []core.RegionState{
		{ID: "eu-west", Capacity: core.Capacity{CPU: 0.9, Memory: 0.1, Storage: 1}, PerformanceScore: 0.8},
		{ID: "us-east", Capacity: core.Capacity{CPU: 0.5, Memory: 0.5, Storage: 0.5}, PerformanceScore: 0.9},
	}, GlobalCapacity: core.Capacity{CPU: 0.6, Memory: 0.4, Storage: 0.625}, TotalValidators: 3, ActiveValidators: 3}
	if !closeTo(got.GlobalCapacity, want.GlobalCapacity) {
		t.Fatalf("capacity %+v, want %+v", got.GlobalCapacity, want.GlobalCapacity)
	}
	got.GlobalCapacity = want.GlobalCapacity
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if got := r.Coordinators("us-east", start()); !slices.Equal(got, []core.NodeID{"a", "b"}) {
		t.Fatalf("coordinators %v", got)
	}

	later := start().Add(SummaryLife)
	if err := r.PutSummary("c", summary("c", "eu-west", func(s *wire.RegionSummary) { s.Sequence = 2 }), later); err != nil {
		t.Fatal(err)
	}
	got = r.GlobalState(later)
	if len(got.Regions) != 1 || got.Regions[0].ID != "eu-west" || got.TotalValidators != 3 || got.ActiveValidators != 1 {
		t.Fatalf("after 90 s of silence: %+v", got)
	}
	if got := r.GlobalState(start().Add(48 * time.Hour)); got.TotalValidators != 0 || got.Regions == nil {
		t.Fatalf("after two days: %+v", got)
	}
	r.Remove("c")
	if got := r.Coordinators("eu-west", later); got != nil {
		t.Fatalf("a removed coordinator is still there: %v", got)
	}
}

func closeTo(a, b core.Capacity) bool {
	return math.Abs(a.CPU-b.CPU) < 1e-9 && math.Abs(a.Memory-b.Memory) < 1e-9 && math.Abs(a.Storage-b.Storage) < 1e-9
}

// Regions are picked by capacity and performance, and only if they could.
// spec 0.7
func TestPickRegion(t *testing.T) {
	free := func(f float64) func(*wire.RegionSummary) {
		return func(s *wire.RegionSummary) { s.Capacity = core.Capacity{CPU: f, Memory: f, Storage: f} }
	}
	performs := func(p float64) func(*wire.RegionSummary) {
		return func(s *wire.RegionSummary) { s.Performance = p }
	}
	none := func(s *wire.RegionSummary) { s.Workers, s.ByTier = 0, nil }
	cases := []struct {
		name string
		a, b func(*wire.RegionSummary)
		req  core.Requirements
		task core.TaskType
		want []core.RegionID
	}{
		{"capacity", free(0.2), free(0.8), core.Requirements{}, "compute", []core.RegionID{"b", "a"}},
		{"performance", performs(0.9), performs(0.3), core.Requirements{}, "compute", []core.RegionID{"a", "b"}},
		{"both full, performance decides", func(s *wire.RegionSummary) { free(0)(s); performs(0.3)(s) }, free(0), core.Requirements{}, "", []core.RegionID{"b", "a"}},
		{"tier excludes", nil, func(s *wire.RegionSummary) { s.ByTier = map[string]int{"inference": 2} }, core.Requirements{MinTier: core.TierAggregator}, "compute", []core.RegionID{"a"}},
		{"no tier", nil, nil, core.Requirements{MinTier: core.TierTrainer}, "compute", nil},
		{"runtime excludes", func(s *wire.RegionSummary) { s.Runtimes = append(s.Runtimes, "container/aa") }, nil, core.Requirements{Runtime: "container/aa"}, "compute", []core.RegionID{"a"}},
		{"no runtime", nil, nil, core.Requirements{Runtime: "container/aa"}, "compute", nil},
		{"a full list may lack it", nil, func(s *wire.RegionSummary) { s.Runtimes = append(s.Runtimes, many(maxRuntimes-1)...) }, core.Requirements{Runtime: "container/aa"}, "compute", []core.RegionID{"b"}},
		{"no type", nil, nil, core.Requirements{}, "wasm", nil},
		{"no worker", none, none, core.Requirements{}, "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := heard(t, summary("1", "a", c.a), summary("2", "b", c.b))
			for seed := range uint64(10) {
				if got := r.PickRegion(c.req, c.task, start(), seed); !slices.Equal(got, c.want) {
					t.Fatalf("got %v, want %v", got, c.want)
				}
			}
		})
	}
	if got := NewRegions().PickRegion(core.Requirements{}, "", start(), 0); len(got) > 0 {
		t.Fatalf("of none: %v", got)
	}
}

// Of regions that could, the near one is first, until it has half as much free as
// one a tenth of a second away; within one place distance decides nothing.
// spec 2.62 2.65
func TestPickRegionNear(t *testing.T) {
	free := func(f float64) func(*wire.RegionSummary) {
		return func(s *wire.RegionSummary) { s.Capacity = core.Capacity{CPU: f, Memory: f, Storage: f} }
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		name       string
		aFree      float64
		aRTT, bRTT time.Duration
		first      []core.RegionID // any of them
	}{
		{"the near one", 0.8, 5 * ms, 80 * ms, []core.RegionID{"a"}},
		{"the near one that is a little fuller", 0.6, 5 * ms, 80 * ms, []core.RegionID{"a"}},
		{"the far one when the near one is full", 0.1, 5 * ms, 80 * ms, []core.RegionID{"b"}},
		{"one place", 0.8, 1 * ms, 8 * ms, []core.RegionID{"a", "b"}},
		{"not measured", 0.8, 0, 0, []core.RegionID{"a", "b"}},
		{"an ocean and a half", 0.8, 90 * ms, 250 * ms, []core.RegionID{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := heard(t, summary("1", "a", free(c.aFree)), summary("2", "b", free(0.8)))
			r.Measured("1", c.aRTT)
			r.Measured("2", c.bRTT)
			got := map[core.RegionID]bool{}
			for seed := range uint64(50) {
				picked := r.PickRegion(core.Requirements{}, "compute", start(), seed)
				if len(picked) != 2 {
					t.Fatalf("picked %v", picked)
				}
				got[picked[0]] = true
			}
			for _, id := range c.first {
				if !got[id] {
					t.Errorf("%s is never first", id)
				}
			}
			if len(got) != len(c.first) {
				t.Errorf("first are %v, want %v", got, c.first)
			}
		})
	}
}

// The distance of a region is that of its nearest coordinator, smoothed, and
// outlives the summaries; one nobody knows is not remembered.
// spec 2.62
func TestMeasured(t *testing.T) {
	const ms = time.Millisecond
	r := heard(t, summary("1", "a", nil), summary("2", "a", nil))
	r.Measured("1", 80*ms)
	r.Measured("2", 40*ms)
	r.Measured("2", 400*ms)
	r.Measured("2", 0)
	r.Measured("stranger", ms)
	next := summary("2", "a", func(s *wire.RegionSummary) { s.Sequence = 2 })
	if err := r.PutSummary("2", next, start()); err != nil {
		t.Fatal(err)
	}
	if got := r.Regions(start()); len(got) != 1 || got[0].RTT != 80*ms {
		t.Errorf("regions %+v", got)
	}
	r.Remove("1")
	if got := r.Regions(start()); len(got) != 1 || got[0].RTT != 130*ms {
		t.Errorf("without the nearest: %+v", got)
	}
	if len(r.heard) != 1 {
		t.Errorf("%d are remembered", len(r.heard))
	}
}

// Equal regions take turns.
func TestPickRegionSpreads(t *testing.T) {
	r := heard(t, summary("1", "a", nil), summary("2", "b", nil))
	first := map[core.RegionID]int{}
	for seed := range uint64(200) {
		first[r.PickRegion(core.Requirements{}, "", start(), seed)[0]]++
	}
	if first["a"] < 60 || first["b"] < 60 {
		t.Fatalf("first: %v", first)
	}
}

// TestRegionLost: a coordinator whose link broke is not chosen, but stays known,
// until its next summary.
//
// spec 0.7 2.5
func TestRegionLost(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	r := NewRegions()
	s := &wire.RegionSummary{Region: "us-east", Coordinator: "node-1", Sequence: 1, Workers: 1, ByTier: map[string]int{"trainer": 1},
		FreeSlots: 1, Capacity: core.Capacity{CPU: 1, Memory: 1, Storage: 1}, Performance: 1, Runtimes: []core.TaskType{"compute"}}
	if err := r.PutSummary("node-1", s, now); err != nil {
		t.Fatal(err)
	}
	r.Lost("node-1", now.Add(time.Second))
	state := r.GlobalState(now.Add(time.Second))
	if len(state.Regions) != 0 || state.TotalValidators != 1 || state.ActiveValidators != 0 {
		t.Errorf("after the link ended: %+v", state)
	}
	again := *s
	again.Sequence = 2
	if err := r.PutSummary("node-1", &again, now.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := r.GlobalState(now.Add(2 * time.Second)); len(got.Regions) != 1 || got.ActiveValidators != 1 {
		t.Errorf("heard again: %+v", got)
	}
}
