package compute_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// seen is one look at a machine.
type seen struct {
	at      time.Time
	power   compute.Power
	memory  float64 // free share
	resting string
}

// TestRest: a machine rests outside its hours, on battery, hot, or short of
// memory, and hysteresis keeps it from changing its mind at every look.
//
// spec 0.18
func TestRest(t *testing.T) {
	nights, err := compute.ParseSchedule("22:00-06:00")
	if err != nil {
		t.Fatal(err)
	}
	battery := compute.Power{OnBattery: true, ChargePercent: 40}
	warm := func(celsius float64) compute.Power { return compute.Power{ChargePercent: -1, Celsius: celsius} }
	for name, c := range map[string]struct {
		rules compute.Rules
		looks []seen
	}{
		"no rules": {compute.Rules{}, []seen{{monday(12, 0), battery, 0.5, ""}, {monday(12, 0), warm(120), 0.5, ""}}},
		"nights only": {compute.Rules{Hours: nights}, []seen{
			{monday(21, 0), warm(0), 0.5, "outside its hours (22:00-06:00); back Mon 22:00"}, {monday(22, 0), warm(0), 0.5, ""}}},
		"on battery": {compute.Rules{PauseOnBattery: true}, []seen{
			{monday(12, 0), battery, 0.5, "on battery, 40 % charged"}, {monday(12, 1), warm(0), 0.5, ""},
			{monday(12, 2), compute.Power{OnBattery: true, ChargePercent: -1}, 0.5, "on battery"}}},
		"hot": {compute.Rules{MaxCelsius: 80}, []seen{
			{monday(12, 0), warm(80), 0.5, ""}, {monday(12, 1), warm(81), 0.5, "hot: 81 degrees, at most 80"},
			{monday(12, 2), warm(77), 0.5, "hot: 77 degrees, at most 80"}, {monday(12, 3), warm(75), 0.5, ""}, {monday(12, 4), warm(77), 0.5, ""}}},
		"short of memory": {compute.Rules{}, []seen{
			{monday(12, 0), warm(0), 0.05, ""}, {monday(12, 1), warm(0), 0.02, "short of memory: 2 % free"},
			{monday(12, 2), warm(0), 0.05, "short of memory: 5 % free"}, {monday(12, 3), warm(0), 0.08, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			rest := compute.NewRest(c.rules)
			for i, look := range c.looks {
				free := core.Capacity{CPU: 0, Memory: look.memory, Storage: 0}
				want := compute.Pause{Why: look.resting, Lasting: look.resting != "" && !strings.HasPrefix(look.resting, "short of memory")}
				if got := rest.Observe(look.at, look.power, free); got != want {
					t.Errorf("look %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}
