package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/compute/container/docker/dockertest"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/node"
)

// machine is a System with faults.
type machine struct {
	skew        time.Duration
	free, files uint64
	err         error
	walls       []sandbox.Protection
}

func (m machine) Now() time.Time                   { return time.Now().Add(m.skew) }
func (m machine) FreeBytes(string) (uint64, error) { return m.free, m.err }
func (m machine) DescriptorLimit() (uint64, error) { return m.files, m.err }
func (m machine) Walls() []sandbox.Protection      { return m.walls }

const peerID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

// patient is a healthy node; each test breaks one thing of it.
type patient struct {
	t      *testing.T
	in     Input
	cfg    *node.Config
	status api.NodeStatus
	peers  []api.Peer
	ready  int // status of /readyz
	boot   net.Listener
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	home := t.TempDir()
	keyFile := filepath.Join(home, "node.key")
	if _, err := keys.LoadOrCreate(keyFile); err != nil {
		t.Fatal(err)
	}
	p := &patient{t: t, ready: http.StatusOK, peers: []api.Peer{{Direction: "inbound", Version: "v1"}, {Direction: "outbound", Version: "v1"}, {Direction: "outbound"}},
		status: api.NodeStatus{ID: peerID, Version: "v1", Peers: 3, MinPeers: 3, Addrs: []string{"/ip4/192.0.2.1/tcp/9334/p2p/" + peerID}}}
	p.boot = p.listen()
	host, port, _ := net.SplitHostPort(p.boot.Addr().String())
	p.cfg = &node.Config{Home: home, HTTP: node.HTTPConfig{Addr: "127.0.0.1:0", MetricsAddr: ""},
		P2P: node.P2PConfig{WSPort: -1, LANPort: -1, ListenIPs: []string{"127.0.0.1"}, MinPeers: 3, Bootstrap: []string{"/ip4/" + host + "/tcp/" + port + "/p2p/" + peerID}}}
	p.in = Input{Home: home, KeyFile: keyFile, Config: p.cfg, Version: "v1", System: machine{free: 10 << 30, files: 65536},
		Client: p.node(), ClockURL: p.clock(0), Runtime: &client.Runtime{PID: 4711, Addrs: p.status.Addrs}}
	return p
}

// containers has the node run images named by one digit, of the engine behind socket.
func (p *patient) containers(socket string, digits ...string) {
	p.cfg.Compute.Containers = node.ContainersConfig{On: true, Socket: socket}
	for _, d := range digits {
		p.cfg.Compute.Containers.Images = append(p.cfg.Compute.Containers.Images, container.Ref{Digest: "sha256:" + strings.Repeat(d, 64)})
	}
}

// engine is a container engine with two images; it returns its socket.
func (p *patient) engine() string {
	e := dockertest.New(p.t)
	e.Info.SecurityOptions = append(e.Info.SecurityOptions, "name=rootless")
	for _, d := range []string{"a", "b"} {
		e.Add(docker.Image{ID: "sha256:" + strings.Repeat(d, 64), OS: "linux", Arch: "amd64"})
	}
	return e.Socket
}

func (p *patient) listen() net.Listener {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = l.Close() })
	return l
}

// node serves what a running node would.
func (p *patient) node() *client.Client {
	p.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body any = p.status
		switch r.URL.Path {
		case "/readyz":
			w.WriteHeader(p.ready)
			body = map[string]string{"detail": "1 of 3 peers", "hint": "wait"}
		case "/api/v1/peers":
			body = map[string]any{"peers": p.peers}
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	c, err := client.New(srv.URL, "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

// clock serves a Date that is off by skew.
func (p *patient) clock(skew time.Duration) string {
	p.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
	}))
	p.t.Cleanup(srv.Close)
	return srv.URL
}

// peerClocks lets the node say how far it is ahead of its peers, and names no
// server to ask.
func (p *patient) peerClocks(skew time.Duration, heard int) {
	ms := skew.Milliseconds()
	p.status.ClockSkewMS, p.status.ClockPeers, p.in.ClockURL = &ms, heard, ""
}

