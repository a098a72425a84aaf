package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

// elastic is a machine whose memory and disk a test changes.
type elastic struct {
	n   *Node
	mu  sync.Mutex
	has core.Resources
}

// sizes is what the machine has now.
func (e *elastic) sizes(context.Context) (core.Resources, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.has, nil
}

func (e *elastic) resize(memoryMB, diskMB int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.has.MemoryMB, e.has.DiskMB = memoryMB, diskMB
}

// newElastic builds a node on a machine of 4 cores, 8 GiB of memory and 20 GiB of disk.
func newElastic(t *testing.T, roles ...string) *elastic {
	t.Helper()
	n, err := New(config(t, roles...), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	e := &elastic{n: n, has: core.Resources{Cores: 4, MemoryMB: 8 << 10, DiskMB: 20 << 10, FreeMemoryMB: 4 << 10, FreeDiskMB: 10 << 10}}
	n.sizes = e.sizes
	n.setProfile(compute.Profile{Resources: e.has})
	return e
}

// becomes gives the machine another size and wants the roles that follow.
func (e *elastic) becomes(t *testing.T, memoryMB, diskMB int64, roles ...string) {
	t.Helper()
	e.resize(memoryMB, diskMB)
	if err := e.n.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := e.n.Roles(); !slices.Equal(got, roles) {
		t.Errorf("with %d MiB of memory and %d of disk its roles are %v, want %v", memoryMB, diskMB, got, roles)
	}
}

const (
	smallDisk = 20 << 10
	largeDisk = 200 << 10
	aboutDisk = 92 << 10 // a little less than the role storage is given for
)

// TestRolesFollowTheMachine: a node that chooses its roles itself takes one up when
// the disk for it is added, and lays it down when that is gone, while it runs; a
// size that wavers about the minimum changes nothing.
//
// spec 0.18 4.8
func TestRolesFollowTheMachine(t *testing.T) {
	t.Parallel()
	e := newElastic(t)
	start(t, e.n)
	e.becomes(t, 8<<10, smallDisk, "aggregator")
	told := e.n.events.Subscribe(event.Live, 16)
	defer told.Close()
	e.becomes(t, 8<<10, aboutDisk, "aggregator")
	e.becomes(t, 8<<10, largeDisk, "aggregator", "storage")
	if got := <-told.C(); got.Name != event.RolesChanged {
		t.Errorf("told %+v", got)
	}
	if ad := e.n.ads.current(); ad.Resources.DiskMB != largeDisk || !slices.Contains(ad.Roles, "storage") {
		t.Errorf("the ad says %v with %d MiB of disk", ad.Roles, ad.Resources.DiskMB)
	}
	e.becomes(t, 8<<10, aboutDisk, "aggregator", "storage")
	answers55(t, e.n)
	e.becomes(t, 8<<10, smallDisk, "aggregator")
	e.becomes(t, 1<<10, smallDisk, "inference")
	if free := e.n.capacity.Free(); free.MemoryMB != 1<<10 || free.FreeDiskMB != 10<<10 {
		t.Errorf("capacity is %+v", free)
	}
	answers55(t, e.n)
}

// TestAskedRolesFollowTheMachine: roles that were asked for are laid down while the
// machine is too small for them and taken up again; a role is given at once when the
// disk for it was just added, refused before, and the last one stays.
//
// spec 4.7 4.8
func TestAskedRolesFollowTheMachine(t *testing.T) {
	t.Parallel()
	e := newElastic(t, "local")
	start(t, e.n)
	e.becomes(t, 8<<10, largeDisk, "local")
	e.becomes(t, 8<<10, smallDisk, "local")
	storage := []string{"local", "storage"}
	if err := e.n.SetRoles(t.Context(), storage); !errors.Is(err, core.Denied) {
		t.Errorf("storage without a disk: %v", err)
	}
	e.resize(8<<10, largeDisk)
	if err := e.n.SetRoles(t.Context(), storage); err != nil {
		t.Errorf("storage with a new disk: %v", err)
	}
	e.becomes(t, 8<<10, smallDisk, "local")
	e.becomes(t, 8<<10, largeDisk, storage...)
	if err := e.n.SetRoles(t.Context(), []string{"compute"}); err != nil {
		t.Fatal(err)
	}
	e.becomes(t, 1<<10, largeDisk, "compute")
}

// TestRegionLearnsOfMemory: a task that asks for memory which a linked worker was
// given later runs there.
func TestRegionLearnsOfMemory(t *testing.T) {
	t.Parallel()
	e := newElastic(t, "global", "local")
	start(t, e.n)
	spec := sample()
	spec.Requirements.MemoryMB = 12 << 10
	g := gatewayTasks{e.n.coordinator, e.n}
	s, err := g.Submit(t.Context(), spec, "")
	if err != nil {
		t.Fatal(err)
	}
	e.becomes(t, 16<<10, smallDisk, "global", "local")
	await(t, "the task to be done", func() error {
		if r, err := g.Result(t.Context(), s.TaskID, 0); err != nil || string(r.Result) != "55" {
			return fmt.Errorf("%+v, %v", r, err)
		}
		return nil
	})
}
