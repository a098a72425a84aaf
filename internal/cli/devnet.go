package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/internal/cli/devnet"
)

func (s *shell) devnetCommand() *ucli.Command {
	return &ucli.Command{Name: "devnet", Usage: "run a whole network on this machine and give it the documented task",
		Description: "Starts real nodes on loopback with free ports and stays until Ctrl-C. Nothing\nis left running; without --home nothing is left on disk either.",
		Flags: []ucli.Flag{
			&ucli.IntFlag{Name: "globals", Usage: "`N` global nodes", Value: 1},
			&ucli.StringFlag{Name: "regions", Usage: "`NAMES` of the regions, separated by commas", Value: "us-east,eu-west"},
			&ucli.IntFlag{Name: "locals", Usage: "`N` workers in each region", Value: 2},
			&ucli.BoolFlag{Name: "once", Usage: "print the answer as one JSON object and exit"},
			&ucli.StringFlag{Name: flagHome, Usage: "`DIR` to keep the nodes' homes in", DefaultText: "a temporary directory"},
			&ucli.StringFlag{Name: "network", Usage: "`NAME` of the network", Value: "devnet"},
		}, Action: s.devnetAction}
}

func (s *shell) devnetAction(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return core.Errorf(core.Internal, "devnet", "finding this program: %w", err)
	}
	home, remove, err := devnetHome(c.String(flagHome))
	if err != nil {
		return err
	}
	defer remove()
	plan := devnet.Plan{Globals: c.Int("globals"), Regions: splitNames(c.String("regions")), Locals: c.Int("locals"),
		Network: c.String("network"), Home: home}
	network, err := devnet.Start(c.Context, plan, program, s.Environ, s.Err)
	if err != nil {
		return err
	}
	defer network.Close()
	answer, err := network.Submit(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("once") {
		return s.printOnce(answer)
	}
	if err := s.describe(network, answer); err != nil {
		return err
	}
	network.Wait(c.Context)
	fmt.Fprintln(s.Err, "stopping the nodes")
	return nil
}

// devnetHome returns the directory to use and how to clean up after it.
func devnetHome(named string) (string, func(), error) {
	if named != "" {
		dir, err := filepath.Abs(named)
		return dir, func() {}, err
	}
	dir, err := os.MkdirTemp("", "tenzro-devnet-")
	if err != nil {
		return "", nil, core.Errorf(core.Unavailable, "devnet", "making a temporary directory: %w", err).WithHint("name a directory with --home")
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

func splitNames(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// describe tells what runs, where, and what to try.
func (s *shell) describe(n *devnet.Network, a devnet.Answer) error {
	g := grid{header: []string{"node", "role", "region", "pid", "api", "metrics", "id"}}
	for _, node := range n.Nodes() {
		r := node.Runtime
		g.add(node.Name, node.Role, orDash(string(r.Region)), node.PID, webURL(r.HTTP), orDash(r.Metrics), r.PeerID)
	}
	if err := s.printGrid(g); err != nil {
		return err
	}
	gateway := n.Nodes()[0].Runtime
	_, err := fmt.Fprintf(s.Out, `
The documented task %s is %s; its result is %s.
It was computed by %d worker process(es) in %d region(s). Try it yourself:

  curl -H 'Content-Type: application/json' -d '%s' '%s/api/v1/tasks?wait=10s'

Join with a node of your own:

  tenzro run --standalone --network %s --role local --home ./n1 --http 0 --metrics 0 --p2p-port 0 --ws-port 0 --bootstrap %s

Ctrl-C stops all nodes.
`, a.TaskID, a.Status, a.Result, len(a.Workers), len(a.Regions), devnet.Sample, webURL(gateway.HTTP), gateway.Network, gateway.Bootstrap)
	return err
}

// webURL returns the URL of an API that a node named by URL or host:port.
func webURL(address string) string {
	c, err := client.New(address, "")
	if err != nil {
		return clean(address)
	}
	return c.Base()
}

// printOnce writes the answer on one line.
func (s *shell) printOnce(a devnet.Answer) error {
	text, err := json.Marshal(a)
	if err == nil {
		_, err = fmt.Fprintf(s.Out, "%s\n", text)
	}
	return err
}