func (p *patient) port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func TestHealthy(t *testing.T) {
	p := newPatient(t)
	lines := Examine(context.Background(), p.in)
	for _, l := range lines {
		if l.Status != OK || l.Fix != "" {
			t.Errorf("%+v", l)
		}
	}
	if Failed(lines) != 0 || len(lines) != 14 {
		t.Errorf("%d lines, %d failed", len(lines), Failed(lines))
	}
}

// TestFaults injects one fault after the other: each is found by its check, and
// every line that is not OK names a fix.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		harm   func(p *patient)
		check  string
		status Status
		detail string
		fix    string
	}{
		"key readable by others": {func(p *patient) { p.must(os.Chmod(p.in.KeyFile, 0o644)) }, "key", Fail, "can be accessed by others", "chmod 600"},
		"key damaged":            {func(p *patient) { p.must(os.WriteFile(p.in.KeyFile, []byte("x"), 0o600)) }, "key", Fail, "PEM", "backup"},
		"no key yet":             {func(p *patient) { p.must(os.Remove(p.in.KeyFile)) }, "key", Warn, "no key yet", "tenzro init"},
		"busy api port":          {func(p *patient) { p.cfg.HTTP.Addr = p.listen().Addr().String() }, "port api tcp", Fail, "in use by another process", "--http"},
		"busy metrics port":      {func(p *patient) { p.cfg.HTTP.MetricsAddr = p.listen().Addr().String() }, "port metrics tcp", Fail, "in use", "--metrics"},
		"busy p2p port":          {func(p *patient) { p.cfg.P2P.Port = p.number(p.listen()) }, "port p2p tcp", Fail, "in use", "--p2p-port"},
		"p2p port of our own node": {func(p *patient) {
			l := p.listen()
			p.cfg.P2P.Port = p.number(l)
			p.in.Runtime.Addrs = []string{"/ip4/127.0.0.1/tcp/" + p.port(l.Addr().String())}
		}, "port p2p tcp", OK, "held by our node, process 4711", ""},
		"api port of our own node": {func(p *patient) {
			p.cfg.HTTP.Addr = p.listen().Addr().String()
			p.in.Runtime.HTTP = "http://" + p.cfg.HTTP.Addr
		}, "port api tcp", OK, "held by our node", ""},
		"address not of this machine": {func(p *patient) { p.cfg.HTTP.Addr = "192.0.2.1:8080" }, "port api tcp", Fail, "cannot be bound", "--http"},
		"lan port shared, no node": {func(p *patient) {
			p.in.Client = nil
			conn, err := net.ListenPacket("udp", ":0")
			p.must(err)
			p.t.Cleanup(func() { _ = conn.Close() })
			p.cfg.P2P.LANPort = conn.LocalAddr().(*net.UDPAddr).Port
		}, "port lan discovery udp", Warn, "nodes of one machine share it", "--lan-port"},
		"bootstrap gone":     {func(p *patient) { _ = p.boot.Close() }, "bootstrap", Fail, "cannot be reached", "firewall"},
		"bootstrap over UDP": {func(p *patient) { p.cfg.P2P.Bootstrap = []string{"/ip4/127.0.0.1/udp/1/quic-v1/p2p/" + peerID} }, "bootstrap", Warn, "is UDP", "/tcp/"},
		"no bootstrap":       {func(p *patient) { p.cfg.P2P.Bootstrap = nil }, "bootstrap", Warn, "only nodes of the local network", "--bootstrap"},
		"home is a file":     {func(p *patient) { p.in.Home = p.in.KeyFile }, "home", Fail, "is not a directory", "--home"},
		"home below a file":  {func(p *patient) { p.in.Home = filepath.Join(p.in.KeyFile, "x") }, "home", Fail, "cannot be used", "--home"},
		"home missing":       {func(p *patient) { p.in.Home = filepath.Join(p.in.Home, "new") }, "home", Warn, "does not exist yet", "tenzro init"},
		"bad configuration": {func(p *patient) {
			p.in.Config, p.in.ConfigErr = nil, core.Errorf(core.Invalid, "x", "key x").WithHint("remove it")
		}, "config", Fail, "key x", "remove it"},
		"several bad settings": {func(p *patient) { p.in.Config, p.in.ConfigErr = nil, errors.Join(errors.New("one"), errors.New("two")) }, "config", Fail, "one", "correct"},
		"few descriptors":      {func(p *patient) { p.in.System = machine{free: 10 << 30, files: 256} }, "descriptors", Fail, "may open 256 files", "ulimit -n"},
		"few for a coordinator": {func(p *patient) {
			p.in.System = machine{free: 10 << 30, files: 4096}
			p.cfg.Roles, _ = core.ParseRoles("regional")
		}, "descriptors", Warn, "should have 8192", "ulimit -n"},
		"disk full":             {func(p *patient) { p.in.System = machine{free: 1 << 20, files: 65536} }, "disk", Fail, "1 MiB free", "free some space"},
		"disk nearly full":      {func(p *patient) { p.in.System = machine{free: 500 << 20, files: 65536} }, "disk", Warn, "500 MiB free", "free some space"},
		"machine does not tell": {func(p *patient) { p.in.System = machine{err: errors.New("no")} }, "disk", Warn, "not known", "df"},
		"no wall around files": {func(p *patient) {
			p.in.System = machine{free: 10 << 30, files: 65536, walls: []sandbox.Protection{{Name: "process", Active: true, Strong: true}, {Name: "files", Strong: true, Detail: "no landlock"}}}
		}, "sandbox", Warn, "kept in by: process; not here: files (no landlock)", "docs/sandbox.md"},
		"no groups": {func(p *patient) {
			p.in.System = machine{free: 10 << 30, files: 65536, walls: []sandbox.Protection{{Name: "control groups", Detail: "not delegated"}}}
		}, "sandbox", OK, "control groups (not delegated)", ""},
		"containers":            {func(p *patient) { p.containers(p.engine(), "a", "b") }, "containers", OK, "engine 20.10.24 has 2 of 2 allowed images; besides what every engine has: rootless", ""},
		"an image is missing":   {func(p *patient) { p.containers(p.engine(), "a", "c") }, "containers", Warn, "1 of 2 allowed images; besides what every engine has: rootless: sha256:cccc", "docker pull"},
		"no image is there":     {func(p *patient) { p.containers(p.engine(), "c") }, "containers", Fail, "0 of 1 allowed images", "docker pull"},
		"no container engine":   {func(p *patient) { p.containers(filepath.Join(p.in.Home, "none.sock"), "a") }, "containers", Fail, "does not answer", "docker version"},
		"stopped node":          {func(p *patient) { p.in.Client = p.stopped() }, "node", Fail, "process 4711 but does not answer", "tenzro run"},
		"no node":               {func(p *patient) { p.in.Client = nil }, "node", Warn, "no node runs from", "tenzro run"},
		"node not ready":        {func(p *patient) { p.ready = http.StatusServiceUnavailable }, "node", Warn, "1 of 3 peers", "wait"},
		"too few peers":         {func(p *patient) { p.status.Peers = 1 }, "peers", Fail, "1 connected, 3 needed", "--bootstrap"},
		"alone on purpose":      {func(p *patient) { p.status.Peers = 0; p.cfg.P2P.Standalone = true }, "peers", OK, "standalone", ""},
		"behind NAT":            {func(p *patient) { p.peers = p.peers[1:]; p.status.Addrs = []string{"/ip4/10.0.0.1/tcp/1"} }, "reachability", Warn, "probably behind NAT", "forward"},
		"public, never dialled": {func(p *patient) { p.peers = p.peers[1:]; p.status.Addrs = []string{"/ip4/8.8.8.8/tcp/9334"} }, "reachability", Warn, "public address", "firewall"},
		"clock slow":            {func(p *patient) { p.in.ClockURL = p.clock(5 * time.Minute) }, "clock", Fail, "-5m0s off", "timedatectl"},
		"clock fast":            {func(p *patient) { p.in.System = machine{skew: 20 * time.Second, free: 10 << 30, files: 65536} }, "clock", Warn, "20s off", "timedatectl"},
		"nobody with a clock":   {func(p *patient) { p.in.ClockURL = "" }, "clock", Warn, "not compared", "--clock"},
		"clock of nobody":       {func(p *patient) { p.in.ClockURL = "ftp://x" }, "clock", Warn, "not compared", "--clock"},
		"clock ahead of peers":  {func(p *patient) { p.peerClocks(3*time.Second, 4) }, "clock", Warn, "3s off against the clocks of 4 peers", "timedatectl"},
		"clock behind peers":    {func(p *patient) { p.peerClocks(-61*time.Second, 4) }, "clock", Fail, "-1m1s off against the clocks of 4 peers: messages of this node are refused", "timedatectl"},
		"clock against one":     {func(p *patient) { p.peerClocks(time.Hour, 1) }, "clock", Fail, "1h0m0s off against the only peer heard, whose clock may be the wrong one", "timedatectl"},
		"clock of one agrees":   {func(p *patient) { p.peerClocks(0, 1) }, "clock", OK, "agrees with the only peer heard", ""},
		"clock of peers agrees": {func(p *patient) { p.peerClocks(-2*time.Second, 2) }, "clock", OK, "agrees with the clocks of 2 peers", ""},
		"clock asked for":       {func(p *patient) { u := p.in.ClockURL; p.peerClocks(time.Hour, 2); p.in.ClockURL = u }, "clock", OK, "agrees with http://", ""},
		"clock without node":    {func(p *patient) { p.peerClocks(time.Hour, 2); p.in.Client = nil }, "clock", Warn, "not compared", "--clock"},
		"peers of other versions": {func(p *patient) {
			p.peers = append(p.peers, api.Peer{Version: "v0\x1b[2J"}, api.Peer{Version: "v2"}, api.Peer{Version: "v2"})
		}, "version", Warn, `node and program are v1, as are 2 of 6 peers; others run "v2" (2), "v0\x1b[2J" (1)`, "#upgrade"},
		"peers of many versions": {func(p *patient) {
			for i := range 9 {
				p.peers = append(p.peers, api.Peer{Version: fmt.Sprint("w", i)})
			}
		}, "version", Warn, `"w3" (1), more versions (5)`, "#upgrade"},
		"peers without version": {func(p *patient) { p.peers = []api.Peer{{Direction: "inbound"}} }, "version", OK, "no peer tells its version", ""},
		"other version":         {func(p *patient) { p.status.Version = "v0" }, "version", Warn, "the node is v0, this program v1", "restart"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			tt.harm(p)
			found := false
			for _, l := range Examine(context.Background(), p.in) {
				if (l.Fix == "") != (l.Status == OK) {
					t.Errorf("%+v: a fix belongs to everything but OK", l)
				}
				if l.Check == tt.check && l.Status == tt.status {
					found = found || strings.Contains(l.Detail, tt.detail) && strings.Contains(l.Fix, tt.fix)
				}
			}
			if !found {
				t.Errorf("no line %s %s %q %q in %+v", tt.status, tt.check, tt.detail, tt.fix, Examine(context.Background(), p.in))
			}
		})
	}
}

