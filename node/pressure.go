package node

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
)

const (
	// sampleEvery is how often the machine is looked at.
	sampleEvery = 15 * time.Second
	// criticalShare and recoveredShare are the free shares of memory and disk at
	// which a node is short of something and is not any more.
	criticalShare  = 0.05
	recoveredShare = 0.10
)

// buildRest makes the decision whether this machine takes work now, so that a
// node that starts outside its hours takes none. That hours can be read is
// checked by Validate.
func (n *Node) buildRest(ctx context.Context) error {
	hours, err := compute.ParseSchedule(n.cfg.Compute.Hours)
	if err != nil {
		return err
	}
	n.rest = compute.NewRest(compute.Rules{Hours: hours, PauseOnBattery: n.cfg.Compute.PauseOnBattery, MaxCelsius: n.cfg.Compute.MaxCelsius})
	n.setResting(n.rest.Observe(time.Now(), n.readPower(ctx), allFree()))
	return nil
}

// readPower looks at supply and heat and remembers them.
func (n *Node) readPower(ctx context.Context) compute.Power {
	p := compute.ReadPower(ctx)
	n.power.Store(&p)
	return p
}

// shownPower is what was seen last, for the profile.
func (n *Node) shownPower() (out api.Power) {
	if p := n.power.Load(); p != nil {
		out.OnBattery, out.Celsius = p.OnBattery, p.Celsius
		if p.ChargePercent >= 0 {
			out.ChargePercent = &p.ChargePercent
		}
	}
	return out
}

// allFree stands for a machine that nobody has looked at.
func allFree() core.Capacity { return core.Capacity{CPU: 1, Memory: 1, Storage: 1} }

// newPressure looks whether the machine gets short of memory or disk, and
// whether it has to rest. A busy CPU is what the machine is there for and no
// reason for alarm.
func newPressure(n *Node) service.Service {
	sampler := compute.NewSampler(n.cfg.Home)
	pressure := compute.NewPressure(criticalShare, recoveredShare)
	return service.Every("pressure", sampleEvery, time.Second, func(ctx context.Context) error {
		r, err := sampler.Sample(ctx)
		seen := r.Free()
		if err != nil { // hours begin and end all the same
			seen = allFree()
		}
		n.setResting(n.rest.Observe(time.Now(), n.readPower(ctx), seen))
		if err == nil {
			n.pressed(pressure, r.Free())
		}
		return err
	})
}

// pressed tells when the machine has become short of memory or disk, and when it is
// not any more.
func (n *Node) pressed(p *compute.Pressure, free core.Capacity) {
	seen := free
	seen.CPU = 1
	if changed, critical := p.Observe(seen); changed {
		n.tellPressure(critical, free)
	}
}

// Resting returns why this node takes no work just now; empty when it takes some.
func (n *Node) Resting() string {
	if p := n.resting.Load(); p != nil {
		return p.Why
	}
	return ""
}

// tellsRest is what coordinators hear of that: nothing of a rest that does not
// last, because tasks wait for a busy machine.
func (n *Node) tellsRest() string {
	if p := n.resting.Load(); p != nil && p.Lasting {
		return p.Why
	}
	return ""
}

// setResting remembers why the node rests and logs when that begins or ends.
func (n *Node) setResting(p compute.Pause) {
	was := n.Resting()
	n.resting.Store(&p)
	switch {
	case p.Why != "" && was == "":
		n.log.Info().Str("why", p.Why).Msg("this node rests: it finishes what it runs and takes nothing new")
	case p.Why == "" && was != "":
		n.log.Info().Msg("this node takes work again")
	}
}

func (n *Node) tellPressure(critical bool, free core.Capacity) {
	if critical {
		n.events.Publish(event.Event{Name: event.ResourceCritical, Data: free})
		n.log.Warn().Float64("free_memory", free.Memory).Float64("free_disk", free.Storage).Msg("this machine is short of resources")
		return
	}
	n.events.Publish(event.Event{Name: event.ResourceRecovered, Data: free})
	n.log.Info().Msg("this machine has resources again")
}
