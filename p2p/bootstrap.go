package p2p

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

const (
	foundQueue   = 64 // discovered peers waiting to be dialled; more are dropped, they will be seen again
	parallelDial = 8
	savedPerTry  = 8                // saved peers tried per round
	findTimeout  = 5 * time.Second  // for a peer that discovery found
	retryFirst   = 1 * time.Second  // pause after the first round that left too few peers
	retryLast    = 30 * time.Second // and at most
	foundAgain   = 30 * time.Second // a discovered peer is not dialled again sooner
)

// keepConnected dials saved peers and the bootstrap list whenever there are
// fewer peers than needed, forever, ever more slowly.
func (h *Host) keepConnected(ctx context.Context) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: retryFirst, MaxInterval: retryLast, Multiplier: 2, RandomizationFactor: 0.2}
	pause.Reset()
	failed := map[peer.ID]bool{} // bootstrap peers whose failure was logged
	for round := 0; ; round++ {
		wait := retryLast
		if h.needPeers() {
			h.dialRound(ctx, round, failed)
			wait = pause.NextBackOff()
		} else {
			pause.Reset()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (h *Host) needPeers() bool { return len(h.ourPeers()) < max(h.cfg.MinPeers, 1) }

func (h *Host) dialRound(ctx context.Context, round int, failed map[peer.ID]bool) {
	saved := h.book.some(round*savedPerTry, savedPerTry)
	targets := append(saved, h.cfg.bootstrap...)
	errs := make([]error, len(targets))
	var g errgroup.Group
	g.SetLimit(parallelDial)
	for i, info := range targets {
		if h.connected(info.ID) {
			continue
		}
		g.Go(func() error {
			errs[i] = h.connect(ctx, info)
			return nil
		})
	}
	_ = g.Wait() // the functions return nil
	for i, info := range h.cfg.bootstrap {
		h.logBootstrap(ctx, info, errs[len(saved)+i], failed)
	}
	if len(h.host.Network().Peers()) > 0 {
		h.dht.refresh(ctx)
	}
}

// logBootstrap says once that a bootstrap peer fails, and once that it is back.
func (h *Host) logBootstrap(ctx context.Context, info peer.AddrInfo, err error, failed map[peer.ID]bool) {
	switch {
	case ctx.Err() != nil || (err != nil) == failed[info.ID]:
	case err != nil:
		failed[info.ID] = true
		h.log.Warn().Err(err).Stringer("peer", info.ID).Msg("bootstrap peer cannot be reached; trying again in the background")
	default:
		delete(failed, info.ID)
		h.log.Info().Stringer("peer", info.ID).Msg("bootstrap peer connected")
	}
}

// offer hands a discovered address to connectFound; it never blocks.
func (h *Host) offer(info peer.AddrInfo) {
	select {
	case h.found <- info:
	default:
	}
}

// connectFound dials what discovery saw, up to as many peers as the connection
// manager would keep.
func (h *Host) connectFound(ctx context.Context) error {
	tried, err := lru.New[peer.ID, time.Time](foundQueue * parallelDial)
	if err != nil {
		return core.Errorf(core.Internal, "p2p", "building the list of tried peers: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(parallelDial)
	defer func() { _ = g.Wait() }() // the functions return nil
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case info := <-h.found:
			at, known := tried.Get(info.ID)
			if known && time.Since(at) < foundAgain || h.connected(info.ID) || len(h.ourPeers()) >= limitsOf(h.cfg.Class).low {
				continue
			}
			tried.Add(info.ID, time.Now())
			g.Go(func() error {
				h.connectDiscovered(ctx, info)
				return nil
			})
		}
	}
}

func (h *Host) connectDiscovered(ctx context.Context, info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	if err := h.connect(ctx, info); err != nil {
		h.log.Debug().Err(err).Stringer("peer", info.ID).Msg("discovered peer cannot be reached")
		return
	}
	h.log.Info().Stringer("peer", info.ID).Msg("discovered peer connected")
}

// serveMDNS announces and looks for this network's nodes by multicast DNS.
func (h *Host) serveMDNS(ctx context.Context) error {
	s := mdns.NewMdnsService(h.host, "_tenzro-"+string(h.cfg.Network)+"._udp", mdnsFound{h})
	if err := s.Start(); err != nil {
		return core.Errorf(core.Unavailable, "p2p.mdns", "starting multicast DNS: %w", err).
			WithHint("turn mDNS off on a machine without multicast")
	}
	<-ctx.Done()
	if err := s.Close(); err != nil {
		return core.Errorf(core.Internal, "p2p.mdns", "stopping multicast DNS: %w", err)
	}
	return ctx.Err()
}

// mdnsFound passes what multicast DNS found on, as a hint like any other.
type mdnsFound struct{ h *Host }

// HandlePeerFound implements mdns.Notifee.
func (m mdnsFound) HandlePeerFound(info peer.AddrInfo) { m.h.offer(info) }
