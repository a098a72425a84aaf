package node

import (
	"context"
	"slices"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// lookEvery is how often the node looks whether its machine has changed.
const lookEvery = 30 * time.Second

// machine is what the node's machine has, and what of it is given to others.
type machine struct {
	profile compute.Profile
	offered core.Resources
}

// profile is the machine as it is now.
func (n *Node) profile() compute.Profile { return n.machine.Load().profile }

// offered is what of the machine is given to others.
func (n *Node) offered() core.Resources { return n.machine.Load().offered }

// setProfile takes what the machine has from now on.
func (n *Node) setProfile(p compute.Profile) {
	m := &machine{profile: p, offered: offered(p.Resources, n.cfg.Compute)}
	n.machine.Store(m)
	if n.capacity != nil {
		n.capacity.SetTotal(m.offered)
	}
}

// look takes over what the machine has become and lays roles down, or takes them
// up, as it allows: disk and memory come and go while a node runs.
func (n *Node) look(ctx context.Context) error {
	n.deciding.Lock()
	defer n.deciding.Unlock()
	if err := n.measure(ctx); err != nil {
		return err
	}
	has := n.roleSet()
	next := n.fitting(has)
	if slices.Equal(next.Names(), has.Names()) {
		return nil
	}
	err := n.startRoles(next)
	if core.KindOf(err) == core.Conflict { // not while the region has tasks
		n.log.Debug().Err(err).Msg("roles do not change yet; the next look tries again")
		return nil
	}
	if err != nil {
		return err
	}
	return n.writeRuntime()
}

// measure notes what the machine has; others hear of it when it is more or less
// than before.
func (n *Node) measure(ctx context.Context) error {
	now, err := n.sizes(ctx)
	if err != nil {
		return err
	}
	p := n.profile()
	was := p.Resources
	p.Resources.Cores, p.Resources.MemoryMB, p.Resources.DiskMB = now.Cores, now.MemoryMB, now.DiskMB
	p.Resources.FreeMemoryMB, p.Resources.FreeDiskMB = now.FreeMemoryMB, now.FreeDiskMB
	n.setProfile(p)
	if was.Cores != now.Cores || was.MemoryMB != now.MemoryMB || was.DiskMB != now.DiskMB {
		n.log.Info().Int("cores", now.Cores).Int64("memory_mb", now.MemoryMB).Int64("disk_mb", now.DiskMB).Msg("this machine has changed")
		n.ads.publisher.Refresh()
	}
	return nil
}

// fitting is the roles that were asked for and that the machine is large enough
// for; at least those it has when it is for none. A size that wavers about a
// minimum changes nothing.
func (n *Node) fitting(has core.RoleSet) core.RoleSet {
	next := rolesFor(n.wanted, n.profile())
	if len(next) == 0 || slices.Equal(has.Names(), rolesFor(n.wanted, roomier(n.profile())).Names()) {
		return has
	}
	return next
}

// rolesFor is what of want a machine is large enough for; nothing wanted leaves the
// choice to the machine.
func rolesFor(want core.RoleSet, p compute.Profile) core.RoleSet {
	if len(want) == 0 {
		want, _ = core.ParseRoles(p.AutoRoles()...) // names of the catalog
	}
	return slices.DeleteFunc(slices.Clone(want), func(r core.Role) bool { return p.Meets(r.Minimum) != nil })
}

// roomier is a machine with a sixteenth more memory and disk.
func roomier(p compute.Profile) compute.Profile {
	p.Resources.MemoryMB += p.Resources.MemoryMB / 16
	p.Resources.DiskMB += p.Resources.DiskMB / 16
	return p
}
