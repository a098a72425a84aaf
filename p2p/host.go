package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
)

// handlerGrace is how long Close waits for handlers of other packages.
const handlerGrace = 5 * time.Second

// Host is this node in the network. It is safe for concurrent use. New makes it
// listen; Serve runs what it does on its own account.
type Host struct {
	cfg      *resolved
	log      zerolog.Logger
	metrics  *metrics
	host     host.Host
	gater    *gater
	dht      *table
	lan      *lan // nil when off
	book     *book
	sessions *sessions
	debtors  *debtors
	watch    *watch
	hints    *lru.Cache[peer.ID, []ma.Multiaddr]
	found    chan peer.AddrInfo // what discovery saw, to be connected by Serve
	built    chan struct{}      // closed when host is set, which libp2p's callbacks may precede

	ctx    context.Context // ends with Close; for handlers
	cancel context.CancelFunc

	mu       sync.Mutex // guards closed and, with it, additions to handlers
	closed   bool
	handlers sync.WaitGroup
}

var _ service.Service = (*Host)(nil)

// New builds the host and opens its listeners. A port that is taken, an address
// that does not parse or an unknown word is one error that names it.
func New(cfg Config, reg prometheus.Registerer, log zerolog.Logger) (*Host, error) {
	r, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: r, log: log, metrics: newMetrics(reg), gater: newGater(r.Admit), debtors: newDebtors(),
		found: make(chan peer.AddrInfo, foundQueue), built: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	routeLogs(log)
	if err := h.build(reg); err != nil {
		h.cancel()
		return nil, errors.Join(err, h.closeParts())
	}
	return h, nil
}

func (h *Host) build(reg prometheus.Registerer) error {
	opts, err := h.options(reg)
	if err != nil {
		return err
	}
	if h.host, err = libp2p.New(opts...); err != nil {
		return core.Errorf(core.Unavailable, "p2p", "starting the peer-to-peer host: %w", err)
	}
	close(h.built)
	if err := checkListening(h.host, h.cfg.listen); err != nil {
		return err
	}
	if h.hints, err = lru.New[peer.ID, []ma.Multiaddr](maxHints); err != nil {
		return core.Errorf(core.Internal, "p2p", "building the address hints: %w", err)
	}
	h.sessions = newSessions(h)
	h.watch = newWatch(h)
	h.book = newBook(h.cfg.PeersFile, h.host.Peerstore(), h.log)
	if h.dht, err = newTable(h); err != nil {
		return err
	}
	if h.cfg.LANPort != Off {
		h.lan, err = newLAN(h)
	}
	return err
}

// options turns the configuration into libp2p's.
func (h *Host) options(reg prometheus.Registerer) ([]libp2p.Option, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(h.cfg.Identity.PrivateKey()[:ed25519.PrivateKeySize])
	if err != nil {
		return nil, core.Errorf(core.Invalid, "p2p.identity", "identity key: %w", err)
	}
	security, err := securityOptions(h.cfg.Security)
	if err != nil {
		return nil, err
	}
	resources, err := resourceManager(h.cfg.Class, reg)
	if err != nil {
		return nil, core.Errorf(core.Internal, "p2p", "building resource limits: %w", err)
	}
	conns, err := connectionManager(h.cfg.Class)
	if err != nil {
		return nil, errors.Join(core.Errorf(core.Internal, "p2p", "building connection limits: %w", err), resources.Close())
	}
	opts := []libp2p.Option{
		libp2p.Identity(key), libp2p.ListenAddrs(h.cfg.listen...),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(quic.NewTransport), libp2p.Transport(websocket.New),
		security, libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(resources), libp2p.ConnectionManager(conns), libp2p.ConnectionGater(h.gater),
		libp2p.ProtocolVersion(networkVersion(h.cfg.Network)), libp2p.UserAgent(h.cfg.Agent),
		metricsOption(reg),
	}
	opts = append(opts, h.reachOptions()...)
	return append(opts, h.cfg.Options...), nil
}

func metricsOption(reg prometheus.Registerer) libp2p.Option {
	if reg == nil {
		return libp2p.DisableMetrics()
	}
	return libp2p.PrometheusRegisterer(reg)
}

