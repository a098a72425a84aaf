package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace/otlp"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/node"
)

const (
	autoRole = "auto"
	loopback = "127.0.0.1"
	off      = "off"
)

// Settings holds the values as they were read. Node is complete only after
// resolve turned the four names into their types.
type Settings struct {
	Node    node.Config
	Network string
	Region  string
	Roles   []string
	Tier    string
	Mode    string
	Admit   string
	Members []string
	Images  []string
}

// set stores a value that Key.parse returned.
func (s *Settings) set(k Key, value any) {
	switch p := k.bind(s).(type) {
	case *string:
		*p = value.(string)
	case *bool:
		*p = value.(bool)
	case *int:
		*p = int(value.(int64))
	case *int64:
		*p = value.(int64)
	case *time.Duration:
		*p = value.(time.Duration)
	case *[]string:
		*p = value.([]string)
	}
}

// resolve checks what one value alone cannot tell and completes s.Node. It
// reports each problem with the path of the key it is about.
func (s *Settings) resolve(report func(path string, err error)) {
	var err error
	if s.Node.Network, err = core.ParseNetworkID(s.Network); err != nil {
		report("network", err)
	}
	if s.Region != "" {
		if s.Node.Region, err = core.ParseRegionID(s.Region); err != nil {
			report("region", err)
		}
	}
	if s.Node.Roles, err = roles(s.Roles, s.Tier); err != nil {
		report("roles", err)
	}
	if s.Node.Mode, err = core.ParseMode(s.Mode); err != nil {
		report("mode", err)
	}
	if s.Node.HTTP.Addr, err = listenAddr(s.Node.HTTP.Addr); err != nil {
		report("api.addr", err)
	}
	if s.Node.HTTP.MetricsAddr == off {
		s.Node.HTTP.MetricsAddr = ""
	} else if s.Node.HTTP.MetricsAddr, err = listenAddr(s.Node.HTTP.MetricsAddr); err != nil {
		report("metrics.addr", err)
	}
	if s.Node.Trace.Endpoint, err = otlp.Endpoint(s.Node.Trace.Endpoint); err != nil {
		report("trace.endpoint", err)
	}
	if s.Node.Compute.Containers.Images, err = container.ParseImages(s.Images); err != nil {
		report("compute.containerImages", err)
	} else if s.Node.Compute.Containers.On && len(s.Images) == 0 {
		report("compute.containers", core.Errorf(core.Invalid, "", "no image is allowed: list some in compute.containerImages"))
	}
	s.resolveP2P(report)
	s.resolveGroup(report)
}

// openRegion lets every node that asks keep the region too.
const openRegion = "open"

func (s *Settings) resolveGroup(report func(string, error)) {
	s.Node.Jobs.AdmitAny = s.Admit == openRegion
	for _, id := range s.Members {
		if _, err := keys.PublicKey(core.NodeID(id)); err != nil {
			report("jobs.members", core.Errorf(core.Invalid, "", "%s is not the id of a node", quote(id)))
			continue
		}
		s.Node.Jobs.Members = append(s.Node.Jobs.Members, core.NodeID(id))
	}
}

func (s *Settings) resolveP2P(report func(string, error)) {
	for _, ip := range s.Node.P2P.ListenIPs {
		if net.ParseIP(ip) == nil {
			report("p2p.listen", core.Errorf(core.Invalid, "", "%s is not an IP address", quote(ip)))
		}
	}
	for _, addr := range s.Node.P2P.Bootstrap {
		if err := bootstrap(addr); err != nil {
			report("p2p.bootstrap", err)
		}
	}
	ports := []int{s.Node.P2P.Port, s.Node.P2P.WSPort}
	if ports[0] > 0 && ports[0] == ports[1] {
		report("p2p.wsPort", core.Errorf(core.Invalid, "", "port %d is p2p.port already", ports[0]))
	}
}

// roles joins the names of roles and tier: a tier is the worker role that
// declares it. An empty set means that the hardware decides.
func roles(names []string, tier string) (core.RoleSet, error) {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == autoRole })
	if tier != "" {
		names = append(names, tier)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return core.ParseRoles(names...)
}

// listenAddr completes a bare port with the loopback address and checks the rest.
func listenAddr(s string) (string, error) {
	if _, err := strconv.Atoi(s); err == nil {
		s = net.JoinHostPort(loopback, s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return s, core.Errorf(core.Invalid, "", "%s is neither host:port nor a port", quote(s))
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > maxPort {
		return s, core.Errorf(core.Invalid, "", "port %s is not in 0 to %d", quote(port), maxPort)
	}
	if strings.ContainsAny(host, " /") {
		return s, core.Errorf(core.Invalid, "", "%s is not a host name or address", quote(host))
	}
	return s, nil
}

func bootstrap(s string) error {
	addr, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return core.Errorf(core.Invalid, "", "%s is not a multiaddr: %w", quote(s), err)
	}
	if _, err := addr.ValueForProtocol(multiaddr.P_P2P); err != nil {
		return core.Errorf(core.Invalid, "", "%s does not end in /p2p/ and the node's id", quote(s))
	}
	return nil
}