func (p *patient) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) number(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// stopped is a client of an address where nothing listens any more.
func (p *patient) stopped() *client.Client {
	l := p.listen()
	addr := l.Addr().String()
	p.must(l.Close())
	c, err := client.New(addr, "")
	p.must(err)
	return c
}

// TestClockSources: only other machines' gateways are asked, each once.
func TestClockSources(t *testing.T) {
	cfg := &node.Config{P2P: node.P2PConfig{Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + peerID, "/ip4/192.0.2.1/tcp/1/p2p/" + peerID,
		"/ip4/192.0.2.1/udp/1/quic-v1/p2p/" + peerID, "/dns4/n.example/tcp/1/p2p/" + peerID}}}
	got := strings.Join(Input{Config: cfg}.clockURLs(), " ")
	if want := "http://192.0.2.1:8080/livez http://n.example:8080/livez"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

// TestMachine: the real machine answers with something plausible.
func TestMachine(t *testing.T) {
	free, err := Machine{}.FreeBytes(t.TempDir())
	if err != nil || free == 0 {
		t.Errorf("free %d, error %v", free, err)
	}
	files, err := Machine{}.DescriptorLimit()
	if err != nil || files < 64 {
		t.Errorf("files %d, error %v", files, err)
	}
	if len(Machine{}.Walls()) == 0 {
		t.Error("nothing is known of the walls")
	}
}
