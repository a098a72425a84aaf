package cli

import (
	"fmt"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
)

const pathNetworkState = "/network/state"

func (s *shell) networkCommand() *ucli.Command {
	return &ucli.Command{Name: "network", Usage: "look at the network", Subcommands: []*ucli.Command{
		{Name: "state", Usage: "show the regions, or the nodes of a region, with their free capacity",
			Description: "What is shown depends on the node asked: a global node tells about regions, a\nregional node about the nodes of its region.",
			Flags:       nodeFlags(outputFlag()), Action: ask(s, pathNetworkState, drawState)},
	}}
}

// ask returns the action of a command that shows what one path answers.
func ask[T any](s *shell, path string, draw func(T) grid) ucli.ActionFunc {
	return func(c *ucli.Context) error {
		if _, err := arguments(c); err != nil {
			return err
		}
		if _, err := asJSON(c); err != nil {
			return err
		}
		cl, err := s.connect(c)
		if err != nil {
			return err
		}
		answer, err := cl.Get(c.Context, path, nil)
		if err != nil {
			return err
		}
		return show(s, c, answer, draw)
	}
}

// networkState is the answer of a global or of a regional node; only one half
// is filled.
type networkState struct {
	core.GlobalState
	core.RegionalState
}

func drawState(state networkState) grid {
	if state.Nodes != nil {
		return drawRegion(state.RegionalState)
	}
	g := grid{header: []string{"region", "free cpu", "free memory", "free storage", "performance"}}
	for _, r := range state.Regions {
		g.add(r.ID, percent(r.Capacity.CPU), percent(r.Capacity.Memory), percent(r.Capacity.Storage), fmt.Sprintf("%.2f", r.PerformanceScore))
	}
	all := state.GlobalCapacity
	g.add("(all)", percent(all.CPU), percent(all.Memory), percent(all.Storage), fmt.Sprintf("%d of %d validators", state.ActiveValidators, state.TotalValidators))
	return g
}

func drawRegion(state core.RegionalState) grid {
	g := grid{header: []string{"node", "tier", "free cpu", "free memory", "free storage", "tasks"}}
	for _, n := range state.Nodes {
		g.add(n.ID, orDash(n.Tier.String()), percent(n.Capacity.CPU), percent(n.Capacity.Memory), percent(n.Capacity.Storage), n.ActiveTaskCount)
	}
	for _, a := range state.Aggregations {
		g.add(a.ID, fmt.Sprintf("%d nodes", len(a.Nodes)), percent(a.Capacity.CPU), percent(a.Capacity.Memory), percent(a.Capacity.Storage), "")
	}
	g.add("(all)", "", "", "", fmt.Sprintf("%.0f ms on average", state.AverageTaskDuration), state.TotalTasksInProgress)
	return g
}
