package sandbox

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// upkeep refills a pool and looks at what is idle.
type upkeep struct {
	fill   func(context.Context) error
	sweep  func(time.Time)
	wanted <-chan struct{} // a child was taken, or is gone
	log    zerolog.Logger
}

// run goes on until ctx ends.
func (u upkeep) run(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	wait := backoffFrom
	for ctx.Err() == nil {
		err := u.fill(ctx)
		if err == nil || ctx.Err() != nil {
			wait = backoffFrom
			u.rest(ctx, sweep.C, u.wanted, nil)
			continue
		}
		u.log.Warn().Err(err).Dur("retry_in", wait).Msg("cannot start a sandbox child")
		// Nothing wanted shortens the wait: each child that dies at its start is
		// itself one that is gone.
		again := time.NewTimer(wait)
		u.rest(ctx, sweep.C, nil, again.C)
		again.Stop()
		wait = min(2*wait, backoffTo)
	}
}

// rest waits for a reason to fill, and sweeps meanwhile; a sweep is one too unless
// it must not be before again. wanted or again may be nil.
func (u upkeep) rest(ctx context.Context, sweep <-chan time.Time, wanted <-chan struct{}, again <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			return
		case <-wanted:
			return
		case <-sweep:
			u.sweep(time.Now())
			if again == nil {
				return
			}
		}
	}
}
