package gossip

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxTopics bounds the topics this node joins.
	maxTopics = 256
	// topicBuffer is how many messages of one topic may wait for their delivery.
	topicBuffer = 256
	// scoreInterval is how often Score is brought up to date.
	scoreInterval = 5 * time.Second
	// restartPause lies between the end of a Router's streams and its next ones.
	// A neighbour forgets the topics of a node when he notices that his stream to
	// it ended, also those that a new stream announced before he noticed, and
	// nobody tells him again. A second is many round trips and little deafness.
	restartPause = time.Second
	// replaySize is how many envelopes are remembered: 360 per second for as long
	// as an envelope is acceptable.
	replaySize = 1 << 16
)

// Config is what a Router needs to know. Host, Signer and Network are required.
type Config struct {
	Host    host.Host
	Signer  keys.Signer // the host's own identity
	Network core.NetworkID
	// Small makes meshes of 4 neighbours instead of 6, for networks of up to a
	// few dozen nodes.
	Small bool
	// Reputation is what a node's name is worth, 0..100 with 50 neutral; nil
	// leaves names out of the score. It must be quick and not call back.
	Reputation func(core.NodeID) int
	// Allow says whether a node may send a type at all, for example whether only
	// coordinators send summaries; nil allows everybody everything.
	Allow func(from core.NodeID, t wire.Type) bool
	// PrivateRanges says that honest nodes of this network may share addresses,
	// as in a test network or behind one gateway; private addresses always may.
	PrivateRanges bool
	// Rate and Burst bound one author; 0 takes DefaultRate and DefaultBurst.
	Rate  float64
	Burst int
}

// Router is this node's membership in the topics. It is safe for concurrent use.
type Router struct {
	cfg     Config
	self    peer.ID
	log     zerolog.Logger
	metrics *metrics
	authors *authors
	replay  *wire.Replay
	changed chan struct{} // some topic gained or lost its subscribers
	scores  atomic.Pointer[map[peer.ID]float64]

	mu     sync.Mutex // held while talking to pubsub, never by what pubsub calls
	ps     *pubsub.PubSub
	topics map[string]*topic
	ended  time.Time // when Serve returned; zero before
}

// topic is one joined topic. handle and sub belong to Router.mu and are nil
// while the Router does not serve; sub is nil as well while nobody listens.
type topic struct {
	name   string
	kind   Kind
	handle *pubsub.Topic
	sub    *pubsub.Subscription

	mu    sync.Mutex
	sinks map[*sink]bool
}

// New returns a Router that does nothing until Serve.
func New(cfg Config, reg prometheus.Registerer, log zerolog.Logger) (*Router, error) {
	if cfg.Host == nil || cfg.Signer == nil {
		return nil, core.Errorf(core.Invalid, "gossip", "host and signer are required")
	}
	if _, err := core.ParseNetworkID(string(cfg.Network)); err != nil {
		return nil, err
	}
	if cfg.Rate < 0 || cfg.Burst < 0 {
		return nil, core.Errorf(core.Invalid, "gossip.rate", "rate %v and burst %d must not be negative", cfg.Rate, cfg.Burst)
	}
	self := cfg.Host.ID()
	if id := cfg.Signer.ID(); string(id) != self.String() || cfg.Host.Peerstore().PrivKey(self) == nil {
		return nil, core.Errorf(core.Invalid, "gossip.signer", "the signer is %s, not the host %s, or the host has no key", id, self)
	}
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.Burst == 0 {
		cfg.Burst = DefaultBurst
	}
	return &Router{cfg: cfg, self: self, log: log, metrics: newMetrics(reg), authors: newAuthors(cfg.Rate, cfg.Burst),
		replay: wire.NewReplay(replaySize, wire.ReplayWindow), changed: make(chan struct{}, 1), topics: map[string]*topic{}}, nil
}

// Serve takes part in the topics until ctx ends. Parameters that pubsub refuses
// are fatal: a node without scoring would be everybody's relay. It may be called
// again after it returned.
func (r *Router) Serve(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ps, err := pubsub.NewGossipSub(ctx, r.cfg.Host, r.options()...)
	if err != nil {
		return service.Fatal(1, core.Errorf(core.Internal, "gossip", "starting gossip: %w", err))
	}
	r.mu.Lock()
	r.ps = ps
	r.mu.Unlock()
	defer r.leave()
	g.Go(func() error {
		for {
			if err := r.reconcile(ctx, g); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-r.changed:
			}
		}
	})
	return g.Wait()
}

