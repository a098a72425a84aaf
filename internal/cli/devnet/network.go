package devnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const (
	startLimit = 60 * time.Second
	askEvery   = 50 * time.Millisecond
	askLimit   = 5 * time.Second
	stopGrace  = 15 * time.Second
)

// Node is one running node as users see it.
type Node struct {
	Name    string
	Role    string
	PID     int
	Runtime client.Runtime
}

// Network is a started network.
type Network struct {
	plan      Plan
	processes []*process
	nodes     []Node
	progress  io.Writer
}

// Start starts the nodes of plan as processes of program and waits until each
// is ready and every region has its workers. It tells what it does on progress.
// On failure nothing is left running.
func Start(ctx context.Context, plan Plan, program string, environ []string, progress io.Writer) (*Network, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	runtime.LockOSThread() // see ownGroup; Close unlocks
	n := &Network{plan: plan, progress: progress}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := n.start(ctx, program, environ); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Network) start(ctx context.Context, program string, environ []string) error {
	bootstrap := ""
	members := n.plan.members()
	fmt.Fprintf(n.progress, "starting %d nodes\n", len(members))
	for i, m := range members {
		p, err := launch(program, environ, n.plan, m, bootstrap)
		if err != nil {
			return err
		}
		n.processes = append(n.processes, p)
		if i == 0 {
			first, err := n.waitReady(ctx, p)
			if err != nil {
				return err
			}
			bootstrap = first.Runtime.Bootstrap
		}
	}
	for _, p := range n.processes {
		node, err := n.waitReady(ctx, p)
		if err != nil {
			return err
		}
		n.nodes = append(n.nodes, node)
	}
	fmt.Fprintln(n.progress, "all nodes are ready; waiting for the regions to have their workers")
	return n.waitRegions(ctx)
}

// Nodes returns the nodes in the order they were started: globals, regionals,
// workers region by region.
func (n *Network) Nodes() []Node { return n.nodes }

// Wait returns when ctx ends. It tells when a node ends before that, and lets
// the others go on.
func (n *Network) Wait(ctx context.Context) {
	told := map[*process]bool{}
	every(ctx, time.Second, func() (bool, error) {
		for _, p := range n.processes {
			if p.ended() && !told[p] {
				told[p] = true
				fmt.Fprintln(n.progress, p.exitError())
			}
		}
		return false, nil
	})
}

// Close ends every node: SIGTERM, and SIGKILL for what is left after the grace.
// It returns once all of them are gone.
func (n *Network) Close() {
	defer runtime.UnlockOSThread()
	n.signal(syscall.SIGTERM)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	for _, p := range n.processes {
		select {
		case <-p.done:
		case <-grace.C:
			grace.Reset(0) // the others get no second grace
			n.signal(syscall.SIGKILL)
			<-p.done
		}
	}
}

// signal reaches the groups of the nodes that still run.
func (n *Network) signal(s syscall.Signal) {
	for _, p := range n.processes {
		if p.ended() {
			continue
		}
		if err := syscall.Kill(-p.pid(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
			fmt.Fprintf(n.progress, "sending %s to %s: %v\n", s, p.name, err)
		}
	}
}

// waitReady waits until a node serves and takes work.
func (n *Network) waitReady(ctx context.Context, p *process) (Node, error) {
	var found client.Runtime
	err := n.until(ctx, p, "to be ready", func() error {
		r, err := client.ReadRuntime(p.home)
		if err != nil {
			return err
		}
		if r.PID != p.pid() {
			return core.Errorf(core.Unavailable, "devnet", "runtime.json is of process %d", r.PID)
		}
		found = r
		return ask(ctx, r, "/readyz", new(any))
	})
	return Node{Name: p.name, Role: p.role, PID: p.pid(), Runtime: found}, err
}

// waitRegions waits until each regional node has its workers and the first
// global node knows every region.
func (n *Network) waitRegions(ctx context.Context) error {
	for i, node := range n.nodes {
		if node.Role != "regional" {
			continue
		}
		err := n.until(ctx, n.processes[i], fmt.Sprintf("to have its %d workers", n.plan.Locals), func() error {
			var state core.RegionalState
			if err := ask(ctx, node.Runtime, "/network/state", &state); err != nil {
				return err
			}
			if len(state.Nodes) < n.plan.Locals {
				return core.Errorf(core.Unavailable, "devnet", "it has %d workers", len(state.Nodes))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return n.until(ctx, n.processes[0], "to know the regions", func() error {
		var state core.GlobalState
		if err := ask(ctx, n.nodes[0].Runtime, "/network/state", &state); err != nil {
			return err
		}
		for _, want := range n.plan.Regions {
			if !slices.ContainsFunc(state.Regions, func(r core.RegionState) bool { return string(r.ID) == want }) {
				return core.Errorf(core.Unavailable, "devnet", "it does not know %s", want)
			}
		}
		return nil
	})
}

// until repeats check until it passes. The process's end, or that of ctx, is an
// error with what the node said last.
func (n *Network) until(ctx context.Context, p *process, what string, check func() error) error {
	var last error
	err := every(ctx, askEvery, func() (bool, error) {
		last = check()
		if last != nil && p.ended() {
			return false, p.exitError()
		}
		return last == nil, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return core.Errorf(core.Timeout, "devnet", "waited %s for node %s %s: %v%s", startLimit, p.name, what, last, p.lastWords()).
			WithHint("try fewer nodes with --locals 1, or give the machine time and try again")
	}
	return err
}

// every calls step at once and then each interval until it is done or fails or
// ctx ends.
func every(ctx context.Context, interval time.Duration, step func() (done bool, err error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if done, err := step(); done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask gets one path of a node.
func ask(ctx context.Context, r client.Runtime, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	c, err := client.New(r.HTTP, "")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.GetInto(ctx, path, nil, out)
}
