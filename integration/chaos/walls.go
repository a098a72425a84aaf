package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNoWalls says that this machine or user cannot make network namespaces: what
// needs them is skipped.
var ErrNoWalls = errors.New("no network namespaces here")

const (
	spacePrefix = "tenzro-chaos-"
	toolLimit   = 20 * time.Second
	wallP2P     = 9334
	wallHTTP    = 8080
	wallProm    = 9090
)

// walls are network namespaces, one for each node, joined by a bridge. What two
// nodes may say to each other is decided by a firewall in each; the harness
// talks to all of them from the bridge's own address, which nothing stops.
type walls struct {
	run    string // of the names
	bridge string
	subnet string // the first three numbers
	spaces int
}

// CanWall returns ErrNoWalls with the reason when partitions cannot be made.
func CanWall() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: only root can make them", ErrNoWalls)
	}
	for _, tool := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: the program %s is missing", ErrNoWalls, tool)
		}
	}
	if err := forwarded(context.Background()); err != nil {
		return err
	}
	probe := spacePrefix + strconv.Itoa(os.Getpid()) + "-probe"
	if err := tool(context.Background(), "ip", "netns", "add", probe); err != nil {
		return fmt.Errorf("%w: %w", ErrNoWalls, err)
	}
	err := tool(context.Background(), "ip", "netns", "exec", probe, "nft", "add", "table", "inet", "chaos")
	if gone := tool(context.Background(), "ip", "netns", "del", probe); err == nil {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoWalls, err)
	}
	return nil
}

// forwarded returns ErrNoWalls where this machine's own firewall drops what the
// bridge passes on from one namespace to another, as a Docker engine sets it up.
func forwarded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	asked, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(string(asked)) != "1" {
		return nil // the bridge does not ask it
	}
	rules, err := exec.CommandContext(ctx, "nft", "list", "chain", "ip", "filter", "FORWARD").Output()
	if err == nil && strings.Contains(string(rules), "policy drop") {
		return fmt.Errorf("%w: this machine's firewall drops forwarded packets, as a Docker engine has it do; stop it and run `nft delete table ip filter`", ErrNoWalls)
	}
	return nil
}

// tool runs a program of the system.
func tool(ctx context.Context, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func buildWalls(ctx context.Context, spaces int) (*walls, error) {
	if err := CanWall(); err != nil {
		return nil, err
	}
	sweepWalls(ctx)
	pid := os.Getpid()
	w := &walls{run: spacePrefix + strconv.Itoa(pid), bridge: fmt.Sprintf("chaos%d", pid), subnet: fmt.Sprintf("10.%d.%d", 64+pid/250%64, pid%250), spaces: spaces}
	err := errors.Join(tool(ctx, "ip", "link", "add", w.bridge, "type", "bridge"),
		tool(ctx, "ip", "addr", "add", w.host()+"/24", "dev", w.bridge), tool(ctx, "ip", "link", "set", w.bridge, "up"))
	for i := 0; i < spaces && err == nil; i++ {
		err = w.space(ctx, i)
	}
	if err != nil {
		return nil, errors.Join(err, w.remove())
	}
	return w, nil
}

func (w *walls) host() string        { return w.subnet + ".254" }
func (w *walls) name(i int) string   { return fmt.Sprintf("%s-%d", w.run, i) }
func (w *walls) ip(i int) string     { return fmt.Sprintf("%s.%d", w.subnet, i+1) }
func (w *walls) device(i int) string { return fmt.Sprintf("%s-%d", w.bridge, i) }

// space makes the namespace of one node and lets everything through.
func (w *walls) space(ctx context.Context, i int) error {
	for _, argv := range [][]string{
		{"ip", "netns", "add", w.name(i)},
		{"ip", "link", "add", w.device(i), "type", "veth", "peer", "name", "eth0", "netns", w.name(i)},
		{"ip", "link", "set", w.device(i), "master", w.bridge, "up"},
		w.in(i, "ip", "addr", "add", w.ip(i)+"/24", "dev", "eth0"),
		w.in(i, "ip", "link", "set", "eth0", "up"),
		w.in(i, "ip", "link", "set", "lo", "up"),
		w.in(i, "nft", "add", "table", "inet", "chaos"),
		w.in(i, "nft", "add", "chain", "inet", "chaos", "in", "{ type filter hook input priority 0; policy accept; }"),
	} {
		if err := tool(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

// in is a command inside a namespace.
func (w *walls) in(i int, argv ...string) []string {
	return append([]string{"ip", "netns", "exec", w.name(i)}, argv...)
}

func (w *walls) place(i int) place {
	return place{ip: w.ip(i), p2p: wallP2P, http: wallHTTP, prom: wallProm, enter: w.in(i)}
}

// deafen makes node i drop what comes from the others.
func (w *walls) deafen(ctx context.Context, i int, others []int) error {
	from := make([]string, len(others))
	for k, o := range others {
		from[k] = w.ip(o)
	}
	return tool(ctx, w.in(i, "nft", "add", "rule", "inet", "chaos", "in", "ip", "saddr", "{ "+strings.Join(from, ", ")+" }", "drop")...)
}

// lose makes node i lose so many percent of what other nodes send it.
func (w *walls) lose(ctx context.Context, i, percent int) error {
	return tool(ctx, w.in(i, "nft", "add", "rule", "inet", "chaos", "in", "ip", "saddr", w.subnet+".0/24", "ip", "saddr", "!=", w.host(),
		"numgen", "random", "mod", "100", "<", strconv.Itoa(percent), "drop")...)
}

// narrow bounds what node i can send.
func (w *walls) narrow(ctx context.Context, i int, rate string) error {
	return tool(ctx, w.in(i, "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms")...)
}

// heal lets everything through again.
func (w *walls) heal(ctx context.Context) error {
	var errs []error
	for i := range w.spaces {
		errs = append(errs, tool(ctx, w.in(i, "nft", "flush", "chain", "inet", "chaos", "in")...))
		_ = tool(ctx, w.in(i, "tc", "qdisc", "del", "dev", "eth0", "root")...) // there may be none
	}
	return errors.Join(errs...)
}

// remove takes namespaces, veth pairs and bridge away.
func (w *walls) remove() error {
	ctx := context.Background() // the run's may be over, this must happen
	for i := range w.spaces {
		_ = tool(ctx, "ip", "netns", "del", w.name(i)) // with its end of the veth pair; it may not exist
	}
	if _, err := os.Stat("/sys/class/net/" + w.bridge); err != nil {
		return nil
	}
	return tool(ctx, "ip", "link", "del", w.bridge)
}

// sweepWalls removes what runs left behind that were killed.
func sweepWalls(ctx context.Context) {
	out, err := exec.CommandContext(ctx, "ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(name, spacePrefix)
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if !ours || err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		_ = tool(ctx, "ip", "netns", "del", name)
		_ = tool(ctx, "ip", "link", "del", fmt.Sprintf("chaos%d", pid)) // gone with the first of its spaces
	}
}
