package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
)

// spec 0.1 4.8
func TestSetRoles(t *testing.T) {
	t.Parallel()
	c := config(t, "local")
	c.Region = east
	n, _ := run(t, c)
	told := n.events.Subscribe(event.Live, 64)
	defer told.Close()
	solo := n.ownRegion()
	if solo == east || !strings.HasPrefix(string(solo), "solo-") {
		t.Errorf("a local node keeps region %s", solo)
	}
	for _, c := range []struct {
		names  []string
		rows   []string
		region core.RegionID
		can    core.Capability
	}{
		{[]string{"local", "global"}, []string{"global", "local"}, solo, core.CanCompute | core.CanGateway},
		{[]string{"regional"}, []string{"regional"}, east, core.CanCoordinate | core.CanGateway},
		{[]string{"regional", "local", "feedback"}, []string{"feedback", "local", "regional"}, east, core.CanCoordinate | core.CanGateway | core.CanCompute | core.CanObserve},
		{[]string{"feedback"}, []string{"feedback"}, solo, core.CanObserve},
		{[]string{"global,regional", "local"}, []string{"global", "local", "regional"}, east, core.CanCoordinate | core.CanGateway | core.CanCompute},
	} {
		t.Run(strings.Join(c.names, " "), func(t *testing.T) {
			before := n.ads.current()
			if err := n.SetRoles(t.Context(), c.names); err != nil {
				t.Fatal(err)
			}
			want := roleSet(t, c.names...).Names()
			if got := rows(n); !slices.Equal(got, c.rows) || !slices.Equal(n.Roles(), want) || n.ownRegion() != c.region {
				t.Errorf("parts %v, roles %v, region %s", got, n.Roles(), n.ownRegion())
			}
			ad := n.ads.current()
			if ad.Sequence <= before.Sequence || ad.Can != c.can || !slices.Equal(ad.Roles, want) {
				t.Errorf("the ad says %v, %v", ad.Roles, ad.Can.Names())
			}
			if e := <-told.C(); e.Name != event.RolesChanged {
				t.Errorf("told %+v", e)
			}
			views := map[string]bool{"global": n.globalView() != nil, "regional": n.regionalView() != nil, "local": n.localView() != nil}
			for name, there := range views {
				set := roleSet(t, c.names...)
				types := map[string]core.NodeType{"global": core.Global, "regional": core.Regional, "local": core.Local}
				if there != set.Is(types[name]) {
					t.Errorf("the %s view is there: %v", name, there)
				}
			}
			await(t, "the services to run", func() error { return allRun(n) })
			for len(told.C()) > 0 {
				<-told.C()
			}
		})
	}
	answers55(t, n) // after all that, it still works
	for _, bad := range [][]string{{"king"}, {}, {"local", "king"}} {
		if err := n.SetRoles(t.Context(), bad); !errors.Is(err, core.Invalid) {
			t.Errorf("roles %v: %v", bad, err)
		}
	}
	if got := rows(n); !slices.Equal(got, []string{"global", "local", "regional"}) {
		t.Errorf("after refused changes the parts are %v", got)
	}
	if err := n.SetRoles(t.Context(), []string{"auto"}); err != nil || !slices.Equal(n.Roles(), n.profile().AutoRoles()) {
		t.Errorf("auto gives %v, %v", n.Roles(), err)
	}
}

func allRun(n *Node) error {
	for _, h := range n.tree.Health() {
		if h.State != service.Running {
			return fmt.Errorf("%s is %s: %s", h.Name, h.State, h.LastError)
		}
	}
	return nil
}

// TestRenamingWaitsForTasks: a change of roles that renames the node's own region
// is refused while tasks run there, which nobody would find any more.
func TestRenamingWaitsForTasks(t *testing.T) {
	t.Parallel()
	c := config(t, "global", "local")
	c.Region = east
	n, _ := run(t, c)
	spec := sample()
	spec.Requirements.MemoryMB = core.MaxMemoryMB // nobody has it: the task waits
	s, err := gatewayTasks{n.coordinator, n}.Submit(t.Context(), spec, "")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "renaming", n.SetRoles(t.Context(), []string{"regional"}), core.Conflict)
	if got := rows(n); !slices.Equal(got, []string{"global", "local"}) || !slices.Equal(n.Roles(), []string{"global", "local"}) {
		t.Errorf("the refused change left %v, %v", got, n.Roles())
	}
	if err := n.SetRoles(t.Context(), []string{"global"}); err != nil {
		t.Errorf("a change that renames nothing: %v", err)
	}
	if _, err := n.coordinator.Cancel(t.Context(), s.TaskID); err != nil {
		t.Fatal(err)
	}
	await(t, "the task's end and the change", func() error { return n.SetRoles(t.Context(), []string{"regional"}) })
	if n.ownRegion() != east {
		t.Errorf("afterwards the region is %s", n.ownRegion())
	}
}