// settle waits until the neighbours have noticed the end of the last Serve.
func (r *Router) settle(ctx context.Context) error {
	r.mu.Lock()
	rest := restartPause - time.Since(r.ended)
	r.mu.Unlock()
	if rest <= 0 {
		return nil
	}
	select {
	case <-time.After(rest):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave forgets what belonged to the pubsub that ends with Serve's context, and
// ends its streams: neighbours would go on writing into them.
func (r *Router) leave() {
	own := protocolName(r.cfg.Network)
	r.cfg.Host.RemoveStreamHandler(own)
	for _, c := range r.cfg.Host.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == own {
				_ = s.Reset()
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ps, r.ended = nil, time.Now()
	for _, t := range r.topics {
		t.handle, t.sub = nil, nil
	}
}

func (r *Router) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// reconcile subscribes to the topics that have subscribers and leaves the others.
func (r *Router) reconcile(ctx context.Context, g *errgroup.Group) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.topics {
		switch wanted := t.wanted(); {
		case wanted && t.sub == nil:
			handle, err := r.handle(t)
			if err != nil {
				return err
			}
			sub, err := handle.Subscribe(pubsub.WithBufferSize(topicBuffer))
			if err != nil {
				return core.Errorf(core.Unavailable, "gossip", "subscribing to %s: %w", t.name, err)
			}
			t.sub = sub
			g.Go(func() error { return r.read(ctx, t, sub) })
		case !wanted && t.sub != nil:
			t.sub.Cancel()
			t.sub = nil
		}
	}
	return nil
}

// read delivers until the subscription is cancelled or ctx ends.
func (r *Router) read(ctx context.Context, t *topic, sub *pubsub.Subscription) error {
	for {
		msg, err := sub.Next(ctx)
		if errors.Is(err, pubsub.ErrSubscriptionCancelled) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return core.Errorf(core.Unavailable, "gossip", "reading %s: %w", t.name, err)
		}
		if o, ok := msg.ValidatorData.(*opened); ok {
			t.deliver(o, r.metrics)
		}
	}
}

// topic returns the topic of that name, which it remembers for good.
func (r *Router) topic(kind Kind, name string) (*topic, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.topics[name]; ok {
		return t, nil
	}
	if len(r.topics) >= maxTopics {
		return nil, core.Errorf(core.Exhausted, "topic", "this node has joined %d topics already", maxTopics)
	}
	t := &topic{name: name, kind: kind, sinks: map[*sink]bool{}}
	r.topics[name] = t
	return t, nil
}

// handle returns t's pubsub topic, joining it first if needed. r.mu is held.
func (r *Router) handle(t *topic) (*pubsub.Topic, error) {
	if r.ps == nil {
		return nil, core.Errorf(core.Unavailable, "gossip", "gossip is not running")
	}
	if t.handle != nil {
		return t.handle, nil
	}
	handle, err := r.ps.Join(t.name)
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "gossip", "joining %s: %w", t.name, err)
	}
	if err := handle.SetScoreParams(topicScore()); err != nil {
		return nil, core.Errorf(core.Internal, "gossip", "scoring %s: %w", t.name, err)
	}
	t.handle = handle
	return handle, nil
}

func (r *Router) publish(ctx context.Context, t *topic, b wire.Body) error {
	now := time.Now()
	raw, err := wire.Seal(r.cfg.Signer, r.cfg.Network, now, b)
	if err != nil {
		return err
	}
	r.mu.Lock()
	handle, err := r.handle(t)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	o, why := r.examine(r.self, t.name, raw, now)
	switch why {
	case "":
	case causeRate:
		return core.Errorf(core.Exhausted, "gossip", "publishing %s faster than others accept from one node", b.Type())
	default:
		return core.Errorf(core.Invalid, "gossip", "others would refuse this %s: %s", b.Type(), why)
	}
	if err := handle.Publish(ctx, raw, pubsub.WithValidatorData(o)); err != nil {
		return core.Errorf(core.Unavailable, "gossip", "publishing on %s: %w", t.name, err)
	}
	r.metrics.published.WithLabelValues(string(t.kind)).Inc()
	return nil
}

// Score returns what a neighbour's conduct is worth, a few seconds old at most: 0
// is neutral, from -50 down he hears less and less, at -200 nothing he says is
// read. Nodes that are not neighbours have 0.
func (r *Router) Score(id core.NodeID) float64 {
	p, err := peer.Decode(string(id))
	scores := r.scores.Load()
	if err != nil || scores == nil {
		return 0
	}
	return (*scores)[p]
}

func (r *Router) keepScores(scores map[peer.ID]float64) { r.scores.Store(&scores) }
