package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles/global"
)

// buildServer opens the API's listeners.
func (n *Node) buildServer() error {
	c := n.cfg.HTTP
	limits := api.Limits{AddressRate: float64(c.RateLimit), TokenRate: float64(c.RateLimit), OpenTasks: c.MaxOpenTasks, OpenBytes: int64(c.MaxOpenMB) << 20}
	var err error
	n.server, err = api.New(api.Config{Addr: c.Addr, MetricsAddr: c.MetricsAddr, Auth: c.Auth, Insecure: c.Insecure,
		AllowedHosts: c.AllowedHosts, TokensFile: n.path(TokensFile), SeedNames: c.SeedNames, Limits: limits}, api.Deps{
		Tasks: gatewayTasks{n.coordinator, n}, Insight: gatewayTasks{n.coordinator, n}, Workflows: gatewayTasks{n.coordinator, n},
		Objects: gatewayObjects{n.objects, n.whole}, Global: n.globalView, Regional: n.regionalView, Local: n.localView,
		Node: n, Roles: n, Modes: n, Coordinators: n.keeper, Events: n.events, Highest: func() core.NodeType { return n.roleSet().Highest() },
		Services: n.tree.Health, Gatherer: n.registry, Registerer: n.registerer}, n.log)
	if err != nil {
		return err
	}
	return n.server.Listen()
}

// quota is what a submitter may have unfinished: the API knows the tokens.
func (n *Node) quota(submitter string) global.Quota {
	tasks, size := n.server.Quota(submitter)
	return global.Quota{Tasks: tasks, Bytes: size}
}

func (n *Node) httpAddr() string {
	addr, _ := n.server.Addrs()
	return addr
}

// Runtime is runtime.json: where a running node is, for the tools beside it.
type Runtime struct {
	PID       int            `json:"pid"`
	PeerID    core.NodeID    `json:"peerId"`
	Addrs     []string       `json:"addrs"`
	Bootstrap string         `json:"bootstrap"` // one multiaddr, ready to paste
	HTTP      string         `json:"http"`      // host:port
	Metrics   string         `json:"metrics"`   // host:port; empty when off
	Roles     []string       `json:"roles"`
	Region    core.RegionID  `json:"region"`
	Network   core.NetworkID `json:"network"`
}

// writeRuntime puts runtime.json in place in one step.
func (n *Node) writeRuntime() error {
	addr, metrics := n.server.Addrs()
	addrs := n.host.Addrs()
	text, err := json.MarshalIndent(Runtime{PID: os.Getpid(), PeerID: n.ID(), Addrs: addrs, Bootstrap: bootstrapAddr(addrs),
		HTTP: addr, Metrics: metrics, Roles: n.roleSet().Names(), Region: n.shownRegion(), Network: n.cfg.Network}, "", "  ")
	if err != nil {
		return err
	}
	tmp := n.path(RuntimeFile + ".tmp")
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", RuntimeFile, err)
	}
	return os.Rename(tmp, n.path(RuntimeFile))
}

func (n *Node) removeRuntime() { _ = os.Remove(n.path(RuntimeFile)) }

// bootstrapAddr is the address most likely to work for others: TCP before the
// rest, and an address of this machine before loopback.
func bootstrapAddr(addrs []string) string {
	if len(addrs) == 0 {
		return ""
	}
	rank := func(a string) int {
		r := 0
		if !strings.Contains(a, "/tcp/") || strings.Contains(a, "/ws") {
			r += 2
		}
		if ip, ok := addressOf(a); ok && (ip.IsLoopback() || ip.Is6()) {
			r++
		}
		return r
	}
	return slices.MinFunc(addrs, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
}
