package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

const (
	diskFail = 100 << 20
	diskWarn = 1 << 30
	// A worker needs some hundred descriptors; a node that others dial, one for
	// each of them and as many for its stores.
	descriptorsFail  = 1024
	descriptorsServe = 8192
)

func (in Input) config() []Line {
	if in.ConfigErr == nil {
		return okay("config", "valid")
	}
	errs := []error{in.ConfigErr}
	if joined, ok := in.ConfigErr.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	var lines []Line
	for _, err := range errs {
		lines = append(lines, one("config", Fail, hint(err, "correct the setting"), "%v", err)...)
	}
	return lines
}

func (in Input) home() []Line {
	const check = "home"
	info, err := os.Stat(in.Home)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return one(check, Warn, "run: tenzro init", "%s does not exist yet", in.Home)
	case err != nil:
		return one(check, Fail, "name another directory with --home", "%s cannot be used: %v", in.Home, err)
	case !info.IsDir():
		return one(check, Fail, "name another directory with --home", "%s is not a directory", in.Home)
	}
	probe, err := os.CreateTemp(in.Home, ".doctor-*")
	if err != nil {
		return one(check, Fail, "make it writable for this user, or name another with --home", "%s cannot be written to: %v", in.Home, err)
	}
	_, writeErr := probe.WriteString("probe")
	if err := errors.Join(writeErr, probe.Close(), os.Remove(probe.Name())); err != nil {
		return one(check, Fail, "free some space, or name another directory with --home", "%s cannot be written to: %v", in.Home, err)
	}
	return okay(check, "%s is writable", in.Home)
}

func (in Input) key() []Line {
	id, err := keys.Load(in.KeyFile)
	switch {
	case err == nil:
		return okay("key", "%s, readable by its owner only", id.ID())
	case errors.Is(err, core.NotFound):
		return one("key", Warn, "run: tenzro init", "there is no key yet; the node makes one when it starts")
	}
	return one("key", Fail, hint(err, "check the file's owner and permissions"), "%v", err)
}

func (in Input) diskSpace() []Line {
	const check, fix = "disk", "free some space, or move the home with --home"
	dir := existing(in.Home)
	free, err := in.System.FreeBytes(dir)
	switch {
	case err != nil:
		return one(check, Warn, "look at the disk with df", "free space of %s is not known: %v", dir, err)
	case free < diskFail:
		return one(check, Fail, fix, "%d MiB free in %s", free>>20, dir)
	case free < diskWarn:
		return one(check, Warn, fix, "%d MiB free in %s", free>>20, dir)
	}
	return okay(check, "%d MiB free in %s", free>>20, dir)
}

// existing returns the nearest directory above path that exists.
func existing(path string) string {
	for {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
		up := filepath.Dir(path)
		if up == path {
			return path
		}
		path = up
	}
}

func (in Input) descriptors() []Line {
	const check = "descriptors"
	limit, err := in.System.DescriptorLimit()
	serves := in.Config != nil && (in.Config.Roles.Is(core.Global) || in.Config.Roles.Is(core.Regional))
	fix := fmt.Sprintf("raise the limit: ulimit -n %d, or LimitNOFILE= of the service", descriptorsServe)
	switch {
	case err != nil:
		return one(check, Warn, "look at ulimit -n", "the limit of open files is not known: %v", err)
	case limit < descriptorsFail:
		return one(check, Fail, fix, "a process may open %d files; a node needs %d", limit, descriptorsFail)
	case serves && limit < descriptorsServe:
		return one(check, Warn, fix, "a process may open %d files; a node that others dial should have %d", limit, descriptorsServe)
	}
	return okay(check, "a process may open %d files", limit)
}

// walls tells what stands between the work of strangers and this machine.
func (in Input) walls() []Line {
	const check = "sandbox"
	var stand, lack []string
	var weak *sandbox.Protection
	for _, p := range in.System.Walls() {
		if p.Active {
			stand = append(stand, p.Name)
			continue
		}
		lack = append(lack, p.Name+" ("+p.Detail+")")
		if p.Strong && weak == nil {
			weak = &p
		}
	}
	detail := "guests are kept in by: " + strings.Join(stand, ", ")
	if len(lack) > 0 {
		detail += "; not here: " + strings.Join(lack, ", ")
	}
	if weak == nil {
		return okay(check, "%s", detail)
	}
	return one(check, Warn, "take work of people you trust only, or run on a Linux kernel with landlock and seccomp; see docs/sandbox.md", "%s", detail)
}

