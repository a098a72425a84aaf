package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/tenzro/tenzro/core"
)

// regionStatus is what a coordinator says of its group, as far as it matters
// here.
type regionStatus struct {
	Leader  core.NodeID `json:"leader"`
	Members []struct {
		ID core.NodeID `json:"id"`
	} `json:"members"`
}

// Leader asks the coordinators that run who leads them.
func (a *Arena) Leader(ctx context.Context) (leader *Node, err error) {
	err = await(ctx, "the region to have a leader", time.Minute, func(ctx context.Context) error {
		var problem error
		for _, c := range a.Net.Of(Coordinator) {
			if !c.Up() {
				continue
			}
			var s regionStatus
			if problem = c.read(ctx, "/api/v1/region", &s); problem != nil {
				continue
			}
			if leader = a.coordinator(s.Leader); leader != nil && leader.Up() {
				return nil
			}
			problem = fmt.Errorf("%s says that %q leads", c.Name, s.Leader)
		}
		return problem
	})
	return leader, err
}

func (a *Arena) coordinator(id core.NodeID) *Node {
	for _, c := range a.Net.Of(Coordinator) {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Joined waits until every coordinator that runs sees all of them as members.
func (a *Arena) Joined(ctx context.Context) error {
	return await(ctx, "the coordinators to be one group", startLimit, func(ctx context.Context) error {
		for _, c := range a.Net.Of(Coordinator) {
			if !c.Up() {
				continue
			}
			var s regionStatus
			if err := c.read(ctx, "/api/v1/region", &s); err != nil {
				return err
			}
			if len(s.Members) < len(a.Net.Of(Coordinator)) || s.Leader == "" {
				return fmt.Errorf("%s sees %d members and leader %q", c.Name, len(s.Members), s.Leader)
			}
		}
		return nil
	})
}
