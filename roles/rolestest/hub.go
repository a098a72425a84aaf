// Package rolestest holds a roles.Channel in memory and the contract that every
// Channel keeps.
//
// A Hub is for tests and not a network: it delivers at once, in order, within one
// process. It can do what a network does to its nodes, cut them off, and what
// hostile nodes do, say anything in any name.
//
// It guarantees what Contract checks. Tests run it; it has no goroutine.
package rolestest

import (
	"context"
	"sync"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/wire"
)

// Hub connects the channels of one region.
type Hub struct {
	mu   sync.Mutex
	subs []*sub
	cut  map[core.NodeID]bool
	told []roles.Announcement
}

type sub struct {
	id core.NodeID
	ch chan roles.Announcement
}

// NewHub returns a hub with nobody on it.
func NewHub() *Hub { return &Hub{cut: map[core.NodeID]bool{}} }

// Channel returns the channel of node id.
func (h *Hub) Channel(id core.NodeID) roles.Channel { return &channel{h, id} }

// Cut takes node id off the network, or back: what it publishes fails, and it
// hears nobody.
func (h *Hub) Cut(id core.NodeID, off bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut[id] = off
}

// Say delivers m as if from had signed it, unchecked.
func (h *Hub) Say(from core.NodeID, m wire.Body) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := roles.Announcement{From: from, Body: m}
	h.told = append(h.told, a)
	for _, s := range h.subs {
		if h.cut[s.id] {
			continue
		}
		select {
		case s.ch <- a:
		default: // too slow: lost
		}
	}
}

// Told returns everything that was delivered to anybody, in order.
func (h *Hub) Told() []roles.Announcement {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]roles.Announcement(nil), h.told...)
}

func (h *Hub) isCut(id core.NodeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cut[id]
}

func (h *Hub) end(s *sub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, other := range h.subs {
		if other == s {
			h.subs = append(h.subs[:i], h.subs[i+1:]...)
			break
		}
	}
	close(s.ch)
}

type channel struct {
	hub *Hub
	id  core.NodeID
}

var _ roles.Channel = (*channel)(nil)

// Publish implements roles.Channel; what others would refuse is core.Invalid.
func (c *channel) Publish(ctx context.Context, m wire.Body) error {
	if err := ctx.Err(); err != nil {
		return core.Errorf(core.Unavailable, "channel", "publishing: %w", err)
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if c.hub.isCut(c.id) {
		return core.Errorf(core.Unavailable, "channel", "node %s is cut off", c.id.Short())
	}
	c.hub.Say(c.id, m)
	return nil
}

// Subscribe implements roles.Channel.
func (c *channel) Subscribe(buffer int) (<-chan roles.Announcement, func()) {
	s := &sub{id: c.id, ch: make(chan roles.Announcement, max(1, buffer))}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.subs = append(c.hub.subs, s)
	return s.ch, sync.OnceFunc(func() { c.hub.end(s) })
}
