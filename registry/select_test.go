package registry

import (
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Only capable nodes are selected: minTier excludes lower rungs, and a trainer
// may do an inference node's work.
//
// spec 0.26 0.64 2.15 2.37
func TestSelectCapable(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	low := put(t, table, 1, start(), func(ad *wire.Ad) { ad.Tier, ad.Resources.MemoryMB = core.TierInference, 1024 })
	mid := put(t, table, 2, start(), func(ad *wire.Ad) { ad.Runtimes = []core.TaskType{"compute", "wasm"} })
	high := put(t, table, 3, start(), func(ad *wire.Ad) { ad.Tier = core.TierTrainer })
	put(t, table, 4, start(), func(ad *wire.Ad) { ad.Can, ad.Tier = core.CanStore, core.TierTrainer })
	put(t, table, 5, start(), func(ad *wire.Ad) { ad.MaxSlots, ad.Tier = 0, core.TierTrainer })
	cases := []struct {
		name string
		req  core.Requirements
		task core.TaskType
		want []core.NodeID
	}{
		{"anything", core.Requirements{}, "", []core.NodeID{low, mid, high}},
		{"tier aggregator", core.Requirements{MinTier: core.TierAggregator}, "compute", []core.NodeID{mid, high}},
		{"tier trainer", core.Requirements{MinTier: core.TierTrainer}, "compute", []core.NodeID{high}},
		{"memory", core.Requirements{MemoryMB: 1025}, "", []core.NodeID{mid, high}},
		{"task type", core.Requirements{}, "wasm", []core.NodeID{mid}},
		{"nobody", core.Requirements{MinTier: core.TierTrainer}, "wasm", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := table.Select(start(), c.req, c.task, 10, 7)
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for _, n := range table.All(start()) {
				if capable := Capable(n, c.req, c.task) == nil; capable != slices.Contains(got, n.Ad.NodeID) {
					t.Fatalf("Capable(%s) = %v", n.Ad.NodeID, capable)
				}
			}
		})
	}
}

// Below 20, and during the cooldown after an invalid proof, a node gets no work.
// spec 4.64 4.61
func TestSelectExcludes(t *testing.T) {
	rep := NewReputation(0)
	table := NewTable(Config{Network: testNet, Reputation: rep})
	bad, cooling, good := put(t, table, 1, start(), nil), put(t, table, 2, start(), nil), put(t, table, 3, start(), nil)
	apply(t, rep, bad, Change{Delta: -31, Cause: "lease_lost", Evidence: core.Sum([]byte("1"))}, start())
	apply(t, rep, cooling, Change{Delta: InvalidProof, Cause: CauseInvalidProof, Evidence: core.Sum([]byte("2"))}, start())
	if got := table.Select(start(), core.Requirements{}, "", 3, 1); !slices.Equal(got, []core.NodeID{good}) {
		t.Fatalf("got %v, want only %v", got, good)
	}
	for id, want := range map[core.NodeID]int{bad: 19, cooling: 40, good: 50} {
		if n, _ := table.Get(id, start()); n.Reputation != want {
			t.Fatalf("reputation of %s is %d, want %d", id, n.Reputation, want)
		}
	}
	later := start().Add(Cooldown)
	for _, id := range []core.NodeID{bad, cooling, good} {
		if _, err := table.Beat(id, Free{CPU: 100, MemoryMB: 8192}, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := table.Select(later, core.Requirements{}, "", 3, 1); !slices.Equal(got, []core.NodeID{good, cooling}) {
		t.Fatalf("after the cooldown: %v, want %v", got, []core.NodeID{good, cooling})
	}
	if why := table.Explain(start(), core.Requirements{}, ""); why != "" {
		t.Fatalf("Explain = %q", why)
	}
	table.Remove(good)
	if why := table.Explain(start(), core.Requirements{}, ""); why != "each of the 2 capable workers is excluded by its reputation or cooling down" {
		t.Fatalf("Explain = %q", why)
	}
}

func TestSelectPrefers(t *testing.T) {
	cases := []struct {
		name          string
		better, worse func(*wire.Ad)
		busy          Free // of the worse node
	}{
		{"room before none", nil, nil, Free{CPU: 100, MemoryMB: 8192, Active: 4}},
		{"free before loaded", nil, nil, Free{CPU: 20, MemoryMB: 8192}},
		{"fast before slow", func(ad *wire.Ad) { ad.Resources.Cores = 64 }, nil, Free{CPU: 100, MemoryMB: 8192}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) {
				table := NewTable(Config{Network: testNet})
				worse := put(t, table, 1, start(), c.worse)
				better := put(t, table, 2, start(), c.better)
				if _, err := table.Beat(worse, c.busy, start()); err != nil {
					t.Fatal(err)
				}
				if got := table.Select(start(), core.Requirements{}, "", 2, seed); !slices.Equal(got, []core.NodeID{better, worse}) {
					t.Fatalf("seed %d: got %v, want %v first", seed, got, better)
				}
			}
		})
	}
}

