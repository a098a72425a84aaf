package global

import (
	"context"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxFeeds bounds the tasks whose events are kept for listeners; a listener of
	// one that was dropped asks for itself.
	maxFeeds = 256
	// maxFed bounds the events kept of one task; older ones are dropped, which every
	// listener that keeps up has seen.
	maxFed = 1024
	// feedPatience is how long a home may be out of reach before its listeners are
	// told.
	feedPatience = 10 * time.Second
)

// feed is what is known of the events of one task, shared by its listeners: one
// of them asks the home for all, at most every pollEvery.
type feed struct {
	asking sync.Mutex // held by the listener that asks

	mu      sync.Mutex
	events  []core.TaskEvent // in order
	last    uint64           // number of the last one
	final   bool
	asked   time.Time     // when the home was asked last
	reached time.Time     // when it answered last, or the feed began
	changed chan struct{} // closed when there is news, and replaced
}

// feeds is the tasks that somebody listens to.
type feeds struct {
	mu   sync.Mutex
	open *lru.Cache[core.TaskID, *feed]
}

// of returns the feed of a task.
func (s *feeds) of(id core.TaskID) *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open, _ = lru.New[core.TaskID, *feed](maxFeeds) // it fails for sizes below 1 only
	}
	f, known := s.open.Get(id)
	if !known {
		f = &feed{reached: time.Now(), changed: make(chan struct{})}
		s.open.Add(id, f)
	}
	return f
}

// Events returns what happened to a task behind event number after. When that is
// nothing yet it waits up to wait, and returns none when nothing came.
func (c *Coordinator) Events(ctx context.Context, id core.TaskID, after uint64, wait time.Duration) (core.TaskEvents, error) {
	if wait <= 0 {
		return c.told(ctx, id, after)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	f := c.feeds.of(id)
	for {
		news, changed := f.behind(after)
		if len(news.Events) > 0 || news.Final {
			return news, nil
		}
		if err := f.refresh(ctx, func(after uint64) (core.TaskEvents, error) { return c.told(ctx, id, after) }); err != nil {
			return core.TaskEvents{}, err
		}
		select {
		case <-changed:
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return core.TaskEvents{Events: []core.TaskEvent{}}, nil
		}
	}
}

// told asks a task's home for its events.
func (c *Coordinator) told(ctx context.Context, id core.TaskID, after uint64) (core.TaskEvents, error) {
	answer, err := c.query(ctx, c.home(id), wire.JobQuery{TaskID: id, Op: wire.QueryEvents, After: after})
	if err != nil {
		return core.TaskEvents{}, err
	}
	events, err := wire.DecodeTaskEvents(answer, id, after)
	if err != nil {
		return events, core.Errorf(core.Corrupt, "events", "region %s answered something else: %w", c.home(id), err)
	}
	return events, nil
}

// behind returns the known events behind number after and what is closed when
// there are more.
func (f *feed) behind(after uint64) (core.TaskEvents, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := core.TaskEvents{Events: []core.TaskEvent{}, Final: f.final}
	for _, e := range f.events {
		if e.ID > after {
			news.Events = append(news.Events, e)
		}
	}
	return news, f.changed
}

// refresh asks the home for news unless somebody else does or just did. That it
// cannot be reached is an error only after a while.
func (f *feed) refresh(ctx context.Context, ask func(after uint64) (core.TaskEvents, error)) error {
	if !f.asking.TryLock() {
		return nil
	}
	defer f.asking.Unlock()
	after, due := f.due(time.Now())
	if !due {
		return nil
	}
	news, err := ask(after)
	switch {
	case err == nil:
		f.take(news, time.Now())
	case ctx.Err() != nil: // the listener's wait is over, which says nothing of the home
	case !errors.Is(err, core.Unavailable) || time.Since(f.since()) > feedPatience:
		return err
	}
	return nil
}

// due reports whether it is time to ask again, and behind which event.
func (f *feed) due(now time.Time) (after uint64, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.asked) < pollEvery {
		return 0, false
	}
	f.asked = now
	return f.last, true
}

// since returns when the home answered last.
func (f *feed) since() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reached
}

// take adds news and wakes the listeners.
func (f *feed) take(news core.TaskEvents, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached = now
	if len(news.Events) == 0 && news.Final == f.final {
		return
	}
	f.events, f.final = append(f.events, news.Events...), news.Final
	f.events = f.events[max(0, len(f.events)-maxFed):]
	if n := len(f.events); n > 0 {
		f.last = f.events[n-1].ID
	}
	close(f.changed)
	f.changed = make(chan struct{})
}
