package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/p2p"
)

// TestConfigValidate names the field that is wrong.
func TestConfigValidate(t *testing.T) {
	good := Config{Home: "/var/lib/tenzro", Network: "testnet", Region: east, Compute: ComputeConfig{MaxCPU: 50, MaxMemoryMB: 100, Slots: 1}}
	if err := good.Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	for _, c := range []struct {
		name, field string
		edit        func(*Config)
	}{
		{"no home", "home", func(c *Config) { c.Home = "" }},
		{"no network", "network", func(c *Config) { c.Network = "" }},
		{"a network that is a path", "network", func(c *Config) { c.Network = "a/b" }},
		{"a region with capitals", "region", func(c *Config) { c.Region = "US-East" }},
		{"a region too long", "region", func(c *Config) { c.Region = core.RegionID(strings.Repeat("x", core.MaxRegionLen+1)) }},
		{"more CPU than there is", "compute", func(c *Config) { c.Compute.MaxCPU = 101 }},
		{"negative CPU", "compute", func(c *Config) { c.Compute.MaxCPU = -1 }},
		{"negative memory", "compute", func(c *Config) { c.Compute.MaxMemoryMB = -1 }},
		{"negative slots", "compute", func(c *Config) { c.Compute.Slots = -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.edit(&bad)
			var e *core.Error
			if err := bad.Validate(); !errors.As(err, &e) || e.Kind != core.Invalid || e.Op != c.field {
				t.Errorf("refused with %v, want invalid %s", err, c.field)
			}
		})
	}
}

// TestResolveRoles: "auto" takes what the machine is good for; a role it is too
// small for is refused with what is missing.
//
// spec 0.1 0.15
func TestResolveRoles(t *testing.T) {
	small := compute.Profile{Resources: core.Resources{Cores: 1, MemoryMB: 1024, DiskMB: 10 << 10}}
	big := compute.Profile{Resources: core.Resources{Cores: 16, MemoryMB: 64 << 10, DiskMB: 500 << 10}}
	for _, c := range []struct {
		name    string
		machine compute.Profile
		want    []string // nil = auto
		got     []string // nil = refused
		missing []string
	}{
		{"a small machine chooses", small, nil, []string{"inference"}, nil},
		{"a big machine chooses", big, nil, []string{"trainer", "storage"}, nil},
		{"what was asked for", big, []string{"global", "regional", "local"}, []string{"global", "regional", "local"}, nil},
		{"any machine can be a gateway", small, []string{"global"}, []string{"global"}, nil},
		{"too small for compute", small, []string{"global", "compute"}, nil, []string{"role compute", "2 cores (has 1)", "4096 MiB of memory (has 1024)"}},
		{"too small for storage", compute.Profile{Resources: core.Resources{Cores: 4, MemoryMB: 8192, DiskMB: 20 << 10}}, []string{"storage"}, nil,
			[]string{"role storage", "102400 MiB of disk (has 20480)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &Node{}
			n.setProfile(c.machine)
			var want core.RoleSet
			if c.want != nil {
				want = roleSet(t, c.want...)
			}
			set, err := n.resolveRoles(want)
			if c.got != nil {
				if err != nil || !slices.Equal(set.Names(), c.got) {
					t.Errorf("resolved to %v, %v; want %v", set.Names(), err, c.got)
				}
				return
			}
			wantKind(t, "resolving", err, core.Denied)
			for _, text := range c.missing {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("%v does not name %q", err, text)
				}
			}
		})
	}
}

// TestNeededPeers is decision 13: three peers on the open internet, one among
// private addresses, or what was configured.
//
// spec 4.62
func TestNeededPeers(t *testing.T) {
	private := []string{"/ip4/127.0.0.1/tcp/9334", "/ip4/10.1.2.3/udp/9334/quic-v1", "/ip6/fe80::1/tcp/9334"}
	for _, c := range []struct {
		name       string
		configured int
		addrs      []string
		want       int
	}{
		{"nobody yet", 0, nil, 1},
		{"private addresses", 0, private, 1},
		{"one public address", 0, append([]string{"/ip4/8.8.8.8/tcp/9334"}, private...), 3},
		{"a public IPv6 address", 0, []string{"/ip6/2606:4700::1/udp/9334/quic-v1"}, 3},
		{"an address that cannot be read", 0, []string{"over there"}, 3},
		{"configured, in private", 5, private, 5},
		{"configured, in public", 1, []string{"/ip4/8.8.8.8/tcp/9334"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var peers []p2p.Peer
			for _, a := range c.addrs {
				peers = append(peers, p2p.Peer{Addr: a})
			}
			if got := neededPeers(c.configured, peers); got != c.want {
				t.Errorf("%d peers are needed, want %d", got, c.want)
			}
		})
	}
}

