package p2p

import (
	"net/netip"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// The documented ports (document 4, "Ports") and defaults.
const (
	DefaultPort         = 9334 // TCP and QUIC
	DefaultLANPort      = 9333 // UDP discovery
	DefaultMinPeers     = 3
	DefaultResumeWindow = time.Minute
	// Off turns a listener off where a port is expected.
	Off = -1
)

// Reachability says what an operator knows better than the node can measure.
type Reachability string

// The reachabilities. A forced one turns AutoNAT v2 off, which would otherwise
// overrule it (go-libp2p issue 3515).
const (
	ReachabilityAuto    Reachability = ""
	ReachabilityPublic  Reachability = "public"
	ReachabilityPrivate Reachability = "private"
)

// DHTMode says what kind of network the DHT spans.
type DHTMode string

// The DHT modes.
const (
	// DHTAuto is DHTLAN when every listener is on loopback, when every bootstrap
	// address is private, or when there is none and no interface is public;
	// DHTPublic otherwise.
	DHTAuto DHTMode = ""
	// DHTLAN is one table in server mode in which any address counts; NAT
	// traversal is off, as there is nothing to traverse.
	DHTLAN DHTMode = "lan"
	// DHTPublic is one table for public and one for private addresses, and a node
	// answers queries only once it is known to be reachable.
	DHTPublic DHTMode = "public"
)

// Security is a handshake a TCP or WebSocket connection may use. QUIC always
// uses TLS 1.3.
type Security string

// The handshakes.
const (
	// TLS negotiates a hybrid post-quantum key exchange (X25519MLKEM768).
	TLS Security = "tls"
	// Noise is classical only.
	Noise Security = "noise"
)

// Config is what a Host is built from. The zero value of a field means what its
// comment says.
type Config struct {
	// Identity proves who this node is. Required.
	Identity *keys.Identity
	// Network separates this network from all others. Required.
	Network core.NetworkID
	// Class chooses the limits: a regional node holds thousands of workers, a
	// local one a few dozen peers. 0 = core.Local.
	Class core.NodeType
	// Agent is what peers see as our software and version. "" = "tenzro".
	Agent string

	// Port is the TCP and QUIC port; 0 = any free ones.
	Port int
	// ListenIPs are the addresses to bind. None = 0.0.0.0 and, where the machine
	// has IPv6, [::].
	ListenIPs []string
	// WSPort is the port of the WebSocket listener; 0 = any free one, Off = none.
	WSPort int
	// Listen replaces Port, ListenIPs and WSPort by whole multiaddrs.
	Listen []string
	// Security lists the handshakes in order of preference. nil = TLS, Noise.
	Security []Security
	// Reachability overrides what AutoNAT would measure.
	Reachability Reachability

	// Bootstrap are multiaddrs ending in /p2p/<id>. Our own is ignored.
	Bootstrap []string
	// PeersFile keeps good peers across restarts. "" = nowhere.
	PeersFile string
	// MinPeers is how many peers of this network make the node ready.
	MinPeers int
	// Standalone makes the node ready without any peer.
	Standalone bool
	// DHTMode says what kind of network this is.
	DHTMode DHTMode
	// DHTClient makes the node ask the DHT without answering others, so that it
	// stays out of their tables and holds fewer connections. Some nodes of a
	// network must answer.
	DHTClient bool

	// LANPort is the UDP port of local discovery; 0 = any free one (which others
	// cannot guess), Off = no local discovery.
	LANPort int
	// MDNS also discovers through multicast DNS.
	MDNS bool
	// Announce returns the capability words told to the local network; at most
	// MaxWords are sent. nil = none.
	Announce func() []string

	// ResumeWindow is how long a session survives without a connection. 0 =
	// DefaultResumeWindow. Too small loses sessions to a short outage; too large
	// keeps unacknowledged frames of the dead in memory.
	ResumeWindow time.Duration
	// Admit is asked before a connection to or from a peer is used; an error
	// refuses it. It must be quick and must not call the Host. nil = everybody.
	Admit func(core.NodeID) error

	// Options are appended to the libp2p options: the seam for simulated
	// networks (package p2ptest).
	Options []libp2p.Option
}

// resolved is a Config with every default applied and every text parsed.
type resolved struct {
	Config
	self      peer.ID
	listen    []ma.Multiaddr
	bootstrap []peer.AddrInfo
	lan       bool // DHTLAN was chosen
	loopback  bool // every listener is on loopback
}

func (c Config) resolve() (*resolved, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	r := &resolved{Config: c.withDefaults()}
	var err error
	if r.self, err = peer.Decode(string(c.Identity.ID())); err != nil {
		return nil, core.Errorf(core.Invalid, "p2p.identity", "identity has no valid peer id: %w", err)
	}
	if r.listen, err = r.listenAddrs(); err != nil {
		return nil, err
	}
	if r.bootstrap, err = parseBootstrap(c.Bootstrap, r.self); err != nil {
		return nil, err
	}
	r.loopback = allLoopback(r.listen)
	r.lan = c.DHTMode == DHTLAN || c.DHTMode == DHTAuto && (r.loopback || privateNetwork(r.bootstrap))
	return r, nil
}

func (c Config) validate() error {
	if c.Identity == nil {
		return core.Errorf(core.Invalid, "p2p.identity", "the host needs an identity")
	}
	if _, err := core.ParseNetworkID(string(c.Network)); err != nil {
		return err
	}
	if err := validPorts(c); err != nil {
		return err
	}
	switch {
	case c.Class > core.Global:
		return core.Errorf(core.Invalid, "p2p.class", "node type %d is unknown", c.Class)
	case c.MinPeers < 0:
		return core.Errorf(core.Invalid, "p2p.minPeers", "minimum peers is %d; it must not be negative", c.MinPeers)
	case c.ResumeWindow < 0:
		return core.Errorf(core.Invalid, "p2p.resumeWindow", "resume window is %s; it must not be negative", c.ResumeWindow)
	case c.Reachability != ReachabilityAuto && c.Reachability != ReachabilityPublic && c.Reachability != ReachabilityPrivate:
		return core.Errorf(core.Invalid, "p2p.reachability", "reachability %.20q is not public, private or empty", string(c.Reachability))
	case c.DHTMode != DHTAuto && c.DHTMode != DHTLAN && c.DHTMode != DHTPublic:
		return core.Errorf(core.Invalid, "p2p.dhtMode", "dht mode %.20q is not lan, public or empty", string(c.DHTMode))
	}
	return nil
}

func validPorts(c Config) error {
	for _, p := range []struct {
		field string
		port  int
		low   int
	}{{"p2p.port", c.Port, 0}, {"p2p.wsPort", c.WSPort, Off}, {"p2p.lanPort", c.LANPort, Off}} {
		if p.port < p.low || p.port > 65535 {
			return core.Errorf(core.Invalid, p.field, "%s is %d; it must be %d to 65535", p.field, p.port, p.low)
		}
	}
	if c.Port != 0 && c.Port == c.WSPort {
		return core.Errorf(core.Invalid, "p2p.wsPort", "port and WebSocket port are both %d", c.Port)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Class == 0 {
		c.Class = core.Local
	}
	if c.Agent == "" {
		c.Agent = "tenzro"
	}
	if c.ResumeWindow == 0 {
		c.ResumeWindow = DefaultResumeWindow
	}
	if c.Security == nil {
		c.Security = []Security{TLS, Noise}
	}
	if c.Announce == nil {
		c.Announce = func() []string { return nil }
	}
	return c
}

func parseBootstrap(list []string, self peer.ID) ([]peer.AddrInfo, error) {
	var addrs []ma.Multiaddr
	for _, s := range list {
		info, err := peer.AddrInfoFromString(s)
		if err != nil {
			return nil, core.Errorf(core.Invalid, "bootstrap", "bootstrap address %.120q is not a multiaddr with a peer id: %w", s, err).
				WithHint("use the form /ip4/203.0.113.7/tcp/9334/p2p/12D3Koo...")
		}
		if info.ID == self {
			continue
		}
		full, err := peer.AddrInfoToP2pAddrs(info)
		if err != nil {
			return nil, core.Errorf(core.Invalid, "bootstrap", "bootstrap address %.120q: %w", s, err)
		}
		addrs = append(addrs, full...)
	}
	return peer.AddrInfosFromP2pAddrs(addrs...)
}

// privateNetwork guesses from where a node is told to start whether its network
// is a private one. Names without a dot and under .local, .internal or .lan are
// those of containers and local networks.
func privateNetwork(bootstrap []peer.AddrInfo) bool {
	for _, info := range bootstrap {
		for _, a := range info.Addrs {
			if !privateAddr(a) {
				return false
			}
		}
	}
	return len(bootstrap) > 0 || !hasPublicInterface()
}

// Public reports whether a multiaddr may be of the internet; what cannot be read
// counts as that.
func Public(addr string) bool {
	a, err := ma.NewMultiaddr(addr)
	return err != nil || !privateAddr(a)
}

func privateAddr(a ma.Multiaddr) bool {
	first, _ := ma.SplitFirst(a)
	if first == nil {
		return false
	}
	switch first.Protocol().Code {
	case ma.P_IP4, ma.P_IP6:
		ip, err := netip.ParseAddr(first.Value())
		return err == nil && privateIP(ip)
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
		return localName(first.Value())
	}
	return false
}

func localName(host string) bool {
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".local", ".internal", ".lan"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// privateIP reports whether ip is one of privatePrefixes.
func privateIP(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range privatePrefixes() {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// privatePrefixes are the ranges whose addresses many machines may share behind
// one, and which are not reachable from the internet.
func privatePrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
		// Carrier NAT, benchmarks and documentation (RFC 6598, 2544, 5737, 3849).
		netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	}
}
