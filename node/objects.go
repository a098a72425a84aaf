package node

import (
	"cmp"
	"context"
	"slices"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/storage/disk"
	"github.com/tenzro/tenzro/storage/exchange"
)

// buildObjects opens the objects of this node, which others may ask for.
func (n *Node) buildObjects() error {
	c := n.cfg.Storage
	local, err := disk.Open(disk.Config{Dir: n.path(ObjectsDir), MaxBytes: c.ObjectsMB << 20, KeepFor: c.ObjectsFor}, n.registerer, n.log)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, local.Close)
	n.kept = local
	n.objects = exchange.New(exchange.Deps{Local: local, Network: holders{n.host, n}, NetworkID: n.cfg.Network, Blame: n.host.Offended}, n.log)
	n.host.HandleStream(exchange.Protocol(n.cfg.Network), n.objects.ServeStream)
	return nil
}

// holders are the nodes that may have an object.
type holders struct {
	*p2p.Host
	n *Node
}

var _ exchange.Network = holders{}

// Near implements exchange.Network: the connected nodes, and before the others those
// that said they take tasks or keep a region, which is where people put objects.
func (h holders) Near() []core.NodeID {
	peers := h.Peers()
	ordinary := func(p p2p.Peer) int {
		said, known := h.n.met.since(p.ID, p.Since)
		if known && (slices.Contains(said.roles, core.Global.String()) || slices.Contains(said.roles, core.Regional.String())) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(peers, func(a, b p2p.Peer) int { return cmp.Compare(ordinary(a), ordinary(b)) })
	ids := make([]core.NodeID, len(peers))
	for i, p := range peers {
		ids[i] = p.ID
	}
	return ids
}

// gatewayObjects are the objects as the API has them.
type gatewayObjects struct {
	*exchange.Store
	planners map[core.TaskType]compute.Planner
}

var _ api.Objects = gatewayObjects{}

// Resolve implements api.Objects: only the planner of the type knows what may be an
// object.
func (o gatewayObjects) Resolve(ctx context.Context, spec core.TaskSpec) (core.TaskSpec, error) {
	referrer, is := o.planners[spec.Type].(compute.Referrer)
	if !is {
		return spec, nil
	}
	refs, err := referrer.References(spec.Data)
	if err != nil {
		return spec, err
	}
	spec.Data, err = compute.Resolve(spec.Data, refs, func(id core.ObjectID) ([]byte, error) {
		_, data, err := o.Get(ctx, id)
		return data, err
	})
	return spec, err
}