// port is one address the node is going to bind.
type port struct {
	name, network, addr, flag string
	shared                    bool // other nodes of this machine may hold it too
}

// wanted lists the ports with a fixed number.
func (in Input) wanted() []port {
	c := in.Config
	host := ""
	if len(c.P2P.ListenIPs) > 0 {
		host = c.P2P.ListenIPs[0]
	}
	at := func(n int) string { return net.JoinHostPort(host, strconv.Itoa(n)) }
	all := []port{
		{"api", "tcp", c.HTTP.Addr, "--http", false},
		{"metrics", "tcp", c.HTTP.MetricsAddr, "--metrics", false},
		{"p2p", "tcp", at(c.P2P.Port), "--p2p-port", false},
		{"p2p", "udp", at(c.P2P.Port), "--p2p-port", false},
		{"websocket", "tcp", at(c.P2P.WSPort), "--ws-port", false},
		{"lan discovery", "udp", net.JoinHostPort("", strconv.Itoa(c.P2P.LANPort)), "--lan-port", true},
	}
	var fixed []port
	for _, p := range all {
		if _, n, err := net.SplitHostPort(p.addr); err == nil && n != "0" && n != "-1" {
			fixed = append(fixed, p)
		}
	}
	return fixed
}

func (in Input) ports(ctx context.Context, a answers) []Line {
	if in.Config == nil {
		return one("ports", Warn, "correct the configuration first", "not checked: the configuration is not valid")
	}
	var lines []Line
	for _, p := range in.wanted() {
		lines = append(lines, in.port(ctx, p, a)...)
	}
	if len(lines) == 0 {
		return okay("ports", "all of them are any free one")
	}
	return lines
}

func (in Input) port(ctx context.Context, p port, a answers) []Line {
	check := "port " + p.name + " " + p.network
	err := bind(ctx, p)
	switch {
	case err == nil:
		return okay(check, "%s is free", p.addr)
	case !errors.Is(err, syscall.EADDRINUSE):
		return one(check, Fail, "choose another address with "+p.flag, "%s cannot be bound: %v", p.addr, err)
	case a.err == nil && (p.shared || in.ours(p)):
		return okay(check, "%s is held by our node, process %d", p.addr, in.pid())
	case p.shared:
		return one(check, Warn, "nothing, if that is another node; else choose another with "+p.flag, "%s is in use; nodes of one machine share it", p.addr)
	}
	return one(check, Fail, "stop what holds it, or choose another with "+p.flag, "%s is in use by another process", p.addr)
}

func bind(ctx context.Context, p port) error {
	var l net.ListenConfig
	if p.network == "udp" {
		conn, err := l.ListenPacket(ctx, p.network, p.addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	listener, err := l.Listen(ctx, p.network, p.addr)
	if err != nil {
		return err
	}
	return listener.Close()
}

func (in Input) pid() int {
	if in.Runtime == nil {
		return 0
	}
	return in.Runtime.PID
}

// ours reports whether the running node says that it holds p.
func (in Input) ours(p port) bool {
	if in.Runtime == nil {
		return false
	}
	_, want, err := net.SplitHostPort(p.addr)
	if err != nil {
		return false
	}
	code := multiaddr.P_TCP
	if p.network == "udp" {
		code = multiaddr.P_UDP
	}
	for _, text := range in.Runtime.Addrs {
		if addr, err := multiaddr.NewMultiaddr(text); err == nil {
			if got, err := addr.ValueForProtocol(code); err == nil && got == want {
				return true
			}
		}
	}
	held := in.Runtime.HTTP + " " + in.Runtime.Metrics + " "
	return p.network == "tcp" && strings.Contains(strings.ReplaceAll(held, "/ ", " "), ":"+want+" ")
}