// TestBootstrapAddr: what runtime.json offers to paste works for most others.
func TestBootstrapAddr(t *testing.T) {
	const (
		loopTCP  = "/ip4/127.0.0.1/tcp/9334/p2p/x"
		loopQUIC = "/ip4/127.0.0.1/udp/9334/quic-v1/p2p/x"
		lanTCP   = "/ip4/192.168.1.7/tcp/9334/p2p/x"
		lanQUIC  = "/ip4/192.168.1.7/udp/9334/quic-v1/p2p/x"
		lanWS    = "/ip4/192.168.1.7/tcp/9335/ws/p2p/x"
		sixTCP   = "/ip6/2001:db8::7/tcp/9334/p2p/x"
	)
	for _, c := range []struct {
		name  string
		addrs []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{loopQUIC}, loopQUIC},
		{"the machine's before loopback", []string{loopTCP, lanTCP}, lanTCP},
		{"TCP before QUIC", []string{lanQUIC, lanTCP}, lanTCP},
		{"TCP before WebSocket", []string{lanWS, lanTCP}, lanTCP},
		{"loopback TCP before the machine's QUIC", []string{lanQUIC, loopTCP}, loopTCP},
		{"IPv4 before IPv6", []string{sixTCP, lanTCP}, lanTCP},
		{"all of them", []string{loopQUIC, sixTCP, lanWS, lanQUIC, loopTCP, lanTCP}, lanTCP},
		{"a name", []string{"/dns4/tenzro.example/tcp/9334/p2p/x", loopTCP}, "/dns4/tenzro.example/tcp/9334/p2p/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := bootstrapAddr(c.addrs); got != c.want {
				t.Errorf("chose %q, want %q", got, c.want)
			}
		})
	}
}

// TestOffered: the operator's limits cut what was measured and never add to it.
func TestOffered(t *testing.T) {
	measured := core.Resources{Cores: 8, CPUScore: 1.5, MemoryMB: 16384, DiskMB: 1000, FreeCPU: 7, FreeMemoryMB: 9000, FreeDiskMB: 400}
	for _, c := range []struct {
		name        string
		limits      ComputeConfig
		cpu         int
		memory      int64
		disk, start int64 // free disk offered and measured
	}{
		{"no limits", ComputeConfig{}, 100, 16384, 400, 400},
		{"half the CPU", ComputeConfig{MaxCPU: 50}, 50, 16384, 400, 400},
		{"less memory", ComputeConfig{MaxMemoryMB: 1024}, 100, 1024, 400, 400},
		{"more memory than there is", ComputeConfig{MaxMemoryMB: 1 << 20}, 100, 16384, 400, 400},
		{"a disk that reports nonsense", ComputeConfig{}, 100, 16384, 1000, 5000},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := measured
			in.FreeDiskMB = c.start
			got := offered(in, c.limits)
			want := core.Resources{Cores: 8, CPUScore: 1.5, MemoryMB: c.memory, DiskMB: 1000, FreeCPU: c.cpu, FreeMemoryMB: c.memory, FreeDiskMB: c.disk}
			if got != want {
				t.Errorf("offered %+v, want %+v", got, want)
			}
		})
	}
}

// TestAddressOf reads the ip a multiaddr starts with, and nothing else.
func TestAddressOf(t *testing.T) {
	for addr, want := range map[string]string{"/ip4/10.0.0.1/tcp/1": "10.0.0.1", "/ip6/::1/udp/1/quic-v1": "::1", "/ip4/10.0.0.1": "10.0.0.1",
		"/dns4/x/tcp/1": "", "": "", "/ip4": "", "/ip4/nonsense/tcp/1": "", "ip4/10.0.0.1": ""} {
		ip, ok := addressOf(addr)
		if ok != (want != "") || ok && ip.String() != want {
			t.Errorf("%q: %v, %v", addr, ip, ok)
		}
	}
}

