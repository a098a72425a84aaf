package doctor

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

const (
	maxBootstrap = 32 // addresses that are dialled
	dialsAtOnce  = 8
)

func (in Input) bootstrap(ctx context.Context) []Line {
	const check = "bootstrap"
	switch {
	case in.Config == nil:
		return one(check, Warn, "correct the configuration first", "not checked: the configuration is not valid")
	case len(in.Config.P2P.Bootstrap) == 0 && in.Config.P2P.Standalone:
		return okay(check, "none needed: the node is standalone")
	case len(in.Config.P2P.Bootstrap) == 0:
		return one(check, Warn, "name a node to join through with --bootstrap", "no address is given: only nodes of the local network are found")
	}
	addrs := in.Config.P2P.Bootstrap[:min(maxBootstrap, len(in.Config.P2P.Bootstrap))]
	lines := make([]Line, len(addrs))
	var group errgroup.Group
	group.SetLimit(dialsAtOnce)
	for i, addr := range addrs {
		group.Go(func() error {
			lines[i] = tryBootstrap(ctx, addr)
			return nil
		})
	}
	_ = group.Wait() // the goroutines return no errors: they fill lines
	return lines
}

func tryBootstrap(ctx context.Context, text string) Line {
	const check = "bootstrap"
	host, port, tcp := endpoint(text)
	switch {
	case host == "":
		return one(check, Warn, "give an address with /tcp/ to have it tried", "%s names no host and port that can be tried", text)[0]
	case !tcp:
		return one(check, Warn, "give its /tcp/ address to have it tried", "%s is UDP: whether somebody answers cannot be told without joining", text)[0]
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return one(check, Fail, "check the address and any firewall, or name another node with --bootstrap", "%s cannot be reached: %v", text, err)[0]
	}
	_ = conn.Close()
	return okay(check, "%s answers", text)[0]
}

// endpoint returns what to dial for a multiaddr, host empty when that is
// nothing plain.
func endpoint(text string) (host, port string, tcp bool) {
	addr, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return "", "", false
	}
	for _, code := range []int{multiaddr.P_IP4, multiaddr.P_IP6, multiaddr.P_DNS, multiaddr.P_DNS4, multiaddr.P_DNS6} {
		if v, err := addr.ValueForProtocol(code); err == nil {
			host = v
			break
		}
	}
	if port, err = addr.ValueForProtocol(multiaddr.P_TCP); err == nil {
		return host, port, true
	}
	if port, err = addr.ValueForProtocol(multiaddr.P_UDP); err == nil {
		return host, port, false
	}
	return "", "", false
}

func (in Input) running(a answers) []Line {
	const check = "node"
	switch {
	case a.err == nil && a.ready == nil:
		return okay(check, "%s answers at %s and takes work", a.status.ID, in.Client.Base())
	case a.err == nil:
		return one(check, Warn, hint(a.ready, "wait for its peers"), "it answers at %s but does not take work: %v", in.Client.Base(), a.ready)
	case in.Client == nil:
		return one(check, Warn, "run: tenzro run", "%v", a.err)
	case errors.Is(a.err, core.Denied):
		return one(check, Warn, hint(a.err, "pass a token with --token"), "it does not tell us anything: %v", a.err)
	}
	return one(check, Fail, "start it again with `tenzro run`, and read its log", "it should run as process %d but does not answer: %v", in.pid(), a.err)
}

// unknown is the line of a check that only a running node could answer.
func unknown(check string) []Line {
	return one(check, Warn, "start the node and ask again", "not known: no node answers")
}

// reachability goes by evidence: somebody dialled us, or nobody did yet.
func (in Input) reachability(a answers) []Line {
	const check = "reachability"
	if a.err != nil {
		return unknown(check)
	}
	inbound := 0
	for _, p := range a.peers {
		if p.Direction == "inbound" {
			inbound++
		}
	}
	public := publicAddr(a.status.Addrs)
	switch {
	case inbound > 0:
		return okay(check, "%d of %d peers dialled this node", inbound, len(a.peers))
	case public != "":
		return one(check, Warn, "open the port of "+public+" in the firewall", "nobody has dialled this node yet, although it has a public address")
	}
	return one(check, Warn, "forward the p2p port (TCP and UDP) on the router; working needs no more than dialling out",
		"nobody has dialled this node and it has no public address: it is probably behind NAT")
}

// publicAddr returns the first address that the whole internet can route to.
func publicAddr(addrs []string) string {
	for _, text := range addrs {
		host, _, _ := endpoint(text)
		ip := net.ParseIP(host)
		if ip != nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !strings.Contains(text, "/p2p-circuit") {
			return text
		}
	}
	return ""
}

func (in Input) peers(a answers) []Line {
	const check = "peers"
	standalone := in.Config != nil && in.Config.P2P.Standalone
	switch {
	case a.err != nil:
		return unknown(check)
	case a.status.Peers >= a.status.MinPeers:
		return okay(check, "%d connected, %d needed", a.status.Peers, a.status.MinPeers)
	case standalone:
		return okay(check, "%d connected, none needed: the node is standalone", a.status.Peers)
	}
	return one(check, Fail, "name more nodes with --bootstrap, or allow working alone with --standalone",
		"%d connected, %d needed before work is taken", a.status.Peers, a.status.MinPeers)
}
