package compute

import (
	"errors"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
)

// TestCapacityProperty: whatever is reserved and released in whatever order,
// the books never exceed the machine, a refusal is right, and releasing
// everything restores exactly what was there.
//
// spec 0.18
func TestCapacityProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := core.Resources{Cores: 4, MemoryMB: rapid.Int64Range(0, 1000).Draw(t, "memory"), DiskMB: 7, FreeDiskMB: 5}
		slots := rapid.IntRange(1, 6).Draw(t, "slots")
		c := NewCapacity(total, slots)
		start := c.Free()
		var live []*Reservation
		cpu, memory := 0, int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				req := core.Requirements{CPU: rapid.IntRange(0, 100).Draw(t, "cpu"), MemoryMB: rapid.Int64Range(0, 600).Draw(t, "mb")}
				fits := len(live) < slots && cpu+req.CPU <= 100 && memory+req.MemoryMB <= total.MemoryMB
				r, err := c.Reserve(req)
				if (err == nil) != fits {
					t.Fatalf("reserving %+v with %d %% and %d MiB taken: %v", req, cpu, memory, err)
				}
				if err != nil {
					if !errors.Is(err, core.Exhausted) {
						t.Fatalf("kind of %v", err)
					}
					return
				}
				live, cpu, memory = append(live, r), cpu+req.CPU, memory+req.MemoryMB
			},
			"release": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(live)-1).Draw(t, "i")
				live[i].Release()
				live[i].Release() // twice is once
				cpu, memory = cpu-live[i].Requirements().CPU, memory-live[i].Requirements().MemoryMB
				live = append(live[:i], live[i+1:]...)
			},
			"": func(t *rapid.T) {
				free := c.Free()
				used, max := c.Slots()
				if free.FreeCPU != 100-cpu || free.FreeMemoryMB != total.MemoryMB-memory || c.Active() != len(live) || used != len(live) || max != slots {
					t.Fatalf("free is %+v with %d %%, %d MiB, %d tasks", free, cpu, memory, len(live))
				}
			},
		})
		for _, r := range live {
			r.Release()
		}
		if c.Free() != start {
			t.Fatalf("after releasing everything %+v, at the start %+v", c.Free(), start)
		}
	})
}

// TestReserveNamesWhatIsShort: the error's Op is the resource.
//
// spec 0.18
func TestReserveNamesWhatIsShort(t *testing.T) {
	for _, c := range []struct {
		name string
		req  core.Requirements
		kind core.Kind
		op   string
	}{
		{"cpu", core.Requirements{CPU: 51}, core.Exhausted, "cpu"},
		{"memory", core.Requirements{MemoryMB: 501}, core.Exhausted, "memoryMB"},
		{"negative", core.Requirements{CPU: -1}, core.Invalid, "requirements.cpu"},
		{"absurd", core.Requirements{MemoryMB: 1 << 62}, core.Invalid, "requirements.memoryMB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			books := NewCapacity(core.Resources{MemoryMB: 1000}, 2)
			if _, err := books.Reserve(core.Requirements{CPU: 50, MemoryMB: 500}); err != nil {
				t.Fatal(err)
			}
			_, err := books.Reserve(c.req)
			var e *core.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Op != c.op {
				t.Fatalf("%v", err)
			}
		})
	}
	books := NewCapacity(core.Resources{Cores: 1}, 0)
	if _, err := books.Reserve(core.Requirements{}); err != nil {
		t.Fatal(err)
	}
	_, err := books.Reserve(core.Requirements{})
	var e *core.Error
	if !errors.As(err, &e) || e.Op != "slots" {
		t.Fatalf("the second task on one core: %v", err)
	}
}

// TestReserveIsAtomic: of a hundred goroutines that want a third each, three win.
func TestReserveIsAtomic(t *testing.T) {
	c := NewCapacity(core.Resources{MemoryMB: 100}, 100)
	var wg sync.WaitGroup
	got := make(chan *Reservation, 100)
	for range 100 {
		wg.Go(func() {
			if r, err := c.Reserve(core.Requirements{CPU: 33, MemoryMB: 1}); err == nil {
				got <- r
			}
		})
	}
	wg.Wait()
	close(got)
	if len(got) != 3 || c.Free().FreeCPU != 1 {
		t.Fatalf("%d reservations, %+v free", len(got), c.Free())
	}
	for r := range got {
		r.Release()
	}
	if c.Active() != 0 {
		t.Fatal("not all released")
	}
}

// TestSetTotal: a machine that shrinks keeps its tasks and takes no new ones.
func TestSetTotal(t *testing.T) {
	c := NewCapacity(core.Resources{MemoryMB: 1000}, 4)
	r, err := c.Reserve(core.Requirements{MemoryMB: 800})
	if err != nil {
		t.Fatal(err)
	}
	c.SetTotal(core.Resources{MemoryMB: 500})
	if _, err := c.Reserve(core.Requirements{MemoryMB: 1}); !errors.Is(err, core.Exhausted) || c.Free().FreeMemoryMB != 0 {
		t.Fatalf("%v, %+v", err, c.Free())
	}
	r.Release()
	if c.Free().FreeMemoryMB != 500 {
		t.Fatalf("%+v", c.Free())
	}
}

// TestPressure: one event down, one event up, none in between.
//
// spec 0.74
func TestPressure(t *testing.T) {
	p := NewPressure(0.1, 0.2)
	for i, c := range []struct {
		free              core.Capacity
		changed, critical bool
	}{
		{core.Capacity{CPU: 1, Memory: 1, Storage: 0.11}, false, false},
		{core.Capacity{CPU: 1, Memory: 1, Storage: 0.1}, true, true},
		{core.Capacity{CPU: 1, Memory: 0.05, Storage: 1}, false, true},
		{core.Capacity{CPU: 1, Memory: 0.15, Storage: 1}, false, true},
		{core.Capacity{CPU: 0.2, Memory: 0.2, Storage: 0.2}, true, false},
		{core.Capacity{CPU: 0.15, Memory: 0.2, Storage: 0.2}, false, false},
		{core.Capacity{}, true, true},
	} {
		if changed, critical := p.Observe(c.free); changed != c.changed || critical != c.critical {
			t.Errorf("sample %d: changed %v, critical %v", i, changed, critical)
		}
	}
	if full := NewPressure(0, 0); true {
		full.Observe(core.Capacity{})
		if changed, critical := full.Observe(core.Capacity{CPU: 1, Memory: 1, Storage: 1}); !changed || critical {
			t.Error("thresholds of zero never recover")
		}
	}
}

// TestLimitCPU: what the operator keeps for himself is never reserved.
//
// spec 0.18 0.36
func TestLimitCPU(t *testing.T) {
	c := NewCapacity(core.Resources{Cores: 2, MemoryMB: 1024}, 4)
	c.LimitCPU(50)
	if _, err := c.Reserve(core.Requirements{CPU: 51}); core.KindOf(err) != core.Exhausted {
		t.Fatalf("51 %% of a machine limited to 50 %%: %v", err)
	}
	r, err := c.Reserve(core.Requirements{CPU: 50})
	if err != nil {
		t.Fatal(err)
	}
	if free := c.Free().FreeCPU; free != 0 {
		t.Errorf("free CPU is %d", free)
	}
	r.Release()
	if free := c.Free().FreeCPU; free != 50 {
		t.Errorf("free CPU after release is %d", free)
	}
}
