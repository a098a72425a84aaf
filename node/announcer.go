package node

import (
	"context"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/wire"
)

const (
	// announceEvery is how often digests leave in one message and overflow is
	// looked at.
	announceEvery = time.Second
	// maxPending bounds what waits for the next message; the oldest is dropped.
	maxPending = 128
	// overflowFor is how long an announcement of waiting work is good.
	overflowFor = 10 * time.Second
)

// announcer is what a region tells the network about its jobs: digests of
// results, moved reputations, and work that waits for somebody able. Never the
// work itself.
type announcer struct {
	n *Node

	mu          sync.Mutex
	digests     []wire.ResultDigest
	reputations []*wire.ReputationUpdate
}

func (a *announcer) reputation(u *wire.ReputationUpdate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.reputations) < maxPending {
		a.reputations = append(a.reputations, u)
	}
}

// serve is part of the regional role.
func (a *announcer) serve(ctx context.Context) error {
	region := a.n.ownRegion()
	results, err := gossip.Join[*wire.ResultDigests](a.n.router, gossip.Results, region)
	if err != nil {
		return err
	}
	reputation, err := gossip.Join[*wire.ReputationUpdate](a.n.router, gossip.Reputation, region)
	if err != nil {
		return err
	}
	work, err := gossip.Join[*wire.JobAnnouncement](a.n.router, gossip.Jobs, gossip.Global)
	if err != nil {
		return err
	}
	calls, stop := work.Subscribe(64)
	defer stop()
	moved, deaf := reputation.Subscribe(maxPending)
	defer deaf()
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-calls:
			a.help(c.From, c.Body)
		case m := <-moved:
			a.n.believe(m.From, m.Body)
		case <-tick.C:
			a.tell(ctx, results, reputation)
			a.overflow(ctx, work)
		}
	}
}

// result remembers the digest of a job that ended here.
func (a *announcer) result(d wire.ResultDigest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.digests) == maxPending {
		a.digests = a.digests[1:]
	}
	a.digests = append(a.digests, d)
}

func (a *announcer) tell(ctx context.Context, results *gossip.Topic[*wire.ResultDigests], reputation *gossip.Topic[*wire.ReputationUpdate]) {
	a.mu.Lock()
	digests, moved := a.digests, a.reputations
	a.digests, a.reputations = nil, nil
	a.mu.Unlock()
	if len(digests) > 0 {
		a.log("results", results.Publish(ctx, &wire.ResultDigests{Results: digests}))
	}
	for _, u := range moved {
		a.log("reputation", reputation.Publish(ctx, u))
	}
}

func (a *announcer) log(topic string, err error) {
	if err != nil {
		a.n.log.Debug().Err(err).Str("topic", topic).Msg("not announced")
	}
}

// overflow tells other regions that subtasks wait here.
func (a *announcer) overflow(ctx context.Context, work *gossip.Topic[*wire.JobAnnouncement]) {
	if u, waiting := a.n.region.Waiting(); waiting > 0 {
		a.log("jobs", work.Publish(ctx, &wire.JobAnnouncement{TaskID: u.Key.Task, Task: u.Head.Type, Requirements: u.Head.Requirements,
			Region: a.n.ownRegion(), Waiting: waiting, Expires: time.Now().Add(overflowFor).UTC()}))
	}
}

// help links this region below another one that has more work than workers, when
// workers here are idle and able: work stealing between regions.
func (a *announcer) help(from core.NodeID, m *wire.JobAnnouncement) {
	now := time.Now()
	if m.Region == a.n.ownRegion() || !now.Before(m.Expires) {
		return
	}
	_, queued, _ := a.n.region.Load()
	credits := a.n.region.Credits(wire.ClassSubtask)
	if credits > queued && len(a.n.workers.Select(now, m.Requirements, m.Task, 1, 0)) > 0 {
		a.n.links.help(from)
	}
}