// Equal nodes share the work, and the less busy of them get more of it.
func TestSelectSpreads(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	var ids []core.NodeID
	for i := range 10 {
		ids = append(ids, put(t, table, i, start(), nil))
	}
	if _, err := table.Beat(ids[0], Free{CPU: 100, MemoryMB: 8192, Active: 3}, start()); err != nil {
		t.Fatal(err)
	}
	count := map[core.NodeID]int{}
	for s := range uint64(1000) {
		count[table.Select(start(), core.Requirements{}, "", 1, s)[0]]++
	}
	for _, id := range ids[1:] {
		if n := count[id]; n < 60 || n > 170 {
			t.Errorf("%s was picked %d of 1000 times", id, n)
		}
	}
	if n := count[ids[0]]; n > 30 {
		t.Errorf("the busy node was picked %d times", n)
	}
	again := table.Select(start(), core.Requirements{}, "", 5, 42)
	if !slices.Equal(again, table.Select(start(), core.Requirements{}, "", 5, 42)) {
		t.Error("the same seed gives another answer")
	}
}

// The reason no_capable_worker names what is missing.
func TestExplain(t *testing.T) {
	trainer := core.Requirements{MinTier: core.TierTrainer}
	cases := []struct {
		name string
		ads  []func(*wire.Ad)
		req  core.Requirements
		task core.TaskType
		want string
	}{
		{"empty", nil, trainer, "", "no worker is online"},
		{"tier", []func(*wire.Ad){nil, func(ad *wire.Ad) { ad.Tier = core.TierInference }}, trainer, "compute",
			"nobody has tier trainer; best here is aggregator"},
		{"type", []func(*wire.Ad){nil}, trainer, "wasm", `nobody runs task type "wasm"`},
		{"runtime", []func(*wire.Ad){nil, func(ad *wire.Ad) { ad.Runtimes = []core.TaskType{"container", "container/aa"} }},
			core.Requirements{Runtime: "container/bb"}, "container", `nobody that runs task type "container" has "container/bb", which this task needs`},
		{"has the runtime", []func(*wire.Ad){func(ad *wire.Ad) { ad.Runtimes = []core.TaskType{"container", "container/aa"} }},
			core.Requirements{Runtime: "container/aa"}, "container", ""},
		{"memory", []func(*wire.Ad){nil, func(ad *wire.Ad) { ad.Tier, ad.Resources.MemoryMB = core.TierTrainer, 4096 }},
			core.Requirements{MinTier: core.TierTrainer, MemoryMB: 5000}, "compute", "nobody has 5000 MiB of memory; best here is 4096 MiB"},
		{"only storage", []func(*wire.Ad){func(ad *wire.Ad) { ad.Can = core.CanStore }}, core.Requirements{}, "", "nobody has the compute capability"},
		{"no slots", []func(*wire.Ad){func(ad *wire.Ad) { ad.MaxSlots = 0 }}, core.Requirements{}, "", "nobody has a slot"},
		{"busy", []func(*wire.Ad){func(ad *wire.Ad) { ad.Resources.FreeCPU = 10 }}, core.Requirements{CPU: 11}, "", "each of the 1 capable workers is busy"},
		{"fine", []func(*wire.Ad){nil}, core.Requirements{CPU: 100, MemoryMB: 8192}, "compute", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := NewTable(Config{Network: testNet})
			for i, change := range c.ads {
				put(t, table, i, start(), change)
			}
			if got := table.Explain(start(), c.req, c.task); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	id := put(t, table, 1, start(), nil)
	n, _ := table.Get(id, start())
	cases := []struct {
		got        *Missing
		field, say string
	}{
		{Capable(n, core.Requirements{MinTier: core.TierTrainer}, ""), "minTier", "tier trainer (has aggregator)"},
		{Capable(n, core.Requirements{MemoryMB: 9000}, ""), "memoryMB", "9000 MiB of memory (has 8192 MiB)"},
		{Capable(n, core.Requirements{CPU: 101}, ""), "cpu", "101 % of one node's CPU (has 100 %)"},
		{Capable(n, core.Requirements{}, "wasm"), "type", `task type "wasm" (has [compute])`},
		{Capable(n, core.Requirements{Runtime: "container/aa"}, "compute"), "runtime", `"container/aa" (has [compute])`},
	}
	if _, err := table.Beat(id, Free{CPU: 30, MemoryMB: 100, Active: 1}, start()); err != nil {
		t.Fatal(err)
	}
	n, _ = table.Get(id, start())
	cases = append(cases, []struct {
		got        *Missing
		field, say string
	}{
		{HasRoom(n, core.Requirements{CPU: 31}), "cpu", "31 % of the CPU (has 30 % free)"},
		{HasRoom(n, core.Requirements{MemoryMB: 101}), "memoryMB", "101 MiB of memory (has 100 MiB free)"},
		{HasRoom(Node{Ad: n.Ad, Free: Free{CPU: 100, Active: 4}}, core.Requirements{}), "slots", "a free slot (has 4 of 4 taken)"},
	}...)
	for _, c := range cases {
		if c.got == nil || c.got.Requirement != c.field || c.got.String() != c.say {
			t.Errorf("got %+v, want %s: %s", c.got, c.field, c.say)
		}
	}
	if HasRoom(n, core.Requirements{CPU: 30, MemoryMB: 100}) != nil || Capable(n, core.Requirements{CPU: 100, MemoryMB: 8192}, "compute") != nil {
		t.Error("an exact fit is refused")
	}
}

// One query looks at 100,000 ads.
func BenchmarkSelect100k(b *testing.B) {
	rep := NewReputation(0)
	table := big(b, rep, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if got := table.Select(start(), core.Requirements{MinTier: core.TierAggregator}, "compute", 8, 1); len(got) != 8 {
			b.Fatal(len(got))
		}
	}
}

// big fills a table without signatures: 100,000 of them would take 5 s.
func big(b *testing.B, rep *Reputation, n int) *Table {
	table := NewTable(Config{Network: testNet, Reputation: rep})
	for i := range n {
		ad := worker()
		ad.NodeID = identity(i).ID()
		ad.Resources.Cores = 1 + i%64
		if _, err := table.store(&ad, start()); err != nil {
			b.Fatal(err)
		}
		if i%10 == 0 {
			change := Change{Delta: -1 - i%30, Cause: "lease_lost", Evidence: core.Sum([]byte(ad.NodeID))}
			if _, err := rep.Apply(ad.NodeID, change, start().Add(-time.Hour)); err != nil {
				b.Fatal(err)
			}
		}
	}
	return table
}

// TestRestingNodes: who rests is selected by nobody and counted in no summary, and
// the explanation says why; an ad changes nothing about it, its own word does.
func TestRestingNodes(t *testing.T) {
	table := NewTable(Config{Network: testNet})
	id := put(t, table, 1, start(), nil)
	beat := func(rests string, turns bool) {
		t.Helper()
		turned, err := table.Beat(id, Free{CPU: 100, MemoryMB: 8192, Rests: rests}, start())
		if err != nil || turned != turns {
			t.Fatalf("rest %q: turned %v, %v", rests, turned, err)
		}
	}
	counted := func() (int, int) {
		return len(table.Select(start(), core.Requirements{}, "compute", 1, 0)), table.Summary("us-east", id, 0, 1, 1, start()).Workers
	}
	beat("", false)
	beat("on battery", true)
	beat("hot: 81 degrees, at most 80", false)
	put(t, table, 1, start(), func(ad *wire.Ad) { ad.Sequence = 2 })
	if selected, workers := counted(); selected != 0 || workers != 0 {
		t.Errorf("at rest: %d selected, %d in the summary", selected, workers)
	}
	if got, want := table.Explain(start(), core.Requirements{}, "compute"), "the only capable worker rests: hot: 81 degrees, at most 80"; got != want {
		t.Errorf("explained as %q, want %q", got, want)
	}
	beat("", true)
	if selected, workers := counted(); selected != 1 || workers != 1 {
		t.Errorf("after it: %d selected, %d in the summary", selected, workers)
	}
}
