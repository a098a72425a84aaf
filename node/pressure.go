package node

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
)

const (
	// sampleEvery is how often the machine's free resources are looked at.
	sampleEvery = 15 * time.Second
	// criticalShare and recoveredShare are the free shares of memory and disk at
	// which a node is short of something and is not any more.
	criticalShare  = 0.05
	recoveredShare = 0.10
)

// newPressure tells when the machine gets short of memory or disk. A busy CPU is
// what the machine is there for and no reason for alarm.
func newPressure(n *Node) service.Service {
	sampler := compute.NewSampler(n.cfg.Home)
	pressure := compute.NewPressure(criticalShare, recoveredShare)
	return service.Every("pressure", sampleEvery, time.Second, func(ctx context.Context) error {
		r, err := sampler.Sample(ctx)
		if err != nil {
			return err
		}
		free := r.Free()
		free.CPU = 1
		changed, critical := pressure.Observe(free)
		if changed {
			n.tellPressure(critical, r.Free())
		}
		return nil
	})
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