func securityOptions(order []Security) (libp2p.Option, error) {
	var opts []libp2p.Option
	for _, s := range order {
		switch s {
		case TLS:
			opts = append(opts, libp2p.Security(tls.ID, tls.New))
		case Noise:
			opts = append(opts, libp2p.Security(noise.ID, noise.New))
		default:
			return nil, core.Errorf(core.Invalid, "p2p.security", "handshake %.20q is not tls or noise", string(s))
		}
	}
	if len(opts) == 0 {
		return nil, core.Errorf(core.Invalid, "p2p.security", "no handshake is allowed; name tls, noise or both")
	}
	return libp2p.ChainOptions(opts...), nil
}

// reachOptions are the ways to be reached behind a NAT; a LAN has none to cross.
func (h *Host) reachOptions() []libp2p.Option {
	var opts []libp2p.Option
	switch h.cfg.Reachability {
	case ReachabilityPublic:
		opts = append(opts, libp2p.ForceReachabilityPublic())
	case ReachabilityPrivate:
		opts = append(opts, libp2p.ForceReachabilityPrivate())
	default:
		if !h.cfg.lan {
			opts = append(opts, libp2p.EnableAutoNATv2())
		}
	}
	if h.cfg.Class >= core.Regional {
		opts = append(opts, libp2p.EnableRelayService())
	}
	if h.cfg.lan {
		return opts
	}
	if !h.cfg.loopback {
		opts = append(opts, libp2p.NATPortMap())
	}
	return append(opts, libp2p.EnableHolePunching(),
		libp2p.EnableAutoRelayWithPeerSource(h.relayCandidates, autorelay.WithMinInterval(time.Minute)))
}

// relayCandidates offers connected peers; auto-relay itself asks which of them
// relay.
func (h *Host) relayCandidates(ctx context.Context, n int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo, n)
	defer close(out)
	select {
	case <-h.built:
	case <-ctx.Done():
		return out
	}
	for _, p := range h.ourPeers() {
		if len(out) == n || ctx.Err() != nil {
			break
		}
		out <- h.host.Peerstore().PeerInfo(p)
	}
	return out
}

// Serve runs bootstrapping, republishing, local discovery and the saving of
// peers until ctx ends or one of them fails. It may be called again after it
// returned.
func (h *Host) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.watch.serve(ctx) })
	g.Go(func() error { return h.keepConnected(ctx) })
	g.Go(func() error { return h.connectFound(ctx) })
	g.Go(func() error { return h.dht.republish(ctx) })
	g.Go(func() error { return h.book.serve(ctx, h.goodPeers) })
	if h.lan != nil {
		g.Go(func() error { return h.lan.serve(ctx) })
	}
	if h.cfg.MDNS {
		g.Go(func() error { return h.serveMDNS(ctx) })
	}
	return g.Wait()
}

// Close ends sessions, streams, connections and listeners. A second call does
// nothing.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.sessions.close()
	err := h.closeParts()
	h.waitHandlers()
	return err
}

func (h *Host) closeParts() error {
	var errs []error
	if h.lan != nil {
		errs = append(errs, h.lan.close())
	}
	if h.dht != nil {
		errs = append(errs, h.dht.router.Close())
	}
	if h.host != nil {
		errs = append(errs, h.host.Close())
	}
	return errors.Join(errs...)
}

func (h *Host) waitHandlers() {
	done := make(chan struct{})
	go func() {
		h.handlers.Wait()
		close(done)
	}()
	timer := time.NewTimer(handlerGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		h.log.Warn().Dur("waited", handlerGrace).Msg("stream handlers still run after the host closed")
	}
}

// enter counts a handler in unless the host is closed; leave with handlers.Done.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.handlers.Add(1)
	return true
}

// ID returns this node's name.
func (h *Host) ID() core.NodeID { return h.cfg.Identity.ID() }

// Addrs returns the addresses peers can try, each ending in /p2p/<id>.
func (h *Host) Addrs() []string {
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.cfg.self, Addrs: h.host.Addrs()})
	if err != nil {
		return nil // only for an id that does not encode, which ours does
	}
	out := make([]string, len(full))
	for i, a := range full {
		out[i] = a.String()
	}
	return out
}

// Network returns the network the host belongs to.
func (h *Host) Network() core.NetworkID { return h.cfg.Network }

// LibP2P returns the libp2p host, for packages that must name it: gossip,
// storage/exchange and jobs/dispatch.
func (h *Host) LibP2P() host.Host { return h.host }

func (h *Host) connected(p peer.ID) bool {
	return h.host.Network().Connectedness(p) == network.Connected
}
