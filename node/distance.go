package node

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

const (
	// distanceLook is how often a gateway looks for regions whose distance it does
	// not know.
	distanceLook = 5 * time.Second
	// distanceAgain is how often it measures one again. Routes change rarely; a ping
	// costs each side some microseconds.
	distanceAgain = time.Minute
	// distancesAtOnce bounds the measurements that run together.
	distancesAtOnce = 8
)

// distances is how far the regions are that a gateway knows: it prefers near ones.
type distances struct {
	n    *Node
	next map[core.NodeID]time.Time // by coordinator; only of regions that are known now
}

// measure measures the regions that are due. It is part of the global role.
func (d *distances) measure(ctx context.Context) error {
	now := time.Now()
	next := map[core.NodeID]time.Time{}
	var asking errgroup.Group
	asking.SetLimit(distancesAtOnce)
	for _, r := range d.n.regions.Regions(now) {
		id := r.Summary.Coordinator
		if id == d.n.identity.ID() || len(next) == maxRegionLinks {
			continue
		}
		if at, known := d.next[id]; known && now.Before(at) {
			next[id] = at
			continue
		}
		next[id] = now.Add(distanceAgain)
		asking.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			if rtt, err := d.n.host.RTT(ctx, id); err == nil {
				d.n.regions.Measured(id, rtt)
			}
			return nil
		})
	}
	d.next = next
	return asking.Wait()
}
