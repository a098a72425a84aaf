package cli

import (
	"fmt"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

// Paths of what is asked about a node.
const (
	pathNode    = "/api/v1/node"
	pathProfile = "/api/v1/node/profile"
	pathPeers   = "/api/v1/peers"
	pathRoles   = "/api/v1/roles"
	pathReady   = "/readyz"
	pathLive    = "/livez"
)

func (s *shell) nodeCommand() *ucli.Command {
	return &ucli.Command{Name: "node", Usage: "look at a running node and change its roles or mode", Subcommands: []*ucli.Command{
		{Name: "status", Usage: "show who the node is and how it does", Flags: nodeFlags(outputFlag()), Action: ask(s, pathNode, drawNode)},
		{Name: "roles", Usage: "show the node's roles, or set them while it runs", ArgsUsage: "[ROLE...]",
			Description: "With names, the node takes exactly these roles, without a restart:\n\n   tenzro node roles regional local",
			Flags:       nodeFlags(outputFlag()), Action: s.nodeRoles},
		s.nodeModeCommand(),
		{Name: "profile", Usage: "show the machine the node runs on", Flags: nodeFlags(outputFlag()), Action: ask(s, pathProfile, drawProfile)},
	}}
}

func (s *shell) peerCommand() *ucli.Command {
	return &ucli.Command{Name: "peer", Usage: "look at the node's peers", Subcommands: []*ucli.Command{
		{Name: "list", Usage: "list the connected peers", Flags: nodeFlags(outputFlag()), Action: ask(s, pathPeers, drawPeers)},
	}}
}

func drawNode(n api.NodeStatus) grid {
	var g grid
	g.add("node", n.ID)
	g.add("state", n.State)
	g.add("type", n.Type)
	g.add("roles", strings.Join(n.Roles, ", "))
	g.add("tier", orDash(n.Tier.String()))
	g.add("mode", orDash(n.Mode))
	g.add("network", n.Network)
	g.add("region", orDash(string(n.Region)))
	g.add("version", n.Version)
	g.add("up", time.Duration(n.UptimeS)*time.Second)
	g.add("peers", fmt.Sprintf("%d, at least %d wanted", n.Peers, n.MinPeers))
	g.add("tasks", fmt.Sprintf("%d active, %d queued", n.ActiveTasks, n.Queued))
	if n.Resting != "" {
		g.add("resting", n.Resting)
	}
	g.add("api", n.HTTP)
	g.add("metrics", orDash(n.Metrics))
	for _, a := range n.Addrs {
		g.add("address", a)
	}
	return g
}

func drawProfile(p api.Profile) grid {
	var g grid
	r := p.Resources
	g.add("system", p.OS+"/"+p.Arch)
	g.add("cpu", fmt.Sprintf("%s, %d cores, score %.2f, %d%% free", orDash(p.CPUModel), r.Cores, r.CPUScore, r.FreeCPU))
	g.add("memory", fmt.Sprintf("%d MiB, %d MiB free", r.MemoryMB, r.FreeMemoryMB))
	g.add("disk", fmt.Sprintf("%d MiB, %d MiB free", r.DiskMB, r.FreeDiskMB))
	for _, a := range p.Accelerators {
		g.add("accelerator", fmt.Sprintf("%s %s, %d MiB", a.Vendor, a.Name, a.MemoryMB))
	}
	g.add("power", powerText(p.Power))
	g.add("tier", orDash(p.Tier.String()))
	g.add("capabilities", strings.Join(p.Capabilities, ", "))
	g.add("eligible roles", strings.Join(p.EligibleRoles, ", "))
	g.add("task types", strings.Join(p.TaskTypes, ", "))
	return g
}

// powerText is a machine's supply and heat in a few words.
func powerText(p api.Power) string {
	text := "mains"
	if p.OnBattery {
		text = "battery"
	}
	if p.ChargePercent != nil {
		text += fmt.Sprintf(", %d %% charged", *p.ChargePercent)
	}
	if p.Celsius > 0 {
		text += fmt.Sprintf(", %.0f degrees", p.Celsius)
	}
	return text
}

// peerPage is the answer of GET /api/v1/peers.
type peerPage struct {
	Peers []api.Peer `json:"peers"`
}

func drawPeers(page peerPage) grid {
	g := grid{header: []string{"peer", "direction", "roles", "region", "rtt", "reputation", "address"}}
	for _, p := range page.Peers {
		rtt, reputation, addr := "-", "-", "-"
		if p.RTTMS > 0 {
			rtt = fmt.Sprintf("%.1f ms", p.RTTMS)
		}
		if p.Reputation != nil {
			reputation = fmt.Sprint(*p.Reputation)
		}
		if len(p.Addrs) > 0 {
			addr = p.Addrs[0]
		}
		g.add(p.ID, p.Direction, orDash(strings.Join(p.Roles, ",")), orDash(string(p.Region)), rtt, reputation, addr)
	}
	return g
}

// rolePage is the body and the answer of /api/v1/roles.
type rolePage struct {
	Roles []string `json:"roles"`
}

func drawRoles(page rolePage) grid {
	g := grid{header: []string{"role"}}
	for _, r := range page.Roles {
		g.add(r)
	}
	return g
}

func (s *shell) nodeRoles(c *ucli.Context) error {
	if !c.Args().Present() {
		return ask(s, pathRoles, drawRoles)(c)
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	set, err := core.ParseRoles(c.Args().Slice()...)
	if err != nil {
		return usagef(hintOf(err), "%v", err)
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	answer, err := cl.Put(c.Context, pathRoles, rolePage{Roles: set.Names()})
	if err != nil {
		return err
	}
	return show(s, c, answer, drawRoles)
}

func (s *shell) healthcheckCommand() *ucli.Command {
	return &ucli.Command{Name: "healthcheck", Usage: "exit 0 when the node takes work, 1 when it does not, 3 when it does not answer",
		Flags:  nodeFlags(outputFlag(), &ucli.BoolFlag{Name: "live", Usage: "only ask whether the node answers at all"}),
		Action: s.healthcheck}
}

func (s *shell) healthcheck(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	path := pathReady
	if c.Bool("live") {
		path = pathLive
	}
	answer, err := cl.Get(c.Context, path, nil)
	if err != nil {
		return err
	}
	if wantJSON {
		return s.printJSON(answer)
	}
	_, err = fmt.Fprintln(s.Out, "ok")
	return err
}
