package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/wire"
)

// hoursAround is a schedule that is open, or closed, for the next hours.
func hoursAround(open bool) string {
	from, to := time.Now().Add(-time.Hour), time.Now().Add(3*time.Hour)
	if !open {
		from, to = to, from
	}
	return from.Format("15:04") + "-" + to.Format("15:04")
}

// TestNodeRests: a node outside its hours takes no work, says why, and takes it
// again when they begin.
//
// spec 0.18
func TestNodeRests(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "local")
	c.Compute.Hours = hoursAround(false)
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.acceptsWork(); !errors.Is(err, core.Unavailable) || !strings.Contains(n.Status().Resting, "outside its hours") {
		t.Fatalf("accepts work: %v; status says %q", err, n.Status().Resting)
	}
	if size := n.tasks.Window().Size(wire.ClassSubtask); size != 0 {
		t.Errorf("asks for %d subtasks", size)
	}
	n.rest = compute.NewRest(compute.Rules{}) // its hours have come
	start(t, n)
	answers55(t, n)
}

// TestRestingWorker: a task that only a node at rest could run ends after its
// queue time, its submitter is told why, and a node that is merely short of memory
// keeps it waiting.
func TestRestingWorker(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "local")
	c.Compute.Hours = hoursAround(false)
	n, err := New(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	start(t, n)
	spec := sample()
	spec.QueueTimeoutMS = 3000
	g := gatewayTasks{n.coordinator, n}
	s, err := g.Submit(t.Context(), spec, "")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the reason to be told", func() error {
		if why, err := g.Why(t.Context(), s.TaskID); err != nil || !strings.Contains(why.Because, "takes no work now: the only capable worker rests: outside its hours") {
			return fmt.Errorf("%q, %v", why.Because, err)
		}
		return nil
	})
	r, err := g.Result(t.Context(), s.TaskID, patience)
	if err != nil || r.Failure == nil || r.Failure.Reason != core.ReasonNoCapableWorker || !strings.Contains(r.Failure.Message, "outside its hours") {
		t.Errorf("ended as %+v, %v", r, err)
	}
	n.setResting(compute.Pause{Why: "short of memory: 2 % free"})
	if told := n.tasks.Window().Rests(); told != "" {
		t.Errorf("coordinators are told %q of a shortage that passes", told)
	}
}

// TestNodeWorksInItsHours is the other half.
func TestNodeWorksInItsHours(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "local")
	c.Compute.Hours = hoursAround(true)
	n, _ := run(t, c)
	if why := n.Resting(); why != "" {
		t.Fatalf("rests: %s", why)
	}
	answers55(t, n)
}

// TestPressureIsTold: watchers hear once that the machine has become short of memory
// or disk, and once that it has recovered; a busy CPU is no reason.
//
// spec 0.74
func TestPressureIsTold(t *testing.T) {
	n := build(t, config(t, "local"))
	told := n.events.Subscribe(event.Live, 16)
	defer told.Close()
	pressure := compute.NewPressure(criticalShare, recoveredShare)
	for _, memory := range []float64{0.5, 0.05, 0.01, 0.07, 0.10, 0.06} {
		n.pressed(pressure, core.Capacity{CPU: 0.01, Memory: memory, Storage: 0.5})
	}
	for _, want := range []event.Event{{Name: event.ResourceCritical, Data: core.Capacity{CPU: 0.01, Memory: 0.05, Storage: 0.5}},
		{Name: event.ResourceRecovered, Data: core.Capacity{CPU: 0.01, Memory: 0.10, Storage: 0.5}}} {
		if got := <-told.C(); got.Name != want.Name || got.Data != want.Data {
			t.Errorf("told %+v, want %+v", got, want)
		}
	}
	if len(told.C()) != 0 {
		t.Errorf("told %+v too", <-told.C())
	}
}

// TestPowerIsShown: the profile says what is known of supply and heat, and nothing
// where nothing is.
//
// spec 0.17
func TestPowerIsShown(t *testing.T) {
	n := &Node{}
	for _, p := range []compute.Power{{OnBattery: true, ChargePercent: 40, Celsius: 71}, {ChargePercent: -1}} {
		n.power.Store(&p)
		got := n.shownPower()
		if got.OnBattery != p.OnBattery || got.Celsius != p.Celsius || (got.ChargePercent != nil) != (p.ChargePercent >= 0) || got.ChargePercent != nil && *got.ChargePercent != 40 {
			t.Errorf("%+v is shown as %+v", p, got)
		}
	}
}

// TestHoursAreChecked: a schedule that cannot be read keeps the node from
// starting.
func TestHoursAreChecked(t *testing.T) {
	c := config(t)
	c.Compute.Hours = "nights"
	if err := c.Validate(); !errors.Is(err, core.Invalid) {
		t.Errorf("got %v", err)
	}
	c = config(t)
	c.Compute.MaxCelsius = -1
	if err := c.Validate(); !errors.Is(err, core.Invalid) {
		t.Errorf("got %v", err)
	}
}
