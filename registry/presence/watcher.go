package presence

import (
	"context"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/registry"
)

// watchBuffer is how many announcements may wait: a summary of a thousand
// coordinators each at once.
const watchBuffer = 1024

// Watcher fills the tables of a node that takes tasks from what others announce.
type Watcher struct {
	board   Board
	region  core.RegionID
	regions *registry.Regions
	workers *registry.Table // nil when a coordinator indexes the workers
	log     zerolog.Logger
}

// NewWatcher returns a Watcher that feeds regions with summaries and, unless
// workers is nil, workers with the ads posted in region.
func NewWatcher(board Board, region core.RegionID, regions *registry.Regions, workers *registry.Table, log zerolog.Logger) *Watcher {
	return &Watcher{board: board, region: region, regions: regions, workers: workers, log: log}
}

// Serve listens until ctx ends.
func (w *Watcher) Serve(ctx context.Context) error {
	summaries, ads, end, err := w.board.Listen(w.region, watchBuffer)
	if err != nil {
		return err
	}
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return drain(ctx, summaries, w.summary) })
	g.Go(func() error { return drain(ctx, ads, w.ad) })
	return g.Wait()
}

func drain[T any](ctx context.Context, ch <-chan T, f func(T)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-ch:
			f(m)
		}
	}
}

func (w *Watcher) summary(m Summary) {
	if err := w.regions.PutSummary(m.From, m.Body, time.Now()); err != nil {
		w.refused("summary", m.From, err)
	}
}

// ad takes an ad as a sign of life as well: its envelope was sealed just now.
func (w *Watcher) ad(m Ad) {
	ad := &m.Body.Ad
	if w.workers == nil || ad.NodeID != m.From {
		return
	}
	now := time.Now()
	if _, err := w.workers.Put(ad, now); err != nil {
		w.refused("ad", m.From, err)
		return
	}
	n, _ := w.workers.Get(m.From, now)
	free := n.Free // but for what only its pulls tell
	free.CPU, free.MemoryMB = ad.Resources.FreeCPU, ad.Resources.FreeMemoryMB
	if _, err := w.workers.Beat(m.From, free, now); err != nil {
		w.refused("ad", m.From, err)
	}
}

func (w *Watcher) refused(what string, from core.NodeID, err error) {
	w.log.Debug().Err(err).Str("announcement", what).Str("from", string(from)).Msg("refused")
}
