package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/node"
)

// Kind is what a node is in the network.
type Kind string

// The kinds.
const (
	Gateway     Kind = "gateway"
	Coordinator Kind = "coordinator"
	Worker      Kind = "worker"
	Seed        Kind = "seed" // a node others start from, without load
)

// startLimit is how long a node may take until it serves, and the network until
// it knows itself, on a busy machine.
const startLimit = 90 * time.Second

// Node is one member of the network: a home with a key, fixed addresses, and the
// process that runs there at the moment.
type Node struct {
	Name string
	Kind Kind
	ID   core.NodeID

	home   string
	place  place
	args   []string // of the process, without the program
	binary string
	log    *logbook
	client *http.Client

	mu       sync.Mutex
	child    *testnet.Child
	life     int // how often it was started
	frozen   bool
	children []*testnet.Child // all lives
}

// place is where a node listens.
type place struct {
	ip              string
	p2p, http, prom int
	enter           []string // the command that enters its network namespace; none without
}

// newNode makes a home with a key.
func newNode(dir, name string, kind Kind, at place, binary string) (*Node, error) {
	n := &Node{Name: name, Kind: kind, home: filepath.Join(dir, name), place: at, binary: binary,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, IdleConnTimeout: 30 * time.Second}}}
	if err := os.MkdirAll(n.home, 0o700); err != nil {
		return nil, err
	}
	identity, err := keys.LoadOrCreate(filepath.Join(n.home, node.KeyFile))
	if err != nil {
		return nil, err
	}
	n.ID = identity.ID()
	n.log, err = newLogbook(filepath.Join(dir, name+".log"))
	return n, err
}

// address is the multiaddr others dial.
func (n *Node) address() string {
	return fmt.Sprintf("/ip4/%s/tcp/%d/p2p/%s", n.place.ip, n.place.p2p, n.ID)
}

func (n *Node) url(path string) string {
	return "http://" + n.place.ip + ":" + strconv.Itoa(n.place.http) + path
}

// flags are those every node gets; role and region come from the network.
func (n *Node) flags(more []string) []string {
	flags := []string{"run", "--home", n.home, "--network", "chaos", "--listen", n.place.ip,
		"--http", fmt.Sprintf("%s:%d", n.place.ip, n.place.http), "--metrics", fmt.Sprintf("%s:%d", n.place.ip, n.place.prom),
		"--p2p-port", strconv.Itoa(n.place.p2p), "--ws-port", "-1", "--lan-port", "-1", "--min-peers", "1", "--log-format", "json"}
	if len(n.place.enter) > 0 { // not loopback: the harness asks from outside
		flags = append(flags, "--auth", "none", "--insecure")
	}
	return append(flags, more...)
}

// Start runs the node's process and waits until it serves.
func (n *Node) Start(ctx context.Context) error {
	if err := n.launch(); err != nil {
		return err
	}
	return n.serving(ctx)
}

func (n *Node) launch() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = os.Remove(filepath.Join(n.home, node.RuntimeFile)) // of a life that was killed
	argv := append(append(append([]string{}, n.place.enter...), n.binary), n.args...)
	child, err := testnet.Start(testnet.Command{Name: n.Name, Dir: n.home, Argv: argv, Stdout: n.log, Stderr: n.log})
	if err != nil {
		return err
	}
	n.life++
	n.child, n.frozen = child, false
	n.children = append(n.children, child)
	return nil
}

func (n *Node) serving(ctx context.Context) error {
	return await(ctx, n.Name+" to serve", startLimit, func(ctx context.Context) error {
		if n.process().Ended() {
			return stop(fmt.Errorf("it ended at its start: %s", n.log.Tail()))
		}
		status, _, err := n.get(ctx, "/livez", 2*time.Second)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/livez answers %d", status)
		}
		return err
	})
}

func (n *Node) process() *testnet.Child {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.child
}

// Life counts the node's starts, so that what one process says is not mistaken
// for what another does.
func (n *Node) Life() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// Up reports whether the node has a process that is not frozen.
func (n *Node) Up() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.child != nil && !n.child.Ended() && !n.frozen
}

func (n *Node) isFrozen() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.frozen && !n.child.Ended()
}

func (n *Node) kill() error {
	err := n.process().Kill()
	n.client.CloseIdleConnections()
	return err
}

func (n *Node) freeze() error {
	err := n.process().Freeze()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = err == nil
	return err
}

func (n *Node) thaw() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = false
	return n.child.Thaw()
}

// close ends the process and judges how it ended.
func (n *Node) close() error {
	n.client.CloseIdleConnections()
	n.mu.Lock()
	children := n.children
	n.mu.Unlock()
	var errs []error
	for _, c := range children {
		errs = append(errs, c.End())
	}
	return errors.Join(append(errs, n.log.Close())...)
}
