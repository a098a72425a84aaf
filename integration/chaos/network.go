package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

// region is the one region of the network.
const region = core.RegionID("here")

// starting is how many processes start at once: each measures its machine first.
const starting = 4

// Topology says which nodes there are.
type Topology struct {
	Gateways     int           `json:"gateways"`
	Coordinators int           `json:"coordinators"`
	Workers      int           `json:"workers"`
	Seeds        int           `json:"seeds,omitempty"`  // bootstrap nodes beside the others; none: gateways and coordinators are
	Group        bool          `json:"group,omitempty"`  // the region is kept by a group of its coordinators
	Walled       bool          `json:"walled,omitempty"` // every node in a network namespace
	Lease        time.Duration `json:"leaseNs,omitempty"`
	Slots        int           `json:"slots,omitempty"`   // of a worker
	DiskMiB      int           `json:"diskMiB,omitempty"` // every coordinator's home is a volume of that size
}

// Network is the nodes of a run.
type Network struct {
	Nodes []*Node

	topology Topology
	walls    *walls   // nil without namespaces
	volumes  []string // mounted for this run
}

// plant prepares the homes of all nodes and starts them, those others start from
// first. What has begun is for Close to end, also after an error.
func plant(ctx context.Context, t Topology, dir, binary string) (*Network, error) {
	n := &Network{topology: t}
	if t.Walled {
		var err error
		if n.walls, err = buildWalls(ctx, t.Gateways+t.Coordinators+t.Workers+t.Seeds); err != nil {
			return n, err
		}
	}
	if err := n.furnish(dir, binary); err != nil {
		return n, err
	}
	roots, others := n.Of(Seed), slices.Concat(n.Of(Coordinator), n.Of(Gateway), n.Of(Worker))
	if err := startAll(ctx, roots); err != nil {
		return n, err
	}
	return n, startAll(ctx, others)
}

func startAll(ctx context.Context, nodes []*Node) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(starting)
	for _, node := range nodes {
		g.Go(func() error { return node.Start(ctx) })
	}
	return g.Wait()
}

// furnish makes every node's home and decides its addresses and flags.
func (n *Network) furnish(dir, binary string) error {
	free := &ports{next: firstPort + rand.IntN((lastPort-firstPort)/2)} // two runs at once need not collide
	for _, part := range []struct {
		kind  Kind
		count int
	}{{Seed, n.topology.Seeds}, {Gateway, n.topology.Gateways}, {Coordinator, n.topology.Coordinators}, {Worker, n.topology.Workers}} {
		for i := range part.count {
			at, err := n.place(free)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s-%d", part.kind, i+1)
			if err := n.volume(part.kind, filepath.Join(dir, name)); err != nil {
				return err
			}
			node, err := newNode(dir, name, part.kind, at, binary)
			if err != nil {
				return err
			}
			n.Nodes = append(n.Nodes, node)
		}
	}
	for _, node := range n.Nodes {
		node.args = node.flags(n.role(node))
	}
	return nil
}

// volume makes the home of a coordinator a small disk where the topology wants so.
func (n *Network) volume(kind Kind, home string) error {
	if kind != Coordinator || n.topology.DiskMiB == 0 {
		return nil
	}
	if err := mount(home, n.topology.DiskMiB); err != nil {
		return err
	}
	n.volumes = append(n.volumes, home)
	return nil
}

func (n *Network) place(free *ports) (place, error) {
	if n.walls != nil {
		return n.walls.place(len(n.Nodes)), nil
	}
	p := place{ip: "127.0.0.1"}
	for _, port := range []*int{&p.p2p, &p.http, &p.prom} {
		var err error
		if *port, err = free.take(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// role returns the flags that make a node what it is here.
func (n *Network) role(node *Node) []string {
	var flags []string
	switch node.Kind {
	case Gateway, Seed:
		flags = []string{"--role", "global"}
	case Coordinator:
		flags = []string{"--role", "regional", "--region", string(region)}
		if n.topology.Group {
			flags = append(flags, "--region-admit", "open")
		}
	case Worker:
		flags = []string{"--role", "local", "--region", string(region)}
		if n.topology.Slots > 0 {
			flags = append(flags, "--slots", fmt.Sprint(n.topology.Slots))
		}
	}
	if n.topology.Lease > 0 {
		flags = append(flags, "--lease-ttl", n.topology.Lease.String())
	}
	if known := n.roots(node); len(known) > 0 {
		flags = append(flags, "--bootstrap", strings.Join(known, ","))
	}
	return flags
}

// roots are the addresses a node starts from.
func (n *Network) roots(self *Node) (known []string) {
	from := n.Of(Seed)
	if len(from) == 0 {
		from = append(n.Of(Gateway), n.Of(Coordinator)...)
	}
	for _, node := range from {
		if node != self {
			known = append(known, node.address())
		}
	}
	return known
}

// Of returns the nodes of a kind.
func (n *Network) Of(kind Kind) (nodes []*Node) {
	for _, node := range n.Nodes {
		if node.Kind == kind {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// Ready waits until the region has all workers that run, and gateways take work
// for it.
func (n *Network) Ready(ctx context.Context) error {
	if err := await(ctx, "the region to have its workers", startLimit, n.employed); err != nil {
		return err
	}
	return await(ctx, "the gateways to know the region", startLimit, func(ctx context.Context) error {
		for _, g := range n.Of(Gateway) {
			var state core.GlobalState
			if err := g.read(ctx, "/global/network/state", &state); err != nil {
				return err
			}
			if !slices.ContainsFunc(state.Regions, func(r core.RegionState) bool { return r.ID == region }) {
				return fmt.Errorf("%s knows %d regions, not this one", g.Name, len(state.Regions))
			}
		}
		return nil
	})
}

// employed checks that some coordinator lists every running worker, and that these
// have spoken to one.
func (n *Network) employed(ctx context.Context) error {
	var problem error
	for _, c := range n.Of(Coordinator) {
		var state core.RegionalState
		if err := c.read(ctx, "/regional/network/state", &state); err != nil {
			problem = err
			continue
		}
		listed := map[core.NodeID]bool{}
		for _, s := range state.Nodes {
			listed[s.ID] = true
		}
		if problem = n.missing(c, listed); problem == nil {
			return n.linked(ctx)
		}
	}
	return problem
}

// linked checks that every running worker has spoken the job protocol since it
// was started: a coordinator lists one that was killed for a while.
func (n *Network) linked(ctx context.Context) error {
	for _, w := range n.Of(Worker) {
		if !w.Up() {
			continue
		}
		m, err := w.scrape(ctx)
		if err == nil && m["tenzro_job_messages_total"] == 0 {
			err = fmt.Errorf("%s has no link to a coordinator", w.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) missing(c *Node, listed map[core.NodeID]bool) error {
	for _, w := range n.Of(Worker) {
		if w.Up() && !listed[w.ID] {
			return fmt.Errorf("%s has no %s", c.Name, w.Name)
		}
	}
	return nil
}

// Close ends every process and removes walls and volumes.
func (n *Network) Close() error {
	var g errgroup.Group
	errs := make([]error, len(n.Nodes))
	for i, node := range n.Nodes {
		g.Go(func() error { errs[i] = node.close(); return nil })
	}
	_ = g.Wait()
	if n.walls != nil {
		errs = append(errs, n.walls.remove())
	}
	for _, home := range n.volumes {
		errs = append(errs, unmount(home))
	}
	return errors.Join(errs...)
}
