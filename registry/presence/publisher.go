package presence

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/wire"
)

// DefaultAdLife is how long an ad is valid. Renewed at half of it, so a node that
// is cut off for less than the other half stays known.
const DefaultAdLife = 20 * time.Minute

// Config is what a Publisher needs. Signer, Network, Board and Self are required.
type Config struct {
	Signer  keys.Signer
	Network core.NetworkID
	Board   Board
	Self    Self
	AdLife  time.Duration // 0 = DefaultAdLife; at most wire.MaxAdLife
	Beat    time.Duration // between two health messages; 0 = registry.DefaultHeartbeat
	// Attached says whether a coordinator already hears this node's heartbeats on
	// a stream. Until then the ad is posted to the region, for gateways that
	// dispatch by themselves. nil = never.
	Attached func() bool
	// Renewed is told each new ad, to pass it on to coordinators; nil = nobody.
	// It must not block.
	Renewed func(*wire.Ad)
}

// Self is what the node says of itself now. Both are called often and must be
// quick. The Publisher sets name, network, sequence, times and signature.
type Self interface {
	Describe() wire.Ad
	Health() wire.Health
}

// Publisher signs this node's ad and tells others that it is there.
type Publisher struct {
	cfg  Config
	log  zerolog.Logger
	kick chan struct{}
	told uint64 // sequence of the ad that Renewed was last given; Serve's alone

	mu sync.Mutex
	ad *wire.Ad // the current one; nil before the first
}

// New returns a Publisher that posts nothing until Serve; Ad works at once.
func New(cfg Config, log zerolog.Logger) (*Publisher, error) {
	if cfg.Signer == nil || cfg.Board == nil || cfg.Self == nil {
		return nil, core.Errorf(core.Invalid, "presence", "signer, board and self are required")
	}
	if cfg.AdLife == 0 {
		cfg.AdLife = DefaultAdLife
	}
	if cfg.AdLife < time.Minute || cfg.AdLife > wire.MaxAdLife {
		return nil, core.Errorf(core.Invalid, "presence.adLife", "ad life is %s; it must be 1m to %s", cfg.AdLife, wire.MaxAdLife)
	}
	if cfg.Beat <= 0 {
		cfg.Beat = registry.DefaultHeartbeat
	}
	return &Publisher{cfg: cfg, log: log, kick: make(chan struct{}, 1)}, nil
}

// Serve renews the ad and posts health until ctx ends.
func (p *Publisher) Serve(ctx context.Context) error {
	for {
		p.beat(ctx)
		// The random part keeps nodes that started together apart.
		timer := time.NewTimer(p.cfg.Beat - rand.N(p.cfg.Beat/10+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-p.kick:
			timer.Stop()
		}
	}
}

// Refresh makes Serve look at once whether the ad is still true, for example
// after the roles changed.
func (p *Publisher) Refresh() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Ad returns the node's current signed ad, renewed when it is no longer true or
// half its life is gone. Free figures do not make it untrue: they ride
// heartbeats. The caller must not change it.
func (p *Publisher) Ad() (*wire.Ad, error) {
	return p.renew(false)
}

func (p *Publisher) beat(ctx context.Context) {
	alone := p.cfg.Attached == nil || !p.cfg.Attached()
	ad, err := p.renew(alone)
	if err != nil {
		p.log.Error().Err(err).Msg("this node's ad cannot be signed")
		return
	}
	if ad.Sequence != p.told && p.cfg.Renewed != nil {
		p.cfg.Renewed(ad)
	}
	p.told = ad.Sequence
	worker := ad.Can.Has(core.CanCompute)
	if alone && worker {
		p.note("ad", p.cfg.Board.Ad(ctx, ad.Region, &wire.WorkerCapabilities{Ad: *ad}))
	}
	// An attached worker is heard on its stream; with thousands of them, telling
	// everybody as well would be most of the traffic there is.
	if alone || ad.Can&^(core.CanCompute|core.CanStore) != 0 {
		h := p.cfg.Self.Health()
		h.NodeID, h.Region = ad.NodeID, ad.Region
		p.note("health", p.cfg.Board.Health(ctx, ad.Region, &h))
	}
}

// note logs what could not be posted; the next beat tries again.
func (p *Publisher) note(what string, err error) {
	if err != nil {
		p.log.Debug().Err(err).Str("announcement", what).Msg("not posted")
	}
}

// renew returns the current ad, making a new one when force is set or it is due.
func (p *Publisher) renew(force bool) (*wire.Ad, error) {
	next, now := p.cfg.Self.Describe(), time.Now().UTC()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ad != nil && !force && now.Before(p.ad.Issued.Add(p.cfg.AdLife/2)) && sameOffer(*p.ad, next) {
		return p.ad, nil
	}
	next.Network, next.Issued, next.Expires = p.cfg.Network, now, now.Add(p.cfg.AdLife)
	next.Sequence = sequence(p.ad, now)
	if err := wire.SignAd(p.cfg.Signer, &next); err != nil {
		return nil, err
	}
	if err := next.Validate(); err != nil {
		return nil, err
	}
	p.ad = &next
	return p.ad, nil
}

// sequence is above that of the last ad. Milliseconds since 1970 go on rising
// after a restart with nothing stored.
func sequence(last *wire.Ad, now time.Time) uint64 {
	seq := uint64(now.UnixMilli())
	if last != nil {
		seq = max(seq, last.Sequence+1)
	}
	return seq
}

// sameOffer compares what two ads offer, free figures aside.
func sameOffer(a, b wire.Ad) bool {
	for _, ad := range []*wire.Ad{&a, &b} {
		ad.NodeID, ad.Sequence, ad.Issued, ad.Expires, ad.Network, ad.Signature = "", 0, time.Time{}, time.Time{}, "", nil
		ad.Resources.FreeCPU, ad.Resources.FreeMemoryMB, ad.Resources.FreeDiskMB = 0, 0, 0
	}
	return reflect.DeepEqual(a, b)
}
