package p2p

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/multiformats/go-multihash"

	"github.com/tenzro/tenzro/core"
)

const (
	// recordValidity is how long others keep what we published; we publish again
	// at half of it.
	recordValidity = time.Hour
	// FindTimeout bounds a search for providers: waiting for the walk to finish
	// costs more than five seconds as soon as tables hold dead peers.
	FindTimeout = 2 * time.Second
	// MaxProviders bounds the answers to one search.
	MaxProviders = 64
	// maxKeyLen bounds the names of provided keys and values.
	maxKeyLen = 128
	// maxStored bounds the records this node holds for others.
	maxStored = 16_384
)

// router is what the two kinds of DHT have in common.
type router interface {
	routing.Routing
	io.Closer
}

// table is the DHT and what this node publishes in it.
type table struct {
	h       *Host
	router  router
	tables  []*dht.IpfsDHT // one, or the public and the private one
	kick    chan struct{}  // publish what is due now
	mu      sync.Mutex
	publish map[string]*publication
	lastSeq uint64 // of our last value
}

func newTable(h *Host) (*table, error) {
	t := &table{h: h, kick: make(chan struct{}, 1), publish: map[string]*publication{}}
	opts := []dht.Option{
		dht.ProtocolPrefix(prefix(h.cfg.Network)),
		dht.Validator(record.NamespacedValidator{valueNamespace: validator{network: h.cfg.Network}}),
		dht.MaxRecordAge(recordValidity), dht.ValueGCInterval(recordValidity / 2),
		dht.ProviderManagerOpts(records.ProvideValidity(recordValidity), records.ProviderAddrTTL(recordValidity), records.CleanupInterval(recordValidity/2)),
	}
	if err := t.build(opts); err != nil {
		return nil, core.Errorf(core.Internal, "p2p.dht", "building the DHT: %w", err)
	}
	return t, nil
}

func (t *table) build(opts []dht.Option) error {
	if t.h.cfg.lan {
		store, err := newStore(maxStored)
		if err != nil {
			return err
		}
		d, err := dht.New(t.h.host, append(opts, dht.Mode(t.mode()), dht.Datastore(store))...)
		if err != nil {
			return err
		}
		t.router, t.tables = d, []*dht.IpfsDHT{d}
		return nil
	}
	wan, err := newStore(maxStored)
	if err != nil {
		return err
	}
	lan, err := newStore(maxStored)
	if err != nil {
		return err
	}
	// Our prefix replaces the whole name, so the private table's suffix comes after.
	d, err := dual.New(t.h.host, dual.DHTOption(opts...),
		dual.WanDHTOption(dht.Datastore(wan), dht.Mode(t.mode())),
		dual.LanDHTOption(dht.Datastore(lan), dht.ProtocolExtension(dual.LanExtension)))
	if err != nil {
		return err
	}
	t.router, t.tables = d, []*dht.IpfsDHT{d.WAN, d.LAN}
	return nil
}

// mode says whether this node answers queries: always on a LAN, on the internet
// when it is measured or known to be reachable.
func (t *table) mode() dht.ModeOpt {
	switch {
	case t.h.cfg.DHTClient:
		return dht.ModeClient
	case t.h.cfg.lan || t.h.cfg.Reachability == ReachabilityPublic:
		return dht.ModeServer
	}
	return dht.ModeAuto
}

// refresh fills the routing tables from the peers there are.
func (t *table) refresh(ctx context.Context) {
	if err := t.router.Bootstrap(ctx); err != nil {
		t.h.log.Debug().Err(err).Msg("refreshing the DHT")
	}
}

// contentID names a key inside this network.
func (t *table) contentID(key string) (cid.Cid, error) {
	if len(key) == 0 || len(key) > maxKeyLen {
		return cid.Undef, core.Errorf(core.Invalid, "dht.key", "DHT key has %d characters; it must have 1 to %d", len(key), maxKeyLen)
	}
	mh, err := multihash.Sum([]byte(string(prefix(t.h.cfg.Network))+"/provide/"+key), multihash.SHA2_256, -1)
	if err != nil {
		return cid.Undef, core.Errorf(core.Internal, "dht.key", "hashing DHT key: %w", err)
	}
	return cid.NewCidV1(cid.Raw, mh), nil
}

// Provide announces that this node answers for key, for example
// "coord/us-east", and keeps announcing it from Serve until Unprovide. It returns
// core.Unavailable when nobody could be told yet; the announcement then goes out
// as soon as somebody can.
func (h *Host) Provide(ctx context.Context, key string) error {
	id, err := h.dht.contentID(key)
	if err != nil {
		return err
	}
	return h.dht.add(ctx, "provide/"+key, func(ctx context.Context) error { return h.dht.router.Provide(ctx, id, true) })
}

// Unprovide stops announcing key. What others remember expires within the hour.
func (h *Host) Unprovide(key string) { h.dht.remove("provide/" + key) }

// FindProviders returns the first nodes that are found to announce key, at most
// limit of them (0 or more than MaxProviders = MaxProviders), within FindTimeout;
// their addresses are remembered, so that ConnectPeer and OpenStream work at
// once. Finding nobody is no error. An absent answer proves nothing, and a given
// one is a hint: the DHT can be censored and lied to.
func (h *Host) FindProviders(ctx context.Context, key string, limit int) ([]core.NodeID, error) {
	id, err := h.dht.contentID(key)
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > MaxProviders {
		limit = MaxProviders
	}
	ctx, cancel := context.WithTimeout(ctx, FindTimeout)
	defer cancel()
	out := []core.NodeID{}
	// One more than asked for, as we may be among them.
	for info := range h.dht.router.FindProvidersAsync(ctx, id, limit+1) {
		if info.ID == h.cfg.self || len(out) == limit {
			continue
		}
		h.learn(peer.AddrInfo{ID: info.ID, Addrs: info.Addrs})
		if out = append(out, nodeID(info.ID)); len(out) == limit {
			cancel()
		}
	}
	return out, nil
}

// DHTReachable reports whether anybody can be asked: until then FindProviders
// finds nobody, whoever there is.
func (h *Host) DHTReachable() bool { return !h.dht.unreachable() }

// unreachable reports whether publishing failed for want of anybody to tell.
func (t *table) unreachable() bool {
	for _, d := range t.tables {
		if d.RoutingTable().Size() > 0 {
			return false
		}
	}
	return true
}

func publishError(name string, alone bool, err error) error {
	switch {
	case err == nil:
		return nil
	case alone:
		return core.Errorf(core.Unavailable, "dht", "publishing %s: no DHT peer is connected yet; it is published when one is", name)
	case errors.Is(err, context.DeadlineExceeded):
		return core.Errorf(core.Timeout, "dht", "publishing %s: %w", name, err)
	}
	return core.Errorf(core.Unavailable, "dht", "publishing %s: %w", name, err)
}
