package testnet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/node"
)

// startLimit is how long a node may take to serve, and a network to know itself,
// on a busy machine.
const startLimit = 60 * time.Second

// Node is a running `tenzro run`.
type Node struct {
	*Process
	API
	Home    string
	Runtime node.Runtime // as it was when the node began to serve

	t testing.TB
}

// Flags are those every node of a test gets: loopback, free ports, no discovery
// on the local network, which would find the nodes of other tests.
func Flags(home string) []string {
	return []string{"run", "--home", home, "--network", "testnet", "--listen", "127.0.0.1", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
		"--p2p-port", "0", "--ws-port", "0", "--lan-port", "-1"}
}

// Launch starts a node without waiting for it; more flags override Flags.
func Launch(t testing.TB, name, home string, more ...string) *Node {
	t.Helper()
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(home, node.RuntimeFile)) // of an earlier run that was killed
	return &Node{Process: Exec(t, name, home, append(Flags(home), more...)...), Home: home, t: t}
}

// Run starts a node in a home of its own and waits until it serves.
func Run(t testing.TB, name string, more ...string) *Node {
	t.Helper()
	n := Launch(t, name, t.TempDir(), more...)
	n.AwaitServing()
	return n
}

// AwaitServing waits for runtime.json and for the API to answer.
func (n *Node) AwaitServing() {
	n.t.Helper()
	Await(n.t, n.Name+" to serve", startLimit, func() error {
		if n.Ended() {
			n.t.Fatalf("%s ended at its start: %s%s", n.Name, n.cmd.ProcessState, n.Tail())
		}
		text, err := os.ReadFile(filepath.Join(n.Home, node.RuntimeFile))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &n.Runtime); err != nil {
			return err
		}
		n.API = API{t: n.t, Base: "http://" + n.Runtime.HTTP}
		return n.probe("/livez")
	})
}

// AwaitReady waits until the node takes work from outside.
func (n *Node) AwaitReady() {
	n.t.Helper()
	Await(n.t, n.Name+" to be ready", startLimit, func() error { return n.probe("/readyz") })
}

func (n *Node) probe(path string) error {
	a, err := n.Try(http.MethodGet, path, nil)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", path, a.Status, a.Body)
	}
	return err
}

// ID returns the node's id.
func (n *Node) ID() core.NodeID { return n.Runtime.PeerID }

// AwaitWorkers waits until a regional node lists these workers, and returns how
// long that took.
func (n *Node) AwaitWorkers(workers ...*Node) time.Duration {
	n.t.Helper()
	return Await(n.t, n.Name+" to have its workers", startLimit, func() error {
		var state core.RegionalState
		n.Get("/regional/network/state").Into(&state)
		for _, w := range workers {
			if !slices.ContainsFunc(state.Nodes, func(s core.NodeState) bool { return s.ID == w.ID() }) {
				return fmt.Errorf("%s (%s) is not among its %d nodes", w.Name, w.ID(), len(state.Nodes))
			}
		}
		return nil
	})
}

// AwaitRegions waits until a global node knows these regions.
func (n *Node) AwaitRegions(regions ...core.RegionID) {
	n.t.Helper()
	Await(n.t, n.Name+" to know its regions", startLimit, func() error {
		var state core.GlobalState
		n.Get("/global/network/state").Into(&state)
		for _, want := range regions {
			if !slices.ContainsFunc(state.Regions, func(r core.RegionState) bool { return r.ID == want }) {
				return fmt.Errorf("region %s is not among its %d", want, len(state.Regions))
			}
		}
		return nil
	})
}

// Trio is the smallest whole network: a gateway, a region and its workers.
type Trio struct {
	Global, Regional *Node
	Locals           []*Node
}

// Three starts a global node, a regional node of us-east and n local ones, which
// know only the global node's bootstrap address, and waits until they know each
// other. More flags go to the local nodes.
func Three(t testing.TB, locals int, more ...string) *Trio {
	t.Helper()
	n := &Trio{Global: Run(t, "global", "--role=global")}
	bootstrap := n.Global.Runtime.Bootstrap
	n.Regional = Launch(t, "regional", t.TempDir(), "--role=regional", "--region", "us-east", "--bootstrap", bootstrap)
	for i := range locals {
		flags := append([]string{"--role=local", "--bootstrap", bootstrap}, more...)
		n.Locals = append(n.Locals, Launch(t, fmt.Sprintf("local-%d", i+1), t.TempDir(), flags...))
	}
	n.Regional.AwaitServing()
	for _, l := range n.Locals {
		l.AwaitServing()
	}
	n.Regional.AwaitWorkers(n.Locals...)
	n.Global.AwaitRegions("us-east")
	return n
}

// In returns the node for a subtest: what fails there fails the subtest.
func (n *Node) In(t testing.TB) *Node {
	sub := *n
	sub.t, sub.API.t = t, t
	return &sub
}
