package devnet

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// MaxNodes bounds a network: each node is a process of some 50 MiB.
const MaxNodes = 64

// workerMemoryMB is what each worker offers, so that the sample fits it on a
// machine of any size: the sample itself needs next to nothing.
const workerMemoryMB = 4096

// Plan is the network to start.
type Plan struct {
	Globals int      // global nodes; the first is the bootstrap of all others
	Regions []string // one regional node each
	Locals  int      // workers in each region
	Network string   // name of the network
	Home    string   // directory of the nodes' homes
}

// Validate checks the bounds and names the flag that breaks one.
func (p Plan) Validate() error {
	if p.Globals < 1 || p.Locals < 1 || len(p.Regions) < 1 {
		return core.Errorf(core.Invalid, "--globals", "a network needs a global node, a region and a worker in it").
			WithHint("use at least --globals 1 --locals 1 and one name in --regions")
	}
	if total := p.Globals + len(p.Regions)*(1+p.Locals); p.Globals > MaxNodes || p.Locals > MaxNodes || total > MaxNodes {
		return core.Errorf(core.Invalid, "--locals", "%d nodes are too many for one machine; at most %d are started", total, MaxNodes).
			WithHint("lower --globals, --locals or the number of regions")
	}
	seen := map[string]bool{}
	for _, r := range p.Regions {
		if _, err := core.ParseRegionID(r); err != nil {
			return core.Errorf(core.Invalid, "--regions", "%w", err).WithHint("use names such as us-east,eu-west")
		}
		if seen[r] {
			return core.Errorf(core.Invalid, "--regions", "region %s is named twice", r).WithHint("name each region once")
		}
		seen[r] = true
	}
	if _, err := core.ParseNetworkID(p.Network); err != nil {
		return core.Errorf(core.Invalid, "--network", "%w", err).WithHint("use a name such as devnet")
	}
	return nil
}

// member is one node of the plan.
type member struct {
	name, role, region string
}

// members returns the nodes in the order they are started.
func (p Plan) members() []member {
	var all []member
	for i := range p.Globals {
		all = append(all, member{fmt.Sprintf("global-%d", i+1), "global", ""})
	}
	for _, r := range p.Regions {
		all = append(all, member{r, "regional", r})
	}
	for _, r := range p.Regions {
		for i := range p.Locals {
			// A declared tier, so that the sample's minTier is met by small machines.
			all = append(all, member{fmt.Sprintf("%s-worker-%d", r, i+1), "aggregator", r})
		}
	}
	return all
}

// arguments returns the command line of one node.
func (p Plan) arguments(m member, bootstrap string) []string {
	args := []string{"run", "--home", p.homeOf(m), "--network", p.Network, "--role", m.role, "--standalone",
		"--listen", "127.0.0.1", "--p2p-port", "0", "--ws-port", "-1", "--lan-port", "-1",
		"--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log-format", "json"}
	if m.region != "" {
		args = append(args, "--region", m.region)
	}
	if bootstrap != "" {
		args = append(args, "--bootstrap", bootstrap)
	}
	if m.role == "aggregator" {
		args = append(args, "--max-memory-mb", fmt.Sprint(workerMemoryMB))
	}
	return args
}

func (p Plan) homeOf(m member) string { return filepath.Join(p.Home, m.name) }

// environment keeps the nodes from being configured by what configures us.
func environment(environ []string) []string {
	var out []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "TENZRO_") {
			out = append(out, pair)
		}
	}
	return out
}
