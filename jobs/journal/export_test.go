package journal

import (
	"errors"

	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
)

// FoundWith founds a group of several at once, on each of them before it is
// served: what joining one by one leads to.
func (g *Group) FoundWith(ids ...core.NodeID) error {
	var c raft.Configuration
	for _, id := range ids {
		c.Servers = append(c.Servers, g.server(id))
	}
	_, trans := raft.NewInmemTransport(raft.ServerAddress(g.cfg.Self))
	defer trans.Close()
	err := raft.BootstrapCluster(g.raftConfig(nil), g.store, g.store, g.snaps, trans, c)
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil
	}
	return err
}

// GroupID returns the name of the group.
func (g *Group) GroupID() string { return g.m.groupID() }

// Small makes the log's files and the time between snapshots short.
func (c GroupConfig) Small(segment int, entries uint64) GroupConfig {
	c.segmentBytes, c.snapEntries = segment, entries
	return c
}

// Forget forgets old finished jobs now.
var Forget = (*Group).forget

// Finished returns the keys of the finished jobs on disk.
func (g *Group) Finished() []string {
	var out []string
	it, err := g.hist.db.NewIter(nil)
	if err != nil {
		return nil
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if it.Key()[0] != prefixMeta {
			out = append(out, string(it.Key())+string(it.Value()))
		}
	}
	return out
}

// Dir returns where the journal is.
func (g *Group) Dir() string { return g.cfg.Dir }
