package p2p

import (
	"math"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/pbnjay/memory"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/tenzro/tenzro/core"
)

// classLimits are the bounds of one class of node. Connections beyond high are
// trimmed down to low, sessions last; conns and inbound are hard and lie above.
type classLimits struct {
	low, high      int // connection manager marks
	conns, inbound int // open connections, in all and inbound; 0 = scaled to the machine
	transient      int // connections whose peer is not authenticated yet
	streams        int // streams over all peers
	peerStreams    int // streams of one peer
	perAddress     int // connections from one public IPv4 address or IPv6 /56
	perSubnet      int // connections from one public IPv4 /24 or IPv6 /48
}

// limitsOf returns the limits by class. A coordinator is sized for 4,000
// workers, half as many again for everybody else, and all of them arriving at
// once after an outage.
func limitsOf(class core.NodeType) classLimits {
	switch class {
	case core.Regional:
		return classLimits{low: 4000, high: 6000, conns: 6600, inbound: 6300, transient: 1500,
			streams: 60_000, peerStreams: 64, perAddress: 64, perSubnet: 1024}
	case core.Global:
		return classLimits{low: 400, high: 800, conns: 3000, inbound: 2000, transient: 500,
			streams: 30_000, peerStreams: 64, perAddress: 64, perSubnet: 512}
	}
	return classLimits{low: 48, high: 96, perAddress: 8, perSubnet: 64}
}

const (
	reservedFDs = 256              // for the node's own files, logs and API connections
	minMemory   = int64(2) << 30   // accounted, see resourceLimits
	perStream   = int64(256) << 10 // what a stream reserves before a byte flows
)

// resourceLimits scales the class to the machine. Memory is what streams may
// have in flight by their windows, far more than they use: half of the machine,
// at least what all streams of the class reserve for existing.
func (l classLimits) resourceLimits(totalMemory int64, fds int) rcmgr.ConcreteLimitConfig {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	base := scaling.Scale(totalMemory/8, fds)
	if l.conns == 0 {
		return base
	}
	mem := max(totalMemory/2, minMemory, int64(l.streams)/4*perStream)
	streams := rcmgr.ResourceLimits{Streams: rcmgr.LimitVal(l.streams), StreamsInbound: rcmgr.LimitVal(l.streams),
		StreamsOutbound: rcmgr.LimitVal(l.streams), Memory: rcmgr.LimitVal64(mem)}
	system := streams
	system.Conns, system.ConnsInbound, system.ConnsOutbound = rcmgr.LimitVal(l.conns), rcmgr.LimitVal(l.inbound), rcmgr.LimitVal(l.conns)
	system.FD = rcmgr.LimitVal(fds)
	transient := rcmgr.ResourceLimits{Conns: rcmgr.LimitVal(l.transient), ConnsInbound: rcmgr.LimitVal(l.transient),
		ConnsOutbound: rcmgr.LimitVal(l.transient), FD: rcmgr.LimitVal(min(fds, l.transient)), Memory: rcmgr.LimitVal64(mem / 4),
		Streams: rcmgr.LimitVal(4 * l.transient), StreamsInbound: rcmgr.LimitVal(4 * l.transient), StreamsOutbound: rcmgr.LimitVal(4 * l.transient)}
	perPeer := rcmgr.LimitVal(l.peerStreams)
	peer := rcmgr.ResourceLimits{Streams: perPeer, StreamsInbound: perPeer, StreamsOutbound: perPeer}
	return rcmgr.PartialLimitConfig{
		System: system, Transient: transient,
		ServiceDefault: streams, ProtocolDefault: streams,
		ServicePeerDefault: peer, ProtocolPeerDefault: peer, PeerDefault: peer,
		// Everybody identifies and pings at once after an outage.
		Service:  map[string]rcmgr.ResourceLimits{identify.ServiceName: streams, ping.ServiceName: streams},
		Protocol: map[protocol.ID]rcmgr.ResourceLimits{identify.ID: streams, identify.IDPush: streams, ping.ID: streams},
	}.Build(base)
}

// resourceManager bounds what peers can make this node hold. Sources in private
// ranges are not told apart, as a whole site may stand behind one address: the
// totals bound them.
func resourceManager(class core.NodeType, reg prometheus.Registerer) (network.ResourceManager, error) {
	l := limitsOf(class)
	opts := []rcmgr.Option{
		rcmgr.WithNetworkPrefixLimit(openPrefixes()),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: l.perAddress}, {PrefixLength: 24, ConnCount: l.perSubnet}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: l.perAddress}, {PrefixLength: 48, ConnCount: l.perSubnet}}),
		rcmgr.WithConnRateLimiters(arrivalRates(l)),
	}
	if reg == nil {
		opts = append(opts, rcmgr.WithMetricsDisabled())
	}
	concrete := l.resourceLimits(int64(memory.TotalMemory()), usableFDs())
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(concrete), opts...)
}

func openPrefixes() (v4, v6 []rcmgr.NetworkPrefixLimit) {
	for _, p := range privatePrefixes() {
		limit := rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt}
		if p.Addr().Is4() {
			v4 = append(v4, limit)
		} else {
			v6 = append(v6, limit)
		}
	}
	return v4, v6
}

// arrivalRates bounds new connections per public source: a burst of all that may
// be open, then one in five seconds per eight allowed.
func arrivalRates(l classLimits) *rate.Limiter {
	limit := func(conns int) rate.Limit { return rate.Limit{RPS: float64(conns) / 40, Burst: 2 * conns} }
	out := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: limit(l.perAddress)}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: limit(l.perAddress)}, {PrefixLength: 48, Limit: limit(l.perSubnet)}},
		GracePeriod:      DefaultResumeWindow,
	}}
	for _, p := range privatePrefixes() {
		out.NetworkPrefixLimits = append(out.NetworkPrefixLimits, rate.PrefixLimit{Prefix: p})
	}
	return out
}

// usableFDs is what the process's descriptor limit leaves for connections.
func usableFDs() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024 - reservedFDs
	}
	n := int(min(l.Cur, math.MaxInt32))
	return max(n-reservedFDs, n/2)
}

func connectionManager(class core.NodeType) (*connmgr.BasicConnMgr, error) {
	l := limitsOf(class)
	return connmgr.NewConnManager(l.low, l.high)
}
