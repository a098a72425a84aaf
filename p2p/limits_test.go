package p2p_test

import (
	"context"
	"os"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// attach connects n light workers to a host with production limits, each with a
// stream that stays open, and returns how many could.
func attach(t *testing.T, n int, class core.NodeType) int {
	t.Helper()
	h := p2ptest.Loopback(t, 1, tcpOnly, func(_ int, c *p2p.Config) { c.Class = class })[0]
	h.HandleStream(proto, func(ctx context.Context, _ core.NodeID, s p2p.Stream) {
		_, _ = s.Write([]byte{1}) // a worker that is gone is not counted below
		<-ctx.Done()
	})
	info, err := peer.AddrInfoFromString(h.Addrs()[0])
	must(t, err)
	workers := make([]host.Host, n)
	attached := make([]bool, n)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range workers {
		g.Go(func() (err error) {
			workers[i], err = libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableMetrics(),
				libp2p.ResourceManager(&network.NullResourceManager{}))
			if err != nil {
				return err
			}
			attached[i] = hold(t.Context(), workers[i], *info)
			return nil
		})
	}
	must(t, g.Wait())
	count := 0
	for i, w := range workers {
		if attached[i] && w.Network().Connectedness(info.ID) == network.Connected {
			count++
		}
		g.Go(w.Close)
	}
	must(t, g.Wait())
	return count
}

func hold(ctx context.Context, w host.Host, info peer.AddrInfo) bool {
	if w.Connect(ctx, info) != nil {
		return false
	}
	s, err := w.NewStream(ctx, info.ID, protocol.ID(proto))
	if err != nil {
		return false
	}
	_, err = s.Read(make([]byte, 1))
	return err == nil
}

// 300 workers of one machine attach to one regional node with production limits.
// Set TENZRO_TEST_WORKERS=1000 for more.
func TestRegionalHoldsManyWorkers(t *testing.T) {
	n := 300
	if os.Getenv("TENZRO_TEST_WORKERS") == "1000" {
		n = 1000
	}
	if got := attach(t, n, core.Regional); got != n {
		t.Fatalf("%d of %d workers attached", got, n)
	}
}
