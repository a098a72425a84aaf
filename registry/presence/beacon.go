package presence

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// DefaultSummaryEvery is the pause between two summaries of a region.
const DefaultSummaryEvery = 10 * time.Second

// AnyRegion is the DHT key under which every coordinator can be found.
const AnyRegion = "coord"

// RegionKey is the DHT key under which the coordinators of a region can be found.
func RegionKey(region core.RegionID) string {
	if region == "" {
		return AnyRegion
	}
	return AnyRegion + "/" + string(region)
}

// BeaconConfig is what a Beacon needs; all but Every are required.
type BeaconConfig struct {
	Region   core.RegionID
	Provider Provider
	Board    Board
	// Summarize describes the region now, under the given sequence.
	Summarize func(seq uint64, now time.Time) *wire.RegionSummary
	Every     time.Duration // 0 = DefaultSummaryEvery
}

// Beacon makes a coordinator known: in the DHT and by summaries.
type Beacon struct {
	cfg BeaconConfig
	log zerolog.Logger
}

// NewBeacon returns a Beacon that is dark until Serve.
func NewBeacon(cfg BeaconConfig, log zerolog.Logger) (*Beacon, error) {
	if _, err := core.ParseRegionID(string(cfg.Region)); err != nil {
		return nil, err
	}
	if cfg.Provider == nil || cfg.Board == nil || cfg.Summarize == nil {
		return nil, core.Errorf(core.Invalid, "beacon", "provider, board and summary are required")
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultSummaryEvery
	}
	return &Beacon{cfg: cfg, log: log}, nil
}

// Serve announces the coordinator until ctx ends, for example because the node
// laid the role down; then it withdraws.
func (b *Beacon) Serve(ctx context.Context) error {
	for _, key := range []string{RegionKey(b.cfg.Region), AnyRegion} {
		defer b.cfg.Provider.Unprovide(key)
		b.provide(ctx, key)
	}
	ticker := time.NewTicker(b.cfg.Every)
	defer ticker.Stop()
	for seq := uint64(0); ; {
		now := time.Now().UTC()
		seq = max(seq+1, uint64(now.UnixMilli())) // rises across restarts, as an ad's does
		if err := b.cfg.Board.Summary(ctx, b.cfg.Summarize(seq, now)); err != nil {
			b.log.Debug().Err(err).Str("announcement", "summary").Msg("not posted")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// provide is not waited for longer than it takes to be remembered: the provider
// goes on announcing the key, also when nobody could be told yet.
func (b *Beacon) provide(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, provideWait)
	defer cancel()
	if err := b.cfg.Provider.Provide(ctx, key); err != nil {
		b.log.Debug().Err(err).Str("key", key).Msg("the DHT will be told later")
	}
}

const provideWait = 5 * time.Second
