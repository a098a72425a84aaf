package compute

import (
	"fmt"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// coolerBy is how many degrees below its limit a machine works again.
	coolerBy = 5
	// scarceMemory and enoughMemory are the free shares of memory at which a
	// machine takes no more work and takes some again.
	scarceMemory = 0.03
	enoughMemory = 0.08
)

// Rules are when the operator lends the machine.
type Rules struct {
	Hours          Schedule
	PauseOnBattery bool
	MaxCelsius     int // rest above; 0 = never for heat
}

// Pause is why a machine takes no work just now; the zero value: it takes some.
type Pause struct {
	Why string // for people
	// Lasting: until the hours, the power or the heat change, which work that ends
	// does not bring about. A machine that is short of memory is merely busy.
	Lasting bool
}

// Rest decides whether a machine takes work from others now. What runs already
// goes on. It is not safe for concurrent use.
type Rest struct {
	rules  Rules
	hot    bool
	memory *Pressure
}

// NewRest returns the decision by rules, of a machine that was cool and had
// memory.
func NewRest(rules Rules) *Rest {
	return &Rest{rules: rules, memory: NewPressure(scarceMemory, enoughMemory)}
}

// Observe takes what is seen of the machine at a time in its own zone and
// returns why it rests.
func (r *Rest) Observe(now time.Time, p Power, free core.Capacity) Pause {
	_, scarce := r.memory.Observe(core.Capacity{CPU: 1, Memory: free.Memory, Storage: 1})
	if limit := float64(r.rules.MaxCelsius); limit > 0 {
		r.hot = p.Celsius > limit || r.hot && p.Celsius > limit-coolerBy
	}
	switch {
	case !r.rules.Hours.Open(now):
		return Pause{fmt.Sprintf("outside its hours (%s); back %s", r.rules.Hours, r.rules.Hours.Next(now).Format("Mon 15:04")), true}
	case r.rules.PauseOnBattery && p.OnBattery:
		return Pause{"on battery" + charge(p.ChargePercent), true}
	case r.hot:
		return Pause{fmt.Sprintf("hot: %.0f degrees, at most %d", p.Celsius, r.rules.MaxCelsius), true}
	case scarce:
		return Pause{Why: fmt.Sprintf("short of memory: %.0f %% free", 100*free.Memory)}
	}
	return Pause{}
}

func charge(percent int) string {
	if percent < 0 {
		return ""
	}
	return fmt.Sprintf(", %d %% charged", percent)
}
