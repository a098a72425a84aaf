package p2p

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

const (
	// maxPublished bounds what one node publishes.
	maxPublished   = 256
	publishTimeout = 30 * time.Second
	parallelPut    = 4
	retryPublish   = 5 * time.Second
)

// publication is one thing this node keeps in the DHT.
type publication struct {
	put  func(context.Context) error
	done int       // successful rounds since it was added
	due  time.Time // of the next round
	busy bool
}

// publishPause is how long after the n-th successful round the next one is due.
// The first follow quickly: a node that joins a network early tells peers that
// are not the closest to the key once more have come.
func publishPause(n int) time.Duration {
	switch n {
	case 1:
		return 15 * time.Second
	case 2:
		return time.Minute
	case 3:
		return 5 * time.Minute
	}
	return recordValidity / 2
}

// add remembers what to publish under name, replacing what was there, and
// publishes it now.
func (t *table) add(ctx context.Context, name string, put func(context.Context) error) error {
	t.mu.Lock()
	if _, known := t.publish[name]; !known && len(t.publish) >= maxPublished {
		t.mu.Unlock()
		return core.Errorf(core.Exhausted, "dht", "this node publishes %d records already", maxPublished)
	}
	p := &publication{put: put, busy: true}
	t.publish[name] = p
	t.mu.Unlock()
	defer t.wake() // republish learns when it is due again
	return t.round(ctx, name, p)
}

func (t *table) wake() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *table) remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.publish, name)
}

// round publishes p once; p is busy meanwhile.
func (t *table) round(ctx context.Context, name string, p *publication) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	alone := t.unreachable()
	err := p.put(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	p.busy = false
	if err != nil {
		p.due = time.Now().Add(retryPublish)
		return publishError(name, alone, err)
	}
	p.done++
	p.due = time.Now().Add(publishPause(p.done))
	return nil
}

// republish keeps what was published alive.
func (t *table) republish(ctx context.Context) error {
	defer t.h.OnPeer(t.firstPeer)()
	for {
		t.publishDue(ctx)
		timer := time.NewTimer(t.untilDue())
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-t.kick:
			timer.Stop()
		}
	}
}

// firstPeer makes what could not be published yet due when somebody has come.
func (t *table) firstPeer(_ core.NodeID, connected bool) {
	if !connected {
		return
	}
	t.mu.Lock()
	for _, p := range t.publish {
		if p.done == 0 {
			p.due = time.Time{}
		}
	}
	t.mu.Unlock()
	t.wake()
}

func (t *table) publishDue(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(parallelPut)
	for name, p := range t.takeDue() {
		g.Go(func() error {
			if err := t.round(ctx, name, p); err != nil {
				t.h.log.Debug().Err(err).Msg("republishing")
			}
			return nil
		})
	}
	_ = g.Wait() // the functions return nil
}

func (t *table) takeDue() map[string]*publication {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]*publication{}
	now := time.Now()
	for name, p := range t.publish {
		if !p.busy && !p.due.After(now) {
			p.busy = true
			out[name] = p
		}
	}
	return out
}

// untilDue is the pause until something is due, at most a minute so that what is
// added meanwhile is not missed.
func (t *table) untilDue() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := time.Minute
	for _, p := range t.publish {
		if !p.busy {
			wait = min(wait, time.Until(p.due))
		}
	}
	return max(wait, time.Second/10)
}
