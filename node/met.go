package node

import (
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// maxMet bounds the nodes whose introduction is remembered: more than a node has
// peers.
const maxMet = 4096

// introduction is what a node said of itself, on a job link or in its health.
type introduction struct {
	roles  []string
	region core.RegionID
	at     time.Time
}

// met remembers how nodes introduced themselves, for people who look at the list
// of peers; nothing is decided by it.
type met struct {
	said *expirable.LRU[core.NodeID, introduction]
}

// newMet keeps them until there is no room; nothing runs out of time, so nothing
// runs behind it.
func newMet() *met { return &met{expirable.NewLRU[core.NodeID, introduction](maxMet, nil, 0)} }

// note remembers what id says now.
func (m *met) note(id core.NodeID, region core.RegionID, roles []string) {
	m.said.Add(id, introduction{slices.Clone(roles), region, time.Now()})
}

// greeted notes a greeting; an ad in it knows the region of a worker better.
func (m *met) greeted(id core.NodeID, h *wire.Hello) {
	region := h.Region
	if h.Ad != nil && h.Ad.Region != "" {
		region = h.Ad.Region
	}
	m.note(id, region, h.Roles)
}

// since returns what id said on a connection that began at since: before that
// it may have been started with other roles.
func (m *met) since(id core.NodeID, since time.Time) (introduction, bool) {
	said, known := m.said.Peek(id)
	return said, known && !said.at.Before(since)
}