// TestFounder: a coordinator without a group founds one only when nobody may keep
// the region, and of several the one with the lowest id.
func TestFounder(t *testing.T) {
	none, denied := core.Errorf(core.NotFound, "region", "no group"), core.Errorf(core.Denied, "region", "not now")
	away := core.Errorf(core.Unavailable, "region", "no answer")
	for name, c := range map[string]struct {
		said    map[core.NodeID]error
		offline bool
		after   time.Duration // 0 = never
	}{
		"alone":                          {nil, false, formWait},
		"without its bootstrap nodes":    {nil, true, formAlone},
		"first of two":                   {map[core.NodeID]error{"z": none}, false, formWait},
		"second of two":                  {map[core.NodeID]error{"a": none}, false, 0},
		"somebody keeps it":              {map[core.NodeID]error{"z": none, "y": denied}, false, 0},
		"somebody does not answer":       {map[core.NodeID]error{"z": away}, false, formAlone},
		"one keeps it, one is not there": {map[core.NodeID]error{"a": away, "z": denied}, false, 0},
	} {
		var got answers
		for id, err := range c.said {
			got.hear("m", id, err)
		}
		if got.founder(c.after, c.offline) || got.founder(time.Hour, c.offline) != (c.after > 0) || got.founder(c.after+1, c.offline) != (c.after > 0) {
			t.Errorf("%s: it founds the group at another time than %s", name, c.after)
		}
	}
}

// TestLinkThatLeftAtOnce: whoever waits for a link that is over before anybody saw
// it attached hears so at once, and with him all that wait for the same region.
func TestLinkThatLeftAtOnce(t *testing.T) {
	n := build(t, config(t, "global"))
	over := make(chan struct{})
	close(over)
	if err := n.links.settled(t.Context(), n.gateway, "nobody", over); !errors.Is(err, core.Unavailable) {
		t.Errorf("told %v", err)
	}
}

// TestLeadOfTheJournalKept: whoever begins to lead while the node's region changes
// its name leads the region whose journal it keeps. The other one's epochs would
// be taken by it, and nobody could lead that in them any more.
func TestLeadOfTheJournalKept(t *testing.T) {
	c := config(t, "local")
	c.Region = east
	n, _ := run(t, c)
	leads := func() error {
		if !n.validator.Leading() {
			return errors.New("it does not lead yet")
		}
		return nil
	}
	await(t, "the lead", leads)
	solo := n.ownRegion()
	n.mu.Lock()
	n.set = roleSet(t, "regional", "local") // as when the roles have changed and their services have not
	n.mu.Unlock()
	n.keeper.changing.Lock()
	n.keeper.end()
	n.keeper.begin()
	n.keeper.changing.Unlock()
	await(t, "the lead in another epoch", leads)
	if leader, _, members := n.keeper.view(); leader != "" || len(members) > 0 || n.keeper.keeps() != solo {
		t.Errorf("%s is led by %s of %v", n.keeper.keeps(), leader, members)
	}
	if err := n.renameRegion(); err != nil {
		t.Fatal(err)
	}
	await(t, "the lead of the other region", leads)
	if leader, epoch, _ := n.keeper.view(); leader != n.ID() || epoch == 0 || n.keeper.keeps() != east {
		t.Errorf("%s is led by %s in epoch %d", n.keeper.keeps(), leader, epoch)
	}
	answers55(t, n)
}

// TestMovedRegionIsRead: a node whose journal was closed, because it keeps another
// region or failed to, answers questions about jobs.
func TestMovedRegionIsRead(t *testing.T) {
	n := build(t, config(t, "local"))
	if err := os.WriteFile(filepath.Join(n.path(JournalsDir), string(east)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.keeper.move(east); err == nil {
		t.Fatal("a file is taken for a journal")
	}
	if _, err := n.keeper.Get("us-east-1"); !errors.Is(err, core.NotFound) {
		t.Errorf("asked for a job it says %v", err)
	}
	if all := n.keeper.List(journal.Filter{Limit: 1}); len(all) != 0 || n.validator.Leading() {
		t.Errorf("it knows %+v", all)
	}
	if err := n.keeper.move(n.ownRegion()); err != nil {
		t.Errorf("and back: %v", err)
	}
}
